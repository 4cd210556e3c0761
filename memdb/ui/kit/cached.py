"""Cached reads that families share. Each takes small values, fetches the client itself, and is bounded.

Streamlit's key of a dataclass holds its fields and not its class, so that And(x) and Or(x) would share an
answer: everything that holds a filter is keyed by its repr (docs/decisions/0005-cache-keys.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import streamlit as st

from memdb import embedding
from memdb.cluster.client import Client, Server, connect
from memdb.cluster.overview import Overview
from memdb.cluster.overview import overview as read_overview
from memdb.cluster.reader import Within
from memdb.cluster.target import Target
from memdb.display import is_utf8, line
from memdb.embedding import Choice, Embedded, Embedder, Lengths, local
from memdb.errors import MemDBError, Unreachable
from memdb.jobs import Jobs
from memdb.sessions import formats, indexed, listing, store, users
from memdb.sessions.filters import SessionFilter
from memdb.sessions.mapping import Format
from memdb.sessions.store import SessionCount
from memdb.sessions.strategy import Opened, SessionPage
from memdb.sessions.users import UserRecord
from memdb.settings import Settings
from memdb.vectors import counts, index, nodes, search
from memdb.vectors.distance import Floats
from memdb.vectors.filters import Condition
from memdb.vectors.index import IndexInfo
from memdb.vectors.nodes import NodeView
from memdb.vectors.query import KnnRequest
from memdb.vectors.search import KnnResult, TagValues
from memdb.vectors.titles import LENGTH, titles_of

ANSWER_S = 1.5  # how long a page waits for a sign of life before it is drawn without the server
TAGS_COUNTED = 20  # values of a TAG field that a page counts: each is a query
_BY_REPR: dict[str | type[Any], Callable[[Any], Any]] = dict.fromkeys(
    (*get_args(Condition), KnnRequest, IndexInfo, SessionFilter, Format), repr
)


def embedder_key(embedder: Embedder) -> tuple[object, ...]:
    """What an embedder's answers are cached by."""
    return embedder.identity


@st.cache_resource(max_entries=8, show_spinner=False, on_release=lambda client: client.close())
def client(target: Target) -> Client:
    """One client a target, shared by all browsers: it is thread-safe and reconnects by itself."""
    return connect(target)


def waiting(target: Target) -> Within | None:
    """Where a server lets everybody wait, the limit under which a page is drawn: it asks nothing then.

    So the page stands at once and says that the server does not answer, instead of waiting in each place.
    """
    began = time.monotonic()
    try:
        with Within(ANSWER_S):
            client(target).ping()
    except Unreachable:
        if time.monotonic() - began > 0.9 * ANSWER_S:  # else it was refused, as all other calls will be
            return Within(ANSWER_S, over=True)
    except MemDBError:
        pass  # the page says it
    return None


@st.cache_resource(show_spinner=False)
def home() -> Path:
    """MEMDB_HOME of this process, where runs, maps and histories are kept."""
    return Settings.from_env().home


@st.cache_resource(show_spinner=False)
def jobs() -> Jobs:
    """The jobs of this process."""
    return Jobs()


@st.cache_data(ttl="30s", max_entries=16, show_spinner=False)
def server(target: Target) -> Server:
    """What answers there."""
    connected = client(target)
    connected.forget_server()
    return connected.server


@st.cache_data(ttl="1s", max_entries=16, show_spinner=False)
def overview(target: Target) -> Overview:
    """Keys, memory, clients."""
    return read_overview(client(target))


@st.cache_data(ttl="5s", max_entries=16, show_spinner=False, hash_funcs=_BY_REPR)
def node_views(target: Target, index: str) -> tuple[NodeView, ...]:
    """Every node's own account of itself and of an index."""
    return nodes.node_views(client(target), index)


@st.cache_data(ttl="15s", max_entries=16, show_spinner=False)
def session_count(target: Target) -> SessionCount:
    """How many sessions there are, or an estimate that says so."""
    return store.count(client(target))


@st.cache_data(ttl="15s", max_entries=8, show_spinner=False, hash_funcs=_BY_REPR)
def session_index(target: Target, format_: Format) -> IndexInfo | None:
    """An index over a format's sessions, where there is one."""
    return indexed.find(client(target), format_)


@st.cache_data(ttl="30m", max_entries=64, show_spinner=False, hash_funcs=_BY_REPR)
def session_page(
    target: Target, format_: Format, wanted: SessionFilter, cursor: str, size: int, run: int
) -> tuple[SessionPage, float]:
    """A page of sessions and when it was read (time.time). `run` tells one reading from the next."""
    searched = session_index(target, format_) if wanted.user or wanted.context else None
    return listing.page(client(target), format_, wanted, cursor, size=size, index=searched), time.time()


@st.cache_data(ttl="1m", max_entries=4, show_spinner=False, hash_funcs=_BY_REPR)  # one may have 64 MB
def session(target: Target, format_: Format, printable_id: str, run: int, entries: int = 500) -> Opened:
    """A session; its id as `formats.printable_id` writes it, since a cache key must be UTF-8.

    Of a list at most the `entries` newest are read.
    """
    budget = replace(listing.OPEN_BUDGET, entries=entries)
    return listing.open_session(client(target), format_, formats.typed_id(printable_id), budget=budget)


@st.cache_data(ttl="1m", max_entries=32, show_spinner=False)
def user_record(target: Target, printable_user: str, run: int) -> UserRecord:
    """A user's record; the id as `formats.printable_id` writes it."""
    return users.user_record(client(target), formats.typed_id(printable_user))


@st.cache_data(ttl="5s", max_entries=16, show_spinner=False)
def index_names(target: Target) -> tuple[str, ...]:
    """The indexes that a page can open, sorted: a browser's link and a cache key take only UTF-8."""
    return tuple(name for name in index.index_names(client(target)) if is_utf8(name))


@st.cache_data(ttl="5s", max_entries=16, show_spinner=False)
def other_index_names(target: Target) -> tuple[str, ...]:
    """The indexes that no page can open, since their names are not UTF-8; made visible."""
    return tuple(line(name) for name in index.index_names(client(target)) if not is_utf8(name))


@st.cache_data(ttl="3s", max_entries=64, show_spinner=False)
def index_info(target: Target, name: str) -> IndexInfo:
    """Definition and state of an index, without fields whose names are not UTF-8: no query can say them."""
    info = index.index_info(client(target), name)
    return replace(info, fields=tuple(field for field in info.fields if is_utf8(field.name)))


@st.cache_data(ttl="1m", max_entries=256, show_spinner=False)
def tag_values(target: Target, index_name: str, field: str) -> TagValues:
    """Values of a TAG field, the most frequent with counts."""
    return search.tag_values(client(target), index_info(target, index_name), field, counted=TAGS_COUNTED)


@st.cache_data(ttl="1m", max_entries=256, show_spinner=False)
def numeric_bounds(target: Target, index_name: str, field: str) -> tuple[float, float] | None:
    """Smallest and largest value of a NUMERIC field."""
    return search.numeric_bounds(client(target), index_info(target, index_name), field)


@st.cache_data(ttl="1m", max_entries=256, show_spinner=False)
def infinite(target: Target, index_name: str, field: str) -> int:
    """Documents whose number in a NUMERIC field is infinite."""
    return counts.infinite(client(target), index_info(target, index_name), field)


@st.cache_data(ttl="10s", max_entries=256, show_spinner=False, hash_funcs=_BY_REPR)
def count(target: Target, info: IndexInfo, condition: Condition | str) -> int:
    """Documents that a filter lets through."""
    return search.count(client(target), info, condition)


@st.cache_data(ttl="10m", max_entries=64, show_spinner=False, hash_funcs=_BY_REPR)
def knn(target: Target, info: IndexInfo, request: KnnRequest, run: int) -> KnnResult:
    """A search. `run` tells one run from the next, so that "again" really asks again."""
    return search.knn(client(target), request, info)


@st.cache_data(max_entries=256, show_spinner=False)
def text_vector(text: str) -> Floats:
    """The local embedding of a text, (256,) float32."""
    vector: Floats = local.embed([text])[0]
    return vector


@st.cache_resource(ttl="10m", max_entries=16, show_spinner=False)
def embedder(chosen: Choice) -> Embedder:
    """The embedder of a choice, not yet held against an index; a folder's model is loaded once."""
    return embedding.of_choice(chosen, Settings.from_env())


@st.cache_resource(ttl="10m", max_entries=32, show_spinner=False)
def held_embedder(target: Target, index_name: str, field: str, dim: int, chosen: Choice) -> Embedder:
    """The same, held against an index; `dim` tells an index from another that has taken its name."""
    embedder_held = embedding.held(client(target), index_info(target, index_name), embedder(chosen), field)
    if not embedder_held.model.sends_to:
        embedder_held.embed(["warm"])  # a model of this machine is loaded before somebody waits for an answer
    return embedder_held


@st.cache_data(max_entries=128, show_spinner=False, hash_funcs={Embedder: embedder_key})
def embedded(embedder: Embedder, texts: tuple[str, ...]) -> Embedded:
    """Questions as vectors, with what they cost when they were first asked in this process."""
    return embedder.ask(texts)


@st.cache_data(ttl="10m", max_entries=32, show_spinner=False)
def lengths(target: Target, index_name: str, field: str) -> Lengths | None:
    """Lengths of a sample of an index's vectors."""
    return embedding.lengths_of(client(target), index_info(target, index_name), field)


def titles(target: Target, info: IndexInfo | None, keys: Sequence[str]) -> dict[str, str]:
    """What each document is called; its key where the index is gone."""
    if info is None:
        return {key: line(key, LENGTH) for key in keys}
    return titles_of(client(target), info, keys)
