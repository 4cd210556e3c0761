"""How far this map can be believed, and how far the index: two errors that a picture mixes up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from memdb import intervals
from memdb.display import markdown
from memdb.maps.request import Quality
from memdb.ui.kit import charts, parts, state
from memdb.ui.map import figures, region
from memdb.ui.map.shown import MapView

SAMPLE = 200


def view(map_view: MapView) -> None:
    """The map's own error, beside the index's."""
    map_ = map_view.made
    quality = map_.quality
    if quality is None:
        parts.empty(
            "Not judged",
            "This is the first picture only: draw the map to the end to have it judged.",
            ":material/balance:",
        )
        return
    ef = int(st.session_state.get("map.ef") or 40)
    queries = np.random.default_rng(0).choice(len(map_.keys), min(SAMPLE, len(map_.keys)), replace=False)
    recall = low = high = float("nan")
    points = map_view.vectors
    if points is not None:
        with parts.errors_shown(map_view.target):
            recalls = region.measured(map_view, points, queries, ef)
            recall = float(recalls.mean())
            likely = intervals.mean(recalls)
            low, high = likely.low, likely.high
    columns = st.columns(5)
    columns[0].metric(
        "Trustworthiness", f"{quality.trustworthiness:.3f}", help="1: what lies together on the map is near."
    )
    columns[1].metric(
        "Continuity", f"{quality.continuity:.3f}", help="1: what is near lies together on the map."
    )
    columns[2].metric(
        "Neighbours kept",
        f"{quality.mean_kept:.0%}",
        help=f"Of {quality.neighbours:,} true neighbours of a point.",
    )
    columns[3].metric(
        "Large distances",
        "–" if np.isnan(quality.rank_correlation) else f"{quality.rank_correlation:.2f}",
        help="Rank correlation of the distances of random pairs, here and in the index's metric. 1: who lies "
        "farther apart on the map is farther apart. PCA keeps these best.",
    )
    columns[4].metric(
        "Index recall@10",
        "–" if np.isnan(recall) else f"{recall:.3f}",
        help=f"Of the live index at EF_RUNTIME {ef}, {len(queries)} documents of the map; "
        f"interval {low:.3f} to {high:.3f}.",
    )
    st.markdown(words(map_view, recall))
    st.plotly_chart(
        figures.kept_histogram(quality.kept, quality.neighbours, dark=state.dark()),
        key="map.kept",
        config=charts.PLAIN,
        alt="How many points keep which share of their neighbours",
    )
    counts = np.bincount(
        np.rint(quality.kept * quality.neighbours).astype(int), minlength=quality.neighbours + 1
    )
    table = pd.DataFrame({"kept neighbours": range(quality.neighbours + 1), "points": counts})
    st.dataframe(table, hide_index=True, key="map.kept_table", height=180)
    parts.export(
        table, "kept", {**map_view.about, "index_recall_at_10": recall, "ef_runtime": ef}, key="map.kept_file"
    )
    st.caption(
        f"Trustworthiness and continuity over {int(quality.sample):,} points, each against all "
        f"{len(map_.keys):,}, at "
        f"{quality.neighbours:,} neighbours; kept neighbours {markdown(_kept_of(map_view), 1_000)}. "
        f"On the map, colour by "
        f"“kept neighbours” to "
        "see where it lies."
    )


def _kept_of(map_view: MapView) -> str:
    recall = map_view.made.graph_recall
    if recall is None:
        return "over all points"
    return (
        f"are estimated over the same points by their exact neighbours, in the chart and on the map over all "
        f"points by the graph ({recall.words})"
    )


def founded(quality: Quality) -> str:
    """How well the groups of a map are founded, in a word."""
    trust = quality.trustworthiness
    return "well" if trust > 0.95 else "fairly" if trust > 0.85 else "poorly"


def headline(method: str, quality: Quality) -> str:
    """What a reader may take from the picture, before any figure."""
    alike = {"well": "are alike", "fairly": "are mostly alike", "poorly": "are often not alike"}
    apart = "" if method == "PCA" else " How far groups lie apart and how large they look means nothing."
    return f"**Documents that lie together here {alike[founded(quality)]}.**{apart}"


def words(map_view: MapView, recall: float) -> str:
    """One paragraph: what the map can and cannot show here."""
    map_ = map_view.made
    quality = map_.quality
    assert quality is not None  # noqa: S101  # asked before
    dim = map_view.info.vector_field(map_.request.field)[1].dim
    torn = float((quality.kept < 0.2).mean())
    fits = founded(quality)
    return (
        f"**What this map can show.** {dim:,} dimensions are flattened to {map_.request.dimensions:d}. "
        f"Groups that lie "
        f"together are {fits} founded (trustworthiness {quality.trustworthiness:.2f}), but of a document's "
        f"{quality.neighbours:,} nearest only **{quality.mean_kept:.0%}** are its nearest here, and "
        f"{torn:.0%} of the "
        "points keep less than a fifth of theirs. Distances between groups, their sizes and the "
        "empty space mean "
        "nothing; another seed draws them elsewhere. "
        + (
            f"The index itself misses {1 - recall:.1%} of true neighbours at this EF_RUNTIME: where "
            f"the map tears a line to a "
            "far neighbour, that is mostly **the map's error and not the index's**. "
            if not np.isnan(recall)
            else ""
        )
        + "Ask for a document's neighbours to see the true ones."
    )
