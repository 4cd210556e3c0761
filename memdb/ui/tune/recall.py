"""The Recall page put together: form on the left, on the right the job, or a run in its views."""

from __future__ import annotations

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import code, labels, markdown
from memdb.errors import MemDBError
from memdb.tuning import candidates, shadow
from memdb.tuning.run import SweepRequest
from memdb.tuning.store import ListedRun
from memdb.ui import frame
from memdb.ui.kit import cached, parts, role, state
from memdb.ui.tune import application, each, form, misses, runs, shards, slices, views, watching
from memdb.ui.tune import cached as tune_cached
from memdb.ui.tune import job as tune_job
from memdb.ui.tune.views import RunView
from memdb.vectors.index import IndexInfo

_OFFERED = 4  # links in one line
_SHOWN, _LEFT = "recall.shown", "recall.left"  # the index and run drawn last; a run left with its index
VIEWS = ("Curve", "Each query", "Misses", "Slices", "Selectivity", "Runs", "Code and files")


def draw(target: Target) -> None:
    """A sweep of the index chosen in the sidebar, and the runs that are kept."""
    frame.on_index(target, _draw)


def _draw(target: Target, info: IndexInfo) -> None:
    _same_documents(target, info)
    left, right = st.columns([1, 2.4], gap="medium")
    with left:
        request = form.form(target, info)
        start_button(target, info, request)
        watching.section(target, info, request)
    with right:
        right_side(target, info, request)


def _same_documents(target: Target, info: IndexInfo) -> None:
    """Links to the indexes over the same documents: the shadows of this one, or its original."""
    names = frame.listed_names(target)
    if shadow.is_shadow(info.name):
        others = [name for name in names if name == shadow.base_of(info.name)]
    else:
        others = [name for name in names if shadow.is_shadow(name) and shadow.base_of(name) == info.name]
    if not others:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("The same documents in another index:", width="content")
        for name in others[:_OFFERED]:
            with parts.errors_shown():
                parts.choose_here(
                    markdown(candidates.words(cached.index_info(target, name).vector_field()[1])),
                    {state.INDEX: name},
                    key=f"recall.beside.{name}",
                    icon=":material/stacks:",
                    help=markdown(name),
                )


def start_button(target: Target, info: IndexInfo, request: SweepRequest | MemDBError) -> None:
    """The button below the form, and why it cannot be pressed."""
    running = tune_job.SWEEPING.current() is not None
    ready = isinstance(request, SweepRequest)
    parts.start_button(
        "Run the sweep",
        tune_job.start,
        (target, info, request),
        icon=":material/play_arrow:",
        width="stretch",
        key="recall.start",
        disabled=not ready or running or role.locked(),
    )
    if isinstance(request, MemDBError):
        parts.show_error(request)
    else:
        st.caption(
            "Reads vectors and searches; writes nothing to the server. "
            + ("A sweep is running." if running else f"Target: {markdown(request.goal.words(request.k))}.")
        )


def right_side(target: Target, info: IndexInfo, request: SweepRequest | MemDBError) -> None:
    """The job while it runs, else the chosen run; before the first, what a sweep of the form would say."""
    if tune_job.watch(target, info):
        return
    tune_job.ended(target)
    run_id = _chosen(info)
    run_view: RunView | None = None
    if run_id is not None:
        run = tune_cached.saved(run_id)
        run_view = RunView(target, _now(target, info, run.index), run)
        views.headline(run_view)
        views.facts(run)
        views.use_ef(run_view)
    elif st.session_state.get("recall.view", "Curve") != "Runs":
        _invitation(target, info, request)
        if not tune_cached.listed(cached.home()):
            return
    view = parts.view_choice(VIEWS, key="recall.view")
    if (
        run_view is not None
        and run_view.run.sampled is not None
        and view in ("Misses", "Slices", "Selectivity")
    ):
        st.caption("True neighbours are here those of the reference: a sample of the documents was read.")
    with parts.errors_shown(target):
        if view == "Runs":
            runs.runs_view(run_view)
        elif run_view is None:
            st.caption("Start a sweep, or open a saved run under “Runs”.")
        elif view == "Each query":
            each.view(run_view)
        elif view == "Misses":
            misses.view(run_view)
        elif view == "Slices":
            slices.slices_view(run_view)
        elif view == "Selectivity":
            slices.grid_view(run_view)
        elif view == "Code and files":
            runs.files_view(run_view)
        else:
            views.curve_view(run_view)
            if run_view.run.shards:
                shards.view(run_view.run)
            if run_view.run.as_asked is not None:
                application.view(run_view.run, run_view.run.as_asked)
            st.caption(views.took(run_view.run))


def _chosen(info: IndexInfo) -> str | None:
    """The run shown: of the link or the list, else the newest of this index."""
    wanted = st.session_state.pop(runs.OPEN, None)
    if wanted is not None:
        st.session_state["recall.run"] = wanted
    stored = {entry.id: entry for entry in tune_cached.listed(cached.home())}
    mine = [entry.id for entry in stored.values() if entry.index == info.name]
    linked = _linked(info, stored)
    if linked and linked not in stored:
        st.caption(f":material/link_off: The run {code(linked, 80)} is not kept here.")
    options = [*mine, linked] if linked in stored and linked not in mine else mine
    if not options:
        st.session_state[_SHOWN] = (info.name, None)
        return None
    if st.session_state.get("recall.run") not in options:
        st.session_state.pop("recall.run", None)
    # Shown as its id, since a link carries what is shown.
    chosen = st.selectbox("Run", options, format_func=labels(options), key="recall.run", bind="query-params")
    if chosen in stored:
        st.caption(_label(stored[chosen]))
    st.session_state[_SHOWN] = (info.name, chosen)
    return chosen


def _linked(info: IndexInfo, stored: dict[str, ListedRun]) -> str | None:
    """The run that was chosen, or that the link names. Choosing another index leaves the last one's run."""
    chosen, named = st.session_state.get("recall.run"), st.query_params.get("recall.run")
    index, shown_id = st.session_state.get(_SHOWN, (info.name, None))
    if index != info.name and shown_id is not None and shown_id == (chosen or named):
        st.session_state[_LEFT] = shown_id
        st.session_state.pop("recall.run", None)
        chosen = None
    left_id = st.session_state.get(_LEFT)
    if chosen is None and named == left_id and not (named in stored and stored[named].index == info.name):
        return None  # the address may still name it
    return chosen or named


def _label(entry: ListedRun) -> str:
    name = views.named(entry.index, entry.filter, entry.goal, entry.k, entry.recommendation)
    return markdown(" · ".join(filter(None, (entry.title, name))), 300)


def _now(target: Target, info: IndexInfo, name: str) -> IndexInfo | None:
    if name == info.name:
        return info
    try:
        return cached.index_info(target, name)
    except MemDBError:
        return None


def _invitation(target: Target, info: IndexInfo, request: SweepRequest | MemDBError) -> None:
    ready = isinstance(request, SweepRequest)
    goal = f" ({markdown(request.goal.words(request.k))})" if isinstance(request, SweepRequest) else ""
    parts.empty(
        "Which EF_RUNTIME meets the target?",
        f"A sweep asks this index ({info.documents:,} documents) the same queries at several settings and "
        f"compares every answer with the exact one. Then this page says which setting meets the "
        f"target{goal}, how sure that is, what each setting takes in time, and which queries it fails.",
        ":material/speed:",
        parts.Act("Start the sweep", tune_job.start, (target, info, request)) if ready else None,
        locked=tune_job.SWEEPING.current() is not None or role.locked(),
    )
    others: dict[str, ListedRun] = {}  # newest first: of two with the same words the newer
    for entry in tune_cached.listed(cached.home()):
        if entry.index != info.name:
            others.setdefault(_label(entry), entry)
    if others:
        st.caption("Measured before, of other indexes:")
    for label, entry in list(others.items())[:_OFFERED]:
        parts.choose_here(
            label, {"recall.run": entry.id}, key=f"recall.before.{entry.id}", icon=":material/history:"
        )
