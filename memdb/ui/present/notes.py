"""The second window: what the speaker says, what comes next, the time; it follows, and leads on as well."""

from __future__ import annotations

import time

import streamlit as st

from memdb.display import duration, markdown
from memdb.ui.kit import parts
from memdb.ui.present import cached
from memdb.ui.present.steps import MINUTES, STEPS


def draw(show_id: str) -> None:
    """The notes of the presentation that another window shows."""
    if cached.shows().known(show_id) is None:
        parts.empty(
            "This presentation is not known",
            "Open Present, and choose Notes there: the link is of one presentation.",
            ":material/speaker_notes_off:",
        )
        return
    _notes(show_id)


@st.fragment(run_every="1s")
def _notes(show_id: str) -> None:
    show = cached.shows().open(show_id)
    place = show.place if show.wanted is None else show.wanted
    step, last = STEPS[place], len(STEPS) - 1
    spent = time.monotonic() - show.began
    st.caption(f"{int(place) + 1} of {len(STEPS)} · {duration(spent)} of {MINUTES} min")
    st.header(markdown(step.title))
    for text in step.notes:
        st.markdown(f"- {markdown(text)}")
    if place < last:
        st.caption(f"Next: {markdown(STEPS[place + 1].title)}")
    with st.container(horizontal=True):
        _lead(show_id, "Back", "Left", place - 1, place > 0, ":material/arrow_back:")
        _lead(show_id, "Next", "Right", place + 1, place < last, ":material/arrow_forward:")


def _lead(show_id: str, label: str, key_name: str, place: int, able: bool, icon: str) -> None:
    st.button(
        markdown(label),
        icon=icon,
        shortcut=key_name,
        disabled=not able,
        key=f"present.notes.{label}",
        on_click=_wish,
        args=(show_id, place),
    )


def _wish(show_id: str, place: int) -> None:
    cached.shows().open(show_id).wanted = place
