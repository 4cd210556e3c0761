"""What the demo computes once and keeps under MEMDB_HOME: the documents it read, and their embeddings.

Nothing here is trusted: a file that is damaged or of another kind is computed again. Files appear whole or
not at all, so two loads at once do no harm.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from memdb import array_files, files
from memdb.embedding import local
from memdb.errors import DamagedFile
from memdb.jobs import Report
from memdb.vectors.distance import Floats

BLOCK = 2_048  # texts of one file: what an interrupted run loses, about 0.4 s


@dataclass(frozen=True, slots=True)
class _Rows:
    digest: str
    rows: dict[str, list[list[Any]]]


def embeddings(
    texts: Sequence[str], rows: Sequence[int], *, home: Path, stage: str, report: Report
) -> tuple[Floats, int]:
    """The embeddings of some rows of `texts`, from kept blocks where there are any.

    Blocks are cut from all texts and not from the rows that are wanted: so a load that goes on after an
    interruption, and wants other rows, finds the same blocks.

    Args:
        texts: all texts, in an order that is the same on every run.
        rows: those wanted, ascending.
        home: MEMDB_HOME.
        stage: said to `report`.
        report: told how many rows are at hand, before each block.

    Returns:
        (len(rows), 256) float32, and how many texts were embedded now.

    Raises:
        NotKept: `home` cannot be written.
    """
    filled = np.empty((len(rows), local.DIMENSION), np.float32)
    wanted = np.asarray(rows, dtype=np.int64)
    edges = np.searchsorted(wanted, np.arange(0, len(texts) + BLOCK, BLOCK))
    computed = 0
    for start, low, high in zip(range(0, len(texts), BLOCK), edges, edges[1:], strict=False):
        if low == high:
            continue
        report(stage, int(low), len(rows))
        block = texts[start : start + BLOCK]
        digest = hashlib.sha256("\0".join([local.MODEL, *block]).encode()).hexdigest()[:32]
        file = home / "embeddings" / f"{digest}.npy"
        vectors = _vectors(file, len(block))
        if vectors is None:
            vectors = local.embed(block)
            computed += len(block)
            files.write(file, _saver(vectors))
        filled[low:high] = vectors[wanted[low:high] - start]
    return filled, computed


def rows(file: Path, digest: str) -> dict[str, list[list[Any]]] | None:
    """Named lists of rows that were kept under `digest`; None where others or none are there."""
    with contextlib.suppress(DamagedFile):
        stored: _Rows | None = files.document(file, _Rows)
        return stored.rows if stored is not None and stored.digest == digest else None
    return None


def keep_rows(file: Path, digest: str, parts: dict[str, list[list[Any]]]) -> None:
    """Keep named lists of rows instead of what the file held.

    Raises:
        NotKept: the file cannot be written.
    """
    text = json.dumps({"digest": digest, "rows": parts}).encode()
    files.write(file, text)


def _saver(vectors: Floats) -> Callable[[IO[bytes]], object]:
    return lambda stream: np.save(stream, vectors)


def _vectors(file: Path, count: int) -> Floats | None:
    """A kept block; None where there is none or it is damaged."""
    with contextlib.suppress(DamagedFile):
        stored = array_files.array(file)
        whole = stored is not None and stored.shape == (count, local.DIMENSION)
        if stored is not None and whole and stored.dtype == np.float32 and np.isfinite(stored).all():
            return stored
    return None
