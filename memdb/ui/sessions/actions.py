"""What may be done with a session: export, and where writes are allowed extend, persist, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from memdb import export as exports
from memdb.cluster.client import Client
from memdb.cluster.target import Target
from memdb.display import Markdown, duration, line, markdown
from memdb.errors import MemDBError
from memdb.sessions import formats, store
from memdb.sessions.formats import Session
from memdb.sessions.listing import powers
from memdb.sessions.mapping import TYPES, Format
from memdb.sessions.store import Change
from memdb.sessions.strategy import SHARED, Opened
from memdb.sessions.turns import turn_rows
from memdb.ui.kit import cached, parts
from memdb.ui.sessions.listing import CLOSE, refresh

SAID = "sessions.said"
STEPS = {"10 minutes": 600, "1 hour": 3_600, "6 hours": 21_600, "1 day": 86_400, "7 days": 604_800}


@dataclass(frozen=True, slots=True)
class Writing:
    """A session that may be changed."""

    target: Target
    format: Format
    opened: Opened

    @property
    def client(self) -> Client:
        """Of its target."""
        return cached.client(self.target)

    @property
    def keys(self) -> tuple[str, ...]:
        """All its keys."""
        return self.opened.written

    @property
    def kind(self) -> str:
        """What the engine calls the kind of its keys."""
        return TYPES[self.format.stored]


def say_what_was_done() -> None:
    """Tell of a write in the run after it: what the dialog's own run draws goes away with the dialog."""
    if sentence := st.session_state.pop(SAID, ""):
        st.toast(markdown(sentence), icon=":material/check:")


def actions(
    target: Target, format_: Format, opened: Opened, session: Session, whole: Callable[[], Session]
) -> None:
    """Draw the buttons: exports, and where writes are allowed changes.

    Args:
        target: where it lies.
        format_: of the session.
        opened: as it was read.
        session: as this visitor may see it.
        whole: reads the session with all its turns, as this visitor may see it; for an export.
    """
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "JSON",
            lambda: formats.to_json(whole()).encode(),
            mime="application/json",
            file_name=f"{line(_file_name(session), 120)}.json",
            icon=":material/download:",
            on_click="ignore",
            key="sessions.json",
            type="tertiary",
        )
        st.download_button(
            "CSV",
            lambda: _csv(whole()),
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
                ":material/edit_off: read only", help=f"Sessions stored so are not changed here. {SHARED}"
            )
            return
        if not opened.complete:
            st.caption(
                ":material/edit_off: read only",
                help="Not all keys of the server were looked at: some of this session's may be missing.",
            )
            return
        never = session.ttl_s is None
        change = Writing(target, format_, opened)
        if st.button(
            "Extend", icon=":material/more_time:", disabled=never, key="sessions.extend", type="tertiary"
        ):
            _extend(change)
        if st.button(
            "Persist",
            icon=":material/all_inclusive:",
            disabled=never,
            key="sessions.persist",
            type="tertiary",
        ):
            _persist(change)
        if st.button("Delete", icon=":material/delete:", key="sessions.delete", type="tertiary"):
            _delete(change)


@st.dialog("Extend this session's life", icon=":material/more_time:")
def _extend(change: Writing) -> None:
    _name(change)
    chosen = st.segmented_control("By", list(STEPS), default="1 hour", required=True, key="sessions.by")
    if _confirmed("Extend"):
        _do(lambda: store.extend_ttl(change.client, change.keys, STEPS[str(chosen)], change.kind), "Extended")


@st.dialog("Keep this session for good?", icon=":material/all_inclusive:")
def _persist(change: Writing) -> None:
    _name(change)
    st.markdown("Its time to live is taken away: it stays, and takes memory, until somebody deletes it.")
    if _confirmed("Persist"):
        _do(lambda: store.persist(change.client, change.keys, change.kind), "Persisted")


@st.dialog("Delete this session?", icon=":material/delete:")
def _delete(change: Writing) -> None:
    _name(change)
    turns = change.opened.session.total
    st.markdown(f"Its {turns:,} turns are gone for good; there is no undo.")
    if _confirmed("Delete"):
        _do(lambda: store.delete(change.client, change.keys, change.kind), "Deleted")


def change_text(change: Change, sentence: str) -> str:
    """What a write did, in a line."""
    if change.deleted:
        return f"{sentence}."
    before, after = (
        "never expired" if change.ttl_before_s is None else duration(change.ttl_before_s),
        "never expires" if change.ttl_after_s is None else duration(change.ttl_after_s),
    )
    return f"{sentence}: {before} → {after}."


def _name(change: Writing) -> None:
    st.code(line(change.opened.session.key, 300), language=None, wrap_lines=True)
    if len(change.keys) > 1:
        st.caption(
            f":material/key: {len(change.keys):,} keys hold this session. What the framework keeps of it "
            "under other names is left as it is."
        )
    if change.target.kind == "production":
        st.warning(f"{markdown(change.target.name)} is a production target.", icon=":material/warning:")


def _csv(session: Session) -> bytes:
    return exports.to_csv(pd.DataFrame(turn_rows(session.turns, session.earlier + 1)))


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


def _do(write: Callable[[], Change], sentence: str) -> None:
    """Write, tell it, and draw the page anew; an error stays in the dialog."""
    try:
        change = write()
    except MemDBError as exc:
        parts.show_error(exc)
        return
    st.session_state[SAID] = change_text(change, sentence)
    refresh()
    if change.deleted:
        st.session_state[CLOSE] = True
    st.rerun()


def _file_name(session: Session) -> str:
    """Safe on every system."""
    return "session-" + "".join(c if c.isalnum() or c in "-_" else "-" for c in session.id)[:80]
