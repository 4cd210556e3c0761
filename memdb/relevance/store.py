"""Evaluations on disk: `evaluations/<id>.json` with what a list shows, `<id>.run` beside it with everything.

The newest KEPT of at most KEPT_BYTES are kept; older ones are removed when one is saved.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from memdb import files
from memdb.errors import BadInput, DamagedFile, NotFound
from memdb.json_text import json_text
from memdb.relevance import compare
from memdb.relevance.run import Evaluation, Setting
from memdb.shelf import Shelf

FOLDER = "evaluations"
KEPT = 200
KEPT_BYTES = 512 << 20
MOST_BYTES = 256 << 20
FORMAT = 1
_OTHERS = (*range(2, 100),)  # of later versions of memdb: they are not damaged
_SHELF = Shelf(FOLDER, ".run", "saved evaluation")


@dataclass(frozen=True, slots=True)
class ListedEvaluation:
    """A saved evaluation in a list."""

    id: str
    started: str
    title: str
    target: str
    source: str
    questions: int
    k: int
    settings: tuple[Setting, ...]
    ndcg: tuple[float, ...]  # mean of each setting
    conclusion: str
    partial: bool
    size_bytes: int = 0


def save(run: Evaluation, home: Path) -> Path:
    """Keep an evaluation, replacing an earlier state of it, and forget the oldest beyond the bounds.

    Raises:
        NotKept: the folder cannot be written.
    """
    about = ListedEvaluation(
        run.id,
        run.started,
        run.title,
        run.target,
        run.source,
        len(run.questions),
        run.request.k,
        run.request.settings,
        tuple(
            float(compare.values(run, i).mean()) if run.questions else 0.0 for i in range(len(run.answers))
        ),
        compare.conclusion(run),
        run.partial,
    )
    path = _SHELF.path(home, run.id)
    size = files.write(path.with_suffix(".run"), json_text(asdict(run)).encode()).stat().st_size
    head = {"format": FORMAT, "about": asdict(replace(about, size_bytes=size))}
    files.write(path, json_text(head, indent=1).encode())
    prune(home)
    return path


def load(home: Path, run_id: str) -> Evaluation:
    """A saved evaluation.

    Raises:
        NotFound: there is none of this id.
        BadInput: another version wrote it, or it is damaged and was set aside.
    """
    path = _SHELF.path(home, run_id)
    head: dict[str, Any] | None = files.document(path, dict[str, Any])
    if head is None:
        raise NotFound(run_id, "saved evaluation")
    if head.get("format") in _OTHERS:
        raise BadInput(
            f"The saved evaluation '{run_id}' cannot be read: another version of memdb wrote it.",
            "Run it again.",
        )
    whole = path.with_suffix(".run")
    try:
        raw = files.content(whole, most=MOST_BYTES)
    except DamagedFile:  # the two go together
        files.set_aside(path, "is of questions that cannot be read")
        raise
    with files.reading(path, whole):
        files.typed(head["about"], ListedEvaluation)
        if raw is None:
            raise ValueError("its questions are not there")
        return _checked(files.typed(json.loads(raw), Evaluation))


def listed(home: Path) -> tuple[ListedEvaluation, ...]:
    """All saved evaluations, newest first. Damaged ones are set aside and told, those of others left out."""
    entries: list[ListedEvaluation] = []
    for path in sorted((home / FOLDER).glob("*.json"), reverse=True):
        with contextlib.suppress(DamagedFile):
            head: dict[str, Any] | None = files.document(path, dict[str, Any])
            if head is None or head.get("format") in _OTHERS:
                continue
            with files.reading(path, path.with_suffix(".run")):
                entries.append(files.typed(head["about"], ListedEvaluation))
    return tuple(entries)


def changed(home: Path) -> int:
    """A number that changes when an evaluation is saved or deleted by any process; 0 where there is none."""
    return _SHELF.changed(home)


def delete(home: Path, run_id: str) -> None:
    """Forget a saved evaluation; nothing happens where there is none.

    Raises:
        NotFound: the id is none.
    """
    _SHELF.delete(home, run_id)


def rename(home: Path, run_id: str, title: str) -> None:
    """Give a saved evaluation a name.

    Raises:
        NotFound: there is none of this id.
        BadInput: it cannot be read.
        NotKept: it cannot be written.
    """
    save(replace(load(home, run_id), title=title.strip()[:120]), home)


def prune(home: Path, keep: int = KEPT, keep_bytes: int = KEPT_BYTES) -> tuple[str, ...]:
    """Remove the oldest beyond the bounds (never the newest) and return their ids."""
    return _SHELF.prune(home, listed(home), keep, keep_bytes)


def _checked(run: Evaluation) -> Evaluation:
    count = len(run.questions)
    rows = (run.ids, run.grades, *(each.hits for each in run.answers))
    if any(len(each) != count for each in rows) or len(run.answers) != len(run.request.settings):
        raise ValueError("questions, grades and hits do not belong together")
    return run
