"""Names of what the session keeps, and small helpers over it. Keys begin with their page."""

from __future__ import annotations

from typing import TypeVar

import streamlit as st

from memdb.display import line

T = TypeVar("T")

INDEX = "index"  # the index chosen in the sidebar, shared by all pages and the URL
REGION = "map.region"  # keys of the documents selected on the map, for the Recall page
HISTORY = "search.history"
HISTORY_LENGTH = 50


def keep(name: str, default: T) -> T:
    """The value kept under `name`, set to `default` at first."""
    value: T = st.session_state.setdefault(name, default)
    return value


def index_in_link(name: str) -> str:
    """The name of an index as a link carries it: as the sidebar's box shows it."""
    return line(name)


def dark() -> bool:
    """Whether the browser shows the dark theme."""
    return st.context.theme.type == "dark"
