"""The panel's view of what a session used: its tools and how they ended, and about how many tokens."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import bytes_text, line
from memdb.sessions.formats import Session
from memdb.sessions.mapping import Format
from memdb.sessions.summaries import SessionSummary
from memdb.sessions.usage import KEPT, TOKENS_FROM, TokenUse, ToolUse, together, tool_use, trimmed_bytes
from memdb.ui.kit import parts
from memdb.ui.sessions import cached
from memdb.ui.sessions.meaning import opened_turns

PANE = 480  # height in pixels


def usage(session: Session) -> None:
    """Draw it."""
    with st.container(height=PANE, border=True):
        if session.earlier:
            st.caption(f"Of the newest {len(session.turns):,} of {session.total:,} turns.")
        _tools(tool_use(session.turns, session.earlier + 1), session.key)
        st.markdown("**Tokens**")
        _tokens(cached.token_use(session.turns), session)


def of_page(target: Target, format_: Format, summaries: list[SessionSummary]) -> None:
    """The same of all sessions of a page; nothing is read before it is switched on."""
    if not summaries:
        return
    with st.expander("Tools and tokens of this page", icon=":material/build:"):
        if not st.toggle("Count them", key="sessions.page_usage"):
            return
        with parts.errors_shown(target):
            opened = opened_turns(target, format_, summaries)
            _tools(together(tool_use(turns) for _, turns, _ in opened), "the sessions of a page")
            uses = [cached.token_use(turns) for _, turns, _ in opened]
            tokens = sum(use.tokens for use in uses)
            st.markdown(f"About **{tokens:,}** tokens in {len(opened):,} sessions, {TOKENS_FROM}.")
            kept_tokens = sum(use.kept_tokens for use in uses)
            if kept_tokens < tokens:
                st.caption(f"Histories of the last {KEPT} turns would have about {kept_tokens:,} tokens.")


def _tools(uses: Sequence[ToolUse], unit: str) -> None:
    st.markdown("**Tools**")
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
    if not any(use.failed_at for use in uses):
        frame = frame.drop(columns="failed in turn")
    st.dataframe(frame, hide_index=True, placeholder="–")
    parts.export(frame, "session-tools", {"of": line(unit)}, key=f"sessions.tools.export.{unit}")


def _tokens(use: TokenUse, session: Session) -> None:
    st.markdown(f"About **{use.tokens:,}** tokens, {TOKENS_FROM}.")
    frame = pd.DataFrame(
        [(line(role, 60) or "no role", count, tokens) for role, count, tokens in use.by_role],
        columns=["role", "turns", "tokens, about"],
    )
    if len(frame):
        st.dataframe(frame, hide_index=True)
    if session.total > KEPT:
        freed = trimmed_bytes(session)
        whole = bytes_text(session.size_bytes or 0)
        memory = (
            "" if freed is None else f", and free about {bytes_text(freed)} of {whole} in memory, estimated"
        )
        st.caption(f"A history of its last {KEPT} turns would have about {use.kept_tokens:,} tokens{memory}.")
