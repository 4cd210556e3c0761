"""Maps kept under MEMDB_HOME/maps by what they were made of: coming back is instant."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from memdb import array_files, files
from memdb.array_files import checked
from memdb.cluster.client import Client
from memdb.cluster.target import Target
from memdb.errors import DamagedFile
from memdb.maps.request import GraphRecall, Level, Map, MapRequest, Method, Quality
from memdb.tuning.packing import packed, unpacked
from memdb.vectors import evidence
from memdb.vectors.distance import Floats
from memdb.vectors.filters import Condition, Raw
from memdb.vectors.index import IndexInfo

FORMAT = 9  # grows also when the same request is laid out differently: older maps are drawn anew
KEPT_FILES, KEPT_BYTES = 40, 2 * 2**30


@dataclass(frozen=True, slots=True)
class _About:
    """What the file of a map holds beside its arrays."""

    format: int
    method: Method
    total: int
    metric: str
    fingerprint: str
    seconds: tuple[tuple[str, float], ...]
    names: tuple[str, ...]
    finer: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    quality: tuple[float, float, int, int, float | None, float | None] | None
    graph_recall: tuple[float, float, float, int] | None
    made_at: float


def find(home: Path, client: Client, info: IndexInfo, request: MapRequest) -> Map | None:
    """The kept map of this index, if there is one and a check of its documents says that it holds.

    A damaged file is passed over.

    Raises:
        MemDBError: the server does not answer.
    """
    stored_map = _read(_path(home, client.target, info.fingerprint, request), request)
    return stored_map if stored_map is not None and holds(client, info, stored_map) else None


def holds(client: Client, info: IndexInfo, stored_map: Map) -> bool:
    """Whether the documents of a map are what they were when it was made (`memdb.vectors.evidence`).

    Raises:
        MemDBError: the server does not answer.
    """
    request = stored_map.request
    if stored_map.evidence is None:
        return False
    return evidence.holds(client, info, request.field, condition_of(request), stored_map.evidence)


def condition_of(request: MapRequest) -> Condition | str:
    """The map's filter."""
    return request.condition if request.condition == "*" else Raw(request.condition, request.params)


def vectors(home: Path, target: Target, stored_map: Map) -> Floats | None:
    """The vectors of a kept map's points, (n, d); None where they are not kept any more."""
    path = _path(home, target, stored_map.fingerprint, stored_map.request)
    with contextlib.suppress(DamagedFile), array_files.arrays(path) as arrays:
        if arrays is not None:
            rows = np.asarray(arrays["vectors"], np.float32)
            if rows.ndim != 2 or len(rows) != len(stored_map.keys):
                raise ValueError(f"its vectors have the shape {rows.shape}")
            return rows
    return None


def save(home: Path, target: Target, new_map: Map, points: Floats) -> Path:
    """Keep a map with its vectors (n, d); the oldest are removed beyond 40 maps or 2 GiB.

    Raises:
        NotKept: the folder cannot be written.
    """
    path = _path(home, target, new_map.fingerprint, new_map.request)
    quality = new_map.quality
    about = {
        "format": FORMAT,
        "method": new_map.method,
        "total": new_map.total,
        "metric": new_map.metric,
        "fingerprint": new_map.fingerprint,
        "seconds": new_map.seconds,
        "names": new_map.names,
        "finer": [level.names for level in new_map.finer],
        "notes": new_map.notes,
        "made_at": new_map.made_at,
        "request": {k: v for k, v in asdict(new_map.request).items() if k != "params"},
        "quality": None
        if quality is None
        else [
            quality.trustworthiness,
            quality.continuity,
            quality.sample,
            quality.neighbours,
            quality.kept_of_exact,
            quality.rank_correlation if np.isfinite(quality.rank_correlation) else None,
        ],
        "graph_recall": None if new_map.graph_recall is None else astuple(new_map.graph_recall),
    }
    arrays: dict[str, Any] = {
        "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
        "xy": new_map.xy,
        "graph": new_map.graph,
        "graph_distances": new_map.graph_distances.astype(np.float32),
        "labels": new_map.labels,
        "finer": np.array([level.labels for level in new_map.finer], np.int32),
        "axes": new_map.axes,
        "mean": new_map.mean,
        "kept": quality.kept if quality else np.empty(0, np.float32),
        "vectors": points,
        **packed("keys", new_map.keys),
    }
    if new_map.evidence is not None:
        arrays |= {**packed("witnesses", new_map.evidence.keys), **new_map.evidence.arrays()}
    files.write(path, lambda stream: np.savez(stream, **arrays))
    _tidy(path.parent)
    return path


def _path(home: Path, target: Target, fingerprint: str, request: MapRequest) -> Path:
    name = repr((FORMAT, target.address, fingerprint, request))
    return home / "maps" / f"{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:32]}.npz"


def _of_others(about: Any) -> bool:
    """Whether another version of memdb wrote it, in whatever shape: no damage, and drawn anew."""
    return isinstance(about, dict) and isinstance(about.get("format"), int) and about["format"] != FORMAT


def _read(path: Path, request: MapRequest) -> Map | None:
    with contextlib.suppress(DamagedFile), array_files.arrays(path) as arrays:
        if arrays is not None:
            header = json.loads(arrays["about"].tobytes())
            if _of_others(header):
                return None
            about = files.typed(header, _About)
            keys = tuple(unpacked("keys", arrays))
            points, columns = len(keys), arrays["xy"].shape[-1] if arrays["xy"].ndim else 0
            xy = checked(arrays["xy"], "f", points, min(max(columns, 2), 3))
            graph = checked(arrays["graph"], "iu", None, None, least=-1, most=points - 1)
            graph_distances = checked(arrays["graph_distances"], "f", *graph.shape)
            shares = checked(arrays["kept"], "f", None)
            labels = checked(arrays["labels"], "iu", None, least=-1, most=len(about.names) - 1)
            if any(len(each) not in (0, points) for each in (graph, shares, labels)):
                raise ValueError("its arrays do not belong together")
            finer = checked(arrays["finer"], "iu", len(about.finer), len(labels)) if about.finer else ()
            levels = tuple(
                Level(checked(fine, "iu", len(labels), least=-1, most=len(names) - 1), names)
                for fine, names in zip(finer, about.finer, strict=True)
            )
            quality = None
            if about.quality:
                trust, continuity, sample, neighbours, exact, ranks = about.quality
                wide = float("nan") if ranks is None else ranks
                quality = Quality(trust, continuity, sample, shares, neighbours, exact, wide)
            stored_map = Map(
                request,
                about.method,
                keys,
                xy,
                about.total,
                about.metric,
                about.fingerprint,
                about.seconds,
                graph,
                graph_distances.astype(np.float64),
                GraphRecall(*about.graph_recall) if about.graph_recall else None,
                quality,
                labels,
                about.names,
                levels,
                checked(arrays["axes"], "f", None, None),
                checked(arrays["mean"], "f", None),
                about.notes,
                about.made_at,
                evidence.from_arrays(unpacked("witnesses", arrays), arrays),
            )
            os.utime(path)  # the longest unused goes first
            return stored_map
    return None


def _tidy(folder: Path) -> None:
    files = sorted(folder.glob("*.npz"), key=lambda f: f.stat().st_mtime, reverse=True)
    size = 0
    for i, file in enumerate(files):
        size += file.stat().st_size
        if i and (i >= KEPT_FILES or size > KEPT_BYTES):
            file.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class KeptMap:
    """A kept map in a list, read without its points."""

    request: MapRequest
    total: int  # documents that matched when it was made
    used_at: float  # Unix seconds, of the last look at it
    made_at: float  # when its documents had been read
    fingerprint: str  # of the index then

    @property
    def words(self) -> str:
        """`idx:docs as of 2026-11-26 10:15:02 UTC`."""
        when = datetime.fromtimestamp(self.made_at, UTC)
        return f"{self.request.index} as of {when:%Y-%m-%d %H:%M:%S} UTC"


def listed(home: Path, target: Target) -> tuple[KeptMap, ...]:
    """The kept maps of a target, the last looked at first. Damaged ones and other formats are left out."""
    maps = []
    for path in (home / "maps").glob("*.npz"):
        with contextlib.suppress(DamagedFile, OSError), array_files.arrays(path) as arrays:
            if arrays is None:
                continue
            header = json.loads(arrays["about"].tobytes())
            if _of_others(header):
                continue
            about = files.typed(header, _About)
            request = files.typed(header["request"], MapRequest)
            # A file is named by all it was made of, and so by its target.
            if _path(home, target, about.fingerprint, request) == path:
                used_at = path.stat().st_mtime
                maps.append(KeptMap(request, about.total, used_at, about.made_at, about.fingerprint))
    return tuple(sorted(maps, key=lambda each: -each.used_at))


def earlier(home: Path, target: Target, request: MapRequest) -> tuple[KeptMap, ...]:
    """The kept maps of a request's index, field and filter, the last made first."""
    same = [
        stored
        for stored in listed(home, target)
        if (stored.request.index, stored.request.field, stored.request.condition)
        == (request.index, request.field, request.condition)
    ]
    return tuple(sorted(same, key=lambda stored: -stored.made_at))


def reopened(home: Path, target: Target, stored: KeptMap) -> Map | None:
    """A kept map as it was made, whatever its documents are now; None where it is not kept any more."""
    return _read(_path(home, target, stored.fingerprint, stored.request), stored.request)
