"""The Indexes page's right side: memory, build time, recall and latency of each index."""

from __future__ import annotations

import math
from dataclasses import asdict

import pandas as pd
import streamlit as st

from memdb.display import bytes_text, line, markdown
from memdb.tuning import interleaved
from memdb.tuning.candidates import Candidate, conclusions, timed_together, trade
from memdb.tuning.run import SweepRequest
from memdb.ui.kit import charts, parts, state
from memdb.ui.tune import figures
from memdb.ui.tune.figures import Trade
from memdb.ui.tune.runs import comparison as compare_runs
from memdb.ui.tune.views import curve_of
from memdb.vectors.index import IndexInfo


def tables(every: tuple[Candidate, ...], request: SweepRequest) -> None:
    """Memory and build time, recall and latency of each index, and both as files."""
    takes, gives = takes_frame(every), gives_frame(every)
    for sentence in conclusions(every):
        st.markdown(f":material/balance: {markdown(sentence, 400)}")
    st.markdown("###### Memory and build time")
    st.dataframe(
        takes,
        hide_index=True,
        key="indexes.takes",
        placeholder="–",
        column_config={
            "documents": st.column_config.NumberColumn(format="localized"),
            "vectors": st.column_config.TextColumn(
                help="Memory of the vector structure, as the engine reports."
            ),
            "built in": st.column_config.TextColumn(help="Of what was built from here."),
        },
    )
    if len(by_shard := shards_frame(every)):
        st.markdown("###### by shard")
        st.dataframe(
            by_shard,
            hide_index=True,
            key="indexes.shards",
            placeholder="–",
            column_config={"documents": st.column_config.NumberColumn(format="localized")},
        )
        parts.export(by_shard, "index-shards", {"base": every[0].info.name}, key="indexes.shards_export")
    if any(c.run is not None for c in every):
        st.markdown("###### Recall and latency")
        st.dataframe(
            gives,
            hide_index=True,
            key="indexes.gives",
            placeholder="–",
            # The parameters tell them apart, and all is seen at 1280 pixels; names stand in the table above.
            column_order=[name for name in gives.columns if name != "index"],
            column_config={
                "parameters": st.column_config.TextColumn(width=165),
                "target": st.column_config.TextColumn(width=50),
                "EF": st.column_config.NumberColumn(
                    help="Cheapest EF_RUNTIME that meets the target.", format="%d", width=40
                ),
                "recall": st.column_config.NumberColumn(f"recall@{request.k}", format="%.4f", width=70),
                **{c: st.column_config.NumberColumn(format="%.4f", width=55) for c in ("low", "high")},
                **{c: st.column_config.NumberColumn(format="%.2f", width=50) for c in ("p50 ms", "p99 ms")},
                "calls/s": st.column_config.NumberColumn(format="localized"),
            },
        )
    both = takes.merge(gives, on=["index", "parameters"])
    about = {"base": every[0].info.name, "request": asdict(request)}
    parts.export(both, "indexes", about, key="indexes.export")


def takes_frame(every: tuple[Candidate, ...]) -> pd.DataFrame:
    """Memory and build time of each index."""
    return pd.DataFrame(
        [
            {
                "index": _short(c),
                "parameters": _words(c),
                "documents": c.info.told_documents,
                "state": _state(c.info),
                "vectors": bytes_text(c.info.vector_bytes),
                "built in": "–" if c.build_s is None else f"{c.build_s:.1f} s",
            }
            for c in every
        ]
    )


def shards_frame(every: tuple[Candidate, ...]) -> pd.DataFrame:
    """What each shard holds of each index, as its own FT.INFO tells; no rows where there is one shard."""
    return pd.DataFrame(
        [
            {
                "index": _short(c),
                "shard": shard.node.address,
                "documents": None if shard.info is None else shard.info.told_documents,
                "state": line(shard.problem, 200) if shard.info is None else _state(shard.info),
                "vectors": "–" if shard.info is None else bytes_text(shard.info.vector_bytes),
            }
            for c in every
            for shard in c.info.shards
        ]
    )


def _state(info: IndexInfo) -> str:
    return "ready" if info.build.ready else f"{info.build.state} {info.build.fraction:.0%}"


def gives_frame(every: tuple[Candidate, ...]) -> pd.DataFrame:
    """Recall and times of each index at the cheapest setting that meets the target, else at the highest."""
    rows = []
    for candidate in every:
        verdict = candidate.run.recommendation if candidate.run is not None else None
        point = candidate.run.concluded if candidate.run is not None else None
        calls_per_s = None if point is None or not math.isfinite(point.qps) else round(point.qps)
        rows.append(
            {
                "index": _short(candidate),
                "parameters": _words(candidate),
                "target": "–" if verdict is None else "met" if verdict.met else "missed",
                "EF": None if point is None else point.ef_runtime or None,
                "recall": None if point is None else point.recall,
                "low": None if point is None else point.low,
                "high": None if point is None else point.high,
                "p50 ms": None if point is None else candidate.time(point.ef_runtime),
                "p99 ms": None if point is None else point.p99_ms,
                "calls/s": calls_per_s,
            }
        )
    return pd.DataFrame(rows)


def _short(candidate: Candidate) -> str:
    return "original" if candidate.original else line(candidate.info.name.rpartition(":")[2], 40)


def _words(candidate: Candidate) -> str:
    return candidate.words.replace("EF_CONSTRUCTION", "EFC")


def comparison(measured: list[Candidate], request: SweepRequest) -> None:
    """Recall of all over EF_RUNTIME and over time, and the differences to the original."""
    names = {c.info.name: ("original: " if c.original else "") + c.words for c in measured}
    runs = [c.run for c in measured if c.run is not None]
    st.markdown("###### Recall over EF_RUNTIME")
    st.plotly_chart(
        figures.recall_curve(
            [curve_of(run, names[run.index]) for run in runs],
            target=request.goal.value,
            height=320,
            dark=state.dark(),
        ),
        key="indexes.recall",
        config=charts.PLAIN,
        alt="Recall against EF_RUNTIME, a line with its interval for each index",
    )
    st.markdown("###### Recall over time")
    together = timed_together(measured)
    st.plotly_chart(
        figures.trade_off(
            [_trade(c, names[c.info.name], together=together) for c in measured],
            target=request.goal.value,
            dark=state.dark(),
        ),
        key="indexes.trade",
        config=charts.PLAIN,
        alt="Recall against the median time of a call, a line for each index",
    )
    times = next((c.times for c in measured if c.times is not None), None)
    if together and times is not None:
        st.caption(
            f"Up and to the left is better; the numbers are EF_RUNTIME. All indexes were timed in turn, "
            f"{times.rounds} rounds of {times.calls} calls at each setting: a point is the median of the "
            "rounds, its bar reaches from the fastest round to the slowest. The line is the nearest one on "
            "which a larger EF_RUNTIME is never faster."
        )
    else:
        st.caption(
            "Up and to the left is better; the numbers are EF_RUNTIME. These indexes were measured one after "
            "another: what else the machine did is in the differences. “Measure all” times them in turn."
        )
    _times_table(measured, names, together=together)
    if len(runs) > 1:
        with st.expander("Curves overlaid, and differences to the original with intervals"):
            compare_runs(runs, key="indexes.compare", names=[names[r.index] for r in runs])


def _trade(candidate: Candidate, name: str, *, together: bool) -> Trade:
    efs, recalls, times = trade(candidate)
    timed = [candidate.times.of_ef(ef) for ef in efs] if together and candidate.times is not None else []
    spread = [each for each in timed if each is not None]
    return Trade(
        name,
        efs,
        recalls,
        times,
        interleaved.rising(times) if together else (),
        tuple(each.low_ms for each in spread),
        tuple(each.high_ms for each in spread),
    )


def _times_table(measured: list[Candidate], names: dict[str, str], *, together: bool) -> None:
    """Every point of both charts."""
    rows = []
    for candidate in measured:
        for ef, recall, ms in zip(*trade(candidate), strict=True):
            timed = candidate.times.of_ef(ef) if together and candidate.times is not None else None
            rows.append(
                {
                    "index": names[candidate.info.name].replace("EF_CONSTRUCTION", "EFC"),
                    "EF": ef or None,
                    "recall": recall,
                    "p50 ms": ms,
                    "fastest round": timed.low_ms if timed is not None else None,
                    "slowest round": timed.high_ms if timed is not None else None,
                }
            )
    with st.expander("As a table"):
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            key="indexes.points",
            placeholder="–",
            column_config={
                "recall": st.column_config.NumberColumn(format="%.4f"),
                **{
                    name: st.column_config.NumberColumn(format="%.3f")
                    for name in ("p50 ms", "fastest round", "slowest round")
                },
            },
        )
