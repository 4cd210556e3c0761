"""The Alerts and Events views of the Metrics page."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import line
from memdb.errors import MemDBError
from memdb.operations import alerts, sampler
from memdb.operations.events import Event
from memdb.operations.past import Past
from memdb.operations.thresholds import Thresholds
from memdb.ui.kit import parts, role
from memdb.ui.metrics import cached

_TIME = st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss")


def view(target: Target, past: Past) -> None:
    """What stands, and the thresholds to edit."""
    suspected = [a for a in alerts.from_facts(past.kept(sampler.ALERTS)).values() if not a.stands]
    standing = sorted([*cached.standing(target), *suspected], key=lambda a: a.since)
    if standing:
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "node": line(a.node),
                        "figure": line(a.name),
                        "level": a.level,
                        "state": _stage(a),
                        "since": pd.to_datetime(a.since, unit="s", utc=True),
                        "saw": line(a.saw, 300),
                        "what to do": line(a.todo, 300),
                        "source": a.source,
                    }
                    for a in standing
                ]
            ),
            hide_index=True,
            key="metrics.alerts",
            column_config={"since": _TIME},
        )
    else:
        st.success("Nothing is wrong on any node.", icon=":material/check_circle:")
    limits = sampler.thresholds_of(past.kept(sampler.THRESHOLDS))
    st.markdown("###### Thresholds")
    with st.form("metrics.thresholds"):
        columns = st.columns(3)
        free = columns[0].number_input(
            "Free memory under %",
            0,
            100,
            round(100 * limits.free_memory),
            key="metrics.free",
            help="The article's alarm: under 25 %.",
        )
        cpu = columns[1].number_input(
            "CPU over %",
            0,
            100,
            round(100 * limits.cpu),
            key="metrics.cpu",
            help="The article's alarm: over 70 % sustained; here the mean of the last minute.",
        )
        clients = columns[2].number_input(
            "Connections over %",
            0,
            100,
            round(100 * limits.connections),
            key="metrics.clients",
            help="Of maxclients. Ours: the article says only to watch them.",
        )
        pressed = st.form_submit_button("Keep", icon=":material/save:", disabled=role.locked())
    if pressed:
        _keep(past, Thresholds((free or 0) / 100, (cpu or 0) / 100, (clients or 0) / 100))
    st.caption(
        "Also watched: evictions, rejected connections, replication links, index builds and failures, nodes "
        "that do not answer. An alert clears once the figure has been 5 points better than its threshold for "
        "a minute. MEMDB_WEBHOOK names an address to notify."
    )
    st.code("memdb check --json   # exits 1 on a warning or worse", language="bash")


@role.changes
def _keep(past: Past, wanted: Thresholds) -> None:
    try:
        sampler.keep_thresholds(past.path, wanted)
    except MemDBError as exc:
        parts.show_error(exc)
    else:
        st.toast("Kept for this target, for all who look.", icon=":material/save:")


def _stage(alert: alerts.Alert) -> str:
    if not alert.stands:
        return "suspected"
    return "back to normal" if alert.well_since else "raised"


def events(happened: Sequence[Event]) -> None:
    """What happened."""
    if not happened:
        st.info("Nothing happened in this time.", icon=":material/event_available:")
        return
    frame = pd.DataFrame(
        [
            (pd.to_datetime(e.at, unit="s", utc=True), e.kind, line(e.node), line(e.name), line(e.text, 300))
            for e in happened
        ],
        columns=["time", "kind", "node", "name", "what"],
    )
    st.dataframe(frame, hide_index=True, key="metrics.events", column_config={"time": _TIME})
    parts.export(frame, "events", {}, key="metrics.events.export")
