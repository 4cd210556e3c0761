"""What may be done with a session: export, and where writes are allowed extend, persist, delete."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from memdb import export as exports
from memdb.cluster.target import Target
from memdb.display import Markdown, duration, line, markdown
from memdb.errors import MemDBError
from memdb.sessions import formats, store
from memdb.sessions.formats import Session
from memdb.sessions.listing import powers
from memdb.sessions.mapping import Format
from memdb.sessions.store import Change
from memdb.sessions.strategy import WRITABLE
from memdb.sessions.turns import turn_rows
from memdb.ui.kit import cached, parts
from memdb.ui.sessions.listing import CLOSE, refresh

SAID = "sessions.said"
STEPS = {"10 minutes": 600, "1 hour": 3_600, "6 hours": 21_600, "1 day": 86_400, "7 days": 604_800}


def say_what_was_done() -> None:
    """Tell of a write in the run after it: what the dialog's own run draws goes away with the dialog."""
    if said := st.session_state.pop(SAID, ""):
        st.toast(markdown(said), icon=":material/check:")


def actions(target: Target, format_: Format, session: Session) -> None:
    """Draw the buttons: export for every format, changes for the formats that are changed from here."""
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "JSON",
            lambda: formats.to_json(session).encode(),
            mime="application/json",
            file_name=f"{line(_file_name(session), 120)}.json",
            icon=":material/download:",
            on_click="ignore",
            key="sessions.json",
            type="tertiary",
        )
        st.download_button(
            "CSV",
            lambda: exports.to_csv(pd.DataFrame(turn_rows(session.turns, session.earlier + 1))),
            mime="text/csv",
            file_name=f"{line(_file_name(session), 120)}.csv",
            icon=":material/table:",
            on_click="ignore",
            key="sessions.csv",
            type="tertiary",
            help="A line a turn. JSON has everything.",
        )
        if not target.writable:
            return
        if not powers(format_).writes:
            st.caption(
                ":material/edit_off: read only", help=f"Sessions stored so are not changed here. {WRITABLE}"
            )
            return
        never = session.ttl_s is None
        if st.button(
            "Extend", icon=":material/more_time:", disabled=never, key="sessions.extend", type="tertiary"
        ):
            _extend(target, session)
        if st.button(
            "Persist",
            icon=":material/all_inclusive:",
            disabled=never,
            key="sessions.persist",
            type="tertiary",
        ):
            _persist(target, session)
        if st.button("Delete", icon=":material/delete:", key="sessions.delete", type="tertiary"):
            _delete(target, session)


@st.dialog("Extend this session's life", icon=":material/more_time:")
def _extend(target: Target, session: Session) -> None:
    _name(target, session)
    chosen = st.segmented_control("By", list(STEPS), default="1 hour", required=True, key="sessions.by")
    if _confirmed("Extend"):
        _do(lambda: store.extend_ttl(cached.client(target), session.key, STEPS[str(chosen)]), "Extended")


@st.dialog("Keep this session for good?", icon=":material/all_inclusive:")
def _persist(target: Target, session: Session) -> None:
    _name(target, session)
    st.markdown("Its time to live is taken away: it stays, and takes memory, until somebody deletes it.")
    if _confirmed("Persist"):
        _do(lambda: store.persist(cached.client(target), session.key), "Persisted")


@st.dialog("Delete this session?", icon=":material/delete:")
def _delete(target: Target, session: Session) -> None:
    _name(target, session)
    st.markdown(f"Its {len(session.turns):,} turns are gone for good; there is no undo.")
    if _confirmed("Delete"):
        _do(lambda: store.delete(cached.client(target), session.key), "Deleted")


def change_text(change: Change, done: str) -> str:
    """What a write did, in a line."""
    if change.deleted:
        return f"{done}."
    before, after = (
        "never expired" if change.ttl_before_s is None else duration(change.ttl_before_s),
        "never expires" if change.ttl_after_s is None else duration(change.ttl_after_s),
    )
    return f"{done}: {before} → {after}."


def _name(target: Target, session: Session) -> None:
    st.code(line(session.key, 300), language=None, wrap_lines=True)
    if target.kind == "production":
        st.warning(f"{markdown(target.name)} is a production target.", icon=":material/warning:")


def _confirmed(word: Markdown) -> bool:
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="sessions.cancel"):
            st.rerun()
        deletes = word == "Delete"  # what cannot be undone does not look like the way on
        return st.button(
            f":red[{word}]" if deletes else word,
            type="secondary" if deletes else "primary",
            key="sessions.confirm",
        )


def _do(write: Callable[[], Change], done: str) -> None:
    """Write, tell it, and draw the page anew; an error stays in the dialog."""
    try:
        change = write()
    except MemDBError as exc:
        parts.show_error(exc)
        return
    st.session_state[SAID] = change_text(change, done)
    refresh()
    if change.deleted:
        st.session_state[CLOSE] = True
    st.rerun()


def _file_name(session: Session) -> str:
    """Safe on every system."""
    return "session-" + "".join(c if c.isalnum() or c in "-_" else "-" for c in session.id)[:80]
