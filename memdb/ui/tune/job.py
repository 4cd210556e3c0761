"""The sweep as a job of the Recall page: started, watched with its curve growing, ended early or late."""

from __future__ import annotations

from functools import partial

import streamlit as st

from memdb.cluster.target import Target
from memdb.jobs import Job
from memdb.tuning import ask
from memdb.tuning.run import Run, SweepRequest
from memdb.ui.kit import cached, role, safety
from memdb.ui.kit.job import JobSlot
from memdb.ui.tune import cached as tune_cached
from memdb.ui.tune.views import RunView, curve_view
from memdb.vectors.index import IndexInfo

SWEEPING = JobSlot[Run]("recall.job")


@role.changes
def start(target: Target, info: IndexInfo, request: SweepRequest) -> None:
    """A callback: run the sweep in the background. One at a time for a browser tab."""
    opened, home, budget = cached.client(target), cached.home(), safety.budget(target)

    def work(job: Job[Run]) -> Run:
        client = opened.budgeted(budget)
        return ask.run_saved(client, info, request, home, report=job.report, keep=job.keep)

    if SWEEPING.start(f"Recall of {info.name}", work):
        st.session_state["recall.view"] = "Curve"


def ended(target: Target) -> None:
    """After a sweep has ended: once, choose its run; say why there is none, or only a part."""
    job = SWEEPING.ended()
    if job is None:
        return
    measured = job.result is not None and bool(job.result.points)
    if SWEEPING.first_seen_ended():
        tune_cached.forget()
        if job.result is not None and measured:
            st.session_state["recall.run"] = job.result.id
    SWEEPING.outcome(target, "" if measured else "Cancelled before anything was measured.")
    if job.error is not None and measured:
        st.caption("What was measured until then is below.")


def watch(target: Target, info: IndexInfo) -> bool:
    """Progress and the curve so far; False where no sweep runs."""
    return SWEEPING.watch(partial(_so_far, target, info))


def _so_far(target: Target, info: IndexInfo, run: Run | None) -> None:
    if run is not None and run.points:
        curve_view(RunView(target, info, run), key="recall.live")
    else:
        st.caption("First the exact neighbours of every query, then the index at one setting after another.")
