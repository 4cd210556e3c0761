"""A session's turns as a path over the map, and users' preferences as marks on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from memdb.display import labels, markdown
from memdb.errors import MemDBError
from memdb.maps import layout
from memdb.sessions import formats
from memdb.sessions.filters import SessionFilter
from memdb.sessions.known import ARTICLE
from memdb.ui.kit import cached, model, parts, privacy
from memdb.ui.kit.model import ModelChoice
from memdb.ui.map.shown import MapView
from memdb.vectors.distance import Floats, prepared

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


def choose(shown: MapView) -> Path:
    """Widgets in a popover; what they chose, placed on the map without laying out again."""
    with st.popover("Sessions", icon=":material/route:", width="stretch"):
        chosen_model = model.current(shown.target, shown.info, shown.made.request.field)
        if chosen_model.choice is None:
            st.caption(
                "Nothing says which model made these vectors, so that turns have no place here. Choose one "
                "where a question is asked."
            )
            return Path()
        st.caption(
            f"Turns are embedded as questions are. {markdown(cached.embedder(chosen_model.choice).leaves)}"
        )
        listed, _ = cached.session_page(shown.target, ARTICLE, SessionFilter(), "", 50, 0)
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
            session = _turns(shown, chosen_model, chosen)
    if with_users:
        names = sorted({s.user_id for s in listed.sessions if s.user_id and s.user_id.isprintable()})[:USERS]
        users = _users(shown, names)
    return Path(session, users)


def _turns(shown: MapView, chosen: ModelChoice, session_id: str) -> Turns | None:
    session = cached.session(shown.target, ARTICLE, session_id.strip(), 0).session
    texts = [t.content for t in session.turns if t.role.lower() in ("user", "human") and t.content.strip()][
        -TURNS:
    ]
    points = shown.vectors
    if not texts or points is None:
        st.caption("This session holds nothing that a user said.")
        return None
    vectors = prepared(chosen.ask(*texts).vectors, shown.made.metric)
    told = tuple(privacy.text(shown.target, text) for text in texts)
    return Turns(session_id, told, layout.place(vectors, points, shown.made.xy, shown.made.metric))


def _users(shown: MapView, names: list[str]) -> Users | None:
    points = shown.vectors
    if points is None:
        return None
    preferences: list[tuple[str, Floats]] = []
    for name in names:
        try:
            record = cached.user_record(shown.target, formats.printable_id(name), 0)
        except MemDBError:
            continue  # a user without a record has no preference to show
        if record.vector is not None and record.vector.shape == points.shape[1:]:
            preferences.append((name, record.vector))
    if not preferences:
        st.caption("None of the first users found has a preference vector.")
        return None
    vectors = prepared(np.stack([vector for _, vector in preferences]), shown.made.metric)
    return Users(
        tuple(n for n, _ in preferences), layout.place(vectors, points, shown.made.xy, shown.made.metric)
    )
