"""An index beside its shadows: what each takes, how long it was built, what its curve is."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from memdb import files
from memdb.cluster.client import Client
from memdb.display import bytes_text, line
from memdb.errors import BadInput, DamagedFile, NotKept
from memdb.jobs import Report, silent
from memdb.tuning import interleaved, shadow, store
from memdb.tuning.ask import asked_queries, run_saved
from memdb.tuning.interleaved import Interleaved
from memdb.tuning.run import Run, SweepRequest
from memdb.tuning.shadow import Built, Variant
from memdb.tuning.store import ListedRun
from memdb.vectors.index import IndexInfo, VectorParams, index_names

_BUILDS = "builds.json"
_KEPT_BUILDS = 200
_ALIKE = 0.1  # share of a p50 within which two of them are called the same


@dataclass(frozen=True, slots=True)
class Candidate:
    """One index of the comparison."""

    info: IndexInfo
    params: VectorParams
    original: bool
    build_s: float | None  # None: not built from here
    run: Run | None  # its newest run with the settings asked for
    times: Interleaved | None = None  # of that run, timed in turn with the other indexes

    @property
    def words(self) -> str:
        """E.g. HNSW, M 32, EF_CONSTRUCTION 400, COSINE."""
        return words(self.params)

    def time(self, ef_runtime: int) -> float:
        """p50 of a call in ms: timed in turn with the others where that was done, else of its own run."""
        timed = self.times.of_ef(ef_runtime) if self.times is not None else None
        point = self.run.point(ef_runtime) if self.run is not None else None
        return timed.p50_ms if timed is not None else point.p50_ms if point is not None else math.nan


def words(params: VectorParams) -> str:
    """How a vector field is indexed, e.g. HNSW, M 32, EF_CONSTRUCTION 400, COSINE."""
    parts = [params.algorithm]
    parts += [f"M {params.m}"] if params.m is not None else []
    parts += [f"EF_CONSTRUCTION {params.ef_construction}"] if params.ef_construction is not None else []
    return ", ".join([*parts, params.metric])


def candidates(client: Client, base: IndexInfo, request: SweepRequest, home: Path) -> tuple[Candidate, ...]:
    """The original and its shadows, each with its newest run that was asked the same."""
    stored = store.listed(home)
    built, timed = _builds(home), interleaved.known(home)
    every = []
    field = base.vector_field(request.field)[0].name
    for info in (base, *shadow.shadows_of(client, base.name, field)):
        _, params = info.vector_field(request.field)
        newest = newest_like(stored, client.target.address, replace(request, index=info.name))
        every.append(
            Candidate(
                info,
                params,
                info.name == base.name,
                built.get(_place(client, info.name)),
                store.load(home, newest.id) if newest is not None else None,
                timed.get(newest.id) if newest is not None else None,
            )
        )
    return tuple(every)


def newest_like(stored: Sequence[ListedRun], target: str, request: SweepRequest) -> ListedRun | None:
    """The newest complete run over this index that was asked the same in k, filter and goal."""
    return next(
        (
            entry
            for entry in stored
            if (entry.target, entry.index, entry.k, entry.filter, entry.goal)
            == (target, request.index, request.k, request.filter, request.goal)
            and not entry.partial
        ),
        None,
    )


def remember_build(client: Client, built: Built, home: Path) -> None:
    """Keep how long an index was built, for later comparisons. A full disk is no reason to fail."""
    builds = _builds(home)
    builds[_place(client, built.name)] = built.build_s
    text = json.dumps(dict(list(builds.items())[-_KEPT_BUILDS:]))
    with contextlib.suppress(NotKept):
        files.write(home / "tuning" / _BUILDS, text.encode())


def build_all(
    client: Client,
    base: IndexInfo,
    field: str,
    variants: Sequence[Variant],
    home: Path,
    *,
    report: Report = silent,
) -> tuple[Built, ...]:
    """Build what is not there yet, one after another; each is kept whatever becomes of the next.

    Raises:
        BadInput: `shadow.check` refuses; nothing was created.
        Cancelled: from `report`; the index under way is dropped again, finished ones stay.
        EngineError: the server refuses or the build fails.
    """
    checked = shadow.check(client, base, field, tuple(variants))
    if not checked.ok:
        raise BadInput("The shadow indexes are not built.", " ".join(checked.refusals))
    there = index_names(client)
    built = []
    for variant, name in zip(variants, checked.names, strict=True):
        if name in there:
            continue
        built.append(shadow.build(client, base, field, variant, report=report))
        remember_build(client, built[-1], home)
    return tuple(built)


def sweep_all(
    client: Client,
    base: IndexInfo,
    request: SweepRequest,
    home: Path,
    *,
    report: Report = silent,
    keep: Callable[[Run], None] | None = None,
) -> tuple[Run, ...]:
    """The same sweep with the same queries on the original and each shadow, every run saved; then all timed
    in turn.

    Raises:
        BadInput: the request does not fit; a filter on a TEXT field does not fit a shadow; or a shadow is not
            (any more) the same documents under the same rules.
        Cancelled: from `report`; finished runs are saved.
    """
    shadows = shadow.shadows_of(client, base.name, base.vector_field(request.field)[0].name)
    for info in shadows:
        if differs := shadow.difference(client, base, info):
            raise BadInput(
                f"'{line(info.name)}' cannot be compared with its original: {differs}",
                "Drop this shadow index, and build it again.",
            )
    infos = (base, *shadows)
    query_set = asked_queries(client, base, request, home=home, report=report)
    runs = []
    for place, info in enumerate(infos, 1):

        def report_index(stage: str, done: int, total: int, place: int = place) -> None:
            report(f"Index {place} of {len(infos)}: {stage}", done, total)

        mine = replace(request, index=info.name)
        runs.append(run_saved(client, info, mine, home, asked=query_set, report=report_index, keep=keep))
    pace = min(filter(None, (request.budget_qps, client.queries_per_s)), default=None)
    times = interleaved.measure(client, list(zip(infos, runs, strict=True)), pace=pace, report=report)
    interleaved.remember(times, home)
    return tuple(runs)


def timed_together(every: Sequence[Candidate]) -> bool:
    """Whether the times of all that have a run were measured in turn, in one comparison."""
    measured = [c for c in every if c.run is not None and c.run.points]
    return len({c.times.comparison if c.times is not None else "" for c in measured}) == 1 and all(
        c.times is not None for c in measured
    )


def conclusions(every: Sequence[Candidate]) -> tuple[str, ...]:
    """A sentence for each measured shadow: recall, memory of the vectors and p50 beside the original's.

    Both at one EF_RUNTIME that both were measured at: the one recommended for the original, else the largest.
    Vectors alone are compared, since a shadow has no TEXT fields.
    """
    original = next(
        (
            candidate
            for candidate in every
            if candidate.original and candidate.run is not None and candidate.run.points
        ),
        None,
    )
    if original is None or original.run is None:
        return ()
    sentences = []
    for candidate in every:
        if candidate.original or candidate.run is None:
            continue
        common = sorted(
            {p.ef_runtime for p in original.run.points} & {p.ef_runtime for p in candidate.run.points}
        )
        if not common:
            continue
        verdict = original.run.recommendation
        best = verdict.ef_runtime if verdict is not None else None
        ef = best if best in common else common[-1]
        before, after = original.run.point(ef), candidate.run.point(ef)
        if before is None or after is None:
            continue
        words = [f"{100 * (after.recall - before.recall):+.1f} points of recall@{candidate.run.request.k}"]
        ours, theirs = candidate.info.vector_bytes, original.info.vector_bytes
        if ours is not None and theirs is not None:
            words.append(f"{'+' if ours >= theirs else '-'}{bytes_text(abs(ours - theirs))} of vectors")
        old_ms, new_ms = original.time(ef), candidate.time(ef)
        if math.isfinite(old_ms) and math.isfinite(new_ms):
            near = abs(new_ms - old_ms) <= _ALIKE * old_ms
            words.append("same p50" if near else f"p50 {old_ms:.2f} → {new_ms:.2f} ms")
        at = f" at EF_RUNTIME {ef}" if ef else ""
        worth = _worth_words(original, candidate)
        sentences.append(
            f"{candidate.words}: {', '.join(words)}{at}{_goal_words(original.run, candidate.run)}{worth}."
        )
    return tuple(sentences)


def trade(candidate: Candidate) -> tuple[tuple[int, ...], tuple[float, ...], tuple[float, ...]]:
    """EF_RUNTIME, recall and p50 in ms of the settings with a measured time, ascending by EF_RUNTIME."""
    points = sorted(candidate.run.points, key=lambda p: p.ef_runtime) if candidate.run is not None else []
    timed_points = [(p.ef_runtime, p.recall, candidate.time(p.ef_runtime)) for p in points]
    timed_points = [row for row in timed_points if math.isfinite(row[2])]
    return (
        tuple(e for e, _, _ in timed_points),
        tuple(r for _, r, _ in timed_points),
        tuple(ms for _, _, ms in timed_points),
    )


def _worth_words(original: Candidate, other: Candidate) -> str:
    """From which target on it is the faster one, where the times can be compared: they were taken in turn."""
    if not timed_together((original, other)):
        return ""
    (_, old_recalls, old_ms), (_, new_recalls, new_ms) = trade(original), trade(other)
    if not old_ms or not new_ms:
        return ""
    old, new = (old_recalls, interleaved.rising(old_ms)), (new_recalls, interleaved.rising(new_ms))
    faster = interleaved.worth(old, new, _ALIKE)
    if faster is None:
        return "; it is faster than the original at no target that was measured"
    least, most = faster
    targets = {*old_recalls, *new_recalls}
    from_, highest = math.ceil(1_000 * least - 1e-6) / 1_000, math.floor(1_000 * most + 1e-6) / 1_000
    if most == max(targets):
        where = "at every target measured" if least == min(targets) else f"from target {from_:g}"
    else:
        where = (
            f"up to target {highest:g}" if least == min(targets) else f"from target {from_:g} to {highest:g}"
        )
    return f"; worth it {where}: faster there"


def _goal_words(before: Run, after: Run) -> str:
    """What a shadow changes about the target, where it does."""
    old, new = before.recommendation, after.recommendation
    if old is None or new is None:
        return ""
    goal = after.request.goal.words(after.request.k)
    if old.met and new.met and old.ef_runtime and new.ef_runtime and old.ef_runtime != new.ef_runtime:
        return f"; it meets {goal} at EF_RUNTIME {new.ef_runtime} instead of {old.ef_runtime}"
    if new.met and not old.met:
        return f"; it meets {goal}, the original does not"
    return f"; it does not meet {goal}, the original does" if old.met and not new.met else ""


def _place(client: Client, name: str) -> str:
    return f"{client.target.address} {name}"


def _builds(home: Path) -> dict[str, float]:
    try:
        return files.document(home / "tuning" / _BUILDS, dict[str, float]) or {}
    except DamagedFile:
        return {}
