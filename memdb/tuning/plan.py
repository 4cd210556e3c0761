"""How the engine runs a KNN under a filter: through the graph, or by looking at every matching vector.

It decides whether EF_RUNTIME matters at all. RediSearch tells it in FT.PROFILE, valkey-search only by
counters in INFO, MemoryDB not at all (fact sheet §2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.cluster.replies import Reply
from memdb.errors import LoginFailed, MemDBError, UnsupportedFeature
from memdb.vectors.filters import render
from memdb.vectors.index import IndexInfo, index_info
from memdb.vectors.query import KnnRequest, knn_command

# Counter of INFO SEARCH → what grew. The second name of pre-filtering is of 1.1 and ElastiCache 8.2.
COUNTERS = {
    "search_prefiltering_requests_count": "prefiltering",
    "search_query_prefiltering_requests_cnt": "prefiltering",
    "search_inline_filtering_requests_count": "inline filtering",
}


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """How one query was run.

    `exact` True: every vector that matches the filter was compared, EF_RUNTIME changes nothing.
    False: the graph was walked, EF_RUNTIME decides what is found. None: the engine does not tell.
    """

    mode: str  # as the engine calls it, e.g. HYBRID_ADHOC_BF; "" where it does not tell
    exact: bool | None
    words: str  # one sentence for people
    source: str  # where this was read
    details: tuple[tuple[str, str], ...] = ()  # what else the engine told, e.g. its times


def plan(client: Client, request: KnnRequest, info: IndexInfo | None = None) -> QueryPlan:
    """Run the request once and say how the engine ran it. Three round trips at most.

    Raises:
        BadInput: the request does not fit the index.
        MemDBError: the server does not answer, or refuses the search itself.
    """
    info = info or index_info(client, request.index)
    _, params = info.vector_field(request.field)
    dialect = client.server.dialect
    filtered = not render(request.filter, dialect, info).everything
    if params.algorithm == "FLAT":
        return QueryPlan(
            "FLAT",
            True,
            "A FLAT index compares every vector that matches: its answer is exact, it has no EF_RUNTIME.",
            "the index definition",
        )
    if not params.has_ef and not filtered:
        return QueryPlan(params.algorithm, False, params.without_ef, "the index definition")
    command = knn_command(request, info, dialect)
    if dialect.has("FT.PROFILE"):
        try:
            reply = client.execute("FT.PROFILE", info.name, "SEARCH", "QUERY", *command.args[2:])
        except (UnsupportedFeature, LoginFailed) as exc:  # not allowed to this user
            return _untold(filtered, f"FT.PROFILE was refused ({exc})", "FT.PROFILE")
        read_plan = read_profile(reply, filtered=filtered)
        return (
            read_plan
            if params.has_ef
            else replace(read_plan, words=_COMPARED if read_plan.exact else params.without_ef)
        )
    if not filtered:
        return QueryPlan("", False, _WALK, "no filter: nothing to decide")
    before = _counters(client, info)
    client.execute(*command.args)
    return read_counters(before, _counters(client, info), several=bool(info.shards))


def read_profile(reply: Reply, *, filtered: bool) -> QueryPlan:
    """The plan told by a reply of FT.PROFILE.

    RediSearch names the mode in later versions; 2.10 shows it by its shape: a VECTOR iterator without a
    child walks the graph alone, one with a child counts its batches, or compares all that the child lets
    through. MemoryDB sends an open map of times and no iterators.
    """
    source = "FT.PROFILE"
    mode = replies.text(_find(reply, "Vector search mode"))
    iterators = _find(reply, "Iterators profile")
    if not mode and iterators is not None:
        iterator = _vector_iterator(iterators)
        if iterator is None:
            kind = replies.text(replies.pairs(iterators).get("Type"))
            if kind == "EMPTY":
                return QueryPlan(
                    "EMPTY", True, "No document matches the filter; nothing was searched.", source
                )
        elif "Child iterator" not in iterator:
            mode = "STANDARD_KNN"
        else:
            mode = "HYBRID_BATCHES" if "Batches number" in iterator else "HYBRID_ADHOC_BF"
    details = _details(reply, iterators)
    if mode in _MODES:
        exact, words = _MODES[mode]
        return QueryPlan(mode, exact, words, source, details)
    if mode:
        words = f"The engine calls its way {mode}; what EF_RUNTIME does in it is not known here."
        return QueryPlan(mode, None, words, source, details)
    return _untold(filtered, "its FT.PROFILE tells times and counts only", source, details)


def read_counters(before: Mapping[str, int], after: Mapping[str, int], *, several: bool = False) -> QueryPlan:
    """The plan told by valkey-search's counters around one query.

    Other clients' queries count too: where both counters moved, or nothing did, the way stays untold. So it
    does where shards decide differently, each by how many of its own documents match.

    Args:
        before: of all shards together.
        after: the same.
        several: whether there are several.
    """
    grown: dict[str, int] = {}
    for name, what in COUNTERS.items():
        if name in after:
            grown[what] = grown.get(what, 0) + after[name] - before.get(name, 0)
    source = "counters of INFO SEARCH before and after"
    moved = [what for what, by in grown.items() if by > 0]
    details = tuple((what, f"+{by}") for what, by in grown.items())
    if moved == ["prefiltering"]:
        return QueryPlan(
            "prefiltering",
            True,
            "Few documents match, so the engine compares every one of them: the answer is exact and "
            "EF_RUNTIME changes nothing.",
            source,
            details,
        )
    if moved == ["inline filtering"]:
        return QueryPlan(
            "inline filtering",
            False,
            "The engine walks the graph and passes over documents that do not match: EF_RUNTIME decides "
            "what is found.",
            source,
            details,
        )
    why = (
        "its shards decided differently, or other queries ran at the same moment"
        if moved and several
        else "other queries ran at the same moment, and its counters cannot tell them apart"
        if moved
        else "its counters did not move"
        if grown
        else "it has no counters of filtered queries"
    )
    return _untold(True, why, source, details)


_COMPARED = "The engine compares every document that matches the filter (brute force): the answer is exact."
_WALK = "Without a filter the engine walks the graph: EF_RUNTIME decides what is found."
_MODES: dict[str, tuple[bool, str]] = {
    "STANDARD_KNN": (False, _WALK),
    "HYBRID_ADHOC_BF": (
        True,
        "The engine compares every document that matches the filter (brute force): the answer is exact and "
        "EF_RUNTIME changes nothing.",
    ),
    "HYBRID_BATCHES": (
        False,
        "The engine takes batches from the graph and keeps what matches the filter: EF_RUNTIME decides what "
        "a batch finds.",
    ),
    "HYBRID_BATCHES_TO_ADHOC_BF": (
        True,
        "The engine began with batches from the graph and then compared every document that matches: the "
        "answer is exact and EF_RUNTIME changes next to nothing.",
    ),
    "RANGE_QUERY": (False, "A range query walks the graph within a radius; EPSILON matters, not EF_RUNTIME."),
}


def _untold(filtered: bool, why: str, source: str, details: tuple[tuple[str, str], ...] = ()) -> QueryPlan:
    if not filtered:
        return QueryPlan("", False, _WALK, "no filter: nothing to decide", details)
    return QueryPlan(
        "",
        None,
        f"How this engine runs the filter is not known: {why}. A recall curve that stays flat while "
        "EF_RUNTIME grows is the sign of brute force.",
        source,
        details,
    )


def _counters(client: Client, info: IndexInfo) -> dict[str, int]:
    """Of all shards that hold the index together; nothing where one of them does not tell."""
    counted: Counter[str] = Counter()
    for node in [client.on(shard.node) for shard in info.shards] or [client]:
        try:
            sections = node.info("search")
        except MemDBError:
            return {}
        facts = {name: value for section in sections.values() for name, value in section.items()}
        for name in COUNTERS:
            if name in facts:
                counted[name] += replies.integer(facts[name])
    return dict(counted)


def _find(reply: Reply, name: str) -> Reply:
    """The value behind `name`, however deep it lies; None where it is not."""
    if isinstance(reply, Mapping):
        reply = [part for pair in reply.items() for part in pair]
    if not isinstance(reply, list | tuple):
        return None
    for i, part in enumerate(reply):
        if isinstance(part, bytes | str) and replies.text(part) == name:
            return reply[i + 1] if i + 1 < len(reply) else None
        if isinstance(part, list | tuple | Mapping):
            inner = _find(part, name)
            if inner is not None:
                return inner
    return None


def _vector_iterator(iterators: Reply) -> dict[str, Reply] | None:
    pairs = replies.pairs(iterators)
    if replies.text(pairs.get("Type")) == "VECTOR":
        return pairs
    for part in replies.items(iterators):
        if isinstance(part, list | tuple | Mapping) and (inner := _vector_iterator(part)) is not None:
            return inner
    return None


def _details(reply: Reply, iterators: Reply) -> tuple[tuple[str, str], ...]:
    """What is worth showing: RediSearch's time, batches and matches; of MemoryDB all that it sends."""
    rows: list[tuple[str, str]] = []
    if iterators is not None:
        iterator = _vector_iterator(iterators) or {}
        child = replies.pairs(iterator.get("Child iterator"))
        total = _find(reply, "Total profile time")
        rows += [("total time, ms", replies.text(total))] if total is not None else []
        for name, value in (
            ("batches", iterator.get("Batches number")),
            ("read from the filter", child.get("Counter")),
        ):
            rows += [(name, replies.text(value))] if value is not None else []
        return tuple(rows)
    parts = replies.items(reply)
    for pair in replies.items(parts[1]) if len(parts) > 1 else []:
        if (
            isinstance(pair, list | tuple)
            and len(pair) == 2
            and not isinstance(pair[1], list | tuple | Mapping)
        ):
            rows.append((replies.text(pair[0]), replies.text(pair[1])))
    return tuple(rows)
