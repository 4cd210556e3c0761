"""The index over sessions: whether there is one, and where there is none what it would cost."""

from __future__ import annotations

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import bytes_text, markdown
from memdb.errors import MemDBError
from memdb.sessions import indexed, listing
from memdb.sessions.filters import SessionFilter
from memdb.sessions.known import ARTICLE
from memdb.sessions.mapping import Format
from memdb.ui.kit import cached, parts
from memdb.ui.sessions import cached as session_cached
from memdb.ui.sessions.filter_bar import WHOLE


def offer(target: Target, format_: Format, wanted: SessionFilter, used: str) -> None:
    """Below a list that is filtered by user or context: how to have it through an index."""
    if used or not (wanted.user or wanted.context) or not listing.powers(format_).index:
        return
    if not cached.server(target).dialect.searches:
        return
    info = cached.session_index(target, format_)
    if info is not None:
        if not info.build.ready:
            st.caption(
                f":material/construction: Index {markdown(info.name)} is {info.build.fraction:.0%} built."
            )
        elif wanted.partial:
            st.button(
                f"Ask index {markdown(info.name, 60)}: user and context whole",
                icon=":material/bolt:",
                key="sessions.index.use",
                type="tertiary",
                on_click=_whole,
            )
        return
    if format_ != ARTICLE:
        return  # the index on offer is over the article's own prefix
    with st.expander("A search index would answer this at once", icon=":material/bolt:"):
        cost = session_cached.index_cost(target)
        st.markdown(
            f"Index `{indexed.NAME}` over user and context: about **{bytes_text(cost.bytes)}** of the "
            f"server's memory for {cost.sessions:,} sessions. {markdown(cost.how)}"
        )
        parts.copy_as_code(indexed.create_command(), target, indexed.CODE, key="sessions.index.code")
        if target.writable:
            st.button(
                "Create the index",
                icon=":material/add:",
                key="sessions.index.create",
                on_click=_create,
                args=(target,),
            )
        else:
            st.caption(":material/lock: This target is read-only: create it from where you may write.")


def _whole() -> None:
    st.session_state[WHOLE] = True


def _create(target: Target) -> None:
    try:
        indexed.create(cached.client(target))
    except MemDBError as exc:
        st.toast(markdown(str(exc)), icon=":material/error:")
        return
    cached.session_index.clear()
    cached.session_page.clear()
    cached.index_names.clear()
