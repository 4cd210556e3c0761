"""The Sessions page's left side: a page of sessions with live bars, and the way to the next."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import code, duration, line, markdown
from memdb.jobs import Job
from memdb.sessions import formats
from memdb.sessions import listing as sessions
from memdb.sessions.filters import SessionFilter
from memdb.sessions.known import ARTICLE
from memdb.sessions.mapping import Format
from memdb.sessions.redact import hidden_summary
from memdb.sessions.strategy import PAGE, Budget, SessionPage
from memdb.sessions.summaries import ORDERS, Order, SessionSummary, ordered
from memdb.ui.kit import cached, parts, privacy, safety, state
from memdb.ui.kit.job import JobSlot
from memdb.ui.sessions import filter_bar
from memdb.ui.sessions import index as session_index
from memdb.ui.sessions.cached import RUN

SIZES = (25, 50, 100, 200)
SEARCH_BUDGET = Budget(keys=2_000_000)  # of a search in the background, about half a minute
SHORT = 15  # rows of a table that needs no scrolling
FULL_BAR_S = 86_400.0  # TTL at which a bar is full, or the longest on the page

Read = tuple[SessionPage, float]  # a page, and when it was read (time.time)

OPEN = "sessions.open"  # id of the open session as it is written in its field and in the link
CLOSE = "sessions.close"  # the open session was deleted: open another one in the next run
TRAIL = "sessions.trail"  # cursors of the pages gone through, the last one is shown
TRAIL_OF = "sessions.trail_of"  # the format and the filter they belong to
SEARCHING = JobSlot[Read]("sessions.job", every="0.5s")


TOLD = {
    "session": "",
    "message": "Each key is one message. A page shows, and filters look at, the messages that lay on its "
    "part of the server; an opened session has all of them.",
    "state": "Each key is one state of a thread. A page shows, and filters look at, the newest on its part "
    "of the server; an opened thread has the newest of all.",
}


def listing(target: Target, format_: Format, wanted: SessionFilter) -> list[SessionSummary]:
    """Draw the list; returns the sessions shown, in order."""
    order, size, live = _controls()
    trail = _trail(format_, wanted, size)
    page, read_at = cached.session_page(target, format_, wanted, trail[-1], size, state.reading(RUN))
    job = SEARCHING.job(trail[-1])
    if job is not None and job.result is not None:
        page, read_at = job.result
    stored = page.sessions
    summaries = ordered([hidden_summary(s) for s in stored] if privacy.hiding(target) else stored, order)
    filter_bar.remember_contexts({s.context for s in summaries})
    SEARCHING.watch()
    SEARCHING.outcome(target, about=trail[-1])
    if TOLD[format_.holds]:
        st.caption(TOLD[format_.holds])
    if summaries:
        _table(format_, summaries, read_at, live)
    else:
        _nothing(format_, wanted, page)
    _footer(target, format_, wanted, page, trail, size, searching=job is not None)
    session_index.offer(target, format_, wanted, page.index)
    if summaries:
        settings = {
            "target": target.address,
            "format": format_.token,
            "filter": repr(wanted),
            "order": order,
        }
        parts.export(table_of(summaries, 0.0), "sessions", settings, key="sessions.export")
    return summaries


def refresh() -> None:
    """A callback: ask the server again."""
    state.read_again(RUN)


def bar_share(ttl_s: float | None, full_s: float = FULL_BAR_S) -> float:
    """Length of a TTL's bar in [0, 1]: the cube root, so that two minutes and a day can both be seen."""
    if ttl_s is None:
        return 1.0
    return float(min(1.0, max(0.0, ttl_s) / full_s) ** (1 / 3))


def left_of(session: SessionSummary, elapsed_s: float) -> float | None:
    """Seconds a session has left, that long after it was read."""
    return None if session.ttl_s is None else max(0.0, session.ttl_s - elapsed_s)


def left_text(ttl_s: float | None) -> str:
    """A TTL in words."""
    if ttl_s is None:
        return "never"
    return duration(ttl_s) if ttl_s > 0 else "expired"


def table_of(summaries: Sequence[SessionSummary], elapsed_s: float) -> pd.DataFrame:
    """Sessions as rows, so long after they were read. Texts are safe to show."""
    lives_s = [left_of(s, elapsed_s) for s in summaries]
    full = max([FULL_BAR_S, *(s.ttl_s for s in summaries if s.ttl_s is not None)])
    return pd.DataFrame(
        {
            "TTL": [bar_share(seconds, full) for seconds in lives_s],
            "expires in": [left_text(seconds) for seconds in lives_s],
            "user": [line(s.user_id, 80) for s in summaries],
            "began with": [s.opening or "–" for s in summaries],
            "turns": pd.array([s.turns for s in summaries], dtype="Int64"),
            "context": [line(s.context, 80) for s in summaries],
            "size": pd.array([s.size_bytes for s in summaries], dtype="Int64"),
            "created": pd.to_datetime(pd.Series([s.created for s in summaries], dtype=object), utc=True),
            "session": [formats.printable_id(s.id)[:200] for s in summaries],
            "problems": [line(" ".join(s.problems), 200) for s in summaries],
        }
    )


def _controls() -> tuple[Order, int, bool]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        order = st.selectbox(
            "Sort the page",
            ORDERS,
            key="sessions.order",
            bind="query-params",
            width=140,
            help="Redis keeps keys in no order: this sorts what the page holds. A click on a column's head "
            "does so too.",
        )
        size = st.selectbox(
            "Page of",
            SIZES,
            index=SIZES.index(PAGE),
            key="sessions.size",
            bind="query-params",
            width=80,
        )
        st.space("stretch")
        live = st.toggle("Live", value=True, key="sessions.live", persist_state="session")
        st.button("Refresh", icon=":material/refresh:", on_click=refresh)
    return order, size, live


def _trail(format_: Format, wanted: SessionFilter, size: int) -> list[str]:
    """Cursors up to the page shown; another format or filter begins at the first."""
    belongs_to = f"{format_!r} {wanted!r} {size}"
    if st.session_state.get(TRAIL_OF) != belongs_to:
        st.session_state[TRAIL_OF], st.session_state[TRAIL] = belongs_to, [""]
        SEARCHING.forget()
    trail: list[str] = st.session_state[TRAIL]
    return trail


def _table(format_: Format, summaries: list[SessionSummary], read_at: float, live: bool) -> None:
    digest = hashlib.sha256(repr([s.key for s in summaries]).encode()).hexdigest()[:12]
    opened = st.session_state.get(OPEN, "")
    ids = [formats.printable_id(s.id) for s in summaries]
    hidden = [] if sessions.powers(format_).context else ["context"]
    chosen = [ids.index(opened)] if opened in ids else [] if opened else [0]
    widget = f"sessions.table.{digest}"

    def choose() -> None:
        rows = st.session_state[widget]["selection"]["rows"]
        if rows and rows[0] < len(ids):
            st.session_state[OPEN] = ids[rows[0]]

    def draw() -> None:
        if st.session_state.get(OPEN, "") != opened:
            st.rerun()  # a row was chosen within this fragment; the right side must follow
        if st.session_state.get(widget, {}).get("selection", {}).get("rows", chosen) != chosen:
            st.session_state[widget] = {"selection": {"rows": chosen}}  # opened by its id, or deselected
        frame = table_of(summaries, time.time() - read_at)
        st.dataframe(
            frame,
            hide_index=True,
            height=560 if len(summaries) > SHORT else "content",
            key=widget,
            on_select=choose,
            selection_mode="single-row",
            selection_default={"selection": {"rows": chosen}},
            column_config=columns(frame, hidden),
            placeholder="–",
            alt="Sessions of this page",
        )

    st.fragment(draw, run_every="2s" if live else None)()


def columns(frame: pd.DataFrame, hidden: Sequence[str] = ()) -> dict[str, Any]:
    """How the columns of `table_of` are shown; those that nothing fills are not."""
    column = st.column_config
    configured: dict[str, Any] = {
        "TTL": column.ProgressColumn(
            "TTL",
            format=" ",
            min_value=0,
            max_value=1,
            width=70,
            help="A full bar is a day, or the longest time on this page; half a bar is an eighth of that.",
        ),
        "expires in": column.TextColumn(width=90),
        "user": column.TextColumn(width=80),
        "began with": column.TextColumn(width=270),
        "turns": column.NumberColumn(width=55),
        "context": column.TextColumn(width=120),
        "size": column.NumberColumn(format="bytes", width=75, help="In the server's memory."),
        "created": column.DatetimeColumn(format="distance", width=110),
        "session": column.TextColumn(width=140),
    }
    if not frame["problems"].any():
        configured["problems"] = None
    return configured | dict.fromkeys(hidden)


def _nothing(format_: Format, wanted: SessionFilter, page: SessionPage) -> None:
    if wanted == SessionFilter(partial=wanted.partial) and page.complete:
        if format_ == ARTICLE:
            parts.empty(
                "No sessions on this server",
                f"A session is a hash whose key begins with {code(format_.prefix)}. The Home page offers to "
                "load the demo data.",
                ":material/forum:",
            )
        else:
            parts.empty(
                "None here",
                "No key of this format was found. *Formats* shows what there is.",
                ":material/search_off:",
            )
    elif page.complete:
        parts.empty(
            "No session passes this filter", "Loosen it, or clear it under *More*.", ":material/search_off:"
        )
    else:
        parts.empty(
            "None so far",
            f"About {page.scanned:,} of {page.keys:,} keys were looked at. Go on with *Next*, or let "
            "*Search on* do so in the background.",
            ":material/manage_search:",
        )


def _footer(
    target: Target,
    format_: Format,
    wanted: SessionFilter,
    page: SessionPage,
    trail: list[str],
    size: int,
    *,
    searching: bool,
) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Previous",
            icon=":material/chevron_left:",
            disabled=len(trail) < 2,
            on_click=_back,
            key="sessions.previous",
        )
        st.button(
            "Next",
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=page.complete,
            on_click=_forward,
            args=(page.next_cursor,),
            key="sessions.next",
        )
        if not page.complete and len(page.sessions) < size and not searching:
            st.button(
                "Search on",
                icon=":material/manage_search:",
                on_click=_search,
                key="sessions.search",
                args=(target, format_, wanted, trail[-1], size),
                help=f"Fill this page in the background, through up to {SEARCH_BUDGET.keys:,} keys.",
            )
        st.caption(position(page, trail))


def position(page: SessionPage, trail: list[str]) -> str:
    """Where a listing is, and what it took."""
    ends = " · the last page" if page.complete else ""
    if page.index:
        where = f"{page.keys:,} found through index {markdown(page.index, 60)} in {page.took_ms:,.0f} ms"
        return f"Page {len(trail)}{ends} · **{len(page.sessions)}** sessions · {where}"
    looked = f"about {page.scanned:,} of {page.keys:,} keys looked at in {page.took_ms:,.0f} ms"
    return f"Page {len(trail)}{ends} · **{len(page.sessions)}** sessions · {looked}"


def _back() -> None:
    st.session_state[TRAIL] = st.session_state[TRAIL][:-1] or [""]
    _left_page()


def _forward(cursor: str) -> None:
    st.session_state[TRAIL] = [*st.session_state[TRAIL], cursor]
    _left_page()


def _left_page() -> None:
    SEARCHING.forget()
    st.session_state[OPEN] = ""


# ---- a page filled in the background ---------------------------------------------------------------------


def _search(target: Target, format_: Format, wanted: SessionFilter, cursor: str, size: int) -> None:
    opened, budget = cached.client(target), safety.budget(target)

    def work(job: Job[Read]) -> Read:
        client = opened.budgeted(budget)

        def keep(page: SessionPage) -> None:
            job.keep((page, time.time()))

        page = sessions.search(
            client,
            format_,
            wanted,
            limit=size,
            cursor=cursor,
            budget=SEARCH_BUDGET,
            report=job.report,
            keep=keep,
        )
        return page, time.time()

    SEARCHING.start("Search sessions", work, about=cursor)
