"""The Recall page put together: form on the left, on the right the job, or a run in its views."""

from __future__ import annotations

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import code, labels, markdown
from memdb.errors import MemDBError
from memdb.tuning import candidates, shadow
from memdb.tuning.run import SweepRequest
from memdb.tuning.store import Listed
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
        asked = form.form(target, info)
        start_button(target, info, asked)
        watching.section(target, info, asked)
    with right:
        right_side(target, info, asked)


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


def start_button(target: Target, info: IndexInfo, asked: SweepRequest | MemDBError) -> None:
    """The button below the form, and why it cannot be pressed."""
    running = tune_job.SWEEPING.current() is not None
    ready = isinstance(asked, SweepRequest)
    parts.start_button(
        "Run the sweep",
        tune_job.start,
        (target, info, asked),
        icon=":material/play_arrow:",
        width="stretch",
        key="recall.start",
        disabled=not ready or running or role.locked(),
    )
    if isinstance(asked, MemDBError):
        parts.show_error(asked)
    else:
        st.caption(
            "Reads vectors and searches; writes nothing to the server. "
            + ("A sweep is running." if running else f"Target: {markdown(asked.goal.words(asked.k))}.")
        )


def right_side(target: Target, info: IndexInfo, asked: SweepRequest | MemDBError) -> None:
    """The job while it runs, else the chosen run; before the first, what a sweep of the form would say."""
    if tune_job.watch(target, info):
        return
    tune_job.ended(target)
    run_id = _chosen(info)
    shown: RunView | None = None
    if run_id is not None:
        run = tune_cached.saved(run_id)
        shown = RunView(target, _now(target, info, run.index), run)
        views.headline(shown)
        views.facts(run)
        views.use_ef(shown)
    elif st.session_state.get("recall.view", "Curve") != "Runs":
        _invitation(target, info, asked)
        if not tune_cached.listed(cached.home()):
            return
    view = st.segmented_control(
        "View",
        list(VIEWS),
        default="Curve",
        required=True,
        key="recall.view",
        bind="query-params",
        wrap=True,
        label_visibility="collapsed",
    )
    if shown is not None and shown.run.sampled is not None and view in ("Misses", "Slices", "Selectivity"):
        st.caption("True neighbours are here those of the reference: a sample of the documents was read.")
    with parts.errors_shown(target):
        if view == "Runs":
            runs.runs_view(shown)
        elif shown is None:
            st.caption("Start a sweep, or open a saved run under “Runs”.")
        elif view == "Each query":
            each.view(shown)
        elif view == "Misses":
            misses.view(shown)
        elif view == "Slices":
            slices.slices_view(shown)
        elif view == "Selectivity":
            slices.grid_view(shown)
        elif view == "Code and files":
            runs.files_view(shown)
        else:
            views.curve_view(shown)
            if shown.run.shards:
                shards.view(shown.run)
            if shown.run.as_asked is not None:
                application.view(shown.run, shown.run.as_asked)
            st.caption(views.took(shown.run))


def _chosen(info: IndexInfo) -> str | None:
    """The run shown: of the link or the list, else the newest of this index."""
    wanted = st.session_state.pop(runs.OPEN, None)
    if wanted is not None:
        st.session_state["recall.run"] = wanted
    known = {entry.id: entry for entry in tune_cached.listed(cached.home())}
    mine = [entry.id for entry in known.values() if entry.index == info.name]
    linked = _linked(info, known)
    if linked and linked not in known:
        st.caption(f":material/link_off: The run {code(linked, 80)} is not kept here.")
    options = [*mine, linked] if linked in known and linked not in mine else mine
    if not options:
        st.session_state[_SHOWN] = (info.name, None)
        return None
    if st.session_state.get("recall.run") not in options:
        st.session_state.pop("recall.run", None)
    # Shown as its id, since a link carries what is shown.
    chosen = st.selectbox("Run", options, format_func=labels(options), key="recall.run", bind="query-params")
    if chosen in known:
        st.caption(_label(known[chosen]))
    st.session_state[_SHOWN] = (info.name, chosen)
    return chosen


def _linked(info: IndexInfo, known: dict[str, Listed]) -> str | None:
    """The run that was chosen, or that the link names. Choosing another index leaves the last one's run."""
    chosen, named = st.session_state.get("recall.run"), st.query_params.get("recall.run")
    index, shown = st.session_state.get(_SHOWN, (info.name, None))
    if index != info.name and shown is not None and shown == (chosen or named):
        st.session_state[_LEFT] = shown
        st.session_state.pop("recall.run", None)
        chosen = None
    left = st.session_state.get(_LEFT)
    if chosen is None and named == left and not (named in known and known[named].index == info.name):
        return None  # the address may still name it
    return chosen or named


def _label(entry: Listed) -> str:
    name = views.named(entry.index, entry.filter, entry.goal, entry.k, entry.recommendation)
    return markdown(" · ".join(filter(None, (entry.title, name))), 300)


def _now(target: Target, info: IndexInfo, name: str) -> IndexInfo | None:
    if name == info.name:
        return info
    try:
        return cached.index_info(target, name)
    except MemDBError:
        return None


def _invitation(target: Target, info: IndexInfo, asked: SweepRequest | MemDBError) -> None:
    ready = isinstance(asked, SweepRequest)
    goal = f" ({markdown(asked.goal.words(asked.k))})" if isinstance(asked, SweepRequest) else ""
    parts.empty(
        "Which EF_RUNTIME meets the target?",
        f"A sweep asks this index ({info.documents:,} documents) the same queries at several settings and "
        f"compares every answer with the exact one. Then this page says which setting meets the "
        f"target{goal}, how sure that is, what each setting takes in time, and which queries it fails.",
        ":material/speed:",
        parts.Act("Start the sweep", tune_job.start, (target, info, asked)) if ready else None,
        locked=tune_job.SWEEPING.current() is not None or role.locked(),
    )
    others: dict[str, Listed] = {}  # newest first: of two with the same words the newer
    for entry in tune_cached.listed(cached.home()):
        if entry.index != info.name:
            others.setdefault(_label(entry), entry)
    if others:
        st.caption("Measured before, of other indexes:")
    for label, entry in list(others.items())[:_OFFERED]:
        parts.choose_here(
            label, {"recall.run": entry.id}, key=f"recall.before.{entry.id}", icon=":material/history:"
        )
