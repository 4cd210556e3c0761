"""Which view of which sessions: the row above the Sessions page."""

from __future__ import annotations

from typing import Literal, cast, get_args

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import labels, markdown
from memdb.errors import BadSettings
from memdb.sessions import format_file, known
from memdb.sessions.detect import Detected
from memdb.sessions.known import ARTICLE
from memdb.sessions.mapping import Format
from memdb.settings import Settings
from memdb.ui.kit import parts, privacy, state
from memdb.ui.sessions import cached
from memdb.ui.sessions.cached import RUN
from memdb.ui.sessions.listing import OPEN

View = Literal["Sessions", "Overview", "Change many", "Formats"]
VIEWS: tuple[View, ...] = get_args(View)
VIEW, FORMAT = "sessions.show", "sessions.format"


def row(target: Target) -> tuple[View, Format, Detected]:
    """Draw the row; returns the view, the format, and what formats there are."""
    own = own_formats()
    detected = cached.detected(target, own, state.reading(RUN))
    counts = {f.format.token: f.keys for f in detected.formats}
    offered = {f.format.token: f.format for f in detected.formats}
    offered.setdefault(ARTICLE.token, ARTICLE)
    offered |= {f.token: f for f in own}
    format_token = str(st.session_state.get(FORMAT) or st.query_params.get(FORMAT) or "")
    if format_token not in offered and (named := known.of_token(format_token, own)) is not None:
        offered[format_token] = named
    usual = ARTICLE.token if ARTICLE.token in counts or not counts else next(iter(counts))
    tokens = sorted(offered, key=lambda t: (t != usual, -counts.get(t, 0), t))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        view = cast("View", parts.view_choice(VIEWS, key=VIEW))
        st.space("stretch")
        token = st.selectbox(
            "Stored as",
            tokens,
            format_func=labels(tokens),
            key=FORMAT,
            bind="query-params",
            width=400,
            on_change=_another,
            help="Formats are recognised by what some of the values hold; *Formats* lists all.",
        )
    number = counts.get(token)
    about = "" if detected.whole else "about "
    keys = "key" if number == 1 else "keys"
    sentence = (
        f"{about}{number:,} {keys} of this format" if number is not None else "no key of this format was seen"
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        privacy.switch(target)
        st.caption(f"{sentence[0].upper()}{sentence[1:]}. {markdown(detected.words)}", text_alignment="right")
    return view, offered[token], detected


def own_formats() -> tuple[Format, ...]:
    """The formats of the settings; where they cannot be read, the reason is shown."""
    try:
        return format_file.own_formats(Settings.from_env())
    except BadSettings as exc:
        parts.show_error(exc)
        return ()


def _another() -> None:
    """Another format: nothing of the one before is open."""
    st.session_state[OPEN] = ""
