"""The seven steps: what is said, what is drawn, and what the speaker adds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from memdb.display import Markdown, code, line, markdown
from memdb.durability import drill, report
from memdb.durability.drill import DrillRequest, DrillResult, DrillSide
from memdb.embedding import local
from memdb.errors import BadInput, NoVectorField
from memdb.maps.request import Map
from memdb.sessions import context
from memdb.sessions.users import UserRecord
from memdb.sizing.plan import Inputs, SizingPlan
from memdb.sizing.shape import Sessions, Shape
from memdb.story import contrast
from memdb.story.contrast import QueryAnswer
from memdb.tuning.run import Run
from memdb.ui import durability, frame, plan
from memdb.ui.kit import cached as kit
from memdb.ui.kit import charts, live, parts, role, state
from memdb.ui.present import figures
from memdb.ui.present.scene import Scene
from memdb.ui.sessions import turn_shown
from memdb.vectors.distance import Floats
from memdb.vectors.index import IndexInfo
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.search import knn
from memdb.vectors.titles import titles_of

MINUTES = 10
SECONDS, K = 8, 5
QUESTION = "How do I restore a table to a point in time?"
WEIGHT = 0.5  # of the preference: what it changes is seen from the last row
SHAPE, PER_SECOND = Shape(vectors=1_000_000, dim=1_536, metadata_bytes=1_024), 50
NAMES = {drill.CACHE: "Cache without durability", drill.DURABLE: "Every write on disk first"}
PROMISES: dict[str, Markdown] = {
    drill.CACHE: "Says *yes* as soon as a write is in its memory. What was not saved ends with the process.",
    drill.DURABLE: "Says *yes* only once a write is in its log on disk. Started again, it reads its log.",
}


@dataclass(frozen=True, slots=True)
class ShowStep:
    """One step."""

    short: str  # its name in the line of steps
    title: str
    story: Markdown
    notes: tuple[str, ...]  # for the speaker
    draw: Callable[[Scene], None]


def _loss(scene: Scene) -> None:
    """The loss and the proof side by side, live."""
    running = durability.DRILLING.current() is not None
    st.button(
        "Pull the plug",
        icon=":material/power_off:",
        type="primary",
        shortcut="P",
        key="present.plug",
        disabled=running or role.locked(),
        on_click=durability.start,
        args=(DrillRequest(SECONDS, documents=0),),
    )
    if running:
        durability.DRILLING.watch(_counted)
        return
    job = durability.DRILLING.job()
    if job is not None and job.error is not None:
        raise job.error
    result = _finished()
    if result is None:
        for column, name in zip(st.columns(len(NAMES)), NAMES, strict=True):
            with column.container(border=True, key=f"present-counter-waiting-{name}"):
                st.metric(f"{NAMES[name]}: acknowledged writes", "0")
                st.markdown(f"#### {PROMISES[name]}")
        st.caption(
            f"Two engines are started on this machine, written to for {SECONDS} seconds, and killed. Nothing "
            "is written to the opened target, here and in all steps."
        )
        return
    _counted(result)
    st.markdown(f"#### {markdown(report.sentence(result))}")
    st.caption(markdown(report.NOT_SHOWN[0]))


def _counted(result: DrillResult | None) -> None:
    """Each engine's number, as large as the room needs it, above its seconds."""
    if result is None:
        st.caption("The engines are started.")
        return
    sides = [result.engines[name] for name in NAMES if name in result.engines]
    most = max((s.acknowledged for side in sides for s in side.seconds), default=1)
    for column, side in zip(st.columns(len(sides) or 1), sides, strict=False):
        with column, st.container(key=f"present-counter-{side.name}"):
            label, value = _counter(side, finished=result.finished)
            st.metric(f"{NAMES[side.name]}: {label}", value)
            live.draw(
                figures.large_live(
                    durability.timeline(side, result.request.seconds, most, dark=state.dark())
                ),
                key=f"present.timeline.{side.name}",
                alt=f"Acknowledged writes of the {side.name} engine by second",
            )


def _counter(side: DrillSide, *, finished: bool) -> tuple[str, str]:
    if finished:
        return f"lost of {side.acknowledged:,} acknowledged writes", f"{side.lost:,}"
    return "acknowledged writes", f"{side.acknowledged:,}"


def _finished() -> DrillResult | None:
    job = durability.DRILLING.job()
    return job.result if job is not None and job.result is not None and job.result.finished else None


def _again(scene: Scene) -> None:
    """The same session looked for on both engines."""
    result = _finished()
    if result is None or result.witness is None:
        parts.empty(
            "No session to look for yet",
            "Go one step back and pull the plug."
            if result is None
            else "No session was acknowledged by both before they were killed. Pull the plug again.",
            ":material/power_off:",
        )
        return
    witness = result.witness
    st.caption(f"Key {code(witness.key)}, acknowledged by both engines before the plug was pulled.")
    names = [name for name in NAMES if name in witness.there]
    for column, name in zip(st.columns(len(names) or 1), names, strict=False):
        with column.container(border=True, height="stretch"):
            st.markdown(f"#### {NAMES[name]}")
            if witness.there[name]:
                st.success("The same session, word for word.", icon=":material/check:")
                for turn in witness.turns:
                    turn_shown(turn)
            else:
                st.error("There is no such key.", icon=":material/close:")


def _users(scene: Scene) -> None:
    """One question, two users, two answers."""
    info = _index(scene)
    if not scene.has("users") or scene.ready.users is None:
        return
    question, vector = _question(scene, info)
    answers = []
    for user in scene.ready.users:
        turned = context.leaning(vector, user.vector, WEIGHT)
        request = KnnRequest(info.name, vector_param(turned), info.vector_field()[0].name, K, 64)
        answers.append(knn(kit.client(scene.target), request, info).keys)
    names = titles_of(kit.client(scene.target), info, sorted({*answers[0], *answers[1]}))
    shared = {*answers[0]} & {*answers[1]}
    st.markdown(f"#### “{markdown(question)}”")
    for column, user, keys in zip(st.columns(2), scene.ready.users, answers, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{markdown(user.user_id, 60)}** · {markdown(_preference(user), 160)}")
            st.markdown(
                "\n".join(
                    f"{int(place)}. {markdown(names[key], 80)}"
                    if key in shared
                    else f"{int(place)}. **{markdown(names[key], 80)}**"
                    for place, key in enumerate(keys, 1)
                )
            )
    st.caption(
        f"{len(shared)} of {K} documents are the same for both; the others are bold. The preference has the "
        f"weight {WEIGHT:g}, the question the rest."
    )


def _question(scene: Scene, info: IndexInfo) -> tuple[str, Floats]:
    if info.vector_field()[1].dim != local.DIMENSION:
        raise BadInput(
            f"The local model gives {local.DIMENSION} numbers, and {info.name} holds "
            f"{info.vector_field()[1].dim:,}: a typed question cannot be asked here.",
            "Choose an index of the local model's vectors on another page; it stays chosen here.",
        )
    question = st.text_input("Question", QUESTION, key="present.q").strip() or QUESTION
    return question, kit.text_vector(question)


def _preference(user: UserRecord) -> str:
    preference = next((f.value for f in user.fields if f.name == "preference" and f.value), b"")
    return preference.decode("utf-8", "replace") if preference else "a preference vector"


def _map(scene: Scene) -> None:
    """The index as a map with the names of its groups."""
    _index(scene)
    if not scene.has("map") or scene.ready.map is None:
        return
    map_: Map = scene.ready.map
    st.plotly_chart(
        figures.named_map(map_, dark=state.dark()),
        key="present.map",
        config=charts.PLAIN,
        alt="Documents laid out by their neighbourhoods, the largest groups with their names",
    )
    if map_.quality is not None:
        st.caption(
            f"Showing {markdown(map_.words)}. {map_.quality.mean_kept:.0%} of a document's true neighbours "
            "are its neighbours here; a map leaves the rest out."
        )


def _recall(scene: Scene) -> None:
    """One query at two settings, then the curve of all."""
    _index(scene)
    if not scene.has("curve") or scene.ready.curve is None:
        return
    run: Run = scene.ready.curve
    info = kit.index_info(scene.target, run.index)
    chosen = contrast.contrast(run)
    left, right = st.columns([1.15, 1])
    with left:
        if chosen is None:
            st.markdown("#### Every query of the sweep is answered alike at all settings")
        else:
            low, high = contrast.ask(kit.client(scene.target), info, run, chosen)
            label = run.queries.own_keys[chosen.row] or run.queries.labels[chosen.row]
            _two_answers(low, high)
            st.caption(f"A query near {markdown(line(label, 80))}, asked just now; ✓ is a true neighbour.")
    with right:
        st.plotly_chart(
            figures.curve(run, dark=state.dark()),
            key="present.curve",
            config=charts.PLAIN,
            alt="Recall against EF_RUNTIME",
        )
    if run.recommendation is not None:
        st.markdown(f"#### {markdown(run.recommendation.sentence)}")
    definition = run.definition
    st.caption(
        f"{len(run.queries):,} queries on {markdown(run.index, 80)}: M {definition.m}, "
        f"EF_CONSTRUCTION {definition.ef_construction}, {run.documents:,} documents."
    )


def _two_answers(low: QueryAnswer, high: QueryAnswer) -> None:
    for column, answer in zip(st.columns(2), (low, high), strict=True):
        with column, st.container(key=f"present-counter-ef{answer.ef_runtime}"):
            st.metric(
                f"EF_RUNTIME {answer.ef_runtime} finds",
                f"{sum(answer.found)} of {len(answer.found)}",
            )
            st.markdown(" ".join("✓" if hit else "✗" for hit in answer.found))


def _bill(scene: Scene) -> None:
    """A million documents, in MemoryDB and elsewhere."""
    sizing = _plan()
    bills = plan.all_bills(sizing)
    plan.headline(sizing)
    priced = [bill for bill in bills if bill.monthly_usd is not None]
    st.plotly_chart(
        figures.bills(priced, dark=state.dark()),
        key="present.bills",
        config=charts.PLAIN,
        alt="Cost of each service a month",
    )
    unpriced = [bill.title for bill in bills if bill.monthly_usd is None]
    st.caption(
        f"{SHAPE.vectors:,} vectors of {SHAPE.dim:,} numbers with 1 KiB of text each, {PER_SECOND} new "
        "sessions a second, 2 replicas. Calculated from list prices; Compare lists each line."
        + (f" Not possible or without a price: {markdown(', '.join(unpriced))}." if unpriced else "")
    )


def _plan() -> SizingPlan:
    return plan.sizing_plan(Inputs(SHAPE, Sessions(per_second=PER_SECOND)), plan.profile("memorydb"))


def _close(scene: Scene) -> None:
    """Three numbers, and where to go on."""
    result, run = _finished(), scene.ready.curve
    sizing = _plan()
    first, second, third = st.columns(3)
    with first, st.container(key="present-counter-lost"):
        if result is None:
            st.metric("Acknowledged writes lost", "–")
            st.caption("The plug was not pulled.")
        else:
            cache, durable = result.engines[drill.CACHE], result.engines[drill.DURABLE]
            st.metric("Acknowledged writes lost", f"{cache.lost:,} → {durable.lost:,}")
            st.caption("Without durability, and with every write on disk first.")
    with second, st.container(key="present-counter-recall"):
        verdict = run.recommendation if run is not None else None
        if run is None or verdict is None or verdict.ef_runtime is None:
            st.metric("EF_RUNTIME for recall 0.95", "–")
            st.caption("No setting that was measured meets it." if run else "The curve is not ready.")
        else:
            st.metric(f"EF_RUNTIME for recall {run.request.goal.value:g}", f"{verdict.ef_runtime}")
            st.caption(f"Measured {verdict.recall:.3f} (interval {verdict.low:.3f} to {verdict.high:.3f}).")
    with third, st.container(key="present-counter-bill"):
        options = sizing.options
        st.metric("A million documents, a month", f"${options[0].monthly_usd:,.0f}" if options else "–")
        st.caption("Sessions and vectors in one store, calculated.")
    with st.container(horizontal=True):
        for address, label in (
            ("durability", "The drill"),
            ("map", "The map"),
            ("recall", "Recall"),
            ("sizing", "Sizing"),
            ("compare", "Compare"),
            ("connect", "Your own cluster"),
        ):
            st.page_link(frame.link(address), label=label, icon=":material/open_in_new:")


def _index(scene: Scene) -> IndexInfo:
    """The index that the step is about.

    Raises:
        NoVectorField: the chosen one has no vectors, and no other has.
        BadInput: the target has none with vectors.
    """
    if scene.without is not None:
        raise NoVectorField(scene.without, ())
    if scene.info is None:
        raise BadInput("This target has no index with vectors.", "Load the demo data, or create an index.")
    return scene.info


STEPS = (
    ShowStep(
        "Loss",
        "A process ends. What is lost?",
        "An assistant keeps conversations and vectors in memory, and says *yes* to hundreds of writes a "
        "second. Two engines take the same writes. Both are killed at the same moment.",
        (
            "Press P. It takes about ten seconds: tell meanwhile what an acknowledgement promises.",
            "Every acknowledgement is noted by somebody else, and every one is looked for afterwards.",
            "Say what was not shown: a disk, a machine, a zone. MemoryDB writes to several zones.",
        ),
        _loss,
    ),
    ShowStep(
        "Session",
        "The same session, looked for again",
        "One conversation that both engines had acknowledged, by its key.",
        (
            "On the left the user would begin again; on the right nothing was noticed.",
            "It is the last session that both had acknowledged before the plug was pulled.",
        ),
        _again,
    ),
    ShowStep(
        "Two users",
        "One question, two users",
        "The question and what is known of the user become one vector. The same index answers both.",
        (
            "The question can be changed: type one from the room.",
            "No second store and no second round trip: session, preference and documents lie together.",
        ),
        _users,
    ),
    ShowStep(
        "Map",
        "What does the index hold?",
        "Each point is a document; near points are about near things.",
        (
            "Name two groups the room knows.",
            "Say how much the map leaves out: the figure stands below it.",
        ),
        _map,
    ),
    ShowStep(
        "Recall",
        "One number decides what is found",
        "EF_RUNTIME says how many candidates a query looks at. Too few, and true neighbours are missed.",
        (
            "Left: one query, asked now at both settings. Right: the mean over all queries.",
            "The sentence below is the decision, with its confidence. More candidates cost time: see Recall.",
        ),
        _recall,
    ),
    ShowStep(
        "Bill",
        "What does it cost?",
        "A million documents and the sessions with them, beside the alternatives.",
        (
            "Calculated from list prices and from measured bytes; estimates say so.",
            "The cheapest service is not the fastest: ask what latency is needed.",
        ),
        _bill,
    ),
    ShowStep(
        "Three numbers",
        "Three numbers to take home",
        "All of them can be measured again, on your own cluster.",
        ("Leave this step open while questions are asked.",),
        _close,
    ),
)
