"""The switch on the Recall page: an index's recall measured now and then by the app."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import duration, markdown
from memdb.errors import MemDBError
from memdb.operations import history
from memdb.tuning import decide
from memdb.tuning.run import SweepRequest
from memdb.tuning.source import File
from memdb.ui import frame
from memdb.ui.kit import cached, parts, role
from memdb.vectors.index import IndexInfo
from memdb.vectors.query import EF_RUNTIME
from memdb.watch import judge, runner, series
from memdb.watch.series import Watch

EVERY = {
    "1 min": 60.0,
    "5 min": 300.0,
    "15 min": 900.0,
    "1 hour": 3_600.0,
    "6 hours": 21_600.0,
    "1 day": 86_400.0,
}


def section(target: Target, info: IndexInfo, request: SweepRequest | MemDBError) -> None:
    """What is watched of this index, and the form for one more."""
    try:
        watches = [each for each in series.listed(cached.home(), target) if each.index == info.name]
    except MemDBError as exc:
        parts.show_error(exc)
        return
    for place, watch in enumerate(watches):
        _watched(target, watch, place)
    with st.expander("Watch recall", icon=":material/visibility:"):
        if isinstance(request, MemDBError):
            st.caption("First make the form above whole: K, filter and target are taken from it.")
            return
        if request.goal.kind != "recall":
            st.caption("Choose a recall as the target above: that is what is watched.")
            return
        left, right = st.columns(2)
        own = info.vector_field(request.field)[1]
        tap = (
            request.source.path
            if isinstance(request.source, File) and st.session_state.get("recall.by") == "Tap"
            else ""
        )
        ef = None
        if own.has_ef and not tap:
            ef = left.number_input(
                "EF_RUNTIME",
                min_value=1,
                max_value=cached.server(target).dialect.limits.ef_runtime,
                value=own.ef_runtime or EF_RUNTIME,
                key="recall.watch.ef",
                help="What the application asks with.",
            )
        every = right.selectbox("Every", list(EVERY), index=2, key="recall.watch.every")
        queries = (
            "the newest searches of the record"
            if tap
            else f"{series.QUERIES} made queries, the same each time"
        )
        wanted = Watch(
            info.name,
            request.field,
            request.k,
            None if ef is None else int(ef),
            "*" if tap else request.filter,
            request.goal.value,
            request.goal.confidence,
            EVERY[str(every)],
            tap=tap,
        )
        st.caption(
            f"Asks {queries}, within this target's budget, and keeps {markdown(wanted.words)} in the "
            "history while "
            "the app runs. Nothing is written to the server."
        )
        if not tap and (few := decide.too_few(wanted.goal, wanted.k, wanted.queries)):
            st.caption(f":material/info: {markdown(few)}")
        if request.filter_params:
            st.caption("A filter with parameters cannot be watched; write its values into it.")
            return
        st.button(
            "Watch",
            key="recall.watch.start",
            icon=":material/visibility:",
            disabled=role.locked(),
            on_click=_switch,
            args=(target, wanted, True),
        )


def _watched(target: Target, watch: Watch, place: int) -> None:
    with st.container(border=True):
        st.toggle(
            markdown(f"Watched every {duration(watch.every_s)}: {watch.words}"),
            value=True,
            disabled=role.locked(),
            key=f"recall.watch.on.{place}.{watch.name}",
            on_change=_switch,
            args=(target, watch, False),
        )
        st.fragment(_latest, run_every=min(15.0, max(2.0, watch.every_s / 4)))(target, watch)


def _latest(target: Target, watch: Watch) -> None:
    """The newest measurement, drawn anew by itself."""
    with parts.errors_shown(target):
        rows = runner.rows_of(history.path_of(cached.home(), target), watch, limit=200)
        if not rows:
            st.caption("The first measurement is under way.")
            return
        below = judge.fell(rows) is not None
        icon = (
            ":orange[:material/trending_down:] below"
            if below
            else ":material/check_circle: not shown to be below"
        )
        st.caption(f"{markdown(judge.words(rows[-1]), 300)}: {icon} the target of {watch.target:g}.")
        if few := judge.note(rows[-1]):
            st.caption(f":material/info: {markdown(few)}")
        st.page_link(
            frame.link("metrics"),
            label="Trend",
            icon=":material/monitoring:",
            query_params={"metrics.view": "Recall"},
        )


@role.changes
def _switch(target: Target, watch: Watch, on: bool) -> None:
    """A callback: begin or end to watch; the next drawing starts what measures."""
    try:
        series.switch(cached.home(), target, replace(watch), on=on)
    except MemDBError as exc:
        st.toast(markdown(exc.full()), icon=":material/error:")
