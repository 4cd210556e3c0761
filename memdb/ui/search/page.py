"""The Search page put together: the form on the left, the answer on the right."""

from __future__ import annotations

import streamlit as st

from memdb.cluster.target import Target
from memdb.ui import frame
from memdb.ui.search import form, views, words
from memdb.vectors.index import IndexInfo


def draw(target: Target) -> None:
    """A search of the index chosen in the sidebar."""
    frame.on_index(target, _draw)


def _draw(target: Target, info: IndexInfo) -> None:
    left, right = st.columns([1, 2.4], gap="medium")
    with left:
        choice = form.form(target, info)
    with right:
        if isinstance(choice, form.SearchChoice) and choice.way != "vectors":
            words.results(target, info, choice)
        elif isinstance(choice, form.SearchChoice):
            views.results(target, info, choice)
        else:
            form.invitation(target, info, choice)
