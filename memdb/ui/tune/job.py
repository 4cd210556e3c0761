"""The sweep as a job of the Recall page: started, watched with its curve growing, ended early or late."""

from __future__ import annotations

import streamlit as st

from memdb.cluster.target import Target
from memdb.jobs import Job
from memdb.tuning import ask
from memdb.tuning.run import Run
from memdb.ui.kit import cached, parts, safety
from memdb.ui.tune import cached as tune_cached
from memdb.ui.tune.form import Asked
from memdb.ui.tune.runs import OPEN
from memdb.ui.tune.views import Shown, curve_view
from memdb.vectors.index import IndexInfo

JOB = "recall.job"


def start(target: Target, info: IndexInfo, asked: Asked) -> None:
    """A callback: run the sweep in the background. One at a time for a browser tab."""
    if current() is not None:
        return
    opened, home, budget = cached.client(target), cached.home(), safety.budget(target)

    def work(job: Job[Run]) -> Run:
        client = opened.budgeted(budget)
        made = ask.asked_queries(client, info, asked.request, asked.source, home, report=job.report)
        more = ask.extension(client, info, asked.request, asked.source, report=job.report)
        return ask.run_saved(
            client, info, asked.request, made, home, report=job.report, keep=job.keep, more=more
        )

    job = cached.jobs().start(f"Recall of {info.name}", work)
    st.session_state[JOB] = {"id": job.id}
    st.session_state["recall.view"] = "Curve"


def current() -> Job[object] | None:
    """The sweep that runs, if any."""
    job = cached.jobs().get(st.session_state.get(JOB, {}).get("id", ""))
    return job if job is not None and job.state.status == "running" else None


def ended(target: Target) -> None:
    """Once after a sweep has ended: show its run, or why there is none."""
    job = cached.jobs().get(st.session_state.get(JOB, {}).get("id", ""))
    if job is None or job.state.status == "running":
        return
    if not st.session_state[JOB].get("told"):
        st.session_state[JOB] = {"id": job.id, "told": True}
        tune_cached.forget()
        if isinstance(job.result, Run) and job.result.points:
            st.session_state["recall.run"] = job.result.id
    if job.error is not None:
        parts.show_error(job.error, target)
        if isinstance(job.result, Run) and job.result.points:
            st.caption("What was measured until then is below.")
    elif job.state.status == "cancelled" and not (isinstance(job.result, Run) and job.result.points):
        st.caption(":material/stop_circle: Cancelled before anything was measured.")


def watch(target: Target, info: IndexInfo, job: Job[object]) -> None:
    """Progress and the curve so far, until the job ends."""
    _watch(target, info, job.id)


@st.fragment(run_every="1s")
def _watch(target: Target, info: IndexInfo, job_id: str) -> None:
    job = cached.jobs().get(job_id)
    if job is None or job.state.status != "running":
        st.rerun()
    parts.job_panel(job)
    run = job.result
    if isinstance(run, Run) and run.points:
        curve_view(Shown(target, info, run), key="recall.live")
    else:
        st.caption("First the exact neighbours of every query, then the index at one setting after another.")


__all__ = ["JOB", "OPEN", "current", "ended", "start", "watch"]
