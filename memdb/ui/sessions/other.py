"""Sessions of other formats than the article's: a list, and one of them open."""

from __future__ import annotations

import hashlib
import time

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import markdown
from memdb.errors import NotFound
from memdb.sessions import formats, store, values
from memdb.sessions.formats import Session
from memdb.sessions.mapping import Format
from memdb.sessions.store import SessionPage
from memdb.sessions.summaries import ORDERS, SessionSummary, ordered
from memdb.ui.kit import parts, state
from memdb.ui.sessions import cached, listing, panel
from memdb.ui.sessions.listing import OPEN, RUN, SHORT, SIZES, left_text, refresh
from memdb.vectors.query import Command

TRAIL, TRAIL_OF = "sessions.other.trail", "sessions.other.trail_of"
VIEWS = ("Conversation", "Fields", "Code")
TOLD = {
    "session": "",
    "message": "Each key is one message. A page shows the messages that lay on its part of the server; "
    "an opened session has all of them.",
    "state": "Each key is one state of a thread. A page shows the newest on its part of the server; "
    "an opened thread has the newest of all.",
}


def view(target: Target, format_: Format) -> None:
    """Draw the list and the open session."""
    left, right = st.columns([1.2, 1], gap="medium")
    with right:
        typed = st.text_input(
            "Open a session", key=OPEN, bind="query-params", icon=":material/forum:",
            placeholder="its id, or choose a row",
        )  # fmt: skip
    with left:
        shown = _listing(target, format_)
    with right, parts.errors_shown(target):
        name = typed.strip() or (_id(format_, shown[0].key) if shown else "")
        if name:
            _panel(target, format_, name, chosen=bool(typed.strip()))


def _id(format_: Format, key: str) -> str:
    return formats.printable_id(key.removeprefix(format_.prefix))


def _listing(target: Target, format_: Format) -> list[SessionSummary]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        order = st.selectbox("Sort the page", ORDERS, key="sessions.order", bind="query-params", width=140)
        size = st.selectbox(
            "Page of",
            SIZES,
            index=SIZES.index(store.PAGE),
            key="sessions.size",
            bind="query-params",
            width=80,
        )
        st.space("stretch")
        live = st.toggle("Live", value=True, key="sessions.live", persist_state="session")
        st.button("Refresh", icon=":material/refresh:", on_click=refresh, key="sessions.other.refresh")
    belongs_to = f"{format_!r} {size}"
    if st.session_state.get(TRAIL_OF) != belongs_to:
        st.session_state[TRAIL_OF], st.session_state[TRAIL] = belongs_to, [""]
    trail: list[str] = st.session_state[TRAIL]
    page, read_at = cached.format_page(target, format_, trail[-1], size, state.keep(RUN, 0))
    shown = ordered(page.sessions, order)
    if TOLD[format_.holds]:
        st.caption(TOLD[format_.holds])
    if shown:
        _table(format_, shown, read_at, live=live)
    else:
        parts.empty(
            "None here" if page.complete else "None so far",
            "No key of this format was found. *Formats* tells what there is."
            if page.complete
            else "Go on with *Next*: this part of the server holds none.",
            ":material/search_off:",
        )
    _footer(page, trail)
    if shown:
        settings = {"target": target.address, "format": repr(format_), "order": order}
        parts.export(listing.table_of(shown, 0.0), "sessions", settings, key="sessions.other.export")
    return shown


def _table(format_: Format, shown: list[SessionSummary], read_at: float, *, live: bool) -> None:
    ids = [_id(format_, s.key) for s in shown]
    widget = f"sessions.others.{hashlib.sha256(repr(ids).encode()).hexdigest()[:12]}"
    opened = st.session_state.get(OPEN, "")
    chosen = [ids.index(opened)] if opened in ids else [] if opened else [0]

    def choose() -> None:
        rows = st.session_state[widget]["selection"]["rows"]
        if rows and rows[0] < len(ids):
            st.session_state[OPEN] = ids[rows[0]]

    def draw() -> None:
        if st.session_state.get(OPEN, "") != opened:
            st.rerun()  # a row was chosen within this fragment; the right side must follow
        frame = listing.table_of(shown, time.time() - read_at)
        frame = frame.drop(columns=["session", "context"] + ([] if frame["user"].any() else ["user"]))
        frame.insert(2, "session", [name[:200] for name in ids])
        st.dataframe(
            frame, hide_index=True, height=560 if len(shown) > SHORT else "content", key=widget,
            on_select=choose, selection_mode="single-row", column_config=listing.columns(frame),
            selection_default={"selection": {"rows": chosen}}, placeholder="–", alt="Sessions of this page",
        )  # fmt: skip

    st.fragment(draw, run_every="2s" if live else None)()


def _footer(page: SessionPage, trail: list[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Previous", icon=":material/chevron_left:", disabled=len(trail) < 2, on_click=_back,
            key="sessions.other.previous",
        )  # fmt: skip
        st.button(
            "Next", icon=":material/chevron_right:", icon_position="right", disabled=page.complete,
            on_click=_forward, args=(page.next_cursor,), key="sessions.other.next",
        )  # fmt: skip
        st.caption(listing.position(page, trail))


def _back() -> None:
    st.session_state[TRAIL] = st.session_state[TRAIL][:-1] or [""]
    st.session_state[OPEN] = ""


def _forward(cursor: str) -> None:
    st.session_state[TRAIL] = [*st.session_state[TRAIL], cursor]
    st.session_state[OPEN] = ""


def _panel(target: Target, format_: Format, name: str, *, chosen: bool) -> None:
    if not chosen:
        st.markdown(f"**{markdown(name, 200)}**")
    try:
        found = cached.format_session(target, format_, name, state.keep(RUN, 0))
    except NotFound as exc:
        parts.show_error(exc)
        return
    session = found.session
    panel.head(session)
    st.caption(
        f":material/timer: {'never expires' if session.ttl_s is None else left_text(session.ttl_s)} "
        f"&nbsp; :material/key: {len(found.keys):,} {'key' if len(found.keys) == 1 else 'keys'}"
    )
    st.download_button(
        "JSON", lambda: formats.to_json(session).encode(), mime="application/json", file_name="session.json",
        icon=":material/download:", on_click="ignore", key="sessions.other.json", type="tertiary",
    )  # fmt: skip
    which = st.segmented_control(
        "Show", VIEWS, default="Conversation", required=True, key="sessions.other.view",
        label_visibility="collapsed", width="stretch", persist_state="session",
    )  # fmt: skip
    if which == "Fields":
        panel.fields(session)
    elif which == "Code":
        _code(target, format_, session, found.keys)
    else:
        panel.conversation(session)


def _code(target: Target, format_: Format, session: Session, keys: tuple[str, ...]) -> None:
    library = f"""import os

from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.sessions.browse import open_session
from memdb.sessions.mapping import Format

target = Target.parse({target.address!r}, password=os.environ.get("MEMDB_PASSWORD", ""))
layout = {format_!r}
with connect(target) as client:
    session = open_session(client, layout, {session.key.removeprefix(format_.prefix)!r}).session
for turn in session.turns:
    print(f"{{turn.role}}: {{turn.content}}")
"""
    if keys and keys[-1].isprintable():
        command = Command(values.reading(format_, keys[-1]))
        parts.copy_as_code(command, target, library, key="sessions.other.code")
    else:
        st.code(library, language="python", wrap_lines=True)
