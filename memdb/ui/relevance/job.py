"""The evaluation as a job of the page: started, watched, ended early or late."""

from __future__ import annotations

import streamlit as st

from memdb.cluster.target import Target
from memdb.jobs import Job
from memdb.relevance import evaluate, models, sources
from memdb.relevance.labels import Judgements
from memdb.relevance.run import Evaluation, EvaluationRequest
from memdb.relevance.sources import Source
from memdb.settings import Settings
from memdb.ui.kit import cached, role, safety
from memdb.ui.kit.job import JobSlot
from memdb.ui.relevance import cached as own

EVALUATING = JobSlot[Evaluation]("relevance.job")
RUN = "relevance.run"


@role.changes
def start(target: Target, request: EvaluationRequest, labelled: Source | Judgements) -> None:
    """A callback: evaluate in the background. One at a time for a browser tab."""
    opened, home, budget = cached.client(target), cached.home(), safety.budget(target)

    def work(job: Job[Evaluation]) -> Evaluation:
        client = opened.budgeted(budget)
        judged = labelled if isinstance(labelled, Judgements) else sources.judgements(labelled, client, home)
        embedder = models.of_settings(client, Settings.from_env())
        return evaluate.run_saved(client, request, judged, embedder, home, report=job.report, keep=job.keep)

    if EVALUATING.start("Relevance", work):
        st.session_state["relevance.view"] = "Comparison"


def ended(target: Target) -> None:
    """After an evaluation has ended: once, choose it; say why there is none, or only a part."""
    job = EVALUATING.ended()
    if job is None:
        return
    has_questions = job.result is not None and bool(job.result.questions)
    if EVALUATING.first_seen_ended():
        own.forget()
        if job.result is not None and has_questions:
            st.session_state[RUN] = job.result.id
    EVALUATING.outcome(target, "" if has_questions else "Cancelled before a question was asked to its end.")


def watch() -> bool:
    """Progress and the means so far; False where nothing runs."""
    return EVALUATING.watch(_so_far)


def _so_far(run: Evaluation | None) -> None:
    if run is None or not run.questions:
        st.caption("First the labelled documents are looked for, then every question is asked.")
    else:
        st.caption(f"{len(run.questions):,} questions were asked under every setting so far.")
