"""valkey-search before each primary of a cluster: a search of any node is of all shards, as its source has it.

What the source says (valkey-search `src/query/fanout.cc`, `src/commands/commands.cc`, `ft_search_parser.cc`,
`ft_info_parser.cc`, `primary_info_fanout_operation.cc`, `cluster_info_fanout_operation.cc`,
`integration/test_single_slot.py`), and the settings that were recorded of 1.2.1:

- an index is made and dropped on every node; one with a hash tag in its name is asked of the owner of its slot;
- each shard answers for itself, and the node that was asked merges: the k nearest by distance, the numbers of
  documents summed; documents without a distance come by key, the last first;
- a shard that does not answer is left out without a word, unless ALLSHARDS is said;
- FT.INFO is of the node asked, unless PRIMARY or CLUSTER is said.

Nothing of it was recorded: a cluster was not. Not told by the source and made up here: the words for a shard
that does not answer, of several that it has. Not here: replicas, which the engine asks in the place of
primaries at random, and slots that move.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any

from redis.crc import key_slot

from memdb.cluster.engine import Engine
from memdb.cluster.target import Target
from tests.fronts import listening
from tests.standins.grammar import Options, Query
from tests.standins.resp import Raw, Refusal
from tests.standins.schema import Index
from tests.standins.server import Session, Standin
from tests.standins.valkey import Hits, Reach, ValkeySearch

_OUT_OF_REACH = "Unable to contact all cluster members"
_ENDED = "Search operation cancelled due to timeout"
_SCOPES = frozenset(("LOCAL", "PRIMARY", "CLUSTER"))
_TAG = re.compile(r"{([^}]+)}")


class Shard(ValkeySearch):
    """One node, a primary. What a test may set: `down`, `differs`, and what every stand-in has."""

    peers: tuple[Shard, ...] = ()  # all nodes, this one among them, by their slots
    slots: tuple[int, int] = (0, 0)  # first and last
    tag = ""  # a hash tag of a slot of this node: the engine behind wants an index's name to be its own
    down = False  # nobody reaches it, though it runs
    differs = False  # it has another view of indexes or slots

    def answer(self, session: Session) -> Any:
        if self.down:
            raise OSError("out of reach")
        name, *words = (word.decode("latin-1").upper() for word in session.words)
        if name == "CLUSTER" and words[:1] in (["NODES"], ["SLOTS"]):
            return self._announced(session.upstream.ask(*session.words))
        reply = super().answer(session)
        if isinstance(reply, Raw) and reply.reply.startswith((b"-MOVED ", b"-ASK ")):
            return Raw(self._announced(reply.reply))
        return reply

    def _announced(self, told: Any) -> Any:
        """What a node says of others, with the ports of those that stand before them."""
        ports = {peer.engine.port: peer.target.port for peer in self.peers}
        if isinstance(told, bytes):
            return re.sub(
                rb":(\d{4,5})\b(?=@|\r\n)", lambda m: b":%d" % ports.get(int(m[1]), int(m[1])), told
            )
        if isinstance(told, list):
            return [self._announced(part) for part in told]
        return ports.get(told, told)

    def inside(self, name: str) -> str:
        return f"{{{self.tag}}}{name}"

    def outside(self, name: str) -> str:
        return name.removeprefix(f"{{{self.tag}}}")

    def hang_up(self) -> None:
        for peer in self.peers or (self,):
            Standin.hang_up(peer)

    def make(self, session: Session, index: Index) -> None:
        super().make(session, index)
        for peer in self._others():
            peer.own.ask(*peer.engines(index))
            peer.keep(index)

    def dropped(self, session: Session, index: Index) -> None:
        super().dropped(session, index)
        for peer in self._others():
            peer.own.ask("FT.DROPINDEX", peer.inside(index.name).encode("latin-1"))
            peer.forget(index.name)

    def _others(self) -> Iterator[Shard]:
        """The other nodes; at the end the refusal that one could not be reached."""
        for peer in self.peers:
            if peer is not self and not peer.down:
                yield peer
        if any(peer.down for peer in self.peers):
            raise Refusal(_OUT_OF_REACH)

    # Searching.

    def matching(
        self, index: Index, query: Query, options: Options, reach: Reach, rows: int | None
    ) -> tuple[int, Hits]:
        if reach.local:
            return super().matching(index, query, options, reach, rows)
        total, merged, answered = 0, Hits(), 0
        for shard in self.asked(index):
            if shard.differs and reach.consistent:
                raise Refusal("Index or slot consistency check failed")
            if shard.down:
                continue
            known = shard.index(index.name, there=True)
            number, hits = ValkeySearch.matching(shard, known, query, options, reach, rows)
            total, answered = total + number, answered + 1
            merged += hits if query.knn or rows is None else hits[:rows]
        if not answered or (answered < len(self.asked(index)) and not reach.partial):
            raise Refusal(_ENDED)
        if query.knn is None:
            return total, sorted(merged, key=lambda hit: hit[0].key, reverse=True)
        merged.sort(key=lambda hit: (hit[1] != hit[1], hit[1]))  # those without a distance last
        return min(total, query.knn.k), merged[: query.knn.k]

    def asked(self, index: Index) -> tuple[Shard, ...]:
        """Which shards answer for an index."""
        tag = _TAG.search(index.name)
        return (self.owner(tag.group(1).encode("latin-1")),) if tag else self.peers

    def owner(self, key: bytes) -> Shard:
        """The shard that a key lies on."""
        slot = key_slot(key)
        return next(peer for peer in self.peers if peer.slots[0] <= slot <= peer.slots[1])

    def pipelined(self, asked: list[tuple[Any, ...]], names: list[Any]) -> list[tuple[Any, Any]]:
        places: dict[Shard, list[int]] = {}
        for at, (_, key, *_) in enumerate(asked):
            places.setdefault(self.owner(key), []).append(at)
        replies: list[Any] = [None] * len(asked)
        for shard, some in places.items():
            for at, reply in zip(some, shard.own.many([asked[at] for at in some]), strict=True):
                replies[at] = reply
        return list(zip(names, replies, strict=True))

    # What it tells of itself.

    def informed(self, index: Index, options: list[str]) -> list[Any]:
        scope, partial, consistent = "LOCAL", True, False
        for option in options:
            word = option.upper()
            if word in _SCOPES:
                scope = word
            elif word in {"ALLSHARDS", "SOMESHARDS"}:
                partial = word == "SOMESHARDS"
            elif word in {"CONSISTENT", "INCONSISTENT"}:
                consistent = word == "CONSISTENT"
            else:
                raise Refusal(f"Unexpected parameter: {option}")
        if scope == "LOCAL":
            return self.described_index(index)
        there = [peer for peer in self.peers if not peer.down]
        if (len(there) < len(self.peers) and not partial) or (consistent and any(p.differs for p in there)):
            raise Refusal(_OUT_OF_REACH)
        every = [peer.described_index(peer.index(index.name, there=True)) for peer in there]
        told = [dict(zip(reply[::2], reply[1::2], strict=True)) for reply in every]
        if scope == "PRIMARY":
            sums = ("num_docs", "num_records", "hash_indexing_failures")
            summed = [part for name in sums for part in (name, str(sum(int(t[name]) for t in told)))]
            return ["mode", "primary", "index_name", index.name, *summed]
        shares = [float(t["backfill_complete_percent"]) for t in told]
        running = any(int(t["backfill_in_progress"]) for t in told)
        return [
            *("mode", "cluster", "index_name", index.name),
            *("backfill_in_progress", str(int(running))),
            *("backfill_complete_percent_max", f"{max(shares):.6f}"),
            *("backfill_complete_percent_min", f"{min(shares):.6f}"),
            *("state", "backfill_in_progress" if running else "ready"),
        ]


@contextmanager
def valkey_cluster(engine: Engine) -> Iterator[tuple[Shard, ...]]:
    """Serve valkey-search's language before each primary of a local cluster, by their slots."""
    shards = tuple(
        _shard(target, at, len(engine.shard_targets)) for at, target in enumerate(engine.shard_targets)
    )
    with ExitStack() as stack:
        for shard in shards:
            port = stack.enter_context(listening(shard.serve))
            shard.target = Target(
                "redis",
                "127.0.0.1",
                port,
                username=shard.engine.username,
                password=shard.engine.password,
                kind="development",
            )
            stack.callback(shard.hang_up)
        for shard in shards:
            shard.peers = shards
        yield shards


def _shard(target: Target, at: int, number: int) -> Shard:
    made = Shard(target)
    # As the local cluster shares them out.
    made.slots = 16_384 * at // number, 16_384 * (at + 1) // number - 1
    first, last = made.slots
    made.tag = next(text for n in count() if first <= key_slot((text := f"t{n}").encode()) <= last)
    return made
