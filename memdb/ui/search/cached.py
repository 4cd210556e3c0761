"""The Search page's own cached read: what a way of asking answered to a question."""

from __future__ import annotations

import streamlit as st

from memdb.asking.side import Answer, OpenSide, Side, ask
from memdb.cluster.target import Target
from memdb.embedding import Embedder
from memdb.ui.kit import cached
from memdb.ui.kit.cached import embedder_key
from memdb.vectors.distance import Floats
from memdb.vectors.index import IndexInfo


@st.cache_data(
    ttl="10m",
    max_entries=32,
    show_spinner=False,
    hash_funcs={Side: repr, IndexInfo: repr, Embedder: embedder_key},
)
def answer(
    target: Target,
    info: IndexInfo,
    side: Side,
    embedder: Embedder | None,
    text: str,
    vector: bytes,
    run: int,
    _numbers: Floats | None,
) -> Answer:
    """The answer of a side; `vector` is the key of `_numbers` (dim,), `run` tells one run from the next."""
    return ask(OpenSide(cached.client(target), info, side, embedder), text, vector=_numbers)
