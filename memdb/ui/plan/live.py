"""The strip beside the plan: the opened cluster now, measured against planned, moving while it fills."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import bytes_text, counted, duration, line, markdown
from memdb.errors import MemDBError
from memdb.operations import growth
from memdb.operations.past import BuildPoint, NodeNow, Past
from memdb.sizing import beside
from memdb.sizing.beside import Beside
from memdb.sizing.choose import usable
from memdb.sizing.plan import SizingPlan
from memdb.sizing.unplanned import Unplanned
from memdb.ui import metrics
from memdb.ui.kit import live, pace, state
from memdb.ui.kit.charts import palette
from memdb.ui.kit.live import LiveChart, layered, of_kind
from memdb.ui.plan import state as plan_state

_TREND_S = 900.0


def strip(target: Target, sizing: SizingPlan) -> None:
    """The cluster beside the plan, drawn again and again."""
    pace.again("plan", 2.0, lambda _: _strip(target, sizing))


def _strip(target: Target, sizing: SizingPlan) -> None:
    """The cluster beside the plan, from the history: the server is not asked for it."""
    try:
        past = metrics.history_of(target)
        nodes = past.nodes() if past is not None else ()
    except MemDBError as exc:
        st.caption(f":material/sensors_off: No live figures: {markdown(str(exc), 300)}")
        return
    answering = [node for node in nodes if "used_bytes" in node.figures and not node.problem]
    if past is None or not answering:
        st.caption(
            ":material/sensors_off: No live figures of this cluster: "
            + ("sampling is switched off." if past is None else "no sample yet.")
        )
        return
    node = max(answering, key=lambda each: each.figures["used_bytes"])  # of several, the fullest counts
    now = time.time()
    used = node.figures["used_bytes"]
    besides = _besides(target, node, used)
    outside = besides.bytes if besides is not None else 0.0
    with st.container(border=True):
        st.markdown(f"**This cluster, now** · {markdown(node.address, 80)}")
        st.markdown(_sentence(past, node, sizing, (used, besides), now))
        if besides is None and (more := _more(node, sizing)):
            st.caption(f":material/info: {markdown(more, 600)}")
        last = past.last_split(node.address, now)
        rows = beside.parts(sizing.estimate, last[1] if last is not None else None, outside)
        live.draw(_chart(rows), key="plan.live", alt="Memory by part: planned, and in the cluster now")
        with st.expander("Each part, planned and measured"):
            st.dataframe(
                pd.DataFrame(
                    [
                        {
                            "part": row.name,
                            "planned": bytes_text(row.planned),
                            "now": "–" if row.now is None else bytes_text(row.now),
                            "now ÷ planned": None
                            if row.now is None or not row.planned
                            else row.now / row.planned,
                        }
                        for row in rows
                    ]
                ),
                hide_index=True,
                key="plan.live_table",
                placeholder="–",
                column_config={"now ÷ planned": st.column_config.NumberColumn(format="percent")},
            )
            st.caption(
                "The plan is of one index and its sessions; “now” is all the node holds, part by part."
            )
            if last is not None:
                at = datetime.fromtimestamp(last[0], UTC).strftime("%H:%M:%S")
                st.caption(
                    f"Parts as measured at {at} UTC, every five minutes; used memory every few seconds."
                )


def _besides(target: Target, node: NodeNow, used: float) -> Unplanned | None:
    """What the plan leaves out of this node, as it was read; None where it is not known or has gone."""
    besides = plan_state.unplanned(target)
    if besides is None or besides.node != node.address or not besides.words or besides.bytes >= used:
        return None
    return besides


def _more(node: NodeNow, sizing: SizingPlan) -> str:
    """That the node holds more than the plan is of; "" where it does not."""
    planned = sizing.inputs.shape.vectors + round(sizing.inputs.sessions.live)
    keys = round(node.figures.get("keys", 0.0))
    if len(node.indexes) < 2 and keys <= planned:
        return ""
    return (
        f"This node holds {counted(len(node.indexes), 'index', 'indexes')} and {counted(keys, 'key')}; "
        f"the plan is of one index and {counted(planned, 'key')}. “Read from this cluster” says how much it "
        "leaves out."
    )


def _sentence(
    past: Past, node: NodeNow, sizing: SizingPlan, memory: tuple[float, Unplanned | None], now: float
) -> str:
    """Memory, builds and room in one line.

    Args:
        past: the history.
        node: of it.
        sizing: the plan.
        memory: bytes that are used, and what of them the plan leaves out.
        now: Unix seconds.
    """
    used, besides = memory
    planned = sizing.estimate.total_bytes
    series = past.series(node.address, now - _TREND_S, now, ["used_bytes"])
    trend = growth.growth(series.times, series.mean["used_bytes"], None)
    if besides is not None:
        rest = used - besides.bytes
        words = [
            f"**{bytes_text(used)}** used, about {bytes_text(besides.bytes)} of it not in the plan "
            f"({markdown(besides.counts)}); the other {bytes_text(rest)} are {rest / planned:.1%} of the "
            f"{bytes_text(planned)} planned"
        ]
    else:
        words = [f"**{bytes_text(used)}** used, {used / planned:.1%} of the {bytes_text(planned)} planned"]
    words.append(_trend_words(trend))
    words += _builds(past, node, now)
    option = sizing.options[0] if sizing.options else None
    if option is not None:
        chosen = option.choice.node
        free_room = beside.room(used, usable(chosen, sizing.inputs.wishes.reserve), trend)
        if free_room.free < 0:
            words.append(
                f"{markdown(chosen.size)} would not hold it: {bytes_text(-free_room.free)} too little"
            )
        else:
            text = f"{bytes_text(free_room.free)} free on the plan's {markdown(chosen.size)}"
            if free_room.full_s is not None:
                text += f", full {_day(now + free_room.full_s)} at this growth ({_span(free_room)})"
            words.append(text)
    return " · ".join(words)


def _trend_words(trend: growth.Growth | None) -> str:
    if trend is None:
        return "growth: a minute of samples is needed"
    if not trend.certain:
        return "no growth beyond noise"
    verb = "grows" if trend.per_s > 0 else "shrinks"
    return f"{verb} by {bytes_text(abs(trend.per_s) * 3600)} an hour"


def _builds(past: Past, node: NodeNow, now: float) -> list[str]:
    points = past.builds(now - 86_400, now)
    sentences = []
    for index in node.indexes:
        if index.state != "building":
            continue
        mine: list[BuildPoint] = [p for p in points if (p.name, p.node) == (index.name, node.address)]
        rate = metrics.build_rate(mine)
        text = f":material/construction: {markdown(line(index.name, 60))} is being built"
        if index.fraction is not None:
            text += f": {index.fraction:.0%}"
            if rate:
                text += f", {rate:.2%} a second, {duration((1 - index.fraction) / rate)} left"
        sentences.append(text)
    return sentences


def _day(at: float) -> str:
    """A day as people write it; far away, the year is enough."""
    try:
        return f"on {datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
    except (OverflowError, ValueError, OSError):
        return "in no foreseeable time"


def _span(free_room: beside.Room) -> str:
    latest = duration(free_room.latest_s) if free_room.latest_s is not None else "never"
    return f"in {duration(free_room.soonest_s)} to {latest}"


def _ticks(rows: tuple[Beside, ...]) -> list[float]:
    """At most seven sizes in whole MiB or GiB from 0, 1, 2, 5, 10, 20… of them apart."""
    most = max(sum(row.planned for row in rows), sum(row.now or 0.0 for row in rows), 1.0)
    unit = 1 << 30 if most >= 1 << 30 else 1 << 20
    step = next(s * 10**e * unit for e in range(12) for s in (1, 2, 5) if s * 10**e * unit * 6 > most)
    return [float(i * step) for i in range(int(most / step) + 1)]


def _chart(rows: tuple[Beside, ...]) -> LiveChart:
    colours = palette(state.dark())
    bars = []
    for who, sizes in (("planned", [row.planned for row in rows]), ("now", [row.now or 0.0 for row in rows])):
        end = 0.0
        for row, size in zip(rows, sizes, strict=True):
            bars.append(
                {
                    "kind": "bar",
                    "who": who,
                    "part": row.name,
                    "x": end,
                    "end": end + size,
                    "size": bytes_text(size),
                }
            )
            end += size
    names = [row.name for row in rows]
    layer = of_kind(
        "bar",
        {"type": "bar"},
        x={"field": "x"},
        x2={"field": "end"},
        y={"field": "who"},
        color={
            "field": "part",
            "type": "nominal",
            "sort": names,
            "scale": {"domain": names, "range": list(colours.categories[: len(names)])},
            "legend": {"title": None, "columns": 3},
        },
        tooltip=[
            {"field": "who", "title": "which"},
            {"field": "part", "title": "part"},
            {"field": "size", "title": "memory"},
        ],
    )
    expression = (
        "datum.value >= 1073741824 ? format(datum.value / 1073741824, '.3~g') + ' GiB' : "
        "format(datum.value / 1048576, '.3~g') + ' MiB'"
    )
    spec = layered(
        [layer],
        colours,
        height=150,
        x={"type": "quantitative", "axis": {"title": None, "labelExpr": expression, "values": _ticks(rows)}},
        y={"type": "nominal", "sort": ["planned", "now"], "axis": {"title": None, "grid": False}},
    )
    return LiveChart(spec, pd.DataFrame(bars, columns=["kind", "who", "part", "x", "end", "size"]))
