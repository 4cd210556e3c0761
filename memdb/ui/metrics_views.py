"""What the Metrics page shows under each of its views; a table and an export with every chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from memdb.display import bytes_text, duration, line, markdown
from memdb.errors import MemDBError
from memdb.operations import alerts, growth, sampler
from memdb.operations.events import Event
from memdb.operations.keyspace import Coverage
from memdb.operations.memory import TITLES, MemorySplit
from memdb.operations.past import BuildPoint, NodeNow, Past, Series
from memdb.operations.readings import KINDS
from memdb.operations.thresholds import Thresholds
from memdb.ui import figures_metrics, parts, state

# View → chart: title, figures with their names, unit, further words for `over_time`.
_OVERVIEW = (
    ("Memory", {"used_bytes": "used", "limit_bytes": "maxmemory"}, "bytes"),
    ("Commands and searches", {"commands": "commands", "searches": "FT.SEARCH"}, "1/s"),
    ("CPU of the main thread", {"cpu": "CPU"}, "share"),
    ("FT.SEARCH", {"search_ms": "mean", "search_p99_ms": "p99, at most"}, "ms"),
)
_LOAD = (
    ("Commands by kind", {f"calls_{kind}": kind for kind in KINDS}, "1/s"),
    ("All commands", {"p50_ms": "p50, at most", "p99_ms": "p99, at most"}, "ms"),
    ("Connections", {"clients": "connected", "blocked_clients": "blocked"}, "clients"),
    ("Hit rate", {"hit_rate": "hits"}, "share"),
    ("Keys that left", {"expired": "expired", "evicted": "evicted"}, "1/s"),
    ("Refused and slow", {"errors": "errors", "rejected": "rejected", "slow": "slow log"}, "1/s"),
    ("Network", {"net_in_bytes": "in", "net_out_bytes": "out"}, "bytes/s"),
    ("Replication behind the primary", {"behind_bytes": "not acknowledged"}, "bytes"),
)
Span = tuple[float, float]


def draw(shown: str, past: Past, node: NodeNow, nodes: Sequence[NodeNow], span: Span) -> None:
    """One of the views."""
    if shown == "Overview":
        _tiles(node)
        _charts(past, node, span, _OVERVIEW, "overview", past.events(*span))
    elif shown == "Memory":
        _memory(past, node, span)
    elif shown == "Load":
        _charts(past, node, span, _LOAD, "load", past.events(*span))
        st.caption(
            "Rates are differences of the server's counters; a restart is a gap. p50 and p99 are upper edges "
            "of the server's buckets, which double from one to the next. The app's own samples are in them: "
            "10 commands every two seconds, and up to 1,600 every five minutes to see where memory goes."
        )
    elif shown == "Index build":
        _builds(past, nodes, span)
    elif shown == "Alerts":
        _alerts(past)
    else:
        _events(past.events(*span))
    if node.absent and shown in ("Overview", "Load", "Memory"):
        with st.expander("Not told by this node"):
            st.dataframe(
                pd.DataFrame(
                    [(line(k), line(v, 300)) for k, v in node.absent.items()], columns=["figure", "why"]
                ),
                hide_index=True,
                key="metrics.absent",
            )


def _tiles(node: NodeNow) -> None:
    told = node.figures
    used, limit = told.get("used_bytes"), told.get("limit_bytes")
    free = f"{1 - used / limit:.0%} free" if used is not None and limit else "no limit"
    tiles = (
        ("Memory", "–" if used is None else bytes_text(used), free),
        ("Commands/s", _number(told.get("commands")), "all kinds"),
        ("FT.SEARCH/s", _number(told.get("searches")), _ms("mean", told.get("search_ms")) or "none now"),
        ("FT.SEARCH p99", _ms("≤", told.get("search_p99_ms")) or "–", "last sample"),
        ("CPU", _share(told.get("cpu")), "main thread"),
        ("Connections", _whole(told.get("clients")), f"of {_whole(told.get('client_limit'))}"),
    )
    for column, (title, value, under) in zip(st.columns(len(tiles)), tiles, strict=True):
        with column.container(border=True):
            st.metric(title, value)
            st.caption(under)


def _charts(
    past: Past,
    node: NodeNow,
    span: Span,
    charts: Sequence[tuple[str, Mapping[str, str], str]],
    name: str,
    events: Sequence[Event],
) -> None:
    figures = list(dict.fromkeys(figure for _, chosen, _ in charts for figure in chosen))
    series = past.series(node.address, *span, figures)
    limits = sampler.thresholds_of(past.kept(sampler.THRESHOLDS))
    columns = st.columns(2)
    for i, (title, chosen, unit) in enumerate(charts):
        told = {figure: word for figure, word in chosen.items() if np.isfinite(series.mean[figure]).any()}
        with columns[i % 2]:
            st.markdown(f"###### {title}")
            if not told:
                why = next(
                    (node.absent[f] for f in chosen if f in node.absent), "nothing happened in this time"
                )
                st.caption(f"No value: {markdown(why, 300)}.")
                continue
            st.plotly_chart(
                figures_metrics.over_time(
                    series, told, span, events, unit=unit, dark=state.dark(),
                    limit=limits.cpu if title.startswith("CPU") else None,
                    share=unit == "share", area="by kind" in title,
                ),
                key=f"metrics.{name}.{i}",
                config={"displayModeBar": False},
                alt=f"{title} of {line(node.address)} over time",
            )  # fmt: skip
    _table(series, figures, node, span, name)
    if events:
        st.caption(
            f"Vertical lines mark {min(len(events), 12)} of {len(events)} events; orange ones are alerts."
        )


def _table(series: Series, figures: Sequence[str], node: NodeNow, span: Span, name: str) -> None:
    opened = st.expander("Table and export", on_change="rerun", key=f"metrics.{name}.table")
    if not opened.open:
        return
    frame = pd.DataFrame(
        {"time": pd.to_datetime(series.times, unit="s", utc=True), **{n: series.mean[n] for n in figures}}
    )
    with opened:
        st.dataframe(frame[::-1], hide_index=True, height=240, key=f"metrics.{name}.frame")
        about = {"node": node.address, "from": span[0], "to": span[1], "bucket_s": series.bucket_s}
        parts.export(frame, f"metrics-{name}", about, key=f"metrics.{name}.export")


def _memory(past: Past, node: NodeNow, span: Span) -> None:
    series = past.series(node.address, *span, ["used_bytes", "limit_bytes", "rss_bytes", "search_bytes"])
    limit = node.figures.get("limit_bytes")
    found = growth.growth(series.times, series.mean["used_bytes"], limit)
    left, right = st.columns(2)
    with left:
        st.markdown("###### Over time")
        names = {"used_bytes": "used", "rss_bytes": "resident", "search_bytes": "indexes"}
        if limit is not None:
            names["limit_bytes"] = "maxmemory"
        st.plotly_chart(
            figures_metrics.over_time(
                series, names, span, past.events(*span), unit="bytes", dark=state.dark()
            ),
            key="metrics.memory.time",
            config={"displayModeBar": False},
            alt="Memory over time",
        )
        st.markdown(growth_text(found, limit))
        fragmentation = node.figures.get("fragmentation")
        if fragmentation is not None:
            st.caption(
                f"Fragmentation {fragmentation:.2f}: resident memory over used; high where little is used."
            )
    splits = past.splits(node.address, min(span[0], span[1] - 2 * sampler.SPLIT_S), span[1])
    with right:
        st.markdown("###### Where it goes")
        if not splits:
            st.caption("A split is made every five minutes: a longer time shows the last one.")
            return
        try:
            split = MemorySplit.from_facts(splits[-1][1])
        except ValueError:  # of another version; the next one comes within a minute
            return
        st.plotly_chart(
            figures_metrics.memory_parts(split, dark=state.dark()),
            key="metrics.memory.parts",
            config={"displayModeBar": False},
            alt="Memory by part",
        )
    frame = _split_frame(split)
    st.dataframe(frame, hide_index=True, key="metrics.memory.table", height="content")
    words = []
    for freed in split.ttl_freed:
        within = "" if freed.within_bytes is None else f" ± {bytes_text(freed.within_bytes)}"
        when = "hour" if freed.seconds == 3600 else "day"
        words.append(f"{bytes_text(freed.bytes)}{within} within the next {when}")
    if words:
        st.markdown(f":material/timer: TTLs will free about {' and '.join(words)}, of keys alone.")
    at = pd.to_datetime(splits[-1][0], unit="s").strftime("%H:%M:%S")
    st.caption(
        f"Split of {at} UTC, from {split.sampled:,} keys; asked every five minutes. `memdb memory` asks now."
    )
    with st.container(horizontal=True):
        parts.export(frame, "memory-split", {"node": node.address, "at": splits[-1][0]}, key="metrics.memory")


def growth_text(found: growth.Growth | None, limit: float | None) -> str:
    """One sentence about growth, Markdown."""
    if found is None:
        return ":material/trending_flat: Growth: a minute of samples is needed."
    hour = found.per_s * 3600
    low, high = (bytes_text(abs(v) * 3600) for v in (found.low, found.high))
    over = duration(found.over_s)
    if not found.certain:
        return f":material/trending_flat: No growth that could be told from noise over {over}."
    if hour < 0:
        return (
            f":material/trending_down: Shrinks by {bytes_text(-hour)} an hour ({high} to {low}, over {over})."
        )
    text = f":material/trending_up: Grows by {bytes_text(hour)} an hour ({low} to {high}, over {over})."
    if limit is None:
        return text + " There is no limit (maxmemory 0)."
    latest = duration(found.latest_s) if found.latest_s is not None else "never"
    return text + (
        f" **The limit is reached in {duration(found.left_s)}** ({duration(found.soonest_s)} to {latest}), "
        "if it goes on like this."
    )


def _split_frame(split: MemorySplit) -> pd.DataFrame:
    rows = [
        (
            TITLES[part.name],
            "–" if part.bytes is None else bytes_text(part.bytes),
            "" if part.within_bytes is None else f"± {bytes_text(part.within_bytes)}",
            line(part.source, 200),
            line(part.absent, 200),
        )
        for part in split.parts
    ]
    if split.rest is not None:
        sign = "−" if split.rest < 0 else ""
        rows.append(("Rest", sign + bytes_text(abs(split.rest)), "", "used memory less the parts above", ""))
    return pd.DataFrame(rows, columns=["part", "memory", "95 %", "source", "not told"])


def _builds(past: Past, nodes: Sequence[NodeNow], span: Span) -> None:
    coverage: dict[tuple[str, str], Coverage] = {}
    for node in nodes:
        for _, facts in past.splits(node.address, min(span[0], span[1] - 2 * sampler.SPLIT_S), span[1])[-1:]:
            try:
                split = MemorySplit.from_facts(facts)
            except ValueError:
                continue
            coverage |= {(node.address, c.index): c for c in split.coverage}
    points = past.builds(*span)
    events = past.events(*span)
    rows = []
    for node in nodes:
        for one in node.indexes:
            rate = build_rate([p for p in points if (p.name, p.node) == (one.name, node.address)])
            there = coverage.get((node.address, one.name))
            gap = None if there is None else there.keys - one.documents
            building = one.state == "building" and rate
            rows.append(
                {
                    "index": line(one.name),
                    "node": line(node.address),
                    "state": one.state,
                    "built": one.fraction,
                    "documents": one.documents,
                    "keys under prefix": "–"
                    if there is None
                    else f"{there.keys:,.0f}" + ("" if there.exact else f" ± {there.within:,.0f}"),
                    "gap": "–" if gap is None else f"{gap:+,.0f}",
                    "built/s": f"{rate:.2%}" if building and rate else "",
                    "time left": duration((1 - one.fraction) / rate) if building and rate else "",
                    "failures": one.failures,
                    "last error": line(
                        f"{one.last_error} ({one.last_error_key})" if one.last_error else "", 200
                    ),
                    "told by": line(one.source),
                }
            )
    if not rows:
        parts.empty(
            "No index on this target",
            "The Home page loads demo data with an index; FT.CREATE makes one.",
            ":material/stacks:",
        )
        return
    frame = pd.DataFrame(rows)
    st.dataframe(
        frame,
        hide_index=True,
        key="metrics.builds",
        column_config={
            "built": st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0)
        },
    )
    st.plotly_chart(
        figures_metrics.build_progress(points, span, events, dark=state.dark()),
        key="metrics.builds.chart",
        config={"displayModeBar": False},
        alt="Build progress of each index on each node",
    )
    done = [e for e in events if e.kind == "build"]
    for event in done[:5]:
        at = pd.to_datetime(event.at, unit="s").strftime("%H:%M:%S")
        st.markdown(
            f":material/flag: {at} UTC · **{markdown(event.name)}** on {markdown(event.node)}: "
            f"{markdown(event.text)}"
        )
    st.caption(
        "Each node builds for itself, so the primary may be done while a replica is not. Keys under the "
        "prefix are counted, or estimated from a sample, every five minutes. `VectorIndexBuiltPercent`, "
        "which the article names, does not exist on MemoryDB: this page reads FT.INFO and INFO of each node."
    )
    parts.export(frame, "index-builds", {"to": span[1]}, key="metrics.builds.export")


def build_rate(points: Sequence[BuildPoint]) -> float | None:
    """Share of an index built a second, over the build that runs; None where it does not move."""
    running: list[tuple[float, float]] = []
    for point in points:
        if running and point.fraction < running[-1][1]:
            running = []  # another build began
        running.append((point.at, point.fraction))
    if len(running) < 2 or running[-1][0] <= running[0][0]:
        return None
    rate = (running[-1][1] - running[0][1]) / (running[-1][0] - running[0][0])
    return rate if rate > 0 else None


def _alerts(past: Past) -> None:
    found = sorted(alerts.from_facts(past.kept(sampler.ALERTS)).values(), key=lambda a: a.since)
    if found:
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "node": line(a.node),
                        "figure": line(a.name),
                        "level": a.level,
                        "state": "raised"
                        if a.stands and not a.well_since
                        else "well again"
                        if a.stands
                        else "suspected",
                        "since": pd.to_datetime(a.since, unit="s", utc=True),
                        "saw": line(a.saw, 300),
                        "what to do": line(a.todo, 300),
                        "source": a.source,
                    }
                    for a in found
                ]
            ),
            hide_index=True,
            key="metrics.alerts",
        )
    else:
        st.success("Nothing is wrong on any node.", icon=":material/check_circle:")
    limits = sampler.thresholds_of(past.kept(sampler.THRESHOLDS))
    st.markdown("###### Thresholds")
    with st.form("metrics.thresholds"):
        columns = st.columns(3)
        free = columns[0].number_input(
            "Free memory under %", 0, 100, round(100 * limits.free_memory), key="metrics.free",
            help="The article's alarm: under 25 %.",
        )  # fmt: skip
        cpu = columns[1].number_input(
            "CPU over %", 0, 100, round(100 * limits.cpu), key="metrics.cpu",
            help="The article's alarm: over 70 % sustained; here the mean of the last minute.",
        )  # fmt: skip
        clients = columns[2].number_input(
            "Connections over %", 0, 100, round(100 * limits.connections), key="metrics.clients",
            help="Of maxclients. Ours: the article says only to watch them.",
        )  # fmt: skip
        kept = st.form_submit_button("Keep", icon=":material/save:")
    if kept:
        try:
            wanted = Thresholds((free or 0) / 100, (cpu or 0) / 100, (clients or 0) / 100)
            sampler.keep_thresholds(past.path, wanted)
            st.toast("Kept for this target, for all who look.", icon=":material/save:")
        except MemDBError as exc:
            parts.show_error(exc)
    st.caption(
        "Also watched: evictions, rejected connections, replication links, index builds and failures, nodes "
        "that do not answer. An alert clears once the figure has been 5 points better than its threshold for "
        "a minute. MEMDB_WEBHOOK names an address that is told."
    )
    st.code("memdb check --json   # exits 1 on a warning or worse", language="bash")


def _stage(alert: alerts.Alert) -> str:
    if not alert.stands:
        return "suspected"
    return "well again" if alert.well_since else "raised"


def _events(found: Sequence[Event]) -> None:
    if not found:
        st.info("Nothing happened in this time.", icon=":material/event_available:")
        return
    frame = pd.DataFrame(
        [
            (pd.to_datetime(e.at, unit="s", utc=True), e.kind, line(e.node), line(e.name), line(e.text, 300))
            for e in found
        ],
        columns=["time", "kind", "node", "name", "what"],
    )
    st.dataframe(frame, hide_index=True, key="metrics.events")
    parts.export(frame, "events", {}, key="metrics.events.export")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:,.1f}"


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _ms(word: str, value: float | None) -> str:
    return "" if value is None else f"{word} {value:,.2f} ms"
