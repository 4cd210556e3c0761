"""What the Map page keeps between runs: the map, its vectors, the values of its points."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from memdb.cluster import replies
from memdb.cluster.target import Target
from memdb.display import figure_text, line
from memdb.errors import NotAllowed
from memdb.maps import facets, store
from memdb.maps.request import Map, MapRequest
from memdb.ui.kit import cached
from memdb.ui.map import canvas, painting
from memdb.vectors import stored, tags
from memdb.vectors.counts import tag_field
from memdb.vectors.distance import Floats
from memdb.vectors.index import IndexInfo
from memdb.vectors.titles import text_field


class _NotKept(Exception):
    """No map: raised so that nothing is cached, since another tab may draw it any moment."""


def stored_map(target: Target, info: IndexInfo, request: MapRequest) -> Map | None:
    """The kept map of a request, if there is one whose documents are what they were, and that can be seen."""
    try:
        map_ = _kept(target, info.fingerprint, request, info)
        if store.holds(cached.client(target), info, map_):
            return map_
    except (_NotKept, NotAllowed):  # what this user may not check is not taken
        return None
    _kept.clear(target, info.fingerprint, request, info)
    return None


@st.cache_resource(ttl="30m", max_entries=6, show_spinner=False)
def _kept(target: Target, fingerprint: str, request: MapRequest, _info: IndexInfo) -> Map:
    """What a fingerprint names may be of other data: whoever takes it checks it."""
    stored_map = store.find(cached.home(), cached.client(target), _info, request)
    if stored_map is None:
        raise _NotKept
    return stored_map


@st.cache_resource(ttl="30m", max_entries=4, show_spinner=False)
def vectors(target: Target, state: str, request: MapRequest, _made: Map) -> Floats | None:
    """The vectors (n, d) of a map's points."""
    return store.vectors(cached.home(), target, _made)


@st.cache_resource(ttl="30m", max_entries=24, show_spinner="Reading the field …")
def values(
    target: Target, state: str, request: MapRequest, field: str, _info: IndexInfo, _made: Map
) -> list[str]:
    """A field of each point, "" where it has none. One round trip for a thousand."""
    field_ = next(f for f in _info.fields if f.name == field)
    return [replies.text(v) for v in stored.values(cached.client(target), _info, field_, _made.keys)]


@st.cache_resource(ttl="30m", max_entries=24, show_spinner="Reading the field …")
def tag_values(
    target: Target, state: str, request: MapRequest, field: str, _info: IndexInfo, _made: Map
) -> list[tuple[str, ...]]:
    """The values of a TAG field of each point."""
    client = cached.client(target)
    return tags.held(client, _info, tag_field(client, _info, field), _made.keys)


@st.cache_resource(ttl="30m", max_entries=24, show_spinner=False)
def facet(
    target: Target, state: str, request: MapRequest, field: str, _info: IndexInfo, _made: Map
) -> facets.Facet:
    """How many points hold each value of a TAG or NUMERIC field."""
    if _info.field(field).kind == "TAG":
        return facets.of_tags(field, tag_values(target, state, request, field, _info, _made))
    return facets.of_numbers(field, values(target, state, request, field, _info, _made))


@st.cache_resource(ttl="1m", max_entries=4, show_spinner="Reading times to live …")
def ttls(target: Target, state: str, request: MapRequest, _made: Map) -> NDArray[np.float64]:
    """(n,) seconds to live; NaN for what never expires."""
    return stored.times_to_live(cached.client(target), _made.keys)


@st.cache_resource(ttl="30m", max_entries=6, show_spinner=False)
def titles(target: Target, state: str, request: MapRequest, _info: IndexInfo, _made: Map) -> list[str]:
    """A short name of each point."""
    field = text_field(_info)
    if field is None:
        return [line(key, 60) for key in _made.keys]
    named = values(target, state, request, field.name, _info, _made)
    return [line(text or key, 60) for text, key in zip(named, _made.keys, strict=True)]


@st.cache_resource(ttl="30m", max_entries=8, show_spinner=False)
def points(
    target: Target,
    state: str,
    request: MapRequest,
    colours: str,
    store: str,
    _made: Map,
    _codes: canvas.Codes,
    _titles: list[str],
) -> canvas.Points:
    """The points as the browser takes them, by codes (n,): packing a million takes long."""
    return canvas.packed(store, _made.xy, _codes, _titles)


@st.cache_resource(ttl="30m", max_entries=6, show_spinner=False)
def names(
    target: Target, state: str, request: MapRequest, _made: Map, _points: canvas.Points
) -> list[canvas.Label]:
    """The names on the map."""
    return painting.labels(_points.plane, _made)


@st.cache_resource(ttl="30m", max_entries=6, show_spinner=False)
def labels(target: Target, state: str, request: MapRequest, _info: IndexInfo, _made: Map) -> list[str]:
    """What the hover card of each point says; short, since there may be fifty thousand."""
    return [figure_text(text) for text in titles(target, state, request, _info, _made)]
