"""Names of what the session keeps, and small helpers over it. Keys begin with their page."""

from __future__ import annotations

import secrets
from typing import TypeVar

import streamlit as st

from memdb.display import line

T = TypeVar("T")

INDEX = "index"  # the index chosen in the sidebar, shared by all pages and the URL
REGION = "map.region"  # keys of the documents selected on the map, for the Recall page
MODELS = "models"  # the embedding model chosen in this tab for an index's field, by its widget's key
HISTORY = "search.history"
HISTORY_LENGTH = 50


def keep(name: str, default: T) -> T:
    """The value kept under `name`, set to `default` at first."""
    value: T = st.session_state.setdefault(name, default)
    return value


def reading(name: str) -> int:
    """Tells one reading of the server from the next, as a part of a cached read's key.

    Drawn at random: a counter would begin at 0 in every tab, and each would be shown what another had read.
    """
    return keep(name, secrets.randbits(62))


def read_again(name: str) -> None:
    """From now on `reading` is another: the server is asked anew."""
    st.session_state[name] = secrets.randbits(62)


def index_in_link(name: str) -> str:
    """The name of an index as a link carries it: as the sidebar's box shows it."""
    return line(name)


def dark() -> bool:
    """Whether the browser shows the dark theme."""
    return st.context.theme.type == "dark"
