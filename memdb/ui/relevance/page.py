"""The Relevance page put together: form on the left, on the right the job, or an evaluation in its views."""

from __future__ import annotations

import streamlit as st

from memdb.cluster.target import Target
from memdb.demo import labelled as demo_set
from memdb.display import code, labels, markdown
from memdb.errors import MemDBError
from memdb.ui import frame
from memdb.ui.kit import cached, parts, role, state
from memdb.ui.relevance import another, files, form, job, runs, views
from memdb.ui.relevance import cached as own
from memdb.ui.relevance.form import EvaluationForm, Missing
from memdb.vectors.index import IndexInfo

VIEWS = ("Comparison", "Questions", "Runs", "Labels", "Code and files", "Another model")


def draw(target: Target) -> None:
    """An evaluation of the index chosen in the sidebar, and those that are kept."""
    frame.on_index(target, _draw)


def _draw(target: Target, info: IndexInfo) -> None:
    left, right = st.columns([1, 2.4], gap="medium")
    with left:
        request = form.form(target, info)
        _start_button(target, request)
    with right:
        _right(target, info, request)


def _start_button(target: Target, request: EvaluationForm | Missing | MemDBError) -> None:
    running = job.EVALUATING.current() is not None
    ready = isinstance(request, EvaluationForm)
    parts.start_button(
        "Evaluate",
        job.start,
        (target, request.request, request.labelled) if isinstance(request, EvaluationForm) else (),
        icon=":material/play_arrow:",
        width="stretch",
        key="relevance.start",
        disabled=not ready or running or role.locked(),
    )
    if isinstance(request, MemDBError):
        parts.show_error(request)
    elif isinstance(request, Missing):
        st.caption(markdown(request.words))
    else:
        st.caption(
            "Embeds questions and searches; writes nothing to the server. "
            + ("An evaluation is running." if running else "")
        )


def _right(target: Target, info: IndexInfo, request: EvaluationForm | Missing | MemDBError) -> None:
    if job.watch():
        return
    job.ended(target)
    run_id = _chosen()
    evaluation = own.saved(cached.home(), run_id) if run_id is not None else None
    if evaluation is not None:
        views.headline(evaluation)
    view = parts.view_choice(VIEWS, key="relevance.view")
    with parts.errors_shown(target):
        if view == "Runs":
            runs.runs_view()
        elif view == "Labels":
            files.labels_view()
        elif view == "Another model":
            another.view(target, info)
        elif evaluation is None:
            _invitation(target, info, request)
        elif view == "Questions":
            views.questions_view(evaluation)
        elif view == "Code and files":
            files.files_view(evaluation)
        else:
            views.comparison_view(evaluation)


def _chosen() -> str | None:
    """The evaluation shown: of the link or the list, else the newest."""
    wanted = st.session_state.pop(runs.OPEN, None)
    if wanted is not None:
        st.session_state[job.RUN] = wanted
    stored = {entry.id: entry for entry in own.listed(cached.home())}
    linked = st.session_state.get(job.RUN) or st.query_params.get(job.RUN)
    if linked and linked not in stored:
        st.caption(f":material/link_off: The evaluation {code(linked, 80)} is not kept here.")
    if not stored:
        return None
    if st.session_state.get(job.RUN) not in stored:
        st.session_state.pop(job.RUN, None)
    options = list(stored)
    chosen = st.selectbox(
        "Evaluation", options, format_func=labels(options), key=job.RUN, bind="query-params"
    )
    if chosen in stored:
        entry = stored[chosen]
        st.caption(markdown(" · ".join(filter(None, (entry.title, runs.named(entry)))), 300))
    return chosen


def _invitation(target: Target, info: IndexInfo, request: EvaluationForm | Missing | MemDBError) -> None:
    none_yet = " No labels yet? Judge hits on the Search page, or give files on the left."
    parts.empty(
        "Are the answers right?",
        "Each setting is asked the labelled questions. Then this page says how good the answers are (nDCG, "
        "MRR, precision, recall), and of two settings which is better and how sure that is."
        + ("" if isinstance(request, EvaluationForm) else none_yet),
        ":material/fact_check:",
        parts.Act("Ask them now", job.start, (target, request.request, request.labelled))
        if isinstance(request, EvaluationForm)
        else None,
        locked=job.EVALUATING.current() is not None or role.locked(),
    )
    name = demo_set.INDEX.name
    if isinstance(request, Missing) and info.name != name and name in frame.listed_names(target):
        parts.choose_here(
            "Try it on the demo's labelled index",
            {state.INDEX: name, "relevance.labels": "demo"},
            key="relevance.try",
            icon=":material/fact_check:",
        )
