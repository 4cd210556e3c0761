"""The Assistant page put together: who asks on the left, the conversation on the right."""

from __future__ import annotations

import streamlit as st

from memdb.cluster.target import Target
from memdb.ui import frame
from memdb.ui.assistant import chat, form
from memdb.vectors.index import IndexInfo


def draw(target: Target) -> None:
    """Questions to the index chosen in the sidebar."""
    frame.on_index(target, _draw)


def _draw(target: Target, info: IndexInfo) -> None:
    left, right = st.columns([1, 2.4], gap="medium")
    with left:
        choice = form.form(target, info)
    with right:
        chat.chat(target, info, choice)
