"""Search in the sessions of a page by meaning, and memories that say nearly the same, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import line, markdown
from memdb.sessions import formats, stored_vectors
from memdb.sessions.known import MEMORIES
from memdb.sessions.mapping import Format
from memdb.sessions.meaning import ALIKE, Memory, NearTurn, alike, near_turns
from memdb.sessions.statements import READINGS, WORDS
from memdb.sessions.stored_vectors import StoredVectors
from memdb.sessions.summaries import SessionSummary
from memdb.sessions.turns import Turn
from memdb.settings import Settings
from memdb.ui.kit import cached, model, parts, privacy, state
from memdb.ui.sessions import cached as own_cached
from memdb.ui.sessions.cached import RUN
from memdb.ui.sessions.listing import OPEN
from memdb.vectors.distance import Floats

SHOWN = 12
STORED, HERE = "Stored vectors of all sessions", "This page, embedded here"
SEVERAL = 20  # sessions that are opened where several keys make one and have to be looked for


def by_meaning(target: Target, format_: Format, summaries: list[SessionSummary]) -> None:
    """Draw the search; nothing is read or embedded before something is asked."""
    if not summaries:
        return
    with st.expander("Search by meaning", icon=":material/psychology_alt:"), parts.errors_shown(target):
        stored = own_cached.stored_vectors(target, format_, state.reading(RUN))
        where = HERE
        if stored is not None:
            where = st.segmented_control(
                "In", (STORED, HERE), default=STORED, required=True, key="sessions.meaning.in"
            )
        if stored is not None and where == STORED:
            _near_stored(target, format_, stored)
        else:
            question = st.text_input(
                "What is it about?",
                key="sessions.meaning",
                placeholder="a question or some words",
                help="The turns of the sessions of this page are embedded here, by the local model.",
            )
            if question.strip():
                _near(target, format_, summaries, question)
    if format_.name in MEMORIES:
        with st.expander("Memories that are alike", icon=":material/content_copy:"):
            if st.toggle("Compare the memories of this page", key="sessions.alike"):
                with parts.errors_shown(target):
                    _alike(target, format_, summaries)


def _near_stored(target: Target, format_: Format, stored: StoredVectors) -> None:
    """By the vectors stored beside the turns of all sessions: of a question, or of one of those turns."""
    st.caption(markdown(f"{stored.words}."))
    question = st.text_input("What is it about?", key="sessions.meaning", placeholder="a question")
    like = st.text_input(
        "Or like the turn in this key",
        key="sessions.meaning.like",
        placeholder="needs no model",
        help="Its stored vector is what is searched with.",
    )
    client = cached.client(target)
    if like.strip():
        vector = stored_vectors.turn_vector(client, format_, stored, formats.typed_id(like))
    elif question.strip():
        vector = _asked(target, stored, question)
    else:
        return
    near = stored_vectors.near_stored(client, format_, stored, vector, SHOWN)
    if near.turns:
        _table(target, near.turns)
    st.caption(f"{markdown(near.how)} A row opens its session.")


def _asked(target: Target, stored: StoredVectors, question: str) -> Floats:
    if stored.info is not None:
        vectors: Floats = model.choose(target, stored.info, stored.field).ask(question).vectors
        return np.asarray(vectors[0])
    settings = Settings.from_env()
    vector, embedder = stored_vectors.question_vector(cached.client(target), stored, question, settings)
    st.caption(markdown(embedder.leaves))
    return vector


def _near(target: Target, format_: Format, summaries: list[SessionSummary], question: str) -> None:
    opened = opened_turns(target, format_, summaries)
    near = near_turns(opened, question, SHOWN)
    if not near:
        st.caption("None of these sessions holds a text.")
        return
    _table(target, near)
    st.caption(f"Of the newest turns of {len(opened)} sessions of this page. A row opens its session.")


def _table(target: Target, near: Sequence[NearTurn]) -> None:
    frame = pd.DataFrame(
        {
            "cosine": [round(n.cosine, 3) for n in near],
            "turn": pd.array([n.number for n in near], dtype="Int64"),
            "role": [line(n.turn.role, 40) for n in near],
            "text": [line(privacy.text(target, n.turn.content or n.turn.words), 300) for n in near],
            "session": [line(formats.printable_id(n.session), 120) for n in near],
        }
    )

    def choose() -> None:
        rows = st.session_state["sessions.meaning.table"]["selection"]["rows"]
        if rows and rows[0] < len(near):
            st.session_state[OPEN] = formats.printable_id(near[rows[0]].session)

    st.dataframe(
        frame,
        hide_index=True,
        key="sessions.meaning.table",
        on_select=choose,
        selection_mode="single-row",
        column_config={"text": st.column_config.TextColumn(width=360)},
    )


def opened_turns(
    target: Target, format_: Format, summaries: list[SessionSummary]
) -> list[tuple[str, tuple[Turn, ...], int]]:
    """Id, turns and the number of the first of them, of sessions of a page; those that went are left out."""
    chosen = summaries[:SEVERAL] if format_.several else summaries
    names = tuple(formats.printable_id(row.id) for row in chosen)
    return own_cached.turns(target, format_, names, state.keep(RUN, 0))


def _alike(target: Target, format_: Format, summaries: list[SessionSummary]) -> None:
    rows = {row.id: row for row in summaries}
    memories = [
        Memory(id_, rows[id_].user_id, turns[0].content, rows[id_].created)
        for id_, turns, _ in opened_turns(target, format_, summaries)
        if turns
    ]
    pairs = alike(memories)
    if not pairs:
        st.caption(f"No two memories of a user have a cosine of {ALIKE} or more, or most words in common.")
        return
    frame = pd.DataFrame(
        {
            "reading": [pair.reading for pair in pairs],
            "cosine": [round(pair.cosine, 3) for pair in pairs],
            "user": [line(privacy.text(target, pair.earlier.user), 60) for pair in pairs],
            "earlier": [line(privacy.text(target, pair.earlier.text), 200) for pair in pairs],
            "later": [line(privacy.text(target, pair.later.text), 200) for pair in pairs],
            "only earlier": [line(privacy.text(target, pair.only_earlier), 80) for pair in pairs],
            "only later": [line(privacy.text(target, pair.only_later), 80) for pair in pairs],
        }
    )
    st.dataframe(frame, hide_index=True)
    readings = {pair.reading for pair in pairs}
    st.caption(
        "Told by their words. " + " ".join(f"{name}: {WORDS[name]}." for name in READINGS if name in readings)
    )
    parts.export(frame, "memories-alike", {"target": target.address}, key="sessions.alike.export")
