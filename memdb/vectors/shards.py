"""Searches of several shards: which shard a key lies on, and what is said where one does not answer.

The engine merges the shards' answers itself. By its settings it leaves a shard out that does not answer,
without a word (valkey-search: search.enable-partial-results), so every search says that all must.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from memdb.cluster.client import Client
from memdb.errors import Busy, EngineError, SilentShard, Unreachable
from memdb.vectors.index import primaries, silent_words


def silent(client: Client, index: str) -> tuple[str, ...]:
    """Addresses of the primaries that hold an index and do not answer; each is asked.

    Raises:
        MemDBError: no node answered.
    """
    addresses = []
    for node in primaries(client, index):
        try:
            client.on(node).ping()
        except (Unreachable, Busy):  # it loads, or is gone
            addresses.append(node.address)
    return tuple(addresses)


@contextlib.contextmanager
def explained(client: Client, index: str) -> Iterator[None]:
    """A search of all shards: where it fails and a shard does not answer, that is what is said.

    Raises:
        SilentShard: a shard does not answer.
        MemDBError: the search failed for another reason.
    """
    try:
        yield
    except (EngineError, Unreachable) as exc:
        if not client.server.dialect.every_shard:
            raise
        if not (missing := silent(client, index)):
            raise
        raise SilentShard(
            f"{silent_words(missing)}, so nothing is told of all shards.",
            "A failover takes seconds; if it stays so, look at the nodes on Metrics.",
        ) from exc
