"""The presentation put together: one step fills the window; keys, clicker and the notes' window lead on."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import line, markdown
from memdb.errors import MemDBError
from memdb.numerals import whole_number
from memdb.ui import frame
from memdb.ui.kit import parts
from memdb.ui.present import cached, notes
from memdb.ui.present.scene import opened
from memdb.ui.present.steps import MINUTES, STEPS

LOOK = Path(__file__).with_name("present.css")
SHOW = "present.show"
# A clicker sends the keys of a book; the others are those a hand finds.
_ON, _BACK = ("PageDown", "Down"), ("PageUp", "Up")


def draw(target: Target) -> None:
    """The step of the link, or the notes of a presentation that another window shows."""
    wanted = str(st.query_params.get("notes", ""))
    if wanted:
        notes.draw(wanted)
        return
    st.html(LOOK)
    show_id = st.session_state.setdefault(SHOW, secrets.token_urlsafe(6))
    show, place = cached.shows().open(show_id), _place()
    show.place = place
    step = STEPS[place]
    st.header(markdown(step.title))
    st.markdown(step.story)
    with st.container(key="present-stage"):  # one block: what comes after it keeps its place
        try:
            step.draw(opened(target))
        except MemDBError as exc:
            parts.show_error(exc)
            st.caption("This step cannot be shown now. Go on with →.")
    _controls(place, show_id)


def _controls(place: int, show_id: str) -> None:
    last = len(STEPS) - 1
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="present-controls"):
        _key("Back", "Left", place - 1, place > 0, key="present.back", icon=":material/arrow_back:")
        _key("Next", "Right", place + 1, place < last, key="present.next", icon=":material/arrow_forward:")
        st.caption(
            f"{place + 1} of {len(STEPS)} · {' · '.join(_named(i, place) for i in range(len(STEPS)))}",
            width="stretch",
        )
        _clock(show_id)
        st.link_button(
            "Notes",
            f"?notes={line(show_id)}",
            icon=":material/speaker_notes:",
            type="tertiary",
            shortcut="N",
            key="present.notes",
            help="Notes for the speaker, in a second window. It leads on as well.",
        )
        st.page_link(frame.link("home"), label="Leave", icon=":material/close:")
    with st.container(key="present-keys"):  # not shown: keys beside those of the two buttons
        for i, name in enumerate(_ON):
            _key("On", name, place + 1, place < last, key=f"present.on.{i}")
        for i, name in enumerate(_BACK):
            _key("Before", name, place - 1, place > 0, key=f"present.before.{i}")


def _named(step: int, place: int) -> str:
    name = markdown(STEPS[step].short)
    return f"**{name}**" if step == place else name


def _key(label: str, key_name: str, place: int, able: bool, *, key: str, icon: str | None = None) -> None:
    st.button(
        markdown(label),
        icon=icon,
        shortcut=key_name,
        key=key,
        disabled=not able,
        on_click=_go,
        args=(place,),
    )


@st.fragment(run_every="1s")
def _clock(show_id: str) -> None:
    """How long it has taken; goes where the notes' window wants to go."""
    show = cached.shows().open(show_id)
    wanted, show.wanted = show.wanted, None
    if wanted is not None and wanted != show.place:
        _go(wanted)
        st.rerun()
    minutes = (time.monotonic() - show.began) / 60
    st.caption(f"{minutes:.0f} of {MINUTES} min", width="content")


def _place() -> int:
    """The step, from 0; a link that names none of them begins at the first."""
    step = str(st.query_params.get("step", "1"))
    return min(max(whole_number(step) or 1, 1), len(STEPS)) - 1


def _go(place: int) -> None:
    st.query_params["step"] = str(min(max(place, 0), len(STEPS) - 1) + 1)
