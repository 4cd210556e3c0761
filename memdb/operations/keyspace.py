"""What a sample of a node's keys tells of all of them: bytes, times to live, how many an index should hold.

Keys are drawn by RANDOMKEY, which Redis makes nearly uniform; those drawn twice count once, so that it is
a simple random sample without replacement.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from memdb import intervals
from memdb.cluster import possible, replies
from memdb.cluster.client import Client, Command
from memdb.cluster.keys import beginning
from memdb.cluster.possible import SIZE
from memdb.cluster.replies import Reply
from memdb.cluster.topology import Node
from memdb.display import line
from memdb.errors import MemDBError
from memdb.jobs import Report, silent
from memdb.vectors.index import KEY_TYPES, IndexInfo

KEYS = 400  # drawn at most: ±5 % where sizes scatter by half of their mean
ELEMENTS = 100  # of a collection that MEMORY USAGE weighs: exact for smaller ones, bounded for larger ones
EXACT_UP_TO = 20_000  # keys of a node that are counted by SCAN and not estimated
_AT_ONCE = 5_000  # keys of one SCAN: 1 to 2 ms of the server each
_PATIENT = 1_000  # the same for a long count, where others should not notice
HOUR_S, DAY_S = 3_600, 86_400


@dataclass(frozen=True, slots=True)
class TotalEstimate:
    """A total, and half of its 95 % interval from sampling alone; None where one key cannot tell it."""

    total: float
    within: float | None


@dataclass(frozen=True, slots=True)
class Freed:
    """Bytes of the keys whose time to live ends within so many seconds, with half of a 95 % interval.

    Only the keys themselves: what indexes hold of them comes free as well.
    """

    seconds: int
    bytes: float
    within_bytes: float | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many keys an index should hold (of its type, under its prefixes), next to what it holds.

    Of one node. `low` and `high` are a 95 % interval; exact where all keys were looked at. Keys that lack the
    indexed field, or that the index's own filter leaves out, count here and are no documents.
    """

    index: str
    keys: float
    low: float
    high: float
    documents: int | None  # None where what was told cannot be true
    exact: bool

    @property
    def within(self) -> float:
        """Half of the interval, in keys."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class Key:
    """One key that was drawn. None: not asked for, or refused."""

    name: bytes
    size: float | None = None  # bytes
    ttl_ms: int | None = None  # −1 where it never expires
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """Different keys of a node that holds `population` of them; why there are none, or what is not known."""

    population: int | None
    keys: tuple[Key, ...] = ()
    absent: dict[str, str] = field(default_factory=dict)  # "keys", "sizes", "ttl", "types" → reason


# ---- pure --------------------------------------------------------------------------------------------


def estimate(values: Sequence[float], population: int) -> TotalEstimate:
    """Total over `population` keys of which `values` is a random sample without replacement.

    Student's t with the correction for a finite population; exact where the sample is all of it.
    """
    n = len(values)
    if not n:
        return TotalEstimate(0.0, 0.0 if population == 0 else None)
    # Keys that expired since they were counted make the sample larger than what is left, never smaller.
    mean = sum(values) / n
    return TotalEstimate(mean * max(n, population), intervals.total_within(values, population))


def belongs(info: IndexInfo, name: bytes, kind: str | None) -> bool:
    """Whether a key of this name and type is one the index takes."""
    return kind == KEY_TYPES.get(info.on.upper(), info.on) and under(info, name)


def under(info: IndexInfo, name: bytes) -> bool:
    """Whether a key's name begins with one of the index's prefixes; an index without prefixes takes all."""
    return not info.prefixes or name.startswith(
        tuple(prefix.encode("utf-8", "surrogateescape") for prefix in info.prefixes)
    )


def estimated(info: IndexInfo, drawn: Drawn) -> Coverage | None:
    """The coverage as the sample tells it; None where types or keys are not known."""
    usable = [key for key in drawn.keys if key.type is not None or not under(info, key.name)]
    if drawn.population is None or (not usable and drawn.population):
        return None
    hits = sum(belongs(info, key.name, key.type) for key in usable)
    if len(usable) >= drawn.population:
        return Coverage(info.name, hits, hits, hits, info.told_documents, exact=True)
    low, high = (end * drawn.population for end in _ends(hits, len(usable), drawn.population))
    return Coverage(
        info.name,
        hits / len(usable) * drawn.population,
        max(low, hits),
        high,
        info.told_documents,
        exact=False,
    )


def _ends(hits: int, drawn: int, population: int) -> tuple[float, float]:
    interval = intervals.share(hits, drawn, population=population)
    return interval.low, interval.high


def freed(drawn: Drawn, with_ttl: float | None) -> tuple[Freed, ...]:
    """Bytes that expire within an hour and a day; empty where sizes or times to live are not known.

    Args:
        drawn: the sample.
        with_ttl: keys that have a time to live, as INFO tells; None if it does not.
    """
    if with_ttl == 0 or drawn.population == 0:
        return tuple(Freed(seconds, 0.0, 0.0) for seconds in (HOUR_S, DAY_S))
    usable = [key for key in drawn.keys if key.size is not None and key.ttl_ms is not None]
    if drawn.population is None or not usable:
        return ()
    sizes = [key.size or 0.0 for key in usable]
    freeing = []
    for seconds in (HOUR_S, DAY_S):
        soon = [0 <= (key.ttl_ms if key.ttl_ms is not None else -1) <= seconds * 1_000 for key in usable]
        total = estimate(
            [s if counts else 0.0 for s, counts in zip(sizes, soon, strict=True)], drawn.population
        )
        within = total.within
        if not any(soon) and len(usable) < drawn.population:
            # None seen is not none there: the share's upper end, at the size of the others.
            within = (
                intervals.share(0, len(usable), population=drawn.population).high
                * estimate(sizes, drawn.population).total
            )
        freeing.append(Freed(seconds, total.total, within))
    return tuple(freeing)


def ttl_share(drawn: Drawn) -> float | None:
    """Share of the keys drawn that have a time to live."""
    ttls_ms = [key.ttl_ms for key in drawn.keys if key.ttl_ms is not None]
    return sum(ttl >= 0 for ttl in ttls_ms) / len(ttls_ms) if ttls_ms else None


# ---- asking ------------------------------------------------------------------------------------------


def draw(there: Client, indexes: Sequence[IndexInfo], *, ttls: bool) -> Drawn:
    """Draw up to KEYS keys of a node in two round trips.

    Args:
        there: a client of the node.
        indexes: types are asked for keys under their prefixes.
        ttls: whether any key may have a time to live; if not, none is asked for one.

    Raises:
        MemDBError: the node did not answer.
    """
    size, *names = there.pipeline([("DBSIZE",), *[("RANDOMKEY",)] * KEYS], errors_as_values=True)
    if isinstance(size, MemDBError):
        return Drawn(None, (), {"keys": str(size)})
    population = replies.integer(size)
    refused = next((str(reply) for reply in names if isinstance(reply, MemDBError)), "")
    different = list(dict.fromkeys(bytes(reply) for reply in names if isinstance(reply, bytes)))
    if not different:
        why = refused or ("all keys expired meanwhile" if population else "")
        return Drawn(population, (), {"keys": why} if why else {})
    queries: list[tuple[bytes, str]] = []
    commands: list[Command] = []
    for name in different:
        queries.append((name, "sizes"))
        commands.append(("MEMORY", "USAGE", name, "SAMPLES", ELEMENTS))
        if ttls:
            queries.append((name, "ttl"))
            commands.append(("PTTL", name))
        if any(under(info, name) for info in indexes):
            queries.append((name, "types"))
            commands.append(("TYPE", name))
    return _read(population, queries, there.pipeline(commands, errors_as_values=True), ttls=ttls)


def _read(population: int, queries: list[tuple[bytes, str]], answers: list[Reply], *, ttls: bool) -> Drawn:
    facts_of: dict[bytes, dict[str, Reply]] = {}
    absent: dict[str, str] = {}
    for (name, what), reply in zip(queries, answers, strict=True):
        facts = facts_of.setdefault(name, {})
        if isinstance(reply, MemDBError):
            absent.setdefault(what, str(reply))
        else:
            facts[what] = reply
    keys = []
    for name, facts in facts_of.items():
        kind = replies.text(facts["types"]) if "types" in facts else None
        ttl = replies.integer(facts["ttl"]) if "ttl" in facts else None if ttls else -1
        if facts.get("sizes", 0) is None or ttl == -2 or kind == "none":
            continue  # it expired since it was drawn
        if why := possible.refusal(facts.get("sizes"), SIZE, f"MEMORY USAGE of {line(replies.text(name))}"):
            absent.setdefault("sizes", why)
        keys.append(Key(name, possible.number(facts.get("sizes"), SIZE), ttl, kind))
    if not keys:
        absent["keys"] = "all keys drawn expired meanwhile"
    return Drawn(population, tuple(keys), absent)


def count_few(there: Client, indexes: Sequence[IndexInfo]) -> dict[str, Coverage]:
    """Exact coverage of a node of few keys, by index; at most five round trips for each type of key.

    Raises:
        MemDBError: the node did not answer, or refuses SCAN.
    """
    counted: dict[str, Coverage] = {}
    for key_type in sorted({info.on for info in indexes}):
        names: set[bytes] = set()
        cursor = "0"
        for _ in range(EXACT_UP_TO // _AT_ONCE + 1):
            reply = there.execute(
                "SCAN", cursor, "COUNT", _AT_ONCE, "TYPE", KEY_TYPES.get(key_type.upper(), key_type)
            )
            cursor = replies.text(reply[0])
            names.update(bytes(name) for name in replies.items(reply[1]))
            if cursor == "0":
                break
        else:  # it grew while it was counted
            continue
        for info in indexes:
            if info.on == key_type:
                count = sum(under(info, name) for name in names)
                counted[info.name] = Coverage(info.name, count, count, count, info.told_documents, exact=True)
    return counted


def count_exactly(
    client: Client, node: Node, info: IndexInfo, report: Report = silent, *, seconds: float = 120.0
) -> Coverage:
    """Count an index's keys on one node by SCAN, as a job: within the target's budget, and cancellable.

    Args:
        client: of any node of the target.
        node: which to count on.
        info: the index, with the number of its documents at the time.
        report: told how many keys were looked at; may raise Cancelled.
        seconds: after which what was seen until then is taken for all (not exact).

    Returns:
        The count. Keys written or expired meanwhile may be in it or not; a table that shrinks meanwhile makes
        SCAN tell keys twice, and twice they count: names are not kept, which would take the memory of all.

    Raises:
        Cancelled: by `report`.
        MemDBError: the node did not answer, refuses SCAN, or the budget is spent.
    """
    there = client.on(node)
    population = replies.integer(there.execute("DBSIZE"))
    end = time.monotonic() + seconds
    match: Command = ("MATCH", beginning(info.prefixes[0])) if len(info.prefixes) == 1 else ()
    kind = KEY_TYPES.get(info.on.upper(), info.on)
    cursor, scanned, count = "0", 0, 0
    report(f"Counting keys of {info.name}", 0, population)
    while True:
        reply = there.execute("SCAN", cursor, *match, "COUNT", _PATIENT, "TYPE", kind)
        cursor = replies.text(reply[0])
        count += sum(under(info, bytes(name)) for name in replies.items(reply[1]))
        scanned = min(population, scanned + _PATIENT)
        report(f"Counting keys of {info.name}", scanned, population)
        if cursor == "0":
            return Coverage(info.name, count, count, count, info.told_documents, exact=True)
        if time.monotonic() > end:
            looked = max(scanned, count, 1)
            low, high = (max(count, share * population) for share in _ends(count, looked, population))
            return Coverage(
                info.name, count / looked * population, low, high, info.told_documents, exact=False
            )
