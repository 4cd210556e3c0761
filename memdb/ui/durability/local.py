"""The Durability page: what to run, the run as it goes, and what the ledger says afterwards."""

from __future__ import annotations

import streamlit as st

from memdb.display import line, markdown
from memdb.durability import drill, report
from memdb.durability.drill import DrillRequest, DrillResult, DrillSide
from memdb.errors import MemDBError
from memdb.jobs import Job
from memdb.json_text import json_text
from memdb.ui.durability import figures
from memdb.ui.kit import charts, live, parts, role, state
from memdb.ui.kit.cached import home
from memdb.ui.kit.job import JobSlot

DRILLING = JobSlot[DrillResult]("drill.job", every="0.5s")
PLACES = ("On this machine", "On your cluster")
NAMES = {
    drill.DURABLE: ("Durable", ":material/verified_user:"),
    drill.CACHE: ("Cache without durability", ":material/bolt:"),
    drill.PROMOTED: ("Replica promoted", ":material/swap_horiz:"),
    drill.OWN: ("Your cluster", ":material/cloud:"),
}


def where() -> str:
    """On engines of this machine, or on the opened cluster."""
    return str(
        st.segmented_control(
            "Where",
            PLACES,
            default=PLACES[0],
            required=True,
            key="drill.where",
            bind="query-params",
            label_visibility="collapsed",
        )
    )


DEFAULT = DrillRequest()


def form() -> DrillRequest | MemDBError:
    """Widgets; what they ask for."""
    left, middle, right, far = st.columns([1, 1, 1.2, 1.6], vertical_alignment="bottom")
    seconds = left.number_input(
        "Seconds",
        2,
        300,
        int(DEFAULT.seconds),
        key="drill.seconds",
        bind="query-params",
        help="Of writing on each engine.",
    )
    writers = middle.number_input("Writers", 1, 32, DEFAULT.writers, key="drill.writers", bind="query-params")
    rate = right.number_input(
        "Writes a second, each",
        0,
        10_000,
        int(DEFAULT.rate),
        key="drill.rate",
        bind="query-params",
        help="0: as fast as they are acknowledged.",
    )
    promotion = far.toggle(
        "With a replica that takes over",
        key="drill.promotion",
        bind="query-params",
        help="A third engine without a log: its primary is killed and its replica promoted.",
    )
    left, right, _ = st.columns([1, 1, 2.8], vertical_alignment="bottom")
    documents = left.number_input(
        "Documents",
        0,
        100_000,
        DEFAULT.documents,
        100,
        key="drill.documents",
        bind="query-params",
        help="With vectors, for recall before and after; 0: none.",
    )
    seed = right.number_input(
        "Seed",
        0,
        value=None,
        placeholder="by chance",
        key="drill.seed",
        bind="query-params",
        help="Of the moment of the kill.",
    )
    try:
        return DrillRequest(
            float(seconds or 0),
            int(writers or 0),
            float(rate or 0),
            int(documents or 0),
            promotion,
            None if seed is None else int(seed),
        )
    except MemDBError as exc:
        return exc


def view(request: DrillRequest | MemDBError) -> None:
    """The button, the running drill, or the last result."""
    if isinstance(request, MemDBError):
        parts.show_error(request)
        return
    job = DRILLING.job()
    running = DRILLING.current() is not None
    parts.start_button(
        "Run the drill",
        start,
        (request,),
        icon=":material/power_off:",
        disabled=running or role.locked(),
        key="drill.run",
    )
    if job is None:
        parts.empty(
            "Pull the plug on two engines",
            "Both take the same sessions and vectors. One writes them to its log before it says yes, one "
            "keeps them in memory. Both are killed while they are written to: then every acknowledged "
            "write is looked for.",
            ":material/power_off:",
        )
    elif running:
        watch(DRILLING)
    else:
        if job.error is not None:
            parts.show_error(job.error)
        elif job.state.status == "cancelled":
            st.info(
                "Cancelled: the engines were ended, and nothing was compared.", icon=":material/stop_circle:"
            )
        if job.result is not None and job.result.finished:
            shown(job.result, key="drill")
    _words()


@role.changes
def start(request: DrillRequest) -> None:
    """A callback: run in the background, one drill at a time."""
    folder = home()

    def work(job: Job[DrillResult]) -> DrillResult:
        return drill.run(request, folder, report=job.report, keep=job.keep)

    DRILLING.start("Durability drill", work)


def watch(slot: JobSlot[DrillResult]) -> None:
    """The running drill."""
    slot.watch(_so_far)


def _so_far(result: DrillResult | None) -> None:
    if result is not None:
        _charts(result, key="drill.live")
    else:
        st.caption("Two engines of this machine are started, each in a folder of its own.")


def shown(result: DrillResult, *, key: str) -> None:
    """A finished drill: the sentence, a card for each engine, charts, tables, files."""
    cards(result)
    _charts(result, key=key)
    with st.expander("All figures"):
        st.dataframe(report.frame(result), hide_index=True, key=f"{key}.figures")
        st.dataframe(report.seconds_frame(result), hide_index=True, key=f"{key}.seconds_table")
    request = result.request
    about = {"seconds": request.seconds, "writers": request.writers, "rate": request.rate}
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "JSON",
            json_text(result.facts(), indent=2),
            "drill.json",
            "application/json",
            icon=":material/download:",
            key=f"{key}.json",
            on_click="ignore",
        )
        st.download_button(
            "Report (HTML)",
            report.html(result),
            "drill.html",
            "text/html",
            icon=":material/description:",
            key=f"{key}.html",
            on_click="ignore",
        )
    parts.export(report.seconds_frame(result), "drill-seconds", about, key=f"{key}.export")
    promotion = " --promotion" if drill.PROMOTED in result.engines else ""
    seed = "" if request.seed is None else f" --seed {request.seed}"
    parts.code_block(
        f"memdb drill --seconds {request.seconds:g} --writers {request.writers} --rate {request.rate:g} "
        f"--documents {request.documents}{promotion}{seed} --json",
        "bash",
    )


def cards(result: DrillResult) -> None:
    """The sentence, and a card for each engine."""
    st.markdown(f"#### {markdown(report.sentence(result))}")
    for column, side in zip(st.columns(len(result.engines)), result.engines.values(), strict=True):
        with column.container(border=True):
            _card(side)


def _card(side: DrillSide) -> None:
    name, icon = NAMES[side.name]
    st.markdown(f"{icon} **{name}**: {drill.WORDS[side.name]}")
    left, right = st.columns(2)
    left.metric("Lost", f"{side.lost:,}", help=f"of {side.acknowledged:,} acknowledged writes")
    right.metric("Acknowledged", f"{side.acknowledged:,}")
    left.metric("Half there", f"{side.partial:,}")
    right.metric("Down", "—" if side.downtime_s is None else f"{side.downtime_s:.2f} s")
    words = [f"{side.unacknowledged_present:,} there without an acknowledgement"]
    if side.p50_ms is not None and side.p99_ms is not None:
        words.append(f"writes p50 {side.p50_ms:.2f} ms, p99 {side.p99_ms:.2f} ms")
    if side.recall_before is not None:
        words.append(f"recall@10 {side.recall_before:.2f} before, {report.figure(side.recall_after)} after")
    st.caption(" · ".join(words))
    for note in side.notes:
        st.caption(f":material/info: {markdown(note, 400)}")


def _charts(result: DrillResult, *, key: str) -> None:
    most = max((s.acknowledged for side in result.engines.values() for s in side.seconds), default=1)
    for column, side in zip(st.columns(len(result.engines)), result.engines.values(), strict=True):
        column.markdown(f"**{NAMES[side.name][0]}**")
        with column:
            live.draw(
                figures.timeline(side, result.request.seconds, most, dark=state.dark()),
                key=f"{key}.timeline.{side.name}",
                alt=f"Acknowledged writes of the {line(side.name)} engine by second",
            )
    st.markdown("**How long a write took**")
    st.plotly_chart(
        figures.latencies(result, dark=state.dark()),
        key=f"{key}.latencies",
        config=charts.PLAIN,
        alt="Latency of acknowledged writes on each engine",
    )
    st.caption(
        "The writers are threads of this app, so its own pauses (this page being drawn) are in the slowest "
        "writes of all engines alike. `memdb drill` measures without them."
    )


def _words() -> None:
    left, right = st.columns(2)
    for column, title, lines in (
        (left, "What this shows", report.SHOWN),
        (right, "What it does not show", report.NOT_SHOWN),
    ):
        column.markdown(f"**{title}**\n\n" + "\n".join(f"- {text}" for text in lines))
