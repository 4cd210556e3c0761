"""The Metrics page: controls, live panel, strip of alerts, all read from the history.

The server itself is asked for the slow log and by a recall probe.
"""

from __future__ import annotations

import time

import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import bytes_text, code, duration, labels, line, markdown
from memdb.errors import MemDBError
from memdb.operations.past import NodeNow, Past, in_all
from memdb.ui.kit import pace, parts
from memdb.ui.metrics import cached, views
from memdb.ui.metrics.health import health_line
from memdb.vectors.index import silent_words

RANGES = {"5 min": 300, "15 min": 900, "1 hour": 3600, "6 hours": 21_600, "1 day": 86_400, "7 days": 604_800}
REFRESH = {"2 s": 2.0, "5 s": 5.0, "15 s": 15.0, "60 s": 60.0}
VIEWS = ("Overview", "Memory", "Load", "Index build", "Recall", "Alerts", "Events")
PAUSED = "metrics.paused_at"
_TOOK, _DRAWN = "metrics.took", "metrics.drawn"
_PAUSE = 4  # parts of the time in which nothing is drawn anew, to each in which it is
_STALE_S = 15.0
_LEAST_S = 60.0


def draw(target: Target) -> None:
    """Controls, and below them the panel that runs by itself."""
    with parts.errors_shown():
        sampler = cached.sampler(target)
        if sampler is None:
            parts.empty(
                "Sampling is switched off",
                "MEMDB_SAMPLE_SECONDS is 0. Leave it out, or set it to 2, and start the app again.",
                ":material/monitoring:",
            )
            return
        with st.container(horizontal=True, vertical_alignment="bottom"):
            part = st.segmented_control(
                "View",
                VIEWS,
                default=VIEWS[0],
                required=True,
                key="metrics.view",
                bind="query-params",
                wrap=True,
            )
            span = st.selectbox("Time", list(RANGES), key="metrics.range", bind="query-params", width=120)
            every = st.selectbox(
                "Draw every", list(REFRESH), key="metrics.every", bind="query-params", width=120
            )
            paused = st.toggle("Pause", key="metrics.pause", help="Holds this view; sampling goes on.")
        nodes = cached.past(target).nodes()
        chosen = ""
        if len(nodes) > 1:
            addresses = [node.address for node in nodes]
            chosen = str(
                st.selectbox(
                    "Node",
                    addresses,
                    format_func=labels(addresses),
                    key="metrics.node",
                    bind="query-params",
                    width=320,
                )
            )
        if not paused:
            st.session_state.pop(PAUSED, None)
        elif PAUSED not in st.session_state:
            st.session_state[PAUSED] = time.time()
        pace.again(
            "metrics",
            None if paused else REFRESH[str(every)],
            lambda slower: _panel(target, str(part), RANGES[str(span)], chosen, slower),
        )


def _panel(target: Target, part: str, span_s: int, chosen: str, slower: str) -> None:
    with parts.errors_shown():
        past = cached.past(target)
        nodes = past.nodes()
        if not nodes:
            st.info("The first samples come within seconds.", icon=":material/hourglass_top:")
            return
        began = time.perf_counter()
        end = float(st.session_state.get(PAUSED) or _end(nodes, (part, span_s, chosen)))
        _age(target, past, nodes, slower)
        if part == VIEWS[0]:
            health_line(target, page_link=False)
        strip(target)
        node = next((n for n in nodes if n.address == chosen), nodes[0])
        if len(nodes) > 1:
            _nodes(nodes)
        if node.problem:
            st.error(
                f"{markdown(node.problem, 300)} Its history is below; it is asked again every few seconds.",
                title=f"{markdown(node.address)} does not answer",
                icon=":material/cloud_off:",
            )
        span = past.span()
        # A young history fills the chart instead of a corner of it.
        start = end - span_s if span is None else max(end - span_s, min(span[0], end - _LEAST_S))
        views.draw(part, target, past, node, nodes, (start, end))
        st.session_state[_TOOK] = time.perf_counter() - began


def _end(nodes: tuple[NodeNow, ...], view: tuple[str, int, str]) -> float:
    """Where the charts end, Unix seconds: at the newest sample, so that without one they need no redraw.

    Held for some times as long as the last drawing took: a busy machine draws less often.
    """
    at = time.time()
    kept_end, drawn_at, drawn_view = st.session_state.get(_DRAWN, (0.0, 0.0, ("", 0, "")))
    if drawn_view == view and at - drawn_at < _PAUSE * st.session_state.get(_TOOK, 0.0):
        return float(kept_end)
    newest = max(node.at for node in nodes)
    end = newest if at - newest < _STALE_S else at
    st.session_state[_DRAWN] = (end, at, view)
    return end


def _age(target: Target, past: Past, nodes: tuple[NodeNow, ...], slower: str) -> None:
    sampler = cached.sampler(target)
    age = max(0.0, time.time() - max(node.at for node in nodes))
    words = [f"data {age:.1f} s old" if age < 60 else f"data {duration(age)} old"]
    took = [node.figures["took_ms"] for node in nodes if "took_ms" in node.figures]
    if took:
        words.append(f"a sample takes {max(took):.1f} ms a node, one for all browsers")
    span = past.span()
    if span is not None and span[1] - span[0] > 1:
        words.append(f"history of {duration(span[1] - span[0])}")
    if slower:
        words.append(slower)
    if PAUSED in st.session_state:
        words.append("**paused**")
    if sampler is not None and sampler.status.state == "waiting":
        words.append("another process of this home samples")
    icon = ":material/sensors:" if age < _STALE_S else ":material/sensors_off:"
    st.caption(f"{icon} " + " · ".join(words))
    if sampler is not None and sampler.status.problem:
        st.warning(markdown(sampler.status.problem, 400), icon=":material/save:")


def strip(target: Target) -> None:
    """What is wrong, only when something is."""
    standing = cached.standing(target)
    for alert in sorted(standing, key=lambda a: (a.level != "critical", a.since))[:6]:
        show = st.error if alert.level == "critical" else st.warning
        well = " · back to normal, clears soon" if alert.well_since else ""
        age = duration(max(0.0, time.time() - alert.since))
        show(
            f"{markdown(alert.saw, 300)}. {todo_text(alert.todo)} · for {age}{well}",
            title=f"{markdown(alert.name)} on {markdown(alert.node)}",
            icon=":material/error:" if alert.level == "critical" else ":material/warning:",
        )
    if len(standing) > 6:
        st.caption(f"{len(standing) - 6} more under Alerts.")


def todo_text(todo: str) -> str:
    """A remedy as Markdown, with its commands as code; names in it stay text."""
    pieces = [piece.strip() for piece in todo.replace("`.", "`").split("`")]
    return " ".join(
        code(piece, 300) if i % 2 else markdown(piece, 300) for i, piece in enumerate(pieces) if piece
    )


_WHOLE = {
    "used_bytes": "memory",
    "search_bytes": "of it indexes",
    "keys": "keys",
    "commands": "commands/s",
    "searches": "searches/s",
}


def _nodes(nodes: tuple[NodeNow, ...]) -> None:
    def text(node: NodeNow, name: str, form: str = "{:,.1f}") -> str:
        return form.format(node.figures[name]) if name in node.figures else "–"

    st.dataframe(
        pd.DataFrame(
            [
                {
                    "node": line(node.address),
                    "role": node.role,
                    "answers": "no" if node.problem else "yes",
                    "memory": bytes_text(node.figures["used_bytes"]) if "used_bytes" in node.figures else "–",
                    "CPU": text(node, "cpu", "{:.0%}"),
                    "CPU of all threads": text(node, "cpu_process", "{:.2f} cores"),
                    "commands/s": text(node, "commands"),
                    "Searches/s": text(node, "searches"),
                    "p99 ms": text(node, "p99_ms", "≤ {:.2f}"),
                    "clients": text(node, "clients", "{:,.0f}"),
                    "link": node.link or "–",
                    "behind": bytes_text(node.figures["behind_bytes"])
                    if "behind_bytes" in node.figures
                    else "–",
                    "ack s": text(node, "lag_s", "{:.0f}"),
                }
                for node in nodes
            ]
        ),
        hide_index=True,
        key="metrics.nodes",
    )
    _in_all(nodes)


def _in_all(nodes: tuple[NodeNow, ...]) -> None:
    """The shards together, or which of them is missing in it."""
    primaries = [node for node in nodes if node.role == "primary"]
    if len(primaries) < 2:
        return
    if silent := [node.address for node in primaries if node.problem]:
        st.caption(f":material/cloud_off: {markdown(silent_words(silent))}: the shards are not summed.")
        return
    whole = in_all(nodes)
    sums = [
        f"{_WHOLE[name]} {bytes_text(value) if name.endswith('bytes') else f'{value:,.0f}'}"
        for name, value in whole.items()
    ]
    st.caption(f"All {len(primaries)} shards: {markdown(' · '.join(sums), 400)}")


def sidebar(target: Target) -> None:
    """On every page: sampling begins with the first visit; how many alerts stand, if any."""
    try:
        cached.sampler(target)
        cached.watcher(target)
        standing = cached.standing(target)
    except MemDBError as exc:  # a wrong setting or a damaged file: Metrics says more, other pages go on
        st.caption(":material/sensors_off: no metrics", help=markdown(exc.full()))
        return
    if standing:
        names = ", ".join(sorted({code(a.name) for a in standing}))
        word = "alert" if len(standing) == 1 else "alerts"
        st.caption(f":orange[:material/warning:] {len(standing)} {word}, see Metrics: {names}")
