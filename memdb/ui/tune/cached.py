"""Cached reads of the Tune pages: saved runs, how the engine runs a filter. Bounded, as in `cached`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from memdb.cluster.target import Target
from memdb.errors import MemDBError, NotFound
from memdb.tuning import candidates as comparison
from memdb.tuning import cost, sample, store, truth
from memdb.tuning import plan as plans
from memdb.tuning.candidates import Candidate
from memdb.tuning.cost import Rates
from memdb.tuning.plan import QueryPlan
from memdb.tuning.run import Run, SweepRequest
from memdb.tuning.store import ListedRun
from memdb.ui.kit import cached, safety, targets
from memdb.vectors.index import IndexInfo
from memdb.vectors.query import KnnRequest


def listed(folder: Path) -> tuple[ListedRun, ...]:
    """Saved runs, newest first; also those that a command saved since, and none of a closed target."""
    return targets.visible(_listed(folder, store.changed(folder)))


@st.cache_data(ttl="10s", max_entries=4, show_spinner=False)
def _listed(folder: Path, changed: int) -> tuple[ListedRun, ...]:
    del changed  # tells a state of the folder from an earlier one
    return store.listed(folder)


@st.cache_resource(ttl="30m", max_entries=12, show_spinner=False)
def run(folder: Path, run_id: str, size_bytes: int, title: str) -> Run:
    """A saved run. Size and title tell a state of it from an earlier one.

    Raises:
        NotFound: there is none of this id.
        BadInput: its files are damaged.
    """
    del size_bytes, title
    return store.load(folder, run_id)


@st.cache_data(ttl="5m", max_entries=64, show_spinner=False, hash_funcs={IndexInfo: repr, KnnRequest: repr})
def plan(target: Target, info: IndexInfo, request: KnnRequest) -> QueryPlan:
    """How the engine runs this request."""
    return plans.plan(cached.client(target), request, info)


@st.cache_data(
    ttl="10m", max_entries=16, show_spinner="Measuring what a run will take…", hash_funcs={IndexInfo: repr}
)
def rates(target: Target, info: IndexInfo, field: str, ef_max: int) -> Rates:
    """What this server and this machine do in a second: a probe of some keys, vectors and searches.

    Raises:
        MemDBError: the server does not answer, or holds no vector.
    """
    request = SweepRequest(info.name, field, ef_max=ef_max)
    return cost.rates(cached.client(target).budgeted(safety.budget(target)), info, request)


def still(target: Target, info: IndexInfo, run: Run) -> bool | None:
    """Whether the documents are what a run measured, checked at most every two minutes; None: not known."""
    try:
        return _still(target, info, run.id, run)
    except MemDBError:
        return None


@st.cache_data(ttl="2m", max_entries=32, show_spinner=False, hash_funcs={IndexInfo: repr})
def _still(target: Target, info: IndexInfo, run_id: str, _run: Run) -> bool | None:
    del run_id  # stands for the run in the key
    client = cached.client(target).budgeted(safety.budget(target))
    same = truth.still if _run.sampled is None else sample.still
    return same(client, info, _run, cached.home())


@st.cache_resource(ttl="4s", max_entries=4, show_spinner=False, hash_funcs={IndexInfo: repr})
def candidates(target: Target, base: IndexInfo, request: SweepRequest, folder: Path) -> tuple[Candidate, ...]:
    """An index and its shadows, each with its newest run that was asked the same."""
    return comparison.candidates(cached.client(target), base, request, folder)


def saved(run_id: str) -> Run:
    """A saved run by its id, as it is on disk now.

    Raises:
        NotFound: there is none of this id, or it is of a closed target.
        BadInput: its files are damaged.
    """
    listed_entry = next((entry for entry in listed(cached.home()) if entry.id == run_id), None)
    size, title = (listed_entry.size_bytes, listed_entry.title) if listed_entry else (0, "")
    run_kept = run(cached.home(), run_id, size, title)
    if not targets.may_see(run_kept.target):  # the id may come from a link
        raise NotFound(run_id, "saved run")
    return run_kept


def forget() -> None:
    """Look at the folder again: a run was saved, renamed or deleted."""
    _listed.clear()
    candidates.clear()
