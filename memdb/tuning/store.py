"""Runs on disk: `runs/<id>.json` with everything readable, `runs/<id>.npz` with the arrays.

The newest KEPT_RUNS runs of at most KEPT_BYTES are kept; older ones are removed when one is saved.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import msgspec
import numpy as np
from numpy.typing import NDArray

from memdb import array_files, files
from memdb.errors import BadInput, DamagedFile, NotFound
from memdb.shelf import Shelf
from memdb.tuning import source
from memdb.tuning.estimate import Estimate
from memdb.tuning.packing import packed, unpacked
from memdb.tuning.run import (
    AsAsked,
    Ask,
    Beside,
    EfPoint,
    Goal,
    Queries,
    Recommendation,
    Run,
    Sampled,
    Shard,
    SweepRequest,
    Truth,
)

T = TypeVar("T")

KEPT_RUNS = 200
KEPT_BYTES = 1 << 30
FORMAT = 2
_OTHERS = (1, *range(3, 100))  # of other versions of memdb: they are not damaged
_SHELF = Shelf("runs", ".npz", "saved run")
# Parts of a run that are written in a way of their own.
_OWN = {
    "queries",
    "truth",
    "points",
    "definition",
    "request",
    "recommendation",
    "beside",
    "as_asked",
    "shards",
    "sampled",
}
# Of a point: its field, and what the array is called in the file.
_ARRAYS = {
    "recalls": "recalls",
    "ranks": "ranks",
    "hit_distances": "found",
    "outside": "outside",
    "latencies_ms": "latencies_ms",
}


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A saved run in a list, read without its arrays."""

    id: str
    started: str
    title: str
    target: str
    index: str
    k: int
    filter: str
    queries: int
    goal: Goal
    recommendation: Recommendation | None
    partial: bool
    size_bytes: int
    sampled: Sampled | None = None  # of a run whose recall is estimated


def save(run: Run, home: Path) -> Path:
    """Keep a run, replacing an earlier state of it, and forget the oldest beyond the bounds.

    Returns:
        The JSON file. Each of the two files is whole or absent, whatever ends this process.

    Raises:
        NotKept: the folder cannot be written.
    """
    folder = home / "runs"
    arrays: dict[str, Any] = {
        "vectors": run.queries.vectors,
        "truth_distances": run.truth.distances,
        "truth_lengths": np.array([len(row) for row in run.truth.keys], np.int32),
        **packed("truth_keys", [key for row in run.truth.keys for key in row]),
        **packed("own_keys", run.queries.own_keys),
        **packed("labels", run.queries.labels),
    }
    for i, point in enumerate(run.points):
        arrays |= {f"{name}_{i}": getattr(point, of_point) for of_point, name in _ARRAYS.items()}
    if run.queries.asks:
        different = list(dict.fromkeys(run.queries.asks))
        place = {ask: i for i, ask in enumerate(different)}
        arrays["asks"] = np.array([place[ask] for ask in run.queries.asks], np.int32)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    text = json.dumps({"format": FORMAT, **to_dict(run)}, indent=1)
    files.write(folder / f"{run.id}.npz", buffer.getvalue())
    path = files.write(folder / f"{run.id}.json", text.encode("utf-8", "surrogatepass"))
    prune(home)
    return path


def to_dict(run: Run) -> dict[str, Any]:
    """Everything but the arrays and the lists of keys, as JSON takes it; NaN is null."""
    document = {f.name: getattr(run, f.name) for f in fields(run) if f.name not in _OWN}
    document["definition"] = asdict(run.definition)
    document["request"] = {**asdict(run.request), "source": source.to_dict(run.request.source)}
    document["sampled"] = asdict(run.sampled) if run.sampled else None
    document["beside"] = asdict(run.beside) if run.beside else None
    document["as_asked"] = asdict(run.as_asked) if run.as_asked else None
    document["shards"] = [asdict(shard) for shard in run.shards]
    document["recommendation"] = asdict(run.recommendation) if run.recommendation else None
    document["queries"] = {
        "count": len(run.queries),
        "words": run.queries.words,
        "digest": run.queries.digest,
        "uncertainty": asdict(run.queries.uncertainty),
        "asks": [asdict(ask) for ask in dict.fromkeys(run.queries.asks)],
    }
    document["truth"] = {name: getattr(run.truth, name) for name in ("looked_at", "took_s", "kept")}
    document["points"] = [
        {f.name: getattr(p, f.name) for f in fields(p) if f.name not in _ARRAYS and f.name != "estimate"}
        | {"estimate": asdict(p.estimate) if p.estimate else None}
        for p in run.points
    ]
    cleaned: dict[str, Any] = no_nan(document)
    return cleaned


def curve(points: Sequence[EfPoint]) -> list[dict[str, Any]]:
    """The points as `memdb recall --json` prints them; null where something was not measured.

    `broken` is how many hits break the filter. Of a sampled run `reference` and `unseen` are the two parts of
    an estimate, each with its interval.
    """
    numbers = ("recall", "low", "high", "p50_ms", "p95_ms", "p99_ms", "qps")
    return [
        {
            "ef_runtime": p.ef_runtime,
            **{n: no_nan(round(getattr(p, n), 5)) for n in numbers},
            "broken": p.broken,
            **({} if p.estimate is None else _parts(p.estimate)),
        }
        for p in points
    ]


def _parts(estimate: Estimate) -> dict[str, dict[str, float]]:
    parts = {"reference": estimate.reference, "unseen": estimate.unseen}
    return {
        name: {end: round(getattr(part, end), 5) for end in ("mean", "low", "high")}
        for name, part in parts.items()
    }


def load(home: Path, run_id: str) -> Run:
    """A saved run.

    Raises:
        NotFound: there is none of this id.
        BadInput: its files are of another version, or damaged and set aside.
    """
    path = _SHELF.path(home, run_id)
    about: dict[str, Any] | None = files.document(path, dict[str, Any])
    if about is None:
        raise NotFound(run_id, "saved run")
    if about.get("format") in _OTHERS:
        raise BadInput(
            f"The saved run '{run_id}' cannot be read: another version of memdb wrote it.", "Run it again."
        )
    beside = path.with_suffix(".npz")
    with array_files.arrays(beside, path) as arrays, files.reading(path, beside):
        if arrays is None:
            raise ValueError("its arrays are not there")
        return _run(about, arrays)


def changed(home: Path) -> int:
    """A number that changes when a run is saved, renamed or deleted by any process; 0 where there is none."""
    return _SHELF.changed(home)


def listed(home: Path) -> tuple[ListedRun, ...]:
    """All saved runs, newest first. Damaged ones are set aside and told; those of other versions left out."""
    entries: list[ListedRun] = []
    for path in sorted((home / "runs").glob("*.json"), reverse=True):
        with contextlib.suppress(DamagedFile):
            about: dict[str, Any] | None = files.document(path, dict[str, Any])
            if about is None or about.get("format") in _OTHERS:
                continue
            beside = path.with_suffix(".npz")
            with files.reading(path, beside):
                entries.append(_listed(about, path.lstat().st_size + beside.lstat().st_size))
    return tuple(entries)


def delete(home: Path, run_id: str) -> None:
    """Forget a saved run; nothing happens where there is none.

    Raises:
        NotFound: the id is none.
    """
    _SHELF.delete(home, run_id)


def prune(home: Path, keep: int = KEPT_RUNS, keep_bytes: int = KEPT_BYTES) -> tuple[str, ...]:
    """Remove the oldest runs beyond the bounds (never the newest one) and return their ids."""
    return _SHELF.prune(home, listed(home), keep, keep_bytes)


def _listed(about: dict[str, Any], size_bytes: int) -> ListedRun:
    request = _request(about["request"])
    of_request = {"k": request.k, "filter": request.filter, "goal": request.goal}
    return _made(
        ListedRun,
        about,
        queries=files.typed(about["queries"]["count"], int),
        recommendation=_recommendation(about["recommendation"]),
        size_bytes=size_bytes,
        **of_request,
    )


def _run(about: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Run:
    keys = unpacked("truth_keys", arrays)
    ends = np.cumsum(arrays["truth_lengths"]).tolist()
    rows = tuple(tuple(keys[a:b]) for a, b in pairwise([0, *ends]))
    of_queries, request = about["queries"], _request(about["request"])
    labels, own = tuple(unpacked("labels", arrays)), tuple(unpacked("own_keys", arrays))
    vectors, distances = arrays["vectors"], arrays["truth_distances"]
    count = len(labels)
    _check(vectors, count, vectors.shape[-1])
    _check(distances, count, distances.shape[-1])
    if not count == len(own) == len(rows) or any(len(row) > distances.shape[1] for row in rows):
        raise ValueError("keys and distances do not belong together")
    points = []
    for i, shard_facts in enumerate(about["points"]):
        measured = {of_point: _array(arrays, name, i) for of_point, name in _ARRAYS.items()}
        _check(measured["outside"], count)
        _check(measured["recalls"], count)
        _check(measured["ranks"], count, measured["ranks"].shape[-1])
        _check(measured["hit_distances"], count, measured["hit_distances"].shape[-1])
        _check(measured["latencies_ms"], len(measured["latencies_ms"]))
        points.append(_made(EfPoint, shard_facts, **measured))
    return _made(
        Run,
        about,
        request=request,
        beside=_made(Beside, about["beside"]) if about["beside"] else None,
        as_asked=_made(AsAsked, about["as_asked"]) if about.get("as_asked") else None,
        shards=tuple(
            _made(
                Shard,
                shard_facts,
                slots=tuple((int(first), int(last)) for first, last in shard_facts["slots"]),
            )
            for shard_facts in about.get("shards", ())
        ),
        recommendation=_recommendation(about["recommendation"]),
        queries=_made(
            Queries,
            of_queries,
            vectors=vectors,
            labels=labels,
            own_keys=own,
            source=request.source,
            asks=_asks(of_queries, arrays, count),
        ),
        truth=_made(Truth, about["truth"], keys=rows, distances=distances),
        points=tuple(points),
    )


def _asks(facts: dict[str, Any], arrays: Mapping[str, NDArray[Any]], count: int) -> tuple[Ask, ...]:
    """What each query is asked with; nothing where all are asked alike."""
    different = [_made(Ask, ask) for ask in facts.get("asks", ())]
    if not different:
        return ()
    places = arrays["asks"]
    _check(places, count)
    return tuple(different[place] for place in places.tolist())


def _array(arrays: Any, name: str, point: int) -> Any:
    """An array of a point. Runs saved before hits were held against the filter have no `outside`."""
    if name == "outside" and f"{name}_{point}" not in arrays:
        return np.zeros(len(arrays[f"recalls_{point}"]), np.int16)
    return arrays[f"{name}_{point}"]


def _request(facts: dict[str, Any]) -> SweepRequest:
    return _made(SweepRequest, facts, source=source.from_dict(facts["source"]))


def _recommendation(facts: dict[str, Any] | None) -> Recommendation | None:
    return None if facts is None else _made(Recommendation, facts)


def _made(kind: type[T], facts: dict[str, Any], **others: Any) -> T:
    """An object from its JSON, where null stands for NaN, and from what the JSON does not hold."""
    schema, numbers = _schema(kind, frozenset(others))  # type: ignore[arg-type]  # a class is hashable
    values = msgspec.structs.asdict(files.typed(facts, schema))
    nan = {name: math.nan for name in numbers if values[name] is None}
    return kind(**values | nan | others)


@cache
def _schema(kind: type[Any], without: frozenset[str]) -> tuple[type[msgspec.Struct], tuple[str, ...]]:
    """What the JSON of a dataclass has to be, and which of its fields are numbers."""
    hints = get_type_hints(kind)
    described: list[Any] = []
    for each in fields(kind):
        if each.name not in without:
            hint = float | None if hints[each.name] is float else hints[each.name]
            default = () if each.default is MISSING else (each.default,)
            described.append((each.name, hint, *default))
    schema = msgspec.defstruct(kind.__name__, described, kw_only=True)
    return schema, tuple(name for name, *_ in described if hints[name] is float)


def _check(array: NDArray[Any], *shape: int) -> None:
    if array.shape != shape or array.dtype.kind not in "fi":
        raise ValueError(f"an array of {array.dtype} has the shape {array.shape} instead of {shape}")


def no_nan(value: Any) -> Any:
    """The same with null for what is not finite, as JSON has no such numbers."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: no_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [no_nan(item) for item in value]
    return value
