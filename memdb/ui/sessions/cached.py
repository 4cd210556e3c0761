"""Cached reads of the Sessions page's other views."""

from __future__ import annotations

import time

import streamlit as st

from memdb.cluster.target import Target
from memdb.errors import BadFilter
from memdb.sessions import browse, detect, formats, indexed
from memdb.sessions.browse import Opened
from memdb.sessions.detect import Detected
from memdb.sessions.filters import SessionFilter
from memdb.sessions.indexed import Cost
from memdb.sessions.mapping import Format
from memdb.sessions.store import SessionPage
from memdb.sessions.survey import Survey, survey
from memdb.ui.kit import cached
from memdb.vectors.index import IndexInfo

QUICK = 5_000  # keys of a survey that needs no asking


@st.cache_data(ttl="5m", max_entries=16, show_spinner=False, hash_funcs={Format: repr})
def detected(target: Target, own: tuple[Format, ...], run: int) -> Detected:
    """The formats that are there."""
    return detect.detect(cached.client(target), own)


@st.cache_data(ttl="30m", max_entries=64, show_spinner=False, hash_funcs={Format: repr})
def format_page(
    target: Target, format_: Format, cursor: str, size: int, run: int
) -> tuple[SessionPage, float]:
    """A page of another format's sessions, and when it was read."""
    return browse.page(cached.client(target), format_, cursor, size=size), time.time()


@st.cache_data(ttl="1m", max_entries=4, show_spinner=False, hash_funcs={Format: repr})
def format_session(target: Target, format_: Format, printable_id: str, run: int) -> Opened:
    """A session of another format; its id as `formats.printable_id` writes it."""
    return browse.open_session(cached.client(target), format_, formats.typed_id(printable_id))


@st.cache_data(ttl="1m", max_entries=8, show_spinner=False, hash_funcs={Format: repr})
def quick_survey(target: Target, format_: Format, run: int) -> Survey:
    """A survey of few keys."""
    return survey(cached.client(target), format_, sample=QUICK)


@st.cache_data(ttl="15s", max_entries=8, show_spinner=False)
def session_index(target: Target) -> IndexInfo | None:
    """An index over sessions, where there is one."""
    return indexed.find(cached.client(target))


@st.cache_data(ttl="5m", max_entries=8, show_spinner=False)
def index_cost(target: Target) -> Cost:
    """What an index over sessions would take."""
    return indexed.cost(cached.client(target))


@st.cache_data(ttl="30m", max_entries=64, show_spinner=False, hash_funcs={SessionFilter: repr})
def session_page(
    target: Target, wanted: SessionFilter, cursor: str, size: int, run: int
) -> tuple[SessionPage, float, str]:
    """A page, when it was read (time.time), and the index that brought it; empty: it was scanned."""
    client, info = cached.client(target), session_index(target) if wanted.user or wanted.context else None
    if info is not None and indexed.serves(info, wanted):
        try:
            return indexed.page(client, info, wanted, cursor, size=size), time.time(), info.name
        except BadFilter:  # a value that queries cannot say; scanning compares it as it is
            pass
    return *cached.session_page(target, wanted, cursor, size, run), ""
