"""A session's turns as a path over the map, and users' preferences as marks on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from memdb.display import labels, markdown
from memdb.errors import MemDBError, NotAllowed
from memdb.maps import layout
from memdb.sessions import formats
from memdb.sessions.filters import SessionFilter
from memdb.sessions.known import ARTICLE
from memdb.sessions.mapping import Format
from memdb.sessions.roles import side
from memdb.ui.kit import cached, model, parts, privacy
from memdb.ui.kit.model import ModelChoice
from memdb.ui.map.shown import MapView
from memdb.ui.sessions import formats_there, stored_vectors
from memdb.vectors.distance import Floats, prepared
from memdb.vectors.read import vectors_of

TURNS = 40
USERS = 40


@dataclass(frozen=True, slots=True, eq=False)
class Turns:
    """A session on the map."""

    name: str
    texts: tuple[str, ...]
    places: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Users:
    """Users on the map."""

    names: tuple[str, ...]
    places: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """What is drawn besides the documents."""

    session: Turns | None = None
    users: Users | None = None


def choose(map_view: MapView) -> Path:
    """Widgets in a popover; what they chose, placed on the map without laying out again."""
    with st.popover("Sessions", icon=":material/route:", width="stretch"):
        chosen_model = model.current(map_view.target, map_view.info, map_view.made.request.field)
        try:
            format_ = _format(map_view)
            listed, _ = cached.session_page(map_view.target, format_, SessionFilter(), "", 50, 0)
        except NotAllowed as exc:  # the map itself needs none of it
            st.caption(f":material/lock: {markdown(str(exc), 300)}")
            return Path()
        here = _stored_here(map_view, format_)
        if here:
            st.caption("These turns are documents of this index: each stands where its stored vector is.")
        elif chosen_model.choice is None:
            st.caption(
                "Nothing says which model made these vectors, so that turns have no place here. Choose one "
                "where a question is asked."
            )
            return Path()
        else:
            leaves = cached.embedder(chosen_model.choice).leaves
            st.caption(f"Turns are embedded as questions are. {markdown(leaves)}")
        ids = [formats.printable_id(s.id) for s in listed.sessions if s.turns]
        linked = st.session_state.get("map.session") or st.query_params.get("map.session")
        offered = [*ids, *([linked] if linked and linked not in ids else [])]
        chosen = st.selectbox(
            "Path of a session",
            offered,
            format_func=labels(offered),
            index=None,
            key="map.session",
            bind="query-params",
            accept_new_options=True,
            placeholder="a session's id",
            help="What the user said, turn by turn, each where its embedding belongs.",
        )
        with_users = st.toggle("Users' preferences", key="map.users", bind="query-params")
    session, users = None, None
    if chosen:
        with parts.errors_shown():
            session = (
                _stored(map_view, format_, chosen)
                if here
                else _turns(map_view, format_, chosen_model, chosen)
            )
    if with_users:
        names = sorted({s.user_id for s in listed.sessions if s.user_id and s.user_id.isprintable()})[:USERS]
        users = _users(map_view, names)
    return Path(session, users)


def _format(map_view: MapView) -> Format:
    """How the sessions are stored: the article's where there are such, else what there is most of."""
    there = formats_there(map_view.target) or (ARTICLE,)
    tokens = [format_.token for format_ in there]
    if len(tokens) == 1:
        return there[0]
    usual = tokens.index(ARTICLE.token) if ARTICLE.token in tokens else 0
    token = st.selectbox(
        "Stored as",
        tokens,
        index=usual,
        format_func=labels(tokens),
        key="map.session.format",
        bind="query-params",
        on_change=lambda: st.session_state.pop("map.session", None),
    )
    return next((format_ for format_ in there if format_.token == token), there[usual])


def _stored_here(map_view: MapView, format_: Format) -> bool:
    """Whether the turns of a format are documents of the map's index, and have their places already."""
    stored = stored_vectors(map_view.target, format_, 0)
    field = map_view.info.vector_field(map_view.made.request.field)[0].name
    return (
        stored is not None
        and stored.info is not None
        and (stored.info.name, stored.field)
        == (
            map_view.info.name,
            field,
        )
    )


def _stored(map_view: MapView, format_: Format, session_id: str) -> Turns | None:
    """The turns of a session by the vectors stored beside them."""
    opened = cached.session(map_view.target, format_, session_id.strip(), 0)
    points = map_view.vectors
    field = map_view.info.vector_field(map_view.made.request.field)[0].name
    keys = opened.keys[-TURNS:]
    block = vectors_of(cached.client(map_view.target), map_view.info, field, keys)
    if block is None or points is None or len(opened.keys) != len(opened.session.turns):
        st.caption("No turn of this session has a stored vector.")
        return None
    block = block.single()
    turn_of = dict(zip(keys, opened.session.turns[-TURNS:], strict=True))
    lines = tuple(privacy.text(map_view.target, turn_of[key].line) for key in block.keys)
    vectors = prepared(np.asarray(block.vectors, dtype=np.float32), map_view.made.metric)
    return Turns(session_id, lines, layout.place(vectors, points, map_view.made.xy, map_view.made.metric))


def _turns(map_view: MapView, format_: Format, chosen: ModelChoice, session_id: str) -> Turns | None:
    session = cached.session(map_view.target, format_, session_id.strip(), 0).session
    texts = [
        t.content
        for t in session.turns
        if (side(t.role) == "user" or t.role == "memory") and t.content.strip()
    ][-TURNS:]
    points = map_view.vectors
    if not texts or points is None:
        st.caption("This session holds nothing that a user said.")
        return None
    vectors = prepared(chosen.ask(*texts).vectors, map_view.made.metric)
    shown_texts = tuple(privacy.text(map_view.target, text) for text in texts)
    return Turns(
        session_id, shown_texts, layout.place(vectors, points, map_view.made.xy, map_view.made.metric)
    )


def _users(map_view: MapView, names: list[str]) -> Users | None:
    points = map_view.vectors
    if points is None:
        return None
    preferences: list[tuple[str, Floats]] = []
    for name in names:
        try:
            record = cached.user_record(map_view.target, formats.printable_id(name), 0)
        except MemDBError:
            continue  # a user without a record has no preference to show
        if record.vector is not None and record.vector.shape == points.shape[1:]:
            preferences.append((name, record.vector))
    if not preferences:
        st.caption("None of the first users found has a preference vector.")
        return None
    vectors = prepared(np.stack([vector for _, vector in preferences]), map_view.made.metric)
    return Users(
        tuple(n for n, _ in preferences),
        layout.place(vectors, points, map_view.made.xy, map_view.made.metric),
    )
