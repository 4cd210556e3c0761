"""What a map needs of this machine's memory, said before anything is read."""

from __future__ import annotations

from pathlib import Path

from memdb.display import bytes_text
from memdb.errors import BadInput
from memdb.maps.request import LEAST, MOST, MapRequest
from memdb.vectors.index import IndexInfo

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")
_COPIES = 2.2  # of the vectors: the sample, the part of it in another order, what is read ahead
_A_POINT = 900  # bytes: key, title, place and what the layout holds beside its edges
_AN_EDGE = 100  # bytes for each neighbour of a point: graph, distances, both directions, what adds them
_BASE = 300_000_000  # libraries and tables


def needed(points: int, dim: int, neighbours: int) -> int:
    """Bytes that a map takes at its peak, measured for 200,000 and 1,000,000 points (docs/map.md)."""
    return int(_BASE + points * (_COPIES * 4 * dim + _A_POINT + _AN_EDGE * neighbours))


def available() -> int | None:
    """Bytes that this process can still have, of the machine or its container; None where nobody tells."""
    free = [value for value in (_machine(), _container()) if value is not None]
    return min(free) if free else None


def check(request: MapRequest, info: IndexInfo) -> None:
    """Refuse a map that does not fit, before a vector is read.

    Raises:
        BadInput: it needs more memory than there is; the hint says how many points fit.
    """
    dim = info.vector_field(request.field)[1].dim
    fits(min(MOST if request.by == "all" else request.count, info.documents), dim, request.neighbours)


def fits(points: int, dim: int, neighbours: int) -> None:
    """Whether a map of so many points fits.

    Raises:
        BadInput: it needs more memory than there is; the hint says how many points fit.
    """
    free = available()
    wanted = needed(points, dim, neighbours)
    if free is None or wanted <= free:
        return
    a_point = (needed(10**6, dim, neighbours) - _BASE) / 10**6
    most = int((free - _BASE) / a_point) // 1_000 * 1_000
    hint = f"Choose at most {most:,} points." if most >= LEAST else "Free memory, or use a larger machine."
    raise BadInput(
        f"A map of {points:,} × {dim:,} needs about {bytes_text(wanted)} of memory; "
        f"{bytes_text(free)} are free.",
        hint,
    )


def _machine() -> int | None:
    try:
        lines = _MEMINFO.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None


def _container() -> int | None:
    try:
        most = (_GROUP / "memory.max").read_text().strip()
        return None if most == "max" else int(most) - int((_GROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return None
