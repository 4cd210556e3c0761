"""What the drill writes: a session's turn and a vector together, known again by their digest."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from memdb.cluster.client import Client
from memdb.cluster.sending import Command
from memdb.vectors.index import HnswField, IndexSpec, TagField

PREFIX = "drill:"
DIM = 64
BASE = "drill-base"  # the index whose recall is measured: its documents do not change during the drill
_FIELDS = (TagField("kind"), HnswField("v", DIM, m=8, ef_construction=64))
SPECS = (
    IndexSpec("drill", _FIELDS, (f"{PREFIX}vector:",)),
    IndexSpec(BASE, _FIELDS, (f"{PREFIX}base:",)),
)
Fields = dict[bytes, bytes]


def keys(run: str, writer: int, number: int) -> tuple[str, str]:
    """Keys of one write, in one slot of a cluster."""
    tag = f"{{{run}-{writer}-{number}}}"
    return f"{PREFIX}session:{tag}", f"{PREFIX}vector:{tag}"


def fields(run: str, writer: int, number: int) -> tuple[Fields, Fields]:
    """What the session and the vector of one write hold; always the same for the same arguments."""
    seed = hashlib.sha256(f"{run} {writer} {number}".encode()).digest()
    vector = np.random.default_rng(list(seed)).standard_normal(DIM).astype(np.float32)
    history = [
        {"role": "user", "content": f"Where is order {writer}-{number}?"},
        {
            "role": "assistant",
            "content": f"It left the warehouse and arrives tomorrow. Its parcel number is {seed.hex()[:16]}.",
        },
    ]
    session = {
        b"user_id": b"drill-%d" % writer,
        b"context": b"drill",
        b"history": json.dumps(history).encode(),
    }
    return session, {b"kind": b"write", b"v": vector.tobytes()}


def commands(run: str, writer: int, number: int, ttl_s: int = 0) -> tuple[Command, ...]:
    """One write: two hashes, sent as a transaction; with a time to live if wanted."""
    hashes: tuple[Command, ...] = tuple(
        ("HSET", key, *(part for pair in values.items() for part in pair))
        for key, values in zip(keys(run, writer, number), fields(run, writer, number), strict=True)
    )
    ends: tuple[Command, ...] = tuple(("EXPIRE", key, ttl_s) for key in keys(run, writer, number) if ttl_s)
    return hashes + ends


def digest(stored: Fields) -> str:
    """Of a hash's fields, whatever their order; "" for no hash."""
    if not stored:
        return ""
    digested = hashlib.sha256()
    for name, value in sorted(stored.items()):
        digested.update(b"%d:%b%d:%b" % (len(name), name, len(value), value))
    return digested.hexdigest()[:32]


def whole(parts: tuple[Fields, Fields]) -> str:
    """Digest of one write, for the ledger."""
    return digest(parts[0]) + digest(parts[1])


def base(client: Client, count: int) -> None:
    """Load the documents whose recall is measured before and after. Acknowledged before the drill begins."""
    random = np.random.default_rng(7)
    for start in range(0, count, 500):
        vectors = random.standard_normal((min(500, count - start), DIM), dtype=np.float32)
        client.pipeline(
            [
                ("HSET", f"{PREFIX}base:{start + i}", "kind", "base", "v", vector.tobytes())
                for i, vector in enumerate(vectors)
            ]
        )
