"""Runs on disk: `runs/<id>.json` with everything readable, `runs/<id>.npz` with the arrays.

The newest KEPT_RUNS runs of at most KEPT_BYTES are kept; older ones are removed when one is saved.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from memdb.errors import BadInput, MemDBError, NotFound
from memdb.tuning import source
from memdb.tuning.packing import packed, unpacked
from memdb.tuning.run import (
    Beside,
    Definition,
    EfPoint,
    Goal,
    Queries,
    Recommendation,
    Run,
    SweepRequest,
    Truth,
    Uncertainty,
)

KEPT_RUNS = 200
KEPT_BYTES = 1 << 30
FORMAT = 2
_ID = re.compile(r"[0-9A-Za-z_-]{1,80}")
# Of a point: its field, and what the array is called in the file.
_ARRAYS = {
    "recalls": "recalls",
    "ranks": "ranks",
    "hit_distances": "found",
    "outside": "outside",
    "latencies_ms": "latencies_ms",
}


@dataclass(frozen=True, slots=True)
class Listed:
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


def save(run: Run, home: Path) -> Path:
    """Keep a run, replacing an earlier state of it, and forget the oldest beyond the bounds.

    Returns:
        The JSON file. Each of the two files is whole or absent, whatever ends this process.

    Raises:
        MemDBError: the folder cannot be written.
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
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    text = json.dumps({"format": FORMAT, **to_dict(run)}, indent=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / f"{run.id}.npz", buffer.getvalue())
        path = _write(folder / f"{run.id}.json", text.encode("utf-8", "surrogatepass"))
    except OSError as exc:
        raise MemDBError(
            f"The run cannot be kept in {folder}: {exc.strerror}.", "Free space there, or set MEMDB_HOME."
        ) from exc
    prune(home)
    return path


def to_dict(run: Run) -> dict[str, Any]:
    """Everything but the arrays and the lists of keys, as JSON takes it; NaN is null."""
    document = {
        f.name: getattr(run, f.name)
        for f in fields(run)
        if f.name not in {"queries", "truth", "points", "definition", "request", "recommendation", "beside"}
    }
    document["definition"] = asdict(run.definition)
    document["request"] = {**asdict(run.request), "source": source.to_dict(run.request.source)}
    document["beside"] = asdict(run.beside) if run.beside else None
    document["recommendation"] = asdict(run.recommendation) if run.recommendation else None
    document["queries"] = {
        "count": len(run.queries),
        "words": run.queries.words,
        "digest": run.queries.digest,
        "uncertainty": asdict(run.queries.uncertainty),
    }
    document["truth"] = {name: getattr(run.truth, name) for name in ("looked_at", "took_s", "kept")}
    document["points"] = [
        {f.name: getattr(p, f.name) for f in fields(p) if f.name not in _ARRAYS} for p in run.points
    ]
    cleaned: dict[str, Any] = _no_nan(document)
    return cleaned


def curve(points: Sequence[EfPoint]) -> list[dict[str, float | None]]:
    """The points as `memdb recall --json` prints them; null where something was not measured.

    `broken` is how many hits break the filter.
    """
    numbers = ("recall", "low", "high", "p50_ms", "p95_ms", "p99_ms", "qps")
    return [
        {
            "ef_runtime": p.ef_runtime,
            **{n: _no_nan(round(getattr(p, n), 5)) for n in numbers},
            "broken": p.broken,
        }
        for p in points
    ]


def load(home: Path, run_id: str) -> Run:
    """A saved run.

    Raises:
        NotFound: there is none of this id.
        BadInput: its files are damaged or of a later version.
    """
    path = _path(home, run_id)
    try:
        about = json.loads(path.read_bytes())
        # Opened here: NumPy leaves a file open that turns out to be damaged.
        with path.with_suffix(".npz").open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return _run(about, arrays)
    except FileNotFoundError:
        raise NotFound(run_id, "saved run") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as exc:
        raise BadInput(
            f"The saved run '{run_id}' cannot be read ({exc}).", "Delete it and run again."
        ) from exc


def changed(home: Path) -> int:
    """A number that changes when a run is saved, renamed or deleted by any process; 0 where there is none."""
    try:
        return (home / "runs").stat().st_mtime_ns
    except OSError:
        return 0


def listed(home: Path) -> tuple[Listed, ...]:
    """All saved runs, newest first; files that cannot be read are left out."""
    entries: list[Listed] = []
    for path in sorted((home / "runs").glob("*.json"), reverse=True):
        try:
            about = json.loads(path.read_bytes())
            request = _request(about["request"])
            size = sum(p.stat().st_size for p in (path, path.with_suffix(".npz")))
            entries.append(
                Listed(
                    id=about["id"],
                    started=about["started"],
                    title=about["title"],
                    target=about["target"],
                    index=about["index"],
                    k=request.k,
                    filter=request.filter,
                    queries=about["queries"]["count"],
                    goal=request.goal,
                    recommendation=_recommendation(about["recommendation"]),
                    partial=about["partial"],
                    size_bytes=size,
                )
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return tuple(entries)


def delete(home: Path, run_id: str) -> None:
    """Forget a saved run; nothing happens where there is none."""
    path = _path(home, run_id)
    for each in (path, path.with_suffix(".npz")):
        each.unlink(missing_ok=True)


def prune(home: Path, keep: int = KEPT_RUNS, keep_bytes: int = KEPT_BYTES) -> tuple[str, ...]:
    """Remove the oldest runs beyond the bounds (never the newest one) and return their ids."""
    removed: list[str] = []
    total = 0
    for i, run in enumerate(listed(home)):
        total += run.size_bytes
        if i and (i >= keep or total > keep_bytes):
            delete(home, run.id)
            removed.append(run.id)
    return tuple(removed)


def _path(home: Path, run_id: str) -> Path:
    if not _ID.fullmatch(run_id):  # it may come from a link
        raise NotFound(run_id, "saved run")
    return home / "runs" / f"{run_id}.json"


def _write(path: Path, content: bytes) -> Path:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    return part.replace(path)


def _run(about: dict[str, Any], arrays: Any) -> Run:
    if about.pop("format") != FORMAT:
        raise ValueError("another version of memdb wrote it")
    keys = unpacked("truth_keys", arrays)
    ends = np.cumsum(arrays["truth_lengths"]).tolist()
    rows = tuple(tuple(keys[a:b]) for a, b in pairwise([0, *ends]))
    points = [
        EfPoint(
            **{name: float("nan") if value is None else value for name, value in kept.items()}
            | {"throughput": tuple((n, rate) for n, rate in kept["throughput"])}
            | {of_point: _array(arrays, name, i) for of_point, name in _ARRAYS.items()}
        )
        for i, kept in enumerate(about["points"])
    ]
    asked, request = about["queries"], _request(about["request"])
    return Run(
        **about
        | {
            "definition": Definition(**about["definition"]),
            "request": request,
            "beside": Beside(**about["beside"]) if about["beside"] else None,
            "recommendation": _recommendation(about["recommendation"]),
            "queries": Queries(
                arrays["vectors"],
                tuple(unpacked("labels", arrays)),
                tuple(unpacked("own_keys", arrays)),
                request.source,
                asked["digest"],
                Uncertainty(**asked["uncertainty"]),
            ),
            "truth": Truth(rows, arrays["truth_distances"], **about["truth"]),
            "points": tuple(points),
            "notes": tuple(about["notes"]),
        }
    )


def _array(arrays: Any, name: str, point: int) -> Any:
    """An array of a point. Runs saved before hits were held against the filter have no `outside`."""
    if name == "outside" and f"{name}_{point}" not in arrays:
        return np.zeros(len(arrays[f"recalls_{point}"]), np.int16)
    return arrays[f"{name}_{point}"]


def _request(kept: dict[str, Any]) -> SweepRequest:
    return SweepRequest(
        **kept
        | {
            "goal": Goal(**kept["goal"]),
            "source": source.from_dict(kept["source"]),
            "filter_params": tuple((name, value) for name, value in kept["filter_params"]),
            "concurrency": tuple(kept["concurrency"]),
        }
    )


def _recommendation(kept: dict[str, Any] | None) -> Recommendation | None:
    if kept is None:
        return None
    numbers = {name: float("nan") if kept[name] is None else kept[name] for name in ("recall", "low", "high")}
    return Recommendation(**kept | numbers | {"reasons": tuple(kept["reasons"])})


def _no_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _no_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_no_nan(item) for item in value]
    return value
