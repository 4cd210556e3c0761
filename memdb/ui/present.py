"""Presenter mode: five steps with plain words, by keyboard, each with its real page one click away."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import Markdown, line, markdown
from memdb.durability import drill, report
from memdb.durability.drill import DrillRequest, DrillResult
from memdb.embedding import local
from memdb.maps import run as maps
from memdb.maps import store
from memdb.maps.request import Map, MapRequest
from memdb.sizing.plan import Inputs
from memdb.sizing.shape import Sessions, Shape
from memdb.ui import durability, frame, plan
from memdb.ui import map as map_page
from memdb.ui.kit import cached, charts, live, parts, safety, state
from memdb.vectors.index import IndexInfo
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.search import knn
from memdb.vectors.titles import text_field

STEP, BEGAN = "present.step", "present.began"
SECONDS, POINTS, QUESTION = 8, 2_000, "How do I restore a table to a point in time?"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what is said, what is drawn, and where it is really done."""

    title: str
    story: Markdown
    page: str
    label: str
    draw: Callable[[Target], None]


def draw(target: Target) -> None:
    """The step of the link, and the keys that lead on."""
    st.session_state.setdefault(BEGAN, time.monotonic())
    place = _place()
    step = STEPS[place]
    left, middle, right, far = st.columns([1, 3.2, 1, 1.2], vertical_alignment="center")
    left.button(
        "Back",
        icon=":material/arrow_back:",
        shortcut="Left",
        disabled=place == 0,
        key="present.back",
        on_click=_go,
        args=(place - 1,),
        width="stretch",
    )
    middle.progress((place + 1) / len(STEPS), text=f"{place + 1} of {len(STEPS)} · {markdown(step.title)}")
    right.button(
        "Next",
        icon=":material/arrow_forward:",
        shortcut="Right",
        type="primary",
        key="present.next",
        disabled=place == len(STEPS) - 1,
        on_click=_go,
        args=(place + 1,),
        width="stretch",
    )
    far.caption(f"{(time.monotonic() - st.session_state[BEGAN]) / 60:.0f} min of 5")
    st.header(markdown(step.title))
    st.markdown(step.story)
    with parts.errors_shown(target):
        step.draw(target)
    st.page_link(frame.link(step.page), label=markdown(step.label), icon=":material/open_in_new:")


def _place() -> int:
    """The step, from 0; a link that names none of them begins at the first."""
    told = str(st.query_params.get("step", "1"))
    return min(max(int(told), 1), len(STEPS)) - 1 if told.isascii() and told.isdigit() else 0


def _go(place: int) -> None:
    st.query_params["step"] = str(place + 1)


def _loss(target: Target) -> None:
    job = durability.DRILLING.job()
    running = durability.DRILLING.current() is not None
    st.button(
        "Pull the plug",
        icon=":material/power_off:",
        type="primary",
        shortcut="P",
        key="present.plug",
        disabled=running,
        on_click=durability.start,
        args=(DrillRequest(SECONDS),),
    )
    if job is None:
        st.caption(f"Takes about {SECONDS + 3} seconds. Two engines are started on this machine for it.")
    elif running:
        durability.watch(durability.DRILLING)
    elif job.error is not None:
        parts.show_error(job.error)
    elif (result := _finished()) is not None:
        side = result.engines[drill.CACHE]
        st.markdown(f"#### {side.lost:,} of {side.acknowledged:,} acknowledged writes are gone")
        most = max(s.acknowledged for s in side.seconds) if side.seconds else 1
        live.draw(
            durability.timeline(side, result.request.seconds, most, dark=state.dark()),
            key="present.loss",
            alt="Acknowledged writes of the cache by second",
        )


def _proof(target: Target) -> None:
    result = _finished()
    if result is None:
        parts.empty("Nothing was tried yet", "Go one step back and pull the plug.", ":material/power_off:")
        return
    durability.cards(result)
    st.markdown("\n".join(f"- {text}" for text in report.NOT_SHOWN))


def _finished() -> DrillResult | None:
    job = durability.DRILLING.job()
    return job.result if job is not None and job.result is not None and job.result.finished else None


def _search(target: Target) -> None:
    info = _info(target)
    if info is None:
        return
    question = st.text_input("Question", QUESTION, key="present.q").strip() or QUESTION
    vector = cached.text_vector(question)
    field = _field(info)
    title = text_field(info)
    wanted = (title.name,) if title is not None else ()
    request = KnnRequest(info.name, vector_param(vector), field, 5, 64, return_fields=wanted)
    parts.unfinished(info)
    result = knn(cached.client(target), request, info)
    titles = [
        line(next((row[name] for name in wanted if row.get(name)), key), 80)
        for row, key in zip(result.fields, result.keys, strict=True)
    ]
    st.metric("The server's answer took", f"{result.took_ms:.1f} ms")
    left, right = st.columns([1.3, 1])
    left.dataframe(
        {"#": list(range(1, len(titles) + 1)), "document": titles, "distance": np.round(result.distances, 3)},
        hide_index=True,
        key="present.hits",
    )
    right.plotly_chart(
        charts.distance_profile(result.keys, titles, result.distances, "distance", dark=state.dark()),
        key="present.distances",
        config=charts.PLAIN,
        alt="Distance of each answer",
    )


def _map(target: Target) -> None:
    info = _info(target)
    if info is None:
        return
    made = _made(target, info.fingerprint, info)
    if not store.holds(cached.client(target), info, made):
        _made.clear(target, info.fingerprint, info)
        made = _made(target, info.fingerprint, info)
    names = np.array([*made.names, map_page.BETWEEN], dtype=object)
    categories = names[made.labels].tolist() if len(made.labels) else [""] * len(made.keys)
    figure = map_page.points(
        made.xy,
        map_page.Colouring("clusters", categories),
        [line(key, 60) for key in made.keys],
        dark=state.dark(),
        height=480,
    )
    st.plotly_chart(
        figure, key="present.map", config=charts.PLAIN, alt="Documents laid out by their neighbourhoods"
    )
    if made.quality is not None:
        st.caption(
            f"Showing {markdown(made.words)} · trustworthiness {made.quality.trustworthiness:.3f} · "
            f"{made.quality.mean_kept:.0%} of true neighbours are neighbours here."
        )


@st.cache_resource(ttl="1h", max_entries=2, show_spinner="Drawing a map of 2,000 documents …")
def _made(target: Target, fingerprint: str, _info: IndexInfo) -> Map:
    client = cached.client(target).budgeted(safety.budget(target))
    return maps.make(client, _info, MapRequest(_info.name, field=_field(_info), count=POINTS))


def _bill(target: Target) -> None:
    shape = Shape(vectors=1_000_000, dim=1_536, metadata_bytes=1_024)
    sizing = plan.made(Inputs(shape, Sessions(per_second=50)), plan.profile("memorydb"))
    plan.headline(sizing)
    st.dataframe(
        plan.components_frame(sizing).drop(columns="bytes"),
        hide_index=True,
        key="present.memory",
        column_config={"share": st.column_config.ProgressColumn(format="percent", max_value=1.0)},
    )
    st.caption(
        "1,000,000 vectors of 1,536 numbers with 1 KiB of text each, 50 new sessions a second, 2 replicas."
    )


def _info(target: Target) -> IndexInfo | None:
    """The index of the sidebar, if it holds what the local model can ask for."""
    name = frame.index_name()
    if name is None:
        frame.no_index(target)
        return None
    info = cached.index_info(target, name)
    if not info.of_kind("VECTOR"):
        frame.no_vectors(info)
        return None
    if info.vector_field()[1].dim != local.DIMENSION:
        parts.empty(
            "This index is not of the local model",
            f"These steps ask with {local.DIMENSION} numbers. Choose the demo's index in the sidebar.",
        )
        return None
    return info


def _field(info: IndexInfo) -> str:
    return info.of_kind("VECTOR")[0].name


STEPS = (
    Step(
        "The loss",
        "An assistant keeps its conversations and its vectors in a cache without durability. It takes "
        "hundreds of writes a second and says *yes* to each. Then its process ends, as processes do.",
        "durability",
        "The drill, with all its settings",
        _loss,
    ),
    Step(
        "The proof",
        "The same writes went to an engine that puts each on disk before it says *yes*. Both were killed at "
        "the same moment. Every acknowledgement was noted elsewhere, and every one was looked for. "
        "MemoryDB, and ElastiCache for Valkey with *sync*, promise this over several zones.",
        "durability",
        "The drill's charts, figures and report",
        _proof,
    ),
    Step(
        "The search",
        "The vectors lie beside the sessions, in the same store. A question becomes a vector on this "
        "machine, and the index answers with the nearest documents.",
        "search",
        "Search: filters, EF_RUNTIME, exact neighbours beside the answer",
        _search,
    ),
    Step(
        "The map",
        "What does the index hold? Each point is a document; near points are about near things. The picture "
        "leaves much out, and says how much.",
        "map",
        "The map: ask it, lasso it, and see where it lies",
        _map,
    ),
    Step(
        "The bill",
        "What would a million documents cost? The bytes are calculated from measurements, then turned into "
        "nodes and dollars. Where a price is an estimate, it says so.",
        "sizing",
        "Sizing: your own numbers, growth, templates",
        _bill,
    ),
)
