"""Cached reads of the Sessions page's overview and formats. Pages and sessions are the kit's."""

from __future__ import annotations

import streamlit as st

from memdb.cluster.target import Target
from memdb.errors import BadSettings, EngineError, NotFound
from memdb.sessions import detect, format_file, formats, indexed, listing, usage
from memdb.sessions.detect import Detected
from memdb.sessions.indexed import IndexCost
from memdb.sessions.mapping import Format
from memdb.sessions.stored_vectors import StoredVectors, find
from memdb.sessions.survey import Survey, survey
from memdb.sessions.turns import Turn
from memdb.sessions.usage import TokenUse
from memdb.settings import Settings
from memdb.ui.kit import cached, state

RUN = "sessions.run"  # grows when the server is to be asked again
QUICK = 5_000  # keys of a survey that needs no asking


@st.cache_data(ttl="5m", max_entries=16, show_spinner=False, hash_funcs={Format: repr})
def detected(target: Target, own: tuple[Format, ...], run: int) -> Detected:
    """The formats that are there."""
    return detect.detect(cached.client(target), own)


def formats_there(target: Target) -> tuple[Format, ...]:
    """The formats that sessions of a target have, the most frequent first."""
    try:
        own = format_file.own_formats(Settings.from_env())
    except BadSettings:  # told on the Sessions page
        own = ()
    return tuple(
        detected_format.format for detected_format in detected(target, own, state.reading(RUN)).formats
    )


@st.cache_resource(ttl="5m", max_entries=16, show_spinner=False, hash_funcs={Format: repr})
def stored_vectors(target: Target, format_: Format, run: int) -> StoredVectors | None:
    """Where vectors stand beside the turns of a format's sessions."""
    return find(cached.client(target), format_)


@st.cache_data(ttl="1m", max_entries=8, show_spinner=False, hash_funcs={Format: repr})
def quick_survey(target: Target, format_: Format, run: int) -> Survey:
    """A survey of few keys."""
    return survey(cached.client(target), format_, sample=QUICK)


@st.cache_data(ttl="1m", max_entries=4, show_spinner=False, hash_funcs={Format: repr})
def turns(
    target: Target, format_: Format, names: tuple[str, ...], run: int
) -> list[tuple[str, tuple[Turn, ...], int]]:
    """Id, turns and the number of the first, of sessions by their printable ids; gone ones left out."""
    read = []
    for name in names:
        id_ = formats.typed_id(name)
        try:
            session = listing.open_session(cached.client(target), format_, id_).session
        except (NotFound, EngineError):
            continue  # it expired meanwhile, or is of another type by now
        read.append((id_, session.turns, session.earlier + 1))
    return read


@st.cache_data(ttl="5m", max_entries=8, show_spinner=False, hash_funcs={Turn: repr})
def token_use(turns: tuple[Turn, ...]) -> TokenUse:
    """About how many tokens some turns have."""
    return usage.token_use(turns)


@st.cache_data(ttl="5m", max_entries=8, show_spinner=False)
def index_cost(target: Target) -> IndexCost:
    """What an index over sessions would take."""
    return indexed.cost(cached.client(target))
