"""The Sessions page's overview: lives, memory to be freed, sizes, users and activity, from a sample."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import bytes_text, labels, line, markdown
from memdb.jobs import Job
from memdb.sessions import formats, survey
from memdb.sessions.mapping import Format
from memdb.sessions.strategy import SurveyedSession
from memdb.sessions.survey import Survey
from memdb.ui.kit import cached, charts, parts, privacy, safety, state
from memdb.ui.kit.job import JobSlot
from memdb.ui.sessions import cached as session_cached
from memdb.ui.sessions import figures as figures_sessions
from memdb.ui.sessions import filter_bar
from memdb.ui.sessions.cached import RUN
from memdb.ui.sessions.listing import OPEN, left_text, refresh

SURVEYING = JobSlot[Survey]("sessions.survey.job")
FULL = 2_000_000  # keys of the longer look, about a minute
VIEW = "sessions.show"
CAPS = {
    "1 h": 3_600.0,
    "1 day": 86_400.0,
    "7 days": 604_800.0,
}  # shorter times to live


def view(target: Target, format_: Format) -> None:
    """Draw it."""
    surveyed = session_cached.quick_survey(target, format_, state.reading(RUN))
    job = SURVEYING.job(format_.token)
    if job is not None and job.result is not None and job.result.scanned > surveyed.scanned:
        surveyed = job.result
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            markdown(surveyed.words) + (" Each key counts by itself." if format_.holds != "session" else "")
        )
        st.space("stretch")
        if not surveyed.whole and SURVEYING.current(format_.token) is None:
            st.button(
                "Look at more keys",
                icon=":material/manage_search:",
                on_click=_start,
                args=(target, format_),
                key="sessions.survey.more",
                help=f"Up to {FULL:,} keys, in the background.",
            )
        st.button("Refresh", icon=":material/refresh:", on_click=refresh, key="sessions.survey.refresh")
    if SURVEYING.current(format_.token) is not None:
        SURVEYING.watch(_so_far)
    SURVEYING.outcome(target, about=format_.token)
    if not surveyed.seen:
        parts.empty(
            "No sessions of this format here",
            "Choose another one above, or let *Formats* show what there is.",
            ":material/forum:",
        )
        return
    _lives(target, surveyed, format_)
    _sizes(target, surveyed, format_)
    _users(target, surveyed)


def _lives(target: Target, surveyed: Survey, format_: Format) -> None:
    dark = state.dark()
    bins = surveyed.ttl_bins()
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Time left**")
        st.plotly_chart(figures_sessions.by_ttl(bins, dark=dark), key="sessions.by_ttl")
    with right:
        st.markdown("**Memory freed by expiry**")
        st.plotly_chart(figures_sessions.freed(bins, dark=dark), key="sessions.freed")
    frame = pd.DataFrame(
        {
            "expires within": [b.name for b in bins],
            "sessions": [b.sessions for b in bins],
            "bytes": [b.bytes for b in bins],
            "memory freed by then": [b.freed_bytes for b in bins],
        }
    )
    _table(target, surveyed, frame, "ttl", ("bytes", "memory freed by then"))
    freed = ", ".join(f"{bytes_text(surveyed.beyond(ttl))} with {name}" for name, ttl in CAPS.items())
    st.caption(
        f"Freed earlier if no session lived longer from now on: {freed}. A session that is renewed stays."
    )
    soon = surveyed.soon()
    if soon:
        st.markdown("**Expiring soon**")
        _seen(target, soon, format_, "soon")


def _sizes(target: Target, surveyed: Survey, format_: Format) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Sizes**")
        st.plotly_chart(figures_sessions.sizes(surveyed.sizes(), dark=state.dark()), key="sessions.sizes")
        names, counts = figures_sessions.size_bins(surveyed.sizes())
        _table(
            target, surveyed, pd.DataFrame({"up to": names, "sessions of the sample": counts}), "sizes", ()
        )
    with right:
        st.markdown("**The largest of the sample**")
        _seen(target, surveyed.largest(10), format_, "largest")
    activity = surveyed.activity()
    if activity:
        st.markdown("**Sessions begun**")
        st.plotly_chart(figures_sessions.activity(activity, dark=state.dark()), key="sessions.activity")
        frame = pd.DataFrame({"from (UTC)": [at for at, _ in activity], "sessions": [n for _, n in activity]})
        _table(target, surveyed, frame, "activity", ())


def _users(target: Target, surveyed: Survey) -> None:
    users = surveyed.users()
    if not any(user for user, _, _ in users):
        return
    user_names = [privacy.text(target, user) for user, _, _ in users]
    st.markdown("**Sessions a user**, of the sample")
    left, right = st.columns(2, gap="medium")
    with left:
        st.plotly_chart(
            charts.bars(
                [user or "(none)" for user in user_names[:12]],
                [n for _, n, _ in users[:12]],
                dark=state.dark(),
            ),
            key="sessions.users",
        )
    with right:
        frame = pd.DataFrame(
            {
                "user": [line(user, 80) for user in user_names],
                "sessions of the sample": [n for _, n, _ in users],
                "bytes": [size for _, _, size in users],
            }
        )
        _shown(frame, ("bytes",))
        parts.export(frame, "users", _settings(target, surveyed), key="sessions.users.export")
        names = [user for user, _, _ in users if user.isprintable() and user]
        if names and not privacy.hiding(target):
            st.selectbox(
                "List one user's sessions",
                names,
                format_func=labels(names),
                index=None,
                key="sessions.users.open",
                on_change=_open_user,
                placeholder="choose a user",
            )


def _seen(target: Target, rows: Sequence[SurveyedSession], format_: Format, name: str) -> None:
    frame = pd.DataFrame(
        {
            "session": [formats.printable_id(s.key)[:200] for s in rows],
            "user": [line(privacy.text(target, s.user), 80) for s in rows],
            "expires in": [left_text(s.ttl_s) for s in rows],
            "bytes": [s.size_bytes for s in rows],
        }
    )
    _shown(frame, ("bytes",))
    if format_.holds != "session":
        return
    keys = [formats.printable_id(format_.id_of(s.key)) for s in rows]
    st.selectbox(
        "Open one",
        keys,
        format_func=labels(keys),
        index=None,
        key=f"sessions.{name}.open",
        on_change=_open_key,
        args=(name,),
        placeholder="choose a session",
        label_visibility="collapsed",
    )


def _table(target: Target, surveyed: Survey, frame: pd.DataFrame, name: str, sizes: tuple[str, ...]) -> None:
    with st.expander("As a table", icon=":material/table:"):
        _shown(frame, sizes)
        parts.export(frame, f"sessions-{name}", _settings(target, surveyed), key=f"sessions.{name}.export")


def _shown(frame: pd.DataFrame, sizes: tuple[str, ...]) -> None:
    st.dataframe(
        frame,
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(format="bytes") for name in sizes},
    )


def _settings(target: Target, surveyed: Survey) -> dict[str, object]:
    return {
        "target": target.address,
        "read": surveyed.at.isoformat(timespec="seconds"),
        "sample": surveyed.words,
    }


def _open_user() -> None:
    user = st.session_state.get("sessions.users.open")
    if user:
        filter_bar.only_user(user)
        st.session_state[VIEW] = "Sessions"


def _open_key(name: str) -> None:
    id_ = st.session_state.get(f"sessions.{name}.open")
    if id_:
        st.session_state[OPEN] = id_
        st.session_state[VIEW] = "Sessions"


# ---- a longer look in the background ---------------------------------------------------------------------


def _start(target: Target, format_: Format) -> None:
    opened, budget = cached.client(target), safety.budget(target)

    def work(job: Job[Survey]) -> Survey:
        return survey.survey(opened.budgeted(budget), format_, sample=FULL, report=job.report, keep=job.keep)

    SURVEYING.start("Survey of sessions", work, about=format_.token)


def _so_far(result: Survey | None) -> None:
    if result is not None:
        size = bytes_text(float(result.sizes().sum()) * result.factor)
        st.caption(f"{len(result.seen):,} sessions so far; all of them take about {size}.")
