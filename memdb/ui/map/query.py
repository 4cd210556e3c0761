"""A query on the map: typed, or a document's; the live index against the exact answer by EF_RUNTIME."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from memdb.display import code, line, markdown
from memdb.errors import MemDBError
from memdb.maps import overlay
from memdb.maps.overlay import Overlay
from memdb.ui.kit import cached, model, parts
from memdb.ui.kit.ef import ef_input
from memdb.ui.map import region
from memdb.ui.map.figures import MEANING
from memdb.ui.map.shown import MapView
from memdb.vectors import search
from memdb.vectors.distance import Floats, prepared


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What was asked: a vector, and the document it is of, if any."""

    words: str
    vector: Floats
    own_key: str = ""


def ask(map_view: MapView) -> Query | None:
    """The field; a key of the index is a document, anything else a question."""
    typed = st.text_input(
        "On the map",
        key="map.q",
        bind="query-params",
        icon=":material/search:",
        placeholder="a question, or a document's key",
        help="Shows where it lies, and lines to the neighbours that the live index returns for it.",
    ).strip()
    if not typed:
        return None
    map_ = map_view.made
    with parts.errors_shown(map_view.target):
        prefixes = map_view.info.prefixes or ("",)
        if typed in map_.keys or (any(p and typed.startswith(p) for p in prefixes) and " " not in typed):
            raw = search.document_vector(
                cached.client(map_view.target), map_view.info, map_.request.field, typed
            )
            return Query(typed, np.asarray(prepared(raw[None, :], map_.metric)[0]), typed)
        embedded = model.choose(map_view.target, map_view.info, map_.request.field).ask(typed)
        model.spent(embedded)
        return Query(typed, np.asarray(prepared(embedded.vectors, map_.metric)[0]))
    return None


def live(map_view: MapView, query: Query | None) -> Overlay | None:
    """K and EF_RUNTIME, and the index asked with them."""
    if query is None:
        return None
    points = map_view.vectors
    if points is None:
        st.caption("The vectors of this map are not kept any more: draw it again to lay a query over it.")
        return None
    map_, params = map_view.made, map_view.info.vector_field(map_view.made.request.field)[1]
    left, middle, right = st.columns([1, 1.2, 3], vertical_alignment="center")
    k = int(
        left.number_input("K", min_value=1, max_value=100, value=10, key="map.k", bind="query-params") or 10
    )
    ef: int | None = None
    if params.has_ef:
        with middle:
            ef = ef_input(map_view.target, "map.ef", 40)
    condition = region.condition_of(map_.request)
    client = cached.client(map_view.target)
    try:
        near = overlay.exact(
            client, map_view.info, map_.request.field, query.vector, k, condition, query.own_key
        )
        laid = overlay.overlay(
            client,
            map_view.info,
            map_,
            points,
            query.vector,
            near,
            k=k,
            ef_runtime=ef,
            condition=condition,
            own_key=query.own_key,
        )
    except MemDBError as exc:
        parts.show_error(exc, map_view.target)
        return None
    counts = {kind: sum(m.kind == kind for m in laid.marks) for kind in MEANING}
    right.markdown(
        f"recall@{k} **{laid.recall:.2f}** · {counts['found']} found · {counts['missed']} missed · "
        f"{counts['wrong']} wrong · {laid.result.took_ms:.1f} ms"
    )
    if laid.note:
        st.warning(markdown(laid.note), icon=":material/warning:")
    return laid


def titles(map_view: MapView, laid: Overlay) -> dict[str, str]:
    """Names of the neighbours."""
    return cached.titles(map_view.target, map_view.info, [m.key for m in laid.marks])


def title(map_view: MapView, key: str) -> str:
    """What one document is called; its key where it cannot be asked."""
    try:
        named = cached.titles(map_view.target, map_view.info, [key])
    except MemDBError:
        return line(key, 80)
    return line(named.get(key) or key, 80)


def table(map_view: MapView, laid: Overlay, names: dict[str, str]) -> None:
    """The neighbours as rows, and the command."""
    with st.expander("The neighbours, and the command"):  # a label that changes would close it
        rows = pd.DataFrame(
            [
                {
                    "by the index": m.kind,
                    "distance": m.distance,
                    "document": names.get(m.key, m.key),
                    "key": line(m.key, 200),
                    "in the sample": m.on_map,
                }
                for m in sorted(laid.marks, key=lambda m: m.distance)
            ]
        )
        st.dataframe(rows, hide_index=True, key="map.neighbours")
        for kind, words in MEANING.items():
            st.caption(f"{code(kind)} {markdown(words.partition(': ')[2])}")
        parts.export(rows, "neighbours", map_view.about, key="map.neighbours_file")
        parts.code_block(laid.result.command.redis_cli(map_view.target), "bash")
