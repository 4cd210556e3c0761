"""The panel's view of what a session used: its tools and how they ended, and about how many tokens."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from memdb.display import bytes_text, line
from memdb.sessions.formats import Session
from memdb.sessions.usage import KEPT, TOKENS_FROM, TokenUse, tool_use
from memdb.ui.kit import parts
from memdb.ui.sessions import cached

PANE = 480  # height in pixels


def usage(session: Session) -> None:
    """Draw it."""
    with st.container(height=PANE, border=True):
        if session.earlier:
            st.caption(f"Of the newest {len(session.turns):,} of {session.total:,} turns.")
        _tools(session)
        st.markdown("**Tokens**")
        _tokens(cached.token_use(session.turns), len(session.turns))


def _tools(session: Session) -> None:
    st.markdown("**Tools**")
    uses = tool_use(session.turns, session.earlier + 1)
    if not uses:
        st.caption("No tool was called.")
        return
    frame = pd.DataFrame(
        {
            "tool": [line(use.name, 80) or "not named" for use in uses],
            "calls": [use.calls for use in uses],
            "answered": [use.answered for use in uses],
            "failed": [use.failed for use in uses],
            "no result": [use.open for use in uses],
            "failed in turn": [", ".join(map(str, use.failed_at[:20])) for use in uses],
        }
    )
    st.dataframe(frame, hide_index=True, placeholder="–")
    parts.export(frame, "session-tools", {"session": line(session.key)}, key="sessions.tools.export")


def _tokens(use: TokenUse, turns: int) -> None:
    st.markdown(f"About **{use.tokens:,}** tokens, {TOKENS_FROM}.")
    frame = pd.DataFrame(
        [(line(role, 60) or "no role", count, tokens) for role, count, tokens in use.by_role],
        columns=["role", "turns", "tokens, about"],
    )
    if len(frame):
        st.dataframe(frame, hide_index=True)
    if turns > KEPT:
        st.caption(
            f"A history of its last {KEPT} turns would have about {use.kept_tokens:,} tokens, and free about "
            f"{bytes_text(use.dropped_bytes)} of text."
        )
