"""The Recall page's left side: widgets → what to measure. All but files and pasted texts is in the link."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import code, labels, line, markdown
from memdb.embedding import unsaid
from memdb.errors import BadInput, MemDBError
from memdb.tuning import cost
from memdb.tuning import sample as samples
from memdb.tuning.queries import FILE_TYPES
from memdb.tuning.run import CONCURRENCY, USUAL, Goal, SweepRequest
from memdb.tuning.source import COUNT, Documents, File, Repeated, Selected, Source, Texts, Unseen
from memdb.tuning.store import ListedRun
from memdb.ui.kit import cached, filter_form, model, state, taps
from memdb.ui.tune import cached as tune_cached
from memdb.vectors.filters import render
from memdb.vectors.index import IndexInfo, VectorParams

DEFAULT = SweepRequest("")
EFS = (1, 2, 4, 8, 10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096)
# What a link carries → what a person reads.
ORIGINS = {
    "Unseen": "Made, like unseen ones",
    "Tap": "What the application asked",
    "File": "A file of vectors or texts",
    "Texts": "Typed texts",
    "Documents": "Random documents",
    "Run": "Those of an earlier run",
    "Region": "Selected on the map",
}
MADE = (
    "Stored vectors, moved as far from the documents as unseen queries lie. Nothing is written. "
    "Your own queries in a file are better."
)
FLATTERS = (
    "Each is left out of its own results. A document is easier to find than a question: the run measures by "
    "how much recall reads too high."
)
READS = ("Automatic", "All", "Sample")
CONFIDENCES = (0.9, 0.95, 0.99)
CLIENTS = (0, 1, 2, 4, 8, 16, 32)


def form(target: Target, info: IndexInfo) -> SweepRequest | MemDBError:
    """Draw the form, all of it whatever is wrong; the error where it cannot be run."""
    wrong: MemDBError | None = None
    field, params = _vector_field(info)
    source: Source | None = None
    with st.container(border=True):
        try:
            source = _queries(target, info, field, params)
        except MemDBError as exc:
            wrong = exc
    with st.container(border=True):
        goal = _goal()
    with st.container(border=True):
        k, ef_min, ef_max, clients, budget = _settings(target, params)
        try:
            condition, matching = filter_form.filter_form(target, info, "recall")
            rendered = render(condition, cached.server(target).dialect, info)
        except MemDBError as exc:
            return wrong or exc
    if wrong is not None or source is None:
        return wrong or BadInput("There are no queries yet.", "Choose where they come from.")
    if matching == 0:
        return filter_form.none_match(info)
    caption = st.empty()  # there or not, the block below keeps its place
    if matching is not None and k > matching:
        caption.caption(
            f":material/info: K is {k:,}, and {matching:,} documents match the filter: recall is of those."
        )
    request = SweepRequest(
        info.name,
        field,
        k,
        rendered.query,
        rendered.params,
        ef_min,
        ef_max,
        goal,
        concurrency=(clients,) if clients else (),
        source=source,
        budget_qps=budget,
    )
    with st.container(border=True):
        return replace(request, sample=_documents(target, info, request, matching))


def _documents(
    target: Target, info: IndexInfo, request: SweepRequest, matching: int | None
) -> int | Literal["usual"] | None:
    """All documents or a sample, with what each will read and how long that takes at this server's rate."""
    documents = info.documents if matching is None else matching
    by = st.segmented_control(
        "Documents",
        list(READS),
        default="Automatic",
        required=True,
        key="recall.read",
        bind="query-params",
        width="stretch",
        help="Of a sample recall is estimated, with an interval. Automatic reads all documents, or a sample "
        "where all are more than the budget of keys allows.",
    )
    usual = count = samples.usual(documents)
    if by == "Sample":
        typed = st.number_input(
            "How many documents",
            min_value=samples.LEAST,
            value=max(samples.LEAST, count),
            step=1_000,
            key="recall.sample",
            bind="query-params",
            help="More make the interval narrower. Of the number that stands here more are read where they "
            "leave open which setting is the cheapest.",
        )
        count = int(typed or count)
        if count >= documents:
            st.caption(f":material/info: {documents:,} documents match: all of them are read.")
    queries = request.source.count if isinstance(request.source, Unseen | Documents) else COUNT
    if st.toggle(
        "Estimate their cost",
        key="recall.cost",
        bind="query-params",
        help="A probe lists 4,000 keys, reads 1,000 vectors and searches some dozen times.",
    ):
        try:
            measured = tune_cached.rates(target, info, request.field, request.ef_max)
        except MemDBError as exc:
            st.caption(f":material/help: Not known: {markdown(str(exc))}")
        else:
            whole = cost.whole(documents, queries, measured)
            some = whole if count >= documents else cost.sampled(documents, count, queries, request, measured)
            st.caption(
                f"All: {markdown(whole.words)}.  \nA sample: {markdown(some.words)}. "
                f"Before the sweep, at this server's rate."
            )
    return {"All": 0, "Sample": USUAL if count == usual else count}.get(by or "")


def _vector_field(info: IndexInfo) -> tuple[str, VectorParams]:
    names = [f.name for f in info.of_kind("VECTOR")]
    chosen = names[0] if names else ""
    if len(names) > 1:
        chosen = (
            st.selectbox(
                "Vector field", names, key="recall.field", bind="query-params", format_func=labels(names)
            )
            or chosen
        )
    field, params = info.vector_field(chosen)
    return field.name, params


def _queries(target: Target, info: IndexInfo, field: str, params: VectorParams) -> Source | None:
    by = st.selectbox(
        "Queries", list(ORIGINS), format_func=ORIGINS.__getitem__, key="recall.by", bind="query-params"
    )
    if by in {"Unseen", "Documents"}:
        left, right = st.columns(2)
        count = left.number_input(
            "How many",
            min_value=1,
            max_value=20_000,
            value=COUNT,
            step=100,
            key="recall.n",
            bind="query-params",
            help="More queries make the interval narrower.",
        )
        seed = right.number_input(
            "Seed",
            min_value=0,
            max_value=2**31 - 1,
            value=0,
            key="recall.seed",
            bind="query-params",
            help="The same seed asks the same queries again.",
        )
        extend = st.toggle(
            "More queries where needed",
            value=True,
            key="recall.extend",
            bind="query-params",
            help="Where the intervals do not tell which setting is the cheapest, four times as many are "
            "asked, once.",
        )
        st.caption(MADE if by == "Unseen" else FLATTERS)
        kind = Unseen if by == "Unseen" else Documents
        return kind(int(count or 1), int(seed or 0), extend)
    if by == "Texts":
        typed = st.text_area(
            "One question a line",
            key="recall.texts",
            height=140,
            placeholder="what your users type",
        )
        chosen = model.choose(target, info, field)
        texts = tuple(text.strip() for text in typed.splitlines() if text.strip())
        if not texts:
            return None
        if chosen.choice is None:
            raise unsaid(info, field)
        return Texts(texts, chosen.choice.spec)
    if by == "Tap":
        return _tap()
    if by == "File":
        file = st.file_uploader(
            "Vectors or texts",
            type=list(FILE_TYPES),
            key="recall.file",
            help=f".npy, Parquet, CSV or JSONL: {params.dim:,} numbers a row, or texts.",
        )
        if not file:
            return None
        st.caption("Where it holds texts, they are embedded by the model of the index.")
        chosen = model.choose(target, info, field)
        return File(
            file.name, content=file.getvalue(), model=chosen.choice.spec if chosen.choice is not None else ""
        )
    if by == "Region":
        keys: tuple[str, ...] = st.session_state.get(state.REGION, ())
        if not keys:
            st.caption("Nothing was selected on the Map page in this tab: its lasso chooses documents.")
            return None
        st.caption(f"{len(keys):,} documents. {FLATTERS}")
        return Selected(keys)
    stored = {entry.id: entry for entry in tune_cached.listed(cached.home())}
    if not stored:
        st.caption("No run is saved yet.")
        return None
    run = st.selectbox(
        "The queries of",
        list(stored),
        key="recall.queries_of",
        format_func=labels({entry.id: _origin(entry) for entry in stored.values()}),
        help="The same queries make two runs comparable one by one: small differences show.",
    )
    return Repeated(run) if run else None


def _tap() -> Source | None:
    """The record of a tap: one that lies here, or an uploaded one."""
    records = taps.visible(cached.home())
    chosen = (
        st.selectbox("Record", list(records), key="recall.tap", format_func=labels(list(records)))
        if records
        else None
    )
    file = st.file_uploader("Or upload one", type=["parquet"], key="recall.tap_file")
    st.caption(
        f"Each search is asked with its own filter, K and EF_RUNTIME; leave the filter below empty. "
        f"{code('memdb tap')} makes a record, or {code('memdb.tap.recording')} inside a Python application."
    )
    if file is not None:
        return File(file.name, content=file.getvalue())
    return File(chosen, str(records[chosen])) if chosen else None


def _origin(entry: ListedRun) -> str:
    when = entry.started[:16].replace("T", " ")
    return f"{when} · {line(entry.index, 40)} · {entry.queries:,} queries"


def _at_once(clients: int) -> str:
    return f"{clients} at once" if clients else "none"


def _goal() -> Goal:
    kind = st.segmented_control(
        "Target",
        ["Recall", "Latency"],
        default="Recall",
        required=True,
        key="recall.goal",
        bind="query-params",
        width="stretch",
    )
    left, right = st.columns(2)
    confidence = right.selectbox(
        "Confidence",
        CONFIDENCES,
        index=CONFIDENCES.index(DEFAULT.goal.confidence),
        key="recall.confidence",
        bind="query-params",
        format_func="{:.0%}".format,
        help="How sure the answer must be: the interval's lower end has to reach the target.",
    )
    if kind == "Latency":
        most = left.number_input(
            "p99 at most, ms",
            min_value=0.01,
            max_value=60_000.0,
            value=5.0,
            step=0.5,
            key="recall.p99",
            bind="query-params",
            help="Of sequential calls, measured at this app: network and engine together.",
        )
        return Goal("p99_ms", float(most or 5.0), float(confidence))
    least = left.number_input(
        "Recall at least",
        min_value=0.01,
        max_value=0.9999,
        value=DEFAULT.goal.value,
        step=0.01,
        format="%.4g",
        key="recall.target",
        bind="query-params",
    )
    return Goal("recall", float(least or DEFAULT.goal.value), float(confidence))


def _settings(target: Target, params: VectorParams) -> tuple[int, int, int, int, float | None]:
    limits = cached.server(target).dialect.limits
    left, right = st.columns(2)
    k = left.number_input(
        "K",
        min_value=1,
        max_value=min(1_000, limits.k),
        value=DEFAULT.k,
        key="recall.k",
        bind="query-params",
        help="How many neighbours count.",
    )
    clients = right.selectbox(
        "Clients",
        CLIENTS,
        index=CLIENTS.index(CONCURRENCY),
        key="recall.clients",
        bind="query-params",
        format_func=_at_once,
        help="For the throughput: so many calls are under way at once. This is load on the server.",
    )
    budget = st.number_input(
        "Queries a second at most",
        min_value=1.0,
        value=None,
        step=50.0,
        key="recall.budget",
        format="%.0f",
        bind="query-params",
        placeholder="no limit",
        help="A budget for a server in use. With one, no throughput is measured.",
    )
    if not params.has_ef:
        st.caption(markdown(params.without_ef))
        return int(k or DEFAULT.k), 10, 10, int(clients), budget
    steps = [ef for ef in EFS if ef <= limits.ef_runtime]
    low, high = st.select_slider(
        "EF_RUNTIME",
        steps,
        value=(DEFAULT.ef_min, DEFAULT.ef_max),
        key="recall.ef",
        bind="query-params",
        help="The range to measure. Settings between are chosen where the curve bends. Queries that are or "
        "were made from documents begin at K + 1: their own document is asked for as well.",
    )
    return int(k or DEFAULT.k), int(low), int(high), int(clients), budget
