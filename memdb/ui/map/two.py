"""Two on one map: another index, or this one as it was, beside what is there now; told apart from chance."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import labels, line, markdown
from memdb.jobs import Job
from memdb.maps import store, two
from memdb.maps.request import MapRequest
from memdb.maps.two import TwoOnOne
from memdb.ui.kit import cached, charts, parts, safety, state
from memdb.ui.kit.job import JobSlot
from memdb.ui.map import canvas, figures, painting
from memdb.ui.map.figures import Colouring
from memdb.ui.map.shown import MapView
from memdb.vectors.index import IndexInfo

COMPARING = JobSlot[TwoOnOne]("map.two.job")
INDEX, EARLIER = "Another index", "This index, earlier"
_CANVAS = "map.two.canvas"


def view(map_view: MapView) -> None:
    """What to hold against the map's documents, the job, and what came of it."""
    chosen = _choice(map_view)
    if chosen is None:
        return
    other, request, age = chosen
    about = (map_view.made.request, request, age)
    running = COMPARING.current() is not None
    parts.start_button(
        "Compare",
        _start,
        (map_view.target, map_view.info, map_view.made.request, other, request, age),
        icon=":material/compare:",
        key="map.two.draw",
        disabled=running,
    )
    if COMPARING.watch():
        return
    job = COMPARING.outcome(map_view.target, "Cancelled: nothing was compared.", about)
    if job is not None and job.result is not None:
        _result(map_view, job.result, age)


def _choice(map_view: MapView) -> tuple[IndexInfo, MapRequest, int] | None:
    """The index, what is drawn of it, and the age of the kept map; 0 for another index."""
    request = replace(map_view.made.request, dimensions=2)
    kind = st.segmented_control(
        "What is held against these documents",
        [INDEX, EARLIER],
        default=INDEX,
        required=True,
        key="map.two.kind",
        bind="query-params",
    )
    if kind == EARLIER:
        earlier = store.earlier(cached.home(), map_view.target, request)
        if not earlier:
            st.caption("No map of this index and filter is kept.")
            return None
        ages = list(range(1, len(earlier) + 1))
        age = st.selectbox(
            "Kept map",
            ages,
            format_func=lambda n: line(earlier[n - 1].words, 120),
            key="map.two.age",
            bind="query-params",
            help="Each map keeps the vectors of its documents. They are held against the index now.",
        )
        return map_view.info, request, int(age or 1)
    names = [
        name
        for name in cached.index_names(map_view.target)
        if name != map_view.info.name and _comparable(map_view, cached.index_info(map_view.target, name))
    ]
    if not names:
        st.caption(
            "No other index of this target has vectors of the same dimensions, metric and kind of model."
        )
        return None
    name = st.selectbox("Index", names, key="map.two.index", bind="query-params", format_func=labels(names))
    info = cached.index_info(map_view.target, str(name))
    order = "random" if request.by == "stratified" else request.by
    other = replace(
        request,
        index=info.name,
        field=info.vector_field()[0].name,
        condition="*",
        params=(),
        by=order,
        stratum="",
    )
    return info, other, 0


def _comparable(map_view: MapView, info: IndexInfo) -> bool:
    if not info.of_kind("VECTOR"):
        return False
    own, params = map_view.info.vector_field(map_view.made.request.field)[1], info.vector_field()[1]
    return (own.dim, own.metric) == (params.dim, params.metric)


def _start(
    target: Target, info: IndexInfo, request: MapRequest, other: IndexInfo, beside: MapRequest, age: int
) -> None:
    opened, home, budget = cached.client(target), cached.home(), safety.budget(target)

    def work(job: Job[TwoOnOne]) -> TwoOnOne:
        client = opened.budgeted(budget)
        if age:
            before = two.earlier(client, home, request, age)
            after = two.read(client, info, request, f"{info.name} now", report=job.report)
            return two.lay(client, info, request, before, after, report=job.report)
        first = two.read(client, info, request, info.name, report=job.report)
        second = two.read(client, other, beside, other.name, report=job.report)
        return two.lay(client, info, request, first, second, report=job.report)

    COMPARING.start(f"Two on one map: {info.name}", work, about=(request, beside, age))


def _result(map_view: MapView, both: TwoOnOne, age: int) -> None:
    difference = both.difference
    icon = (
        ":material/help:"
        if difference is None
        else ":material/trending_up:"
        if difference.beyond_chance
        else ":material/check:"
    )
    st.markdown(f"{icon} {markdown(both.words, 2_000)}")
    _picture(both)
    for note in both.notes:
        st.caption(f":material/info: {markdown(note, 300)}")
    table = pd.DataFrame(
        [
            {
                "region": line(region.name, 80),
                "what happened": region.verdict,
                "before": region.before,
                "after": region.after,
                "share before": region.share_before,
                "share after": region.share_after,
                "p (Holm)": region.p_value,
            }
            for region in both.regions
        ]
    )
    st.markdown("##### Regions")
    if len(table):
        st.dataframe(
            table,
            hide_index=True,
            key="map.two.regions",
            column_config={
                "share before": st.column_config.NumberColumn(format="percent"),
                "share after": st.column_config.NumberColumn(format="percent"),
                "p (Holm)": st.column_config.NumberColumn(format="%.3g"),
            },
        )
    else:
        st.caption("No groups stand out on this map.")
    st.caption(
        f"“Before” is {markdown(both.names[0], 120)}, “after” {markdown(both.names[1], 120)}. A region is "
        "new or emptied where one side's share is at most a twentieth of the other's; it grew or shrank "
        "where the shares differ; each beyond chance (Fisher's exact test, corrected for the number of "
        "regions). Regions are groups of this map: another layout may cut them elsewhere. The energy "
        "distance is of the vectors and does not depend on the map."
    )
    figures_of = (
        {}
        if difference is None
        else {
            "energy_distance": difference.energy,
            "energy_by_chance": difference.energy_by_chance,
            "p_value": difference.p_value,
            "auc": difference.auc,
            "auc_by_chance": [difference.auc_low, difference.auc_high],
            "compared": [difference.before, difference.after],
            "permutations": difference.permutations,
        }
    )
    parts.export(
        table,
        "two-on-one-map",
        {"before": both.names[0], "after": both.names[1], **figures_of},
        key="map.two.file",
    )
    name = both.request.index
    how = f"--since {age}" if age else f"--against {both.names[1]}"
    sample = "all" if both.request.by == "all" else str(both.request.count)
    parts.code_block(
        f"memdb map --index {name} {how} --sample {sample} --seed {both.request.seed} --out two.csv", "bash"
    )


def _picture(both: TwoOnOne) -> None:
    """Where each side's documents lie; the legend shows one of them alone."""
    sides = [f"only {both.names[0]}", "the same in both", f"only {both.names[1]}"]
    codes = np.where(both.before & both.after, 1, np.where(both.before, 0, 2)).astype(np.uint8)
    dark = state.dark()
    if not canvas.possible():
        most = figures.POINTS
        colouring = Colouring("sides", [sides[code] for code in codes[:most].tolist()])
        st.plotly_chart(
            figures.without_webgl(
                figures.points(both.xy[:most], colouring, [line(k, 60) for k in both.keys[:most]], dark=dark)
            ),
            key="map.two.chart",
            config=charts.PLAIN,
            alt="Both on one map",
        )
        return
    colours = charts.palette(dark)
    tones = (colours.categories[5], colours.quiet, colours.categories[0])
    counts = np.bincount(codes, minlength=3)
    categories = [
        canvas.Category(f"{line(text, 60)} ({count:,})", tone, faint=tone == colours.quiet)
        for text, count, tone in zip(sides, counts.tolist(), tones, strict=True)
    ]
    titles = [line(key, 60) for key in both.keys] if len(both.keys) <= canvas.TITLED else []
    points = canvas.packed(_CANVAS, both.xy, codes, titles)
    canvas.carry(points, _CANVAS)
    named = [
        canvas.Label(*painting.densest(points.plane[both.labels == cluster]), line(name, 60), 0)
        for cluster, name in enumerate(both.clusters)
        if (both.labels == cluster).any()
    ]
    canvas_state = canvas.show(
        points,
        categories,
        key=_CANVAS,
        view=hashlib.blake2b(both.xy.tobytes(), digest_size=8).hexdigest(),
        dark=dark,
        alt="Both on one map",
        labels=named,
    )
    if not canvas_state.drawn:
        canvas.give_up()
        st.rerun()
    if canvas_state.selected is not None and len(canvas_state.selected):
        some = canvas_state.selected
        was, now = int(both.before[some].sum()), int(both.after[some].sum())
        st.caption(
            f"Selected: {was:,} before ({was / max(1, int(both.before.sum())):.1%} of that side), "
            f"{now:,} after ({now / max(1, int(both.after.sum())):.1%})."
        )
