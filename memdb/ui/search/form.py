"""The Search page's left side: widgets → a KnnRequest. All of it but pasted vectors is in the link."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import streamlit as st

from memdb.asking.side import WAYS
from memdb.asking.side import By as Way
from memdb.cluster.target import Target
from memdb.display import labels, line, markdown
from memdb.embedding import Embedded
from memdb.errors import BadFilter, MemDBError, SilentShard, UnsupportedFeature
from memdb.ui.kit import cached, filter_form, model, parts, state
from memdb.ui.kit.ef import ef_input
from memdb.ui.kit.model import ModelChoice
from memdb.vectors import search, upload, words
from memdb.vectors.distance import Vectors
from memdb.vectors.filters import And, Condition, Not, Range, Raw, Tag, Text
from memdb.vectors.fusion import FUSION, METHODS, Fusion
from memdb.vectors.index import Field, IndexInfo, VectorParams
from memdb.vectors.query import KnnRequest, returnable, vector_param

By = Literal["Text", "Document", "Vector"]
_INVITED = {
    "Text": "Type a question, or begin with one of these:",
    "Document": "Type the key of a document, take a random one, or begin with a question:",
    "Vector": "Paste a vector or upload a file, or begin with a question:",
}
EXAMPLES = (
    "restore a table to a point in time",
    "who may read the objects in my bucket",
    "rotate a password automatically",
    "count unique visitors with little memory",
)
# Everything a link carries, besides one `search.f.<field>` for each filtered field.
LINKED = (
    "search.by",
    "search.q",
    "search.key",
    "search.field",
    "search.k",
    "search.ef",
    "search.ef2",
    "search.raw",
    "search.view",
    "search.way",
    "search.fused",
    "search.weight",
    "search.side.target",
    "search.side.index",
    "search.side.field",
    "search.side.way",
    "search.side.ef",
    "search.side.filter",
    "search.side.raw",
)
SIDE_MODEL = "search.side.model."  # the model of the other side, by its index
_WHOLE = 2**53 - 1  # the largest whole number that a browser keeps apart from its neighbours
WHOLE_RANGES = "search.whole_ranges"  # bounds by widget, so that a link leaves out what filters nothing


@dataclass(frozen=True, slots=True)
class SearchChoice:
    """What the form says: the request, what it was asked with, and what its filter lets through."""

    request: KnnRequest
    by: By
    text: str  # the question, the document's key, or a word for the vector
    matching: int | None  # documents under the filter; None where the engine cannot count them
    model: ModelChoice | None = None  # that embedded the question
    embedded: Embedded | None = None
    way: Way = "vectors"  # what a question is ranked by
    fusion: Fusion = FUSION


@dataclass(frozen=True, slots=True, eq=False)
class _Query:
    by: By
    text: str
    vector: Vectors
    model: ModelChoice | None = None
    embedded: Embedded | None = None
    way: Way = "vectors"
    fusion: Fusion = FUSION


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something in the form cannot be sent."""

    why: MemDBError


def form(target: Target, info: IndexInfo) -> SearchChoice | Wrong | None:
    """Draw the form, all of it whatever is wrong; None where there is nothing to ask yet."""
    wrong: MemDBError | None = None
    query: _Query | None = None
    # A container around what comes and goes: blocks below keep their places, by which a browser knows them.
    with st.container():
        field, params = _vector_field(info)
        try:
            query = _query(target, info, field, params)
        except MemDBError as exc:
            wrong = exc
    with st.container():
        k, ef = _settings(target, params)
    try:
        condition, matching = _filter(target, info)
    except MemDBError as exc:
        return Wrong(wrong or exc)
    if wrong is not None:
        return Wrong(wrong)
    if query is None:
        return None
    request = KnnRequest(
        info.name, vector_param(query.vector), field.name, k, ef, condition, returnable(info)
    )
    return SearchChoice(
        request, query.by, query.text, matching, query.model, query.embedded, query.way, query.fusion
    )


def invitation(target: Target, info: IndexInfo, wrong: Wrong | None) -> None:
    """What the right side shows before anything was asked, or while the form holds a mistake."""
    if wrong is not None:
        parts.show_error(wrong.why, target)
        st.caption("Nothing was sent; what you typed is still there.")
        return
    parts.empty(
        "Ask this index",
        f"{info.documents:,} documents are indexed. {_INVITED[st.session_state.get('search.by') or 'Text']}",
        ":material/search:",
    )
    with parts.errors_shown():
        if model.current(target, info, st.session_state.get("search.field", "")).choice is None:
            return
        with st.container(horizontal=True, horizontal_alignment="center"):
            for text in EXAMPLES:
                st.button(text, on_click=ask, args=(text,), key=f"search.example.{text}")


def more_like(key: str) -> None:
    """A callback: ask for the neighbours of this document."""
    st.session_state["search.by"] = "Document"
    st.session_state["search.key"] = key


def ask(text: str) -> None:
    """A callback: ask this question."""
    st.session_state["search.by"] = "Text"
    st.session_state["search.q"] = text


def filter_key(field: Field) -> str:
    """The widget of a field's filter, and its name in the link."""
    return f"search.f.{field.name}"


def _vector_field(info: IndexInfo) -> tuple[Field, VectorParams]:
    names = [f.name for f in info.of_kind("VECTOR")]
    chosen = names[0] if names else ""
    if len(names) > 1:
        chosen = (
            st.selectbox(
                "Vector field", names, format_func=labels(names), key="search.field", bind="query-params"
            )
            or chosen
        )
    return info.vector_field(chosen)


def _query(target: Target, info: IndexInfo, field: Field, params: VectorParams) -> _Query | None:
    asked_by = st.segmented_control(
        "Search by",
        ["Text", "Document", "Vector"],
        default="Text",
        required=True,
        key="search.by",
        bind="query-params",
        width="stretch",
    )
    where = f"'{field.name}' of '{info.name}'"
    if asked_by == "Text":
        text = st.text_input(
            "Question",
            key="search.q",
            bind="query-params",
            placeholder="What are you looking for?",
            icon=":material/search:",
        )
        way, fusion = _way(target, info)
        if way == "words":
            return _Query("Text", text, np.empty(0, np.float32), way=way) if text.strip() else None
        chosen = model.choose(target, info, field.name)
        if not text.strip():
            return None
        embedded = chosen.ask(text)
        model.spent(embedded)
        return _Query("Text", text, embedded.vectors[0], chosen, embedded, way, fusion)
    if asked_by == "Document":
        key = st.text_input(
            "Key of a document",
            key="search.key",
            bind="query-params",
            icon=":material/description:",
            placeholder=f"{line(info.prefixes[0]) if info.prefixes else ''}…",
        )
        st.button("A random document", icon=":material/casino:", on_click=_random, args=(target, info))
        if not key.strip():
            return None
        vector = search.document_vector(cached.client(target), info, field.name, key)
        return _Query("Document", key, vector)
    pasted = st.text_area(
        "Vector", key="search.vector", height=100, placeholder=f"{params.dim} numbers: [0.12, -0.03, …]"
    )
    file = st.file_uploader(
        "or a file",
        type=["npy", "bin", "json", "csv", "txt"],
        key="search.file",
        max_upload_size=math.ceil(upload.most_bytes(params.dim) / 2**20),
    )
    if file is not None:
        vector = upload.from_file(file.name, file.getvalue(), params.dim, params.type, where)
        return _Query("Vector", file.name, vector)
    if pasted.strip():
        return _Query("Vector", "pasted vector", upload.from_text(pasted, params.dim, where, params.type))
    return None


def _way(target: Target, info: IndexInfo) -> tuple[Way, Fusion]:
    """What a question is ranked by; where words cannot be searched, the control says why."""
    why = words.why_not(cached.server(target).dialect, info)
    way = st.segmented_control(
        "Ranked by",
        list(WAYS),
        default="vectors",
        required=True,
        key="search.way",
        bind="query-params",
        width="stretch",
        disabled=bool(why),
        help="By meaning, by the question's words, or by both lists put together.",
    )
    if why:
        st.caption(f":material/info: {markdown(why)}")
        return "vectors", FUSION
    if way != "both":
        return way, FUSION
    method = st.selectbox(
        "Put together by",
        list(METHODS.values()),  # a link carries what is shown
        key="search.fused",
        bind="query-params",
        help="Reciprocal ranks need no common scale. Weighted scores: each list's brought to 0 … 1 first.",
    )
    if method != METHODS["weighted"]:
        return "both", FUSION
    weight = st.slider(
        "Weight of the vectors", 0.0, 1.0, FUSION.weight, 0.05, key="search.weight", bind="query-params"
    )
    return "both", Fusion("weighted", weight=weight)


def _random(target: Target, info: IndexInfo) -> None:
    try:
        key = search.random_key(cached.client(target), info)
    except MemDBError as exc:
        st.toast(markdown(exc.full()))
        return
    more_like(key)


def _settings(target: Target, params: VectorParams) -> tuple[int, int | None]:
    limits = cached.server(target).dialect.limits
    left, right = st.columns(2)
    k = left.number_input(
        "K",
        min_value=1,
        max_value=limits.k,
        value=KnnRequest("", ()).k,
        key="search.k",
        bind="query-params",
        help="How many neighbours to return.",
    )
    if not params.has_ef:
        st.caption(markdown(params.without_ef))
        return int(k), None
    with right:
        ef = ef_input(
            target,
            "search.ef",
            help="How many candidates the graph walk keeps: more finds more of the true neighbours and takes "
            "longer. Below K the engine uses K.",
        )
    return int(k), ef


def _filter(target: Target, info: IndexInfo) -> tuple[Condition, int | None]:
    """Conditions from the builder and the raw expression, joined by and; and how many documents match."""
    conditions: list[Condition] = []
    with st.container(border=True):
        st.markdown("**Filter**")
        caption = st.empty()
        for field in (*info.of_kind("TAG"), *info.of_kind("NUMERIC"), *info.of_kind("TEXT")):
            chosen = _field_filter(target, info, field)
            if chosen is not None:
                conditions.append(chosen)
        raw = st.text_input(
            "Expression",
            key="search.raw",
            bind="query-params",
            placeholder="@service:{s3} @year:[2015 +inf]",
            help="In the engine's own words; added to the conditions above.",
        )
        if raw.strip():
            conditions.append(Raw(raw))
        condition = And(tuple(conditions))
        matching, words = filter_form.counted(target, info, condition)
        caption.caption(words)
    return condition, matching


def _field_filter(target: Target, info: IndexInfo, field: Field) -> Condition | None:
    label = markdown(field.name, 60)
    try:
        if field.kind == "TAG":
            return _tag_filter(target, info, field)
        if field.kind == "NUMERIC":
            return _range_filter(target, info, field)
        if field.kind == "TEXT" and cached.server(target).dialect.text_search:
            words = st.text_input(
                f"Words in {label}",
                key=filter_key(field),
                bind="query-params",
                placeholder="all of these words",
            )
            return Text(field.name, words) if words.strip() else None
    except (UnsupportedFeature, BadFilter, SilentShard) as exc:  # or a name that no query can say
        st.caption(f":material/info: {label}: {markdown(str(exc))}")
    return None


def _tag_filter(target: Target, info: IndexInfo, field: Field) -> Condition | None:
    chosen = filter_form.tag_choice(
        cached.tag_values(target, info.name, field.name), field, filter_key(field)
    )
    if not chosen:
        return None
    without = st.toggle("none of these", key=f"search.not.{field.name}", bind="query-params")
    tag = Tag(field.name, chosen)
    return Not(tag) if without else tag


def _range_filter(target: Target, info: IndexInfo, field: Field) -> Condition | None:
    bounds = cached.numeric_bounds(target, info.name, field.name)
    counts = cached.server(target).dialect.plain_queries
    if counts and (endless := cached.infinite(target, info.name, field.name)):
        which = "document holds" if endless == 1 else "documents hold"
        st.caption(
            f":material/info: {endless:,} {which} a number in {markdown(field.name)} that is not finite: "
            "outside every range but the whole one."
        )
    if bounds is None or bounds[0] == bounds[1]:
        return None
    low, high = bounds
    st.session_state[WHOLE_RANGES] = {**state.keep(WHOLE_RANGES, {}), filter_key(field): bounds}
    whole = low.is_integer() and high.is_integer() and max(-low, high) <= _WHOLE
    label = markdown(field.name, 60)
    if whole:
        first, last = int(low), int(high)
        a, b = st.slider(label, first, last, value=(first, last), key=filter_key(field), bind="query-params")
        return None if (a, b) == (first, last) else Range(field.name, a, b)
    x, y = st.slider(label, low, high, value=(low, high), key=filter_key(field), bind="query-params")
    return None if (x, y) == (low, high) else Range(field.name, x, y)
