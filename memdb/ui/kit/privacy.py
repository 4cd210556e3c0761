"""Whether personal data is hidden in what a visitor is shown, and exports; the switch stands on Sessions."""

from __future__ import annotations

import streamlit as st

from memdb.cluster.target import Target
from memdb.sessions.formats import Session
from memdb.sessions.redact import hidden, hidden_session, hidden_turn
from memdb.sessions.turns import Turn
from memdb.ui.kit import access


def hiding(target: Target) -> bool:
    """Whether it is hidden: as switched, else where a production target is shown beyond this machine."""
    return bool(
        st.session_state.get(_kept(target), target.kind == "production" and not access.on_this_machine())
    )


def switch(target: Target) -> None:
    """Draw the switch."""
    is_on = st.toggle(
        "Hide personal data",
        value=hiding(target),
        key=f"{_kept(target)}.shown",
        help="E-mail addresses, card and telephone numbers, IBANs, IP addresses, keys. Names and postal "
        "addresses are not recognised. Exports follow.",
    )
    st.session_state[_kept(target)] = is_on


def session(target: Target, stored: Session) -> Session:
    """A session as this visitor may see it."""
    return hidden_session(stored) if hiding(target) else stored


def turn(target: Target, stored: Turn) -> Turn:
    """A turn as this visitor may see it."""
    return hidden_turn(stored) if hiding(target) else stored


def text(target: Target, stored: str) -> str:
    """A text as this visitor may see it."""
    return hidden(stored) if hiding(target) else stored


def _kept(target: Target) -> str:
    return f"privacy.{target.kind}.{target.name}"
