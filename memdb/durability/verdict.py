"""The ledger against what the server holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.durability import writes
from memdb.durability.ledger import Entry
from memdb.errors import MemDBError
from memdb.vectors.exact import nearest
from memdb.vectors.filters import EVERYTHING
from memdb.vectors.index import index_info
from memdb.vectors.membership import Membership
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.read import blocks
from memdb.vectors.recall import judge
from memdb.vectors.search import knn

_BATCH = 500
QUERIES, K = 50, 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the writes. acknowledged = recovered + lost + partial."""

    acknowledged: int
    recovered: int  # there, and as they were written
    lost: int  # nothing of them is there
    partial: int  # acknowledged or not: half of them is there, or something else than was written
    unacknowledged_present: int  # whole, although nobody was told so: allowed, the answer was lost
    lost_entries: tuple[Entry, ...] = ()  # for the picture of when they were written


def verdict(
    client: Client, run: str, noted: Sequence[Entry], unanswered: Iterable[tuple[int, int]]
) -> Verdict:
    """Read every write back.

    Args:
        client: of the server after its restart.
        run: name of the run.
        noted: the ledger.
        unanswered: (writer, number) of the writes that ended in an error.

    Raises:
        MemDBError: the server does not answer.
    """
    recovered = partial = present = 0
    lost: list[Entry] = []
    for start in range(0, len(noted), _BATCH):
        some = noted[start : start + _BATCH]
        for entry, digest in zip(some, _held(client, run, [(e.writer, e.number) for e in some]), strict=True):
            if digest == entry.digest:
                recovered += 1
            elif not digest:
                lost.append(entry)
            else:
                partial += 1
    unread = list(unanswered)
    for start in range(0, len(unread), _BATCH):
        places = unread[start : start + _BATCH]
        for (writer, number), digest in zip(places, _held(client, run, places), strict=True):
            if digest == writes.whole(writes.fields(run, writer, number)):
                present += 1
            elif digest:
                partial += 1
    return Verdict(len(noted), recovered, len(lost), partial, present, tuple(lost))


def held(client: Client, key: str) -> writes.Fields:
    """What a key of the drill holds; empty where it is gone.

    Raises:
        MemDBError: the server does not answer.
    """
    return _fields(client.execute("HGETALL", key))


def _held(client: Client, run: str, places: Sequence[tuple[int, int]]) -> list[str]:
    """Digests of what is there, "" for nothing."""
    names = [key for writer, number in places for key in writes.keys(run, writer, number)]
    parts = [_fields(reply) for reply in client.pipeline([("HGETALL", name) for name in names])]
    return [writes.whole((parts[i], parts[i + 1])) for i in range(0, len(parts), 2)]


def _fields(reply: replies.Reply) -> writes.Fields:
    flat = replies.items(reply)
    return {bytes(name): bytes(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}


def recall(client: Client) -> float | None:
    """recall@10 of the index against the documents that it should hold, by 50 seeded queries.

    None where there is no index any more, or nothing in it.

    Raises:
        MemDBError: the server does not answer.
    """
    try:
        info = index_info(client, writes.BASE)
    except MemDBError:
        return None
    queries = np.random.default_rng(11).standard_normal((QUERIES, writes.DIM), dtype=np.float32)
    truth = nearest(blocks(client, info), queries, K, info.vector_field("v")[1].metric)
    returned = [
        knn(client, KnnRequest(writes.BASE, vector_param(query), "v", K, 100), info).keys for query in queries
    ]
    under = Membership(client, info, EVERYTHING)
    verdicts = judge(client, info, "v", queries, returned, truth.keys, truth.distances, under)
    retrieved = [there for verdict in verdicts for there in verdict.retrieved]
    return sum(retrieved) / len(retrieved) if retrieved else None
