"""Search, two ways beside each other, for the question asked and for a set of questions."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from memdb.asking.beside import Comparison, Question, compared, prefixes, question
from memdb.asking.side import By, OpenSide, Side
from memdb.cluster.target import Target
from memdb.display import labels, line, markdown
from memdb.embedding import Embedder
from memdb.errors import BadInput
from memdb.jobs import Job
from memdb.ui.kit import cached, charts, model, parts, safety, state, targets
from memdb.ui.kit.ef import ef_input
from memdb.ui.kit.job import JobSlot
from memdb.ui.search import figures
from memdb.ui.search.cached import answer
from memdb.ui.search.form import SIDE_MODEL, SearchChoice, ask
from memdb.vectors.distance import from_bytes
from memdb.vectors.filters import EVERYTHING
from memdb.vectors.index import IndexInfo
from memdb.vectors.titles import title_of
from memdb.vectors.words import why_not

COMPARING = JobSlot[Comparison]("search.beside_job", every="0.5s")
SAME, NONE, OWN = "The same", "None", "Another"
QUESTIONS, PICKED = "search.side.questions", "search.side.picked"


def first_side(info: IndexInfo, choice: SearchChoice) -> tuple[Side, Embedder | None]:
    """What the form says, as a side.

    Raises:
        MemDBError: the model does not fit or did not answer.
    """
    request = choice.request
    here = choice.model.here if choice.model else ""
    side = Side(
        info.name,
        request.field,
        choice.way,
        request.k,
        request.ef_runtime,
        request.filter,
        here,
        choice.fusion,
    )
    needs = choice.way != "words" and choice.model is not None
    return side, choice.model.embedder() if needs and choice.model is not None else None


def side_by_side(target: Target, info: IndexInfo, choice: SearchChoice) -> None:
    """The form's way and another one: for this question, and for a set of questions.

    Raises:
        BadInput: a document or a vector is to be searched by words.
        MemDBError: a server or a model did not answer, or said no.
    """
    side, embedder = first_side(info, choice)
    first = OpenSide(cached.client(target), info, side, embedder)
    with st.container(border=True):
        second = _second(target, info, choice, first)
    if second is None:
        return
    other, other_info, chosen = second
    vector = None
    if choice.by != "Text":
        if chosen.side.by != "vectors":
            raise BadInput("A document or a vector has no words to search.", "Ask a question in words.")
        raw = choice.request.vector
        vector = from_bytes(raw, "FLOAT32") if isinstance(raw, bytes) else None
    run = state.reading("search.run")
    key = b"" if vector is None else vector.tobytes()
    answers = (
        answer(target, info, side, embedder, choice.text, key, run, vector),
        answer(other, other_info, chosen.side, chosen.embedder, choice.text, key, run, vector),
    )
    answered = question(choice.text, *answers, prefixes(first, chosen))
    names = (first.words(chosen), chosen.words(first))
    titles = {
        hit.removeprefix(prefix): title_of(fields, hit, about)
        for got, prefix, about in zip(answers, prefixes(first, chosen), (info, other_info), strict=True)
        for hit, fields in zip(got.keys, got.fields, strict=True)
    }
    _moves(answered, names, titles)
    for got in answers:
        for note in got.notes:
            st.caption(f":material/info: {markdown(note)}")
    if answers[1].embedded is not None:
        model.spent(answers[1].embedded)
    if choice.by == "Text":
        st.markdown("##### A set of questions")
        _many(target, other, first, chosen)


def _second(
    target: Target, info: IndexInfo, choice: SearchChoice, first: OpenSide
) -> tuple[Target, IndexInfo, OpenSide] | None:
    """The controls of the other way, and the way they say; None where it cannot be asked, which is told."""
    st.markdown("**Beside it**")
    first_column, middle, right = st.columns(3)
    with first_column:
        other = _target(target)
        names = cached.index_names(other)
        if not names:
            st.caption("No index there.")
            return None
        name = st.selectbox(
            "Index",
            names,
            index=names.index(info.name) if info.name in names else 0,
            format_func=labels(names),
            key="search.side.index",
            bind="query-params",
        )
    other_info = cached.index_info(other, name or names[0])
    fields = [field.name for field in other_info.of_kind("VECTOR")]
    dialect = cached.server(other).dialect
    with middle:
        field = ""
        if len(fields) > 1:
            same = choice.request.field if choice.request.field in fields else fields[0]
            field = st.selectbox(
                "Vector field",
                fields,
                index=fields.index(same),
                format_func=labels(fields),
                key="search.side.field",
                bind="query-params",
            )
        why = why_not(dialect, other_info)
        ways: list[By] = ["vectors"] if why or choice.by != "Text" else ["vectors", "words", "both"]
        ranked_by = st.selectbox("Ranked by", ways, key="search.side.way", bind="query-params")
        if why:
            st.caption(f":material/info: {markdown(why)}")
        _, params = other_info.vector_field(field)
        ef: int | None = None
        if params.has_ef and ranked_by != "words":
            ef = ef_input(other, "search.side.ef", choice.request.ef_runtime or 64)
    with right:
        condition = choice.request.filter
        filtered = st.selectbox("Filter", [SAME, NONE, OWN], key="search.side.filter", bind="query-params")
        if filtered == NONE:
            condition = EVERYTHING
        elif filtered == OWN:
            condition = (
                st.text_input("Expression", key="search.side.raw", bind="query-params").strip() or EVERYTHING
            )
        embedder: Embedder | None = None
        if ranked_by != "words" and choice.by == "Text":
            picked = model.choose(other, other_info, field, key=f"{SIDE_MODEL}{other_info.name}.{field}")
            embedder = picked.embedder()
            here = picked.here
        else:
            here = ""
    side = Side(other_info.name, field, ranked_by, choice.request.k, ef, condition, here, choice.fusion)
    return other, other_info, OpenSide(cached.client(other), other_info, side, embedder)


def _target(target: Target) -> Target:
    """Another target of those that this visitor can choose."""
    every = {named.name: named for named in targets.listed()}
    current = targets.chosen()
    if len(every) < 2 or current is None:
        return target
    names = list(every)
    name = st.selectbox(
        "Target",
        names,
        index=names.index(current.name) if current.name in names else 0,
        format_func=labels(names),
        key="search.side.target",
        bind="query-params",
    )
    return target if name in (None, current.name) else targets.open_named(every[name])


def _moves(answered: Question, names: tuple[str, str], titles: dict[str, str]) -> None:
    overlap = answered.overlap
    with st.container(horizontal=True):
        st.metric("shared", f"{overlap.shared:,}")
        st.metric("only in the first", f"{overlap.only_first:,}")
        st.metric("only in the second", f"{overlap.only_second:,}")
        st.metric("Jaccard", f"{overlap.jaccard:.2f}", help="Shared documents, of all in either list.")
        st.metric(
            "rank-biased overlap", f"{overlap.rbo:.2f}", help="1: the same order; first ranks weigh more."
        )
    if not answered.moves:
        st.caption("Neither way found a document.")
        return
    st.plotly_chart(
        charts.rank_moves(charts.moves(answered.first, answered.second, titles), names, dark=state.dark()),
        key="search.side.moves",
        config=charts.PLAIN,
        alt="Rank of each document on both sides",
    )
    frame = pd.DataFrame(
        {
            "first": pd.array([m.first for m in answered.moves], dtype="Int64"),
            "second": pd.array([m.second for m in answered.moves], dtype="Int64"),
            "moved": pd.array([m.moved for m in answered.moves], dtype="Int64"),
            "title": [titles.get(m.name, "") for m in answered.moves],
            "key": [line(m.name, 300) for m in answered.moves],
        }
    )
    st.caption(f"First: {markdown(names[0])}. Second: {markdown(names[1])}.")
    st.dataframe(frame, hide_index=True, placeholder="–", key="search.side.table")
    about = {"question": answered.text, "first": names[0], "second": names[1]}
    parts.export(frame, "side-by-side", about, key="search.side.export")


def _many(target: Target, other: Target, first: OpenSide, second: OpenSide) -> None:
    st.text_area(
        "Questions, one a line",
        key=QUESTIONS,
        height=120,
        placeholder="what your users type",
        help="Each is asked both ways; those whose answers differ most come first.",
    )
    st.button(
        "Compare all",
        icon=":material/compare_arrows:",
        key="search.side.start",
        on_click=_start,
        args=(target, other, first, second),
        disabled=COMPARING.current() is not None,
    )
    if COMPARING.watch():
        return
    job = COMPARING.outcome(target, "Cancelled before all questions were asked.")
    if job is None or job.result is None:
        return
    evaluation = job.result
    st.caption(f"First: {markdown(evaluation.first)}. Second: {markdown(evaluation.second)}.")
    st.markdown(markdown(evaluation.words, 1_000))
    st.plotly_chart(
        figures.agreement(evaluation.jaccard, evaluation.rbo, dark=state.dark()),
        key="search.side.agreement",
        config=charts.PLAIN,
        alt="How many questions agree how far",
    )
    frame = pd.DataFrame(
        {
            "overlap": evaluation.rbo,
            "Jaccard": evaluation.jaccard,
            "shared": [each.overlap.shared for each in evaluation.questions],
            "question": [line(each.text, 300) for each in evaluation.questions],
        }
    )
    st.session_state[PICKED] = tuple(each.text for each in evaluation.questions)
    st.dataframe(
        frame,
        hide_index=True,
        on_select=_pick,
        selection_mode="single-row",
        key="search.side.differ",
        column_config={
            "overlap": st.column_config.NumberColumn("rank-biased overlap", format="%.2f"),
            "Jaccard": st.column_config.NumberColumn(format="%.2f"),
        },
    )
    st.caption("Choose a row to see that question above.")
    if evaluation.spent.texts:
        st.caption(f":material/timer: Embedded: {markdown(evaluation.spent.words)}")
    for note in evaluation.notes:
        st.caption(f":material/info: {markdown(note)}")
    parts.export(
        frame,
        "agreement",
        {"first": evaluation.first, "second": evaluation.second},
        key="search.side.export_all",
    )


def _pick() -> None:
    """A callback: ask the chosen question."""
    rows = st.session_state["search.side.differ"].get("selection", {}).get("rows", [])
    texts: tuple[str, ...] = st.session_state.get(PICKED, ())
    if rows and rows[0] < len(texts):
        ask(texts[rows[0]])


def _start(target: Target, other: Target, first: OpenSide, second: OpenSide) -> None:
    """A callback: ask all questions both ways, in the background."""
    texts = str(st.session_state.get(QUESTIONS, "")).splitlines()
    opened = [
        replace(side, client=cached.client(where).budgeted(safety.budget(where)))
        for side, where in ((first, target), (second, other))
    ]

    def work(job: Job[Comparison]) -> Comparison:
        return compared(opened[0], opened[1], texts, report=job.report)

    COMPARING.start("Two ways beside each other", work)
