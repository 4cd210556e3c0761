"""The Relevance page's left side: widgets → what to evaluate. All but uploaded files is in the link."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from memdb.cluster.target import Target
from memdb.demo import labelled as demo_set
from memdb.display import counted, labels, line, markdown
from memdb.embedding import choice
from memdb.errors import BadInput, MemDBError
from memdb.relevance import exchange
from memdb.relevance.labels import Judgements
from memdb.relevance.run import MOST_K, MOST_SETTINGS, WAYS, EvaluationRequest, Setting
from memdb.relevance.sources import Source
from memdb.settings import Settings
from memdb.ui.kit import cached
from memdb.ui.relevance import cached as own
from memdb.vectors import words
from memdb.vectors.fusion import FUSION, METHODS, Fusion
from memdb.vectors.index import IndexInfo

DEFAULT = EvaluationRequest((Setting(""),))
_WAY_NAMES = {"vectors": "vectors", "words": "words", "hybrid": "both"}  # as on the Search page
ORIGINS: dict[str, str] = {"mine": "Yours", "demo": "Demo set", "files": "Files"}
CONFIDENCES = (0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class EvaluationForm:
    """What the form says."""

    request: EvaluationRequest
    labelled: Source | Judgements


@dataclass(frozen=True, slots=True)
class Missing:
    """Nothing is wrong; something is still to be given."""

    words: str


def form(target: Target, info: IndexInfo) -> EvaluationForm | Missing | MemDBError:
    """Draw the form, all of it whatever is wrong; the error where it cannot be run."""
    wrong: MemDBError | None = None
    labelled: Source | Judgements | Missing = "mine"
    with st.container(border=True):
        try:
            labelled = _labelled(info)
        except MemDBError as exc:
            wrong = exc
    count = st.number_input(
        "Settings to compare",
        min_value=1,
        max_value=MOST_SETTINGS,
        value=1,
        key="relevance.settings",
        bind="query-params",
        help="Each is asked every question; the first is the base of comparisons.",
    )
    settings = []
    with st.container():  # however many there are, the block below keeps its place
        for place in range(int(count or 1)):
            with st.container(border=True):
                try:
                    settings.append(_setting(target, info, place))
                except MemDBError as exc:
                    wrong = wrong or exc
    with st.container(border=True):
        left, right = st.columns(2)
        k = left.number_input(
            "K",
            min_value=1,
            max_value=MOST_K,
            value=DEFAULT.k,
            key="relevance.k",
            bind="query-params",
            help="How many hits count.",
        )
        relevant = right.number_input(
            "Relevant from",
            min_value=1,
            max_value=exchange.MOST_GRADE,
            value=DEFAULT.relevant,
            key="relevance.relevant",
            bind="query-params",
            help="For MRR, precision and recall. nDCG counts every grade by itself.",
        )
        confidence = left.selectbox(
            "Confidence",
            CONFIDENCES,
            index=CONFIDENCES.index(DEFAULT.confidence),
            key="relevance.confidence",
            bind="query-params",
            format_func=_percent,
        )
        condition = right.text_input(
            "Filter",
            key="relevance.filter",
            bind="query-params",
            placeholder="all documents",
            help="In the engine's words, for all settings.",
        )
    if wrong is not None:
        return wrong
    try:
        request = EvaluationRequest(
            tuple(settings),
            k=int(k or DEFAULT.k),
            filter=condition.strip() or "*",
            relevant=int(relevant or 1),
            confidence=float(confidence),
        )
    except BadInput as exc:
        return exc
    return labelled if isinstance(labelled, Missing) else EvaluationForm(request, labelled)


def _first_origin(info: IndexInfo) -> str:
    """Before anybody chose: the user's own labels, or on the index that the demo's set is about that set."""
    return "demo" if info.name == demo_set.INDEX.name else "mine"


def _labelled(info: IndexInfo) -> Source | Judgements | Missing:
    origin = st.segmented_control(
        "Questions and labels",
        list(ORIGINS),
        format_func=ORIGINS.__getitem__,
        default=_first_origin(info),
        required=True,
        key="relevance.labels",
        bind="query-params",
        width="stretch",
    )
    if origin == "demo":
        st.caption("Made without human judgement: the first sentence of a document asks for the rest of it.")
        return "demo"
    if origin == "mine":
        mine = own.own_labels(cached.home())
        questions = len({label.question for label in mine})
        if not mine:
            return Missing("You have no labels yet. Judge hits on the Search page, or give files.")
        st.caption(markdown(f"{counted(len(mine), 'label')} of {counted(questions, 'question')}."))
        return "mine"
    qrels = st.file_uploader(
        "Grades",
        key="relevance.qrels",
        help="TREC qrels, BEIR's qrels/*.tsv, or a CSV with question, key, grade.",
    )
    queries = st.file_uploader(
        "Questions",
        key="relevance.queries",
        help="BEIR's queries.jsonl, or a table with id and text. Not needed where the grades name questions "
        "by their text.",
    )
    if qrels is None:
        return Missing("No grades are given. Upload qrels or a CSV.")
    judged = exchange.read(
        None if queries is None else (queries.name, queries.getvalue()), (qrels.name, qrels.getvalue())
    )
    st.caption(markdown(f"{counted(judged.count, 'grade')} of {counted(len(judged.grades), 'question')}."))
    for note in judged.notes:
        st.caption(f":material/info: {markdown(note, 400)}")
    return judged


def _setting(target: Target, info: IndexInfo, place: int) -> Setting:
    letter = chr(ord("A") + place)
    key = f"relevance.{letter.lower()}"
    names = cached.index_names(target) or (info.name,)
    st.markdown(f"**{markdown(letter)}**")
    name = info.name
    if place:
        name = st.selectbox(
            "Index",
            names,
            index=names.index(info.name) if info.name in names else 0,
            format_func=labels(names),
            key=f"{key}.index",
            bind="query-params",
        )
    else:
        st.caption(f"The index of the sidebar, {markdown(line(info.name, 80))}.")
    chosen = info if name == info.name else cached.index_info(target, name)
    ways = list(WAYS)
    ranked_by = st.segmented_control(
        "By",
        ways,
        format_func=_WAY_NAMES.__getitem__,
        default="vectors",
        required=True,
        key=f"{key}.by",
        bind="query-params",
    )
    field = ""
    fields = [each.name for each in chosen.of_kind("VECTOR")]
    embedder = ""
    ef: int | None = None
    with st.container():  # what it draws comes and goes; the block below keeps its place
        fusion = _fusion(key) if ranked_by == "hybrid" else FUSION
        if ranked_by != "words" and len(fields) > 1:
            field = st.selectbox(
                "Vector field", fields, format_func=labels(fields), key=f"{key}.field", bind="query-params"
            )
    if ranked_by != "words":
        left, right = st.columns(2)
        embedder = left.text_input(
            "Model",
            key=f"{key}.embedder",
            bind="query-params",
            placeholder="as the index",
            help="E.g. local, titan:512, openai:text-embedding-3-small. Texts of questions go to it.",
        )
        ef = right.number_input(
            "EF_RUNTIME",
            min_value=0,
            max_value=cached.server(target).dialect.limits.ef_runtime,
            value=None,
            key=f"{key}.ef",
            bind="query-params",
            placeholder="as the index",
            help="Empty or 0: the index's own.",
        )
    if ranked_by != "vectors":
        words.need(cached.server(target).dialect, chosen)
    if ranked_by != "words":
        model = choice(chosen, Settings.from_env(), field=field or "", here=embedder)
        if model is None:
            raise BadInput(
                f"Nothing says which model '{line(chosen.name, 80)}' was made with.", "Name it here."
            )
        st.caption(markdown(cached.embedder(model).leaves, 300))
    strip = st.text_input(
        "Keys begin with",
        key=f"{key}.strip",
        bind="query-params",
        placeholder="nothing to leave out",
        help="What keys of this index begin with and those of the labels do not, e.g. of a copy.",
    )
    return Setting(name, field or "", ranked_by, embedder.strip(), int(ef or 0) or None, strip, fusion)


def _fusion(key: str) -> Fusion:
    """How both lists become one, as on the Search page."""
    method = st.selectbox(
        "Put together by",
        list(METHODS.values()),  # a link carries what is shown
        key=f"{key}.fused",
        bind="query-params",
        help="Reciprocal ranks need no common scale. Weighted scores: each list's brought to 0 … 1 first.",
    )
    if method != METHODS["weighted"]:
        return FUSION
    weight = st.slider(
        "Weight of the vectors", 0.0, 1.0, FUSION.weight, 0.05, key=f"{key}.weight", bind="query-params"
    )
    return Fusion("weighted", weight=weight)


def _percent(value: float) -> str:
    return f"{value * 100:g} %"
