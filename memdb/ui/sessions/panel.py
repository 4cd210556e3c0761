"""The Sessions page's right side: one session as a conversation, with its user and raw fields."""

from __future__ import annotations

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import bytes_text, markdown
from memdb.errors import NotFound
from memdb.sessions import formats, values
from memdb.sessions import listing as sessions
from memdb.sessions.formats import Session
from memdb.sessions.known import ARTICLE
from memdb.sessions.mapping import Format
from memdb.sessions.strategy import Opened
from memdb.sessions.summaries import SessionSummary
from memdb.ui.kit import cached, parts, privacy, state
from memdb.ui.sessions import actions, usage, user
from memdb.ui.sessions.cached import RUN
from memdb.ui.sessions.listing import CLOSE, OPEN, bar_share, left_text
from memdb.ui.sessions.turn import part_shown, turn_shown
from memdb.vectors.query import Command

VIEWS = ("Conversation", "Usage", "User", "Fields", "Code")
READ_STEPS = (500, 2_000, formats.TURNS)  # newest entries of a list that are read: more when one goes back
TURNS = 30  # shown at once, the last ones first to be seen
PANE = 480  # height in pixels
RAW = 4_000  # characters of a raw field
FIELDS = 50  # shown at once
EARLIER = "sessions.earlier"  # how many more turns were asked for, and of which session


def id_asked() -> str:
    """Draw the field of the open session's id; returns the id asked for, empty where none is."""
    if st.session_state.pop(CLOSE, False):
        st.session_state[OPEN] = ""
    typed = st.text_input(
        "Open a session",
        key=OPEN,
        bind="query-params",
        icon=":material/forum:",
        placeholder="its id, or choose a row",
    )
    return formats.typed_id(typed)


def panel(target: Target, format_: Format, id_: str, summaries: list[SessionSummary]) -> None:
    """Draw the session that is open: the one asked for, else the first of the list."""
    actions.say_what_was_done()
    if not id_ and not summaries:
        return
    if not id_:
        id_ = summaries[0].id
        st.markdown(f"**{markdown(formats.printable_id(id_), 200)}**")
    try:
        name = formats.printable_id(id_)
        opened = cached.session(target, format_, name, state.reading(RUN), _entries(name))
    except NotFound as exc:
        parts.show_error(exc)
        return
    session = privacy.session(target, opened.session)
    head(session)
    _time_left(target, format_, opened)

    def whole() -> Session:
        every = cached.session(target, format_, name, state.reading(RUN), formats.TURNS)
        return privacy.session(target, every.session)

    actions.actions(target, format_, opened, session, whole)
    view = st.segmented_control(
        "Show",
        VIEWS,
        default="Conversation",
        required=True,
        key="sessions.view",
        bind="query-params",
        label_visibility="collapsed",
        width="stretch",
    )
    with parts.errors_shown(target):
        if view == "Usage":
            usage.usage(session)
        elif view in ("User", "Fields") and privacy.hiding(target):
            st.caption("What is stored is not shown while personal data is hidden.")
        elif view == "User":
            user.user(target, session)
        elif view == "Fields":
            fields(session)
        elif view == "Code":
            _code(target, format_, opened)
        else:
            conversation(session)


def countdown(seconds: float) -> str:
    """A time left that ticks: 3 d 04:05:06, 1:02:03 or 0:45."""
    days, rest = divmod(int(seconds), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest_s = divmod(rest, 60)
    if days:
        return f"{days:d} d {hours:02d}:{minutes:02d}:{rest_s:02d}"
    return f"{hours:d}:{minutes:02d}:{rest_s:02d}" if hours else f"{minutes:d}:{rest_s:02d}"


def head(session: Session) -> None:
    """Whose, since when, how large, and what is wrong with it."""
    size = bytes_text(session.size_bytes) if session.size_bytes is not None else "size not available"
    facts = [
        f":material/person: {markdown(session.user_id, 80) or '–'}",
        f":material/label: {markdown(session.context, 80) or '–'}",
        f":material/schedule: {_created(session)}",
        f":material/memory: {size}",
    ]
    st.caption(" &nbsp; ".join(facts), help=markdown(session.size_note) or None)
    for problem in session.problems:
        st.warning(markdown(problem, 300), icon=":material/report:")


def _created(session: Session) -> str:
    if session.created is None:
        return markdown(session.created_at, 40) or "–"
    return f"{session.created:%Y-%m-%d %H:%MZ}"


@st.fragment(run_every="1s")
def _time_left(target: Target, format_: Format, opened: Opened) -> None:
    """The TTL as the server tells it now, and whether the session is another than the one shown."""
    with parts.errors_shown():
        try:
            pulse = sessions.pulse(cached.client(target), format_, opened)
        except NotFound:
            st.progress(0.0, text=":material/timer_off: has expired or was deleted just now")
            return
        ttl_s = opened.session.ttl_s if pulse is None else pulse.ttl_s
        if ttl_s is None:
            st.progress(bar_share(None), text=":material/all_inclusive: never expires")
        elif pulse is None:
            st.progress(bar_share(ttl_s), text=f":material/timer: {left_text(ttl_s)} left when it was read")
        else:
            st.progress(bar_share(ttl_s), text=f":material/timer: expires in **{countdown(ttl_s)}**")
        if len(opened.keys) > 1:
            st.caption(f":material/key: {len(opened.keys):,} keys; the first to expire counts.")
        if pulse is not None and pulse.size != opened.size:
            st.caption(
                ":material/sync_problem: Somebody has changed this session since it was read here. "
                "*Refresh* shows it as it is."
            )


def conversation(session: Session) -> None:
    """The turns as a chat."""
    if not session.turns and not session.state:
        st.caption("No turns to show. *Fields* shows what is stored.")
        return
    name = formats.printable_id(session.id)
    more = _more(name)
    first = max(0, len(session.turns) - TURNS - more)
    # A long conversation opens at its end. What scrolls holds a button: the keyboard gets into it by that.
    long = bool(first or session.earlier)
    with st.container(height=PANE if long else "content", border=True, autoscroll=long and not more):
        if first or session.earlier:
            st.button(
                f"{first + session.earlier:,} earlier turns",
                icon=":material/expand_less:",
                on_click=_earlier,
                args=(name, more + 2 * TURNS),
                key="sessions.more",
                width="stretch",
            )
        for turn in session.turns[first:]:
            turn_shown(turn)
        if session.state:
            st.caption("Kept beside the conversation:")
            for entry in session.state:
                part_shown(entry)


def _more(name: str) -> int:
    """Turns beyond the usual ones that were asked for of this session."""
    earlier = st.session_state.get(EARLIER, ("", 0))
    return int(earlier[1]) if earlier[0] == name else 0


def _entries(name: str) -> int:
    """Entries of a list to read: more once so many turns were asked for."""
    wanted = TURNS + _more(name)
    return next(step for step in READ_STEPS if wanted <= step or step == READ_STEPS[-1])


def _earlier(session: str, more: int) -> None:
    st.session_state[EARLIER] = (session, more)


def fields(session: Session) -> None:
    """What is stored, as it is."""
    with st.container(height=PANE, border=True):
        if len(session.fields) > FIELDS:
            st.caption(f"The last {FIELDS} of {len(session.fields):,}; the export as JSON has them all.")
        for field in session.fields[-FIELDS:]:
            kind = "text" if field.utf8 else "not read" if field.value is None else "not UTF-8"
            st.caption(f"**{markdown(field.name, 100)}** · {bytes_text(field.size_bytes)} · {kind}")
            parts.code_block(field.preview(RAW) or " ")


def _code(target: Target, format_: Format, opened: Opened) -> None:
    of_article = format_ == ARTICLE
    library = f"""import os

from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.sessions.{"known import ARTICLE" if of_article else "mapping import Format"}
from memdb.sessions.listing import open_session

target = Target.parse({target.address!r}, password=os.environ.get("MEMDB_PASSWORD", ""))
layout = {"ARTICLE" if of_article else repr(format_)}
with connect(target) as client:
    session = open_session(client, layout, {opened.session.id!r}).session
for turn in session.turns:
    print(f"{{turn.role}}: {{turn.content}}")
"""
    if opened.keys[-1].isprintable():
        command = Command(values.reading(format_, opened.keys[-1]))
        parts.copy_as_code(command, target, library, key="sessions.code")
    else:
        st.caption("This key holds bytes that a line of a shell cannot carry.")
        parts.code_block(library, "python")
