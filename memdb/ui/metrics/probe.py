"""The probe on the Metrics page: recall and refusals of one index while it is built."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from memdb.cluster.client import Client
from memdb.cluster.target import Target
from memdb.display import labels, line, markdown
from memdb.jobs import Job
from memdb.operations import probe
from memdb.operations.past import NodeNow
from memdb.operations.probe import Probe
from memdb.ui.kit import cached, charts, parts, safety, state
from memdb.ui.kit.job import JobSlot
from memdb.ui.kit.job import panel as job_panel
from memdb.ui.metrics import figures

PROBING = JobSlot[Probe]("metrics.probe_job")


def view(target: Target, node: NodeNow) -> None:
    """A button for the index chosen, the running probe, or its result; in a fragment that runs itself."""
    names = [index.name for index in node.indexes]
    st.markdown("###### Recall and refusals while it builds")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox("Index", names, format_func=labels(names), key="metrics.probe_index", width=280)
        job = PROBING.job()
        running = job is not None and job.state.status == "running"
        st.button(
            "Probe",
            icon=":material/troubleshoot:",
            key="metrics.probe",
            disabled=running,
            on_click=_start,
            args=(target,),
            help=f"Reads every vector under its prefixes once, then asks {probe.QUERIES} queries a second "
            "until the index is ready. Counts against the budget.",
        )
    if job is None:
        st.caption(
            "Compares what searches find with the exact neighbours among all keys, built in or not. Start it "
            "when a build begins; on an index that is ready it looks once."
        )
        return
    if running:
        job_panel(job)
    elif job.error is not None:
        parts.show_error(job.error)
    if job.result is not None and job.result.looks:
        _shown(job.result)


def _shown(run: Probe) -> None:
    last = run.looks[-1]
    recall = "–" if last.recall is None else f"{last.recall:.2f}"
    refused = sum(look.rejected for look in run.looks)
    searches = sum(look.asked for look in run.looks)
    st.markdown(
        f"**{markdown(run.index)}**: recall@{run.k} **{recall}** at {last.fraction:.0%} built, "
        f"{refused:,} of {searches:,} searches refused, truth from {run.keys:,} keys."
    )
    if last.problem:
        st.caption(f":material/block: {markdown(last.problem, 300)}")
    st.plotly_chart(
        figures.probe(run, dark=state.dark()),
        key="metrics.probe.chart",
        config=charts.PLAIN,
        alt="Recall, share built and share refused over time",
    )
    frame = pd.DataFrame(
        [
            {
                "second": round(look.at_s, 1),
                "state": look.state,
                "built": look.fraction,
                f"recall@{run.k}": look.recall,
                "asked": look.asked,
                "refused": look.rejected,
                "p50 ms": look.p50_ms,
                "why": line(look.problem, 200),
            }
            for look in run.looks
        ]
    )
    with st.expander("Table of the probe"):
        st.dataframe(frame, hide_index=True, key="metrics.probe.table")
    parts.export(frame, "probe", {"index": run.index, "keys": run.keys}, key="metrics.probe.export")


def _start(target: Target) -> None:
    name = str(st.session_state["metrics.probe_index"])
    client = cached.client(target).budgeted(safety.budget(target))
    PROBING.start(f"Probe {name}", partial(_work, client, name))


def _work(client: Client, name: str, job: Job[Probe]) -> Probe:
    return probe.run(client, name, report=job.report, keep=job.keep)
