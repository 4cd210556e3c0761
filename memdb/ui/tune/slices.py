"""The Slices view and the Selectivity x EF view: where in the data an index finds less."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from memdb.display import labels, line, markdown
from memdb.jobs import Job
from memdb.tuning import grid, misses, report, slices, unseen
from memdb.tuning.grid import Grid
from memdb.tuning.run import EfPoint, Run
from memdb.tuning.slices import Slice
from memdb.ui.kit import cached, charts, parts, safety, state
from memdb.ui.kit.job import JobSlot
from memdb.ui.tune import figures
from memdb.ui.tune.figures import IntervalBar
from memdb.ui.tune.views import RunView, ef_choice
from memdb.vectors import tags
from memdb.vectors.counts import tag_field
from memdb.vectors.distance import Doubles, prepared
from memdb.vectors.index import IndexInfo

MEASURING = JobSlot[Grid]("recall.grid_job")
GRID_QUERIES = 60
GRID_EFS = 6
MEASURES = {
    "recall": ("recall", "recall", ".3f", True),
    "latency": ("p50_ms", "p50, ms", ".2f", False),
    "short results": ("short", "queries short of K", ".0f", False),
}


def slices_view(run_view: RunView) -> None:
    """Recall of groups of queries at one EF_RUNTIME."""
    run = run_view.run
    if not run.points:
        st.caption("Nothing was measured yet.")
        return
    kinds = _kinds(run_view)
    left, right = st.columns([1, 1.4], gap="medium")
    with left:
        kind = st.selectbox(
            "Slice by",
            list(kinds),
            key="recall.slice",
            format_func=labels(kinds),
            bind="query-params",
            help="A slice's recall is of the queries that are documents in it, or were made from one. A "
            "document with several values of a tag lies in the slice of each.",
        )
    with right:
        ef = ef_choice(run, "recall.slice_ef", misses.default_ef(run))
    point = run.point(ef)
    if point is None or kind is None:
        return
    sliced = _slices(run_view, kind, point)
    _draw(run, sliced, point, kinds[kind])
    if not any(run.queries.own_keys):
        st.caption("These queries were not made from documents, so there are no tags or numbers to slice by.")


def grid_view(run_view: RunView) -> None:
    """Recall, latency and short results of filters of different selectivity."""
    info, run = run_view.info, run_view.run
    if run.queries.asks:
        st.caption(
            f"The vectors that the application asked with, at K {run.request.k}; in the place of their own "
            "filters stand those below."
        )
    st.caption(
        "Measures filters of your own tags and numbers that let 0.1 % to all of the documents through, "
        "each at "
        "several EF_RUNTIME. It shows where a filter is brute force (exact, EF changes nothing) and where it "
        "costs recall, time or results."
    )
    if info is None or not run.points or run.points[0].ef_runtime == 0:
        st.caption("It needs an HNSW index that is there.")
        return
    job, running = MEASURING.job(run.id), MEASURING.current(run.id)
    if running is None:
        st.button(
            "Measure again" if job is not None else "Measure",
            icon=":material/play_arrow:",
            type="secondary" if job is not None else "primary",
            on_click=_start,
            args=(run_view, info),
            key="recall.grid.start",
        )
    if job is None:
        return
    if running is not None:
        MEASURING.watch(partial(_so_far, run.id))
        return
    MEASURING.outcome(run_view.target, "Cancelled; what was measured is here.")
    if job.result is not None:
        draw_grid(job.result, key="recall.grid", settings=report.about(run))


def draw_grid(measured: Grid, *, key: str, settings: dict[str, object] | None = None) -> None:
    """The heat map and its table."""
    measure = st.segmented_control(
        "Show",
        list(MEASURES),
        default="recall",
        required=True,
        key=f"{key}.measure",
        label_visibility="collapsed",
    )
    name, unit, form, good_high = MEASURES[str(measure)]
    values = np.full((len(measured.rows), len(measured.efs)), np.nan)
    for i, row in enumerate(measured.rows):
        for j, cell in enumerate(row.cells):
            values[i, j] = getattr(cell, name)
    names = [f"{row.filter.share:.1%} · {row.filter.name}" for row in measured.rows]
    st.markdown(f"###### {unit} by filter and EF\\_RUNTIME")
    st.plotly_chart(
        figures.heat_map(
            names, measured.efs, values, unit=unit, good_high=good_high, form=form, dark=state.dark()
        ),
        key=f"{key}.map.{measure}",
        config=charts.PLAIN,
        alt=f"{unit} by filter and EF_RUNTIME",
    )
    st.caption(
        f"{measured.queries:,} queries, recall@{measured.k}. Stronger colour asks for attention. "
        + _brute(measured)
    )
    frame = grid_frame(measured)
    st.dataframe(
        frame,
        hide_index=True,
        key=f"{key}.table",
        placeholder="–",
        column_config={
            "share": st.column_config.NumberColumn(format="percent"),
            **{c: st.column_config.NumberColumn(format="%.4f") for c in ("recall", "low", "high")},
            **{c: st.column_config.NumberColumn(format="%.2f") for c in ("p50_ms", "p95_ms")},
        },
    )
    if settings is not None:
        parts.export(frame, "selectivity", settings, key=f"{key}.export")


def grid_frame(measured: Grid) -> pd.DataFrame:
    """A row for each filter and setting."""
    return pd.DataFrame(
        [
            {
                "filter": line(row.filter.name, 200),
                "matching": row.filter.matching,
                "share": row.filter.share,
                "plan": row.plan.mode or "not available",
                "ef_runtime": c.ef_runtime,
                "recall": c.recall,
                "low": c.low,
                "high": c.high,
                "p50_ms": c.p50_ms,
                "p95_ms": c.p95_ms,
                "short": c.short,
                "queries": c.queries,
            }
            for row in measured.rows
            for c in row.cells
        ]
    )


def _brute(measured: Grid) -> str:
    exact = [row for row in measured.rows if row.plan.exact and row.filter.share < 1]
    if not exact:
        return ""
    widest = max(row.filter.share for row in exact)
    return (
        f"Filters that let up to {widest:.1%} through run as brute force here: exact whatever EF_RUNTIME is, "
        "and slower the more they let through.".replace("_", "\\_")
    )


def _start(run_view: RunView, info: IndexInfo) -> None:
    run, opened, budget = run_view.run, cached.client(run_view.target), safety.budget(run_view.target)
    efs = spaced([p.ef_runtime for p in run.points], GRID_EFS)
    vectors = run.queries.vectors[:GRID_QUERIES]
    own = run.queries.own_keys[:GRID_QUERIES]

    def work(job: Job[Grid]) -> Grid:
        client = opened.budgeted(budget)
        filters = grid.pick_filters(client, info, report=job.report)
        return grid.measure(
            client,
            info,
            run.request.field,
            filters,
            efs,
            vectors,
            run.request.k,
            own_keys=own,
            uncertainty=run.queries.uncertainty,
            report=job.report,
            keep=job.keep,
        )

    MEASURING.start("Selectivity by EF", work, about=run.id)


def _so_far(run_id: str, measured: Grid | None) -> None:
    if measured is not None:
        draw_grid(measured, key=f"recall.grid.live.{run_id}")


def spaced(efs: Sequence[int], count: int) -> tuple[int, ...]:
    """At most `count` of the settings, evenly apart on a log scale, both ends among them."""
    distinct = sorted({ef for ef in efs if ef > 0})
    if len(distinct) <= count:
        return tuple(distinct)
    wanted = np.geomspace(distinct[0], distinct[-1], count)
    return tuple(sorted({min(distinct, key=lambda ef: abs(math.log(ef / w))) for w in wanted.tolist()}))


def _kinds(run_view: RunView) -> dict[str, str]:
    kinds: dict[str, str] = {}
    if run_view.info is not None and any(run_view.run.queries.own_keys):
        kinds |= {f"tag {f.name}": f"tag {line(f.name, 40)}" for f in run_view.info.of_kind("TAG")}
        kinds |= {
            f"number {f.name}": f"range of {line(f.name, 40)}" for f in run_view.info.of_kind("NUMERIC")
        }
    if run_view.run.queries.asks:
        kinds["asked"] = "filter and K of the query"
    return {**kinds, "cluster": "cluster of queries", "density": "local density"}


def _slices(run_view: RunView, kind: str, point: EfPoint) -> tuple[Slice, ...]:
    run = run_view.run
    confidence = run.request.goal.confidence

    def interval(recalls: Doubles) -> tuple[float, float]:
        bounds = unseen.interval(recalls, confidence, run.queries.uncertainty)
        return bounds.low, bounds.high

    recalls = point.recalls.astype(np.float64)
    what, _, field = kind.partition(" ")
    if what == "asked":
        return slices.sliced(slices.asked_labels(run), recalls, interval, by_size=True)
    if what == "density":
        kth = slices.kth_distances(run)
        order = np.argsort(kth, kind="stable")
        labels = slices.density_labels(kth)
        return slices.sliced([labels[i] for i in order.tolist()], recalls[order], interval, by_size=False)
    if what == "cluster" or run_view.info is None:
        names = cached.titles(run_view.target, run_view.info, [k for k in run.queries.own_keys if k])
        called = [
            names.get(own, "") or label
            for own, label in zip(run.queries.own_keys, run.queries.labels, strict=True)
        ]
        vectors = prepared(run.queries.vectors, run.definition.metric)
        return slices.sliced(slices.cluster_labels(vectors, called), recalls, interval, by_size=True)
    if what == "tag":
        client = cached.client(run_view.target)
        of_tag = tag_field(client, run_view.info, field)
        tags_of = tags.held(client, run_view.info, of_tag, run.queries.own_keys)
        return slices.sliced(slices.tag_labels(tags_of), recalls, interval, by_size=True)
    values = slices.field_values(cached.client(run_view.target), run_view.info, field, run.queries.own_keys)
    numbers = np.array([slices.as_number(value) for value in values])
    order = np.argsort(np.where(np.isfinite(numbers), numbers, np.inf), kind="stable")
    labels = slices.number_labels(values)
    return slices.sliced([labels[i] for i in order.tolist()], recalls[order], interval, by_size=False)


def _draw(run: Run, sliced: Sequence[Slice], point: EfPoint, name: str) -> None:
    few = [s for s in sliced if s.small]
    if few:
        st.warning(
            f"{len(few)} of {len(sliced)} slices hold fewer than {slices.FEW_QUERIES} queries: their "
            f"intervals "
            "are wide, and a difference there may be chance. Run the sweep with more queries.",
            icon=":material/warning:",
        )
    lowest = min((s for s in sliced if not s.small), key=lambda s: s.recall, default=None)
    if lowest is not None and lowest.high < point.recall:
        st.markdown(
            f"Clearly below the others: **{markdown(lowest.name, 100)}**, recall {lowest.recall:.3f} "
            f"({lowest.low:.3f} to {lowest.high:.3f}) against {point.recall:.3f} of all."
        )
    bars = [IntervalBar(s.name, s.recall, s.low, s.high, s.queries, s.small) for s in sliced]
    st.plotly_chart(
        figures.intervals(
            bars, confidence=run.request.goal.confidence, reference=point.recall, dark=state.dark()
        ),
        key="recall.slices",
        config=charts.PLAIN,
        alt=f"Recall by {line(name)}",
    )
    frame = pd.DataFrame(
        {
            "slice": [line(s.name, 200) for s in sliced],
            "queries": [s.queries for s in sliced],
            "recall": [s.recall for s in sliced],
            "low": [s.low for s in sliced],
            "high": [s.high for s in sliced],
            "note": ["few queries" if s.small else "" for s in sliced],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        key="recall.slices.table",
        column_config={c: st.column_config.NumberColumn(format="%.4f") for c in ("recall", "low", "high")},
    )
    settings = {**report.about(run), "slice": name, "ef_runtime": point.ef_runtime}
    parts.export(frame, "slices", settings, key="recall.slices.export")
