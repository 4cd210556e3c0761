"""Cached reads of the Relevance page: kept evaluations, the user's labels. Bounded, as in `kit.cached`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from memdb.errors import NotFound
from memdb.relevance import labels, store
from memdb.relevance.labels import Label
from memdb.relevance.run import Evaluation
from memdb.relevance.store import ListedEvaluation
from memdb.ui.kit import targets


def listed(folder: Path) -> tuple[ListedEvaluation, ...]:
    """Kept evaluations, newest first; those that a command has kept too, none of a closed target."""
    return targets.visible(_listed(folder, store.changed(folder)))


@st.cache_data(ttl="10s", max_entries=4, show_spinner=False)
def _listed(folder: Path, changed: int) -> tuple[ListedEvaluation, ...]:
    del changed  # tells a state of the folder from an earlier one
    return store.listed(folder)


def saved(folder: Path, run_id: str) -> Evaluation:
    """A kept evaluation by its id, as it is on disk now.

    Raises:
        NotFound: there is none of this id, or it is of a closed target.
        BadInput: its files are damaged.
    """
    entry_listed = next((entry for entry in listed(folder) if entry.id == run_id), None)
    evaluation = _saved(
        folder,
        run_id,
        entry_listed.size_bytes if entry_listed else 0,
        entry_listed.title if entry_listed else "",
    )
    if not targets.may_see(evaluation.target):  # the id may come from a link
        raise NotFound(run_id, "saved evaluation")
    return evaluation


@st.cache_resource(ttl="30m", max_entries=8, show_spinner=False)
def _saved(folder: Path, run_id: str, size_bytes: int, title: str) -> Evaluation:
    del size_bytes, title  # tell a state of it from an earlier one
    return store.load(folder, run_id)


def own_labels(folder: Path) -> tuple[Label, ...]:
    """The user's labels as they are on disk now.

    Raises:
        BadInput: the file is damaged, or of another version.
    """
    return labels.load(folder)


def forget() -> None:
    """Look at the folder again: an evaluation was kept, renamed or deleted."""
    _listed.clear()
