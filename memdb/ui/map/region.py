"""A selection on the map: its documents, what sets them apart, the recall there, and the ways on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from memdb import intervals
from memdb.cluster.target import Target
from memdb.display import counted, line, markdown
from memdb.maps.region import Trait, inside, traits
from memdb.maps.request import Map, MapRequest
from memdb.maps.store import condition_of
from memdb.tuning.vectors import documents
from memdb.ui import frame
from memdb.ui.kit import cached, charts, parts, state
from memdb.ui.map import cached as map_cached
from memdb.ui.map import canvas, figures
from memdb.ui.map.figures import Colouring
from memdb.ui.map.shown import MapView
from memdb.vectors import distance
from memdb.vectors.distance import Floats
from memdb.vectors.exact import nearest
from memdb.vectors.index import Field, IndexInfo
from memdb.vectors.membership import Membership
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.recall import judge
from memdb.vectors.search import knn

Places = NDArray[np.intp]
ROWS = 500
COMPARED = 5_000  # documents on either side whose values are compared, where the map has more than POINTS
NOTHING: Places = np.empty(0, np.intp)
QUERIES = 200  # documents of a region that ask for their neighbours


def places(event: Any, map_: Any, many: bool) -> Places:
    """The places (m,) of the selected points; of a density picture all that lie in the box or lasso."""
    selection = getattr(event, "selection", None) or {}
    if many:
        return _inside(selection, map_.xy)
    chosen = {
        int(point["customdata"])
        for point in selection.get("points", ())
        if isinstance(point.get("customdata"), int | float)
    }
    chosen |= {
        int(point["customdata"][0])
        for point in selection.get("points", ())
        if isinstance(point.get("customdata"), list) and point["customdata"]
    }
    return np.array(sorted(i for i in chosen if i < len(map_.keys)), dtype=np.intp)


def view(map_view: MapView, chosen: Places, many: bool) -> None:
    """Everything about a selection, the places (m,) of its points."""
    if not len(chosen):
        st.caption(
            ":material/select: Nothing is selected. A lasso around a group shows what it has in common."
        )
        return
    map_ = map_view.made
    st.markdown(f"##### {markdown(counted(len(chosen), 'document'))} selected")
    if many:
        part = chosen if len(chosen) <= figures.POINTS else chosen[:: len(chosen) // figures.POINTS + 1]
        labels = map_view.labels
        st.plotly_chart(
            figures.points(
                map_.xy[part],
                Colouring("", ["selected"] * len(part)),
                [labels[i] for i in part],
                dark=state.dark(),
                height=380,
            ),
            key="map.zoomed",
            config={**charts.PLAIN, "scrollZoom": True},
            alt="The selected region, point by point",
        )
    in_common = _traits(map_view, chosen)
    left, right = st.columns([1, 1], gap="medium")
    with left:
        st.markdown("**What sets them apart**")
        if in_common:
            st.dataframe(
                pd.DataFrame(
                    [
                        {
                            "field": t.field,
                            "value": line(t.value, 60),
                            "here": t.inside,
                            "elsewhere": t.outside,
                            "log odds": t.log_odds,
                        }
                        for t in in_common
                    ]
                ),
                hide_index=True,
                key="map.traits",
                height=260,
                column_config={
                    "here": st.column_config.NumberColumn(format="percent"),
                    "elsewhere": st.column_config.NumberColumn(format="percent"),
                    "log odds": st.column_config.NumberColumn(format="%.2f"),
                },
            )
        else:
            st.caption(
                "No value is more frequent here than elsewhere."
                if len(chosen) < len(map_.keys)
                else "All documents of the map are selected: there are no others to compare them with."
            )
        _ways_on(map_view, chosen, in_common)
    with right:
        st.markdown("**The documents**")
        table = pd.DataFrame({"key": [line(map_.keys[i], 200) for i in chosen]})
        if len(map_.keys) <= figures.POINTS:
            titles = map_view.titles
            table.insert(0, "document", [titles[i] for i in chosen])
        if len(map_.labels):
            table["cluster"] = [map_.names[map_.labels[i]] if map_.labels[i] >= 0 else "" for i in chosen]
        if map_.quality is not None:
            table["kept"] = map_.quality.kept[chosen]
        st.dataframe(table.head(ROWS), hide_index=True, key="map.selected", height=260)
        if len(table) > ROWS:
            st.caption(f"The first {ROWS} of {len(table):,}; the files hold all.")
        parts.export(table, "selection", {**map_view.about, "selected": len(chosen)}, key="map.selection")
    _stands_for(map_view, chosen)
    _recall(map_view, chosen)


def _stands_for(map_view: MapView, chosen: Places) -> None:
    """Typical and odd documents, and copies: by the vectors, not by the map."""
    points = map_view.vectors
    if points is None or len(chosen) < 2:
        return
    here = inside(points, map_view.made.metric, chosen)
    keys = [map_view.made.keys[i] for i in (*here.typical, *here.odd, *(g[0] for g in here.copies[:5]))]
    names = cached.titles(map_view.target, map_view.info, keys)

    def named(places: Iterable[int]) -> str:
        return "; ".join(line(names.get(key) or key, 60) for key in (map_view.made.keys[i] for i in places))

    rows = [{"what": "typical: nearest to the middle", "documents": named(here.typical)}]
    if len(here.odd):
        rows.append({"what": "odd: farthest from it", "documents": named(here.odd)})
    copied = sum(len(group) for group in here.copies)
    rows.append(
        {
            "what": f"copies: {copied:,} documents in {len(here.copies):,} groups with the same vector",
            "documents": "; ".join(f"{len(group):,} × {named(group[:1])}" for group in here.copies[:5]),
        }
    )
    st.markdown("**What is here**")
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="map.inside")


@dataclass(frozen=True, slots=True)
class _Part:
    """Some points of a map, with their own name in the caches."""

    key: tuple[Target, str, MapRequest]
    info: IndexInfo
    made: Map

    @property
    def titles(self) -> list[str]:
        return map_cached.titles(*self.key, self.info, self.made)


def _traits(whole: MapView, chosen: Places) -> tuple[Trait, ...]:
    map_view: MapView | _Part = whole
    map_, info = map_view.made, map_view.info
    if len(map_.keys) > figures.POINTS:  # as many of both sides as are read at once
        rng = np.random.default_rng(0)
        rest = np.setdiff1d(np.arange(len(map_.keys)), chosen)
        parts = [rng.choice(side, min(len(side), COMPARED), replace=False) for side in (chosen, rest)]
        some = np.concatenate(parts)
        part = replace(map_, keys=tuple(map_.keys[i] for i in some))
        digest = hashlib.blake2b(some.tobytes(), digest_size=8).hexdigest()
        where = (whole.target, f"{map_.state} {digest}", map_.request)
        map_view, map_, chosen = _Part(where, info, part), part, np.arange(len(parts[0]))
    tags = {f.name: map_cached.tag_values(*map_view.key, f.name, info, map_) for f in info.of_kind("TAG")[:6]}
    numbers = {
        f.name: map_cached.values(*map_view.key, f.name, info, map_) for f in info.of_kind("NUMERIC")[:4]
    }
    return traits(tags, numbers, map_view.titles, chosen)


def _ways_on(map_view: MapView, chosen: Places, in_common: tuple[Trait, ...]) -> None:
    map_ = map_view.made
    spots = map_.xy[chosen]
    middle = map_.keys[chosen[np.argmin(((spots - spots.mean(axis=0)) ** 2).sum(axis=1))]]
    with st.container(horizontal=True):
        st.page_link(
            frame.link("search"),
            label="The middle one in Search",
            icon=":material/search:",
            query_params={
                state.INDEX: state.index_in_link(map_view.info.name),
                "search.by": "Document",
                "search.key": middle,
            },
        )
        tag = next((t for t in in_common if _is_tag(map_view.info.fields, t.field) and t.inside > 0.3), None)
        if tag is not None:
            st.page_link(
                frame.link("search"),
                label=f"Search within {markdown(tag.field, 20)} = {markdown(tag.value, 24)}",
                icon=":material/filter_alt:",
                query_params={
                    state.INDEX: state.index_in_link(map_view.info.name),
                    "search.by": "Document",
                    "search.key": middle,
                    f"search.f.{tag.field}": tag.value,
                },
            )


def _is_tag(fields: tuple[Field, ...], name: str) -> bool:
    return any(f.name == name and f.kind == "TAG" for f in fields)


def _recall(map_view: MapView, chosen: Places) -> None:
    """Recall of this region, measured on some of its documents against the map's exact graph."""
    points = map_view.vectors
    left, right = st.columns([1, 2.6], vertical_alignment="center")
    if not left.button(
        "Recall of this region", icon=":material/speed:", key="map.recall", disabled=points is None
    ):
        right.caption(f"Asks the live index for the neighbours of up to {QUERIES} of these documents.")
        return
    if points is None:
        return
    ef = int(st.session_state.get("map.ef") or 40)
    inside, outside = chosen, np.setdiff1d(np.arange(len(map_view.made.keys)), chosen)
    rng = np.random.default_rng(0)
    rows = []
    for name, part in (("this region", inside), ("the rest of the map", outside)):
        if len(part):
            sampled = rng.choice(part, min(QUERIES, len(part)), replace=False)
            with st.spinner("Asking the index …"):
                recalls = measured(map_view, points, sampled, ef)
            likely = intervals.mean(recalls)
            rows.append(
                {
                    "where": name,
                    "queries": len(recalls),
                    "recall@10": float(recalls.mean()),
                    "low": likely.low,
                    "high": likely.high,
                }
            )
    right.dataframe(pd.DataFrame(rows), hide_index=True, key="map.recalls")
    st.session_state[state.REGION] = tuple(map_view.made.keys[i] for i in inside)
    right.page_link(
        frame.link("recall"),
        label="Tune with these documents as queries",
        icon=":material/tune:",
        query_params={
            state.INDEX: state.index_in_link(map_view.info.name),
            "recall.by": "Selected on the map",
        },
    )


def measured(map_view: MapView, points: Floats, queries: Places, ef: int, k: int = 10) -> NDArray[np.float64]:
    """Recall@k (m,) of the live index for m of the points (n, d), each left out of its own neighbours."""
    map_, client = map_view.made, cached.client(map_view.target)
    condition = condition_of(map_.request)
    field, params = map_view.info.vector_field(map_.request.field)
    ef_runtime = ef if params.has_ef else None
    keys = [map_.keys[i] for i in queries]
    sent = distance.as_sent(points[list(queries)], params.type)
    truth = nearest(
        documents(client, map_view.info, field.name, condition),
        sent,
        k,
        map_.metric,
        excluded=keys,
    )
    returned = []
    under = Membership(client, map_view.info, condition)
    for vector, own in zip(sent, keys, strict=True):
        request = KnnRequest(
            map_view.info.name, vector_param(vector), field.name, k + 1, ef_runtime, condition
        )
        hits = knn(client, request, map_view.info, under=under).keys
        returned.append([key for key in hits if key != own][:k])
    verdicts = judge(client, map_view.info, field.name, sent, returned, truth.keys, truth.distances, under)
    return np.array([verdict.recall for verdict in verdicts])


def _inside(selection: Any, xy: Any) -> Places:
    """All points in the drawn boxes and lassos."""
    inside = np.zeros(len(xy), bool)
    for box in selection.get("box", ()):
        (x0, x1), (y0, y1) = sorted(box["x"]), sorted(box["y"])
        inside |= (xy[:, 0] >= x0) & (xy[:, 0] <= x1) & (xy[:, 1] >= y0) & (xy[:, 1] <= y1)
    for lasso in selection.get("lasso", ()):
        inside |= canvas.inside(list(zip(lasso["x"], lasso["y"], strict=True)), xy)
    return np.flatnonzero(inside)


__all__ = ["NOTHING", "condition_of", "measured", "places", "view"]
