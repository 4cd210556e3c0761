"""The Assistant's right side: the conversation, the question, the answer with its sources and its times."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from memdb.assistant import answers, flow, follow_up
from memdb.assistant.answers import CitedAnswer
from memdb.assistant.flow import Ask, Context
from memdb.cluster.target import Target
from memdb.demo import loader
from memdb.display import counted, duration, line, markdown, plain
from memdb.embedding import Embedded
from memdb.errors import MemDBError
from memdb.sessions import append, formats
from memdb.sessions.known import ARTICLE
from memdb.sessions.turns import Turn, said
from memdb.ui import frame
from memdb.ui.assistant import views
from memdb.ui.assistant.form import RUN, AssistantChoice
from memdb.ui.kit import cached, model, parts, privacy, state
from memdb.ui.sessions import turn_shown
from memdb.vectors.distance import Floats
from memdb.vectors.index import IndexInfo

LAST = "assistant.last"
# Two that the demo's documents answer, and one that they do not.
EXAMPLES = ("How do I rotate a secret?", "How do I list the tables of a database?", "Will it rain in Lisbon?")
TURNS = 12  # of the history that are shown
VIEWS = ("Sources", "Where the time went", "With and without the preference", "Code")


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """The last question of this tab, with all that came of it."""

    context: Context
    answer: CitedAnswer
    vector: Floats
    kept: str  # what became of the turn, a sentence
    searched: str  # the text that was embedded
    problem: MemDBError | None  # of the answer or of keeping it
    embedded: Embedded


def chat(target: Target, info: IndexInfo, choice: AssistantChoice | MemDBError) -> None:
    """Draw the conversation and, below it, what is behind its last answer."""
    if isinstance(choice, MemDBError):
        parts.show_error(choice)
        return
    if not choice.session_key:
        parts.empty(
            "Who asks?",
            "Choose a user and a session on the left"
            + (
                ", or begin a new session."
                if target.writable
                else ". This target is read-only: none is begun here."
            ),
            ":material/forum:",
        )
        return
    printable = _id(choice)
    session = cached.session(target, ARTICLE, printable, state.reading(RUN)).session
    with st.container(height=420, border=True, autoscroll=True):
        for problem in session.problems:
            st.warning(markdown(problem, 300), icon=":material/report:")
        # A link within what scrolls: who uses the keyboard alone gets into it by this.
        earlier = len(session.turns) - TURNS
        more = f", with {counted(earlier, 'earlier turn')}" if earlier > 0 else ""
        st.page_link(
            frame.link("sessions"),
            label=markdown(f"Open in Sessions{more}"),
            icon=":material/forum:",
            query_params={"sessions.open": printable},
        )
        for turn in session.turns[-TURNS:]:
            turn_shown(privacy.turn(target, turn))
        if not session.turns:
            st.caption("Nothing was said yet. Ask below.")
        last: Exchange | None = st.session_state.get(LAST)
        if last is not None and last.context.ask.session_key == choice.session_key and not _is_kept(last):
            turn_shown(said("user", last.context.ask.question))
            turn_shown(said("assistant", last.answer.text))
        here = st.container()
    question = st.chat_input("Ask about the documents", key="assistant.question", max_chars=4_000)
    if info.name == loader.DOCUMENTS.name and not _asked(choice):
        question = question or _example()
    if question and question.strip():
        with parts.errors_shown(target):
            st.session_state[LAST] = _exchange(target, info, choice, question.strip(), session.turns, here)
            state.read_again(RUN)
            st.rerun()
    last = st.session_state.get(LAST)
    if last is not None and last.context.ask.session_key == choice.session_key:
        _behind(target, info, choice, last)


def _asked(choice: AssistantChoice) -> bool:
    """Whether this tab has asked something in this session."""
    last: Exchange | None = st.session_state.get(LAST)
    return last is not None and last.context.ask.session_key == choice.session_key


def _example() -> str | None:
    """Questions to begin with on the demo's documents; the one that was pressed."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Try:", width="content")
        pressed = [
            st.button(markdown(text), key=f"assistant.example.{place}", type="tertiary")
            for place, text in enumerate(EXAMPLES)
        ]
    return next((text for text, on in zip(EXAMPLES, pressed, strict=True) if on), None)


def _id(choice: AssistantChoice) -> str:
    return formats.printable_id(ARTICLE.id_of(choice.session_key))


def _is_kept(last: Exchange) -> bool:
    return last.kept.startswith("Kept")


def _exchange(
    target: Target,
    info: IndexInfo,
    choice: AssistantChoice,
    question: str,
    turns: Sequence[Turn],
    here: object,
) -> Exchange:
    client = cached.client(target)
    began = time.perf_counter()
    searched = follow_up.whole(question, turns)
    embedded = choice.embedder.ask([searched])
    vector = embedded.vectors[0]
    embed_ms = (time.perf_counter() - began) * 1000
    ask = Ask(
        info.name,
        choice.session_key,
        choice.user_id,
        question,
        choice.k,
        choice.ef_runtime,
        choice.weight,
        choice.condition,
    )
    context = flow.context(client, info, ask, vector, choice.preference, embed_ms=embed_ms)
    nearest = flow.nearest(client, info, ask, vector) if choice.bound is not None else None
    if nearest is not None and choice.bound is not None and nearest >= choice.bound:
        answer, problem = answers.unanswered(context.result.hits, nearest, choice.bound), None
    else:
        answer, problem = _answer(context, choice, here, searched)
    sentence = "Not kept: this target is read-only."
    if target.writable:
        try:
            added = [said("user", question), said("assistant", answer.text)]
            appended = append.append(client, choice.session_key, added)
            life = "never expires" if appended.ttl_s is None else f"lives {duration(appended.ttl_s)} from now"
            sentence = f"Kept in session {line(_id(choice), 80)} ({appended.turns:,} turns); it {life}."
            if appended.attempts > 1:
                sentence += (
                    f" Others wrote meanwhile; it took {appended.attempts} attempts, and nothing was lost."
                )
        except MemDBError as exc:
            sentence, problem = "Not kept.", exc
    return Exchange(context, answer, vector, sentence, searched, problem, embedded)


def _answer(
    context: Context, choice: AssistantChoice, here: object, searched: str
) -> tuple[CitedAnswer, MemDBError | None]:
    hits = context.result.hits
    problem: MemDBError | None = None
    if choice.model:
        text = ""
        with here:  # type: ignore[attr-defined]  # a container of the page
            turn_shown(said("user", context.ask.question))
            with st.chat_message("assistant", avatar=":material/smart_toy:"):
                place = st.empty()
                try:
                    for piece in answers.written(choice.model, context.ask.question, context.turns, hits):
                        text += piece
                        place.text(plain(text, 8_000))
                except MemDBError as exc:
                    problem = exc
        if text:
            return CitedAnswer(text, answers.sources(hits), choice.model), problem
    return answers.extractive(searched, hits), problem


def _behind(target: Target, info: IndexInfo, choice: AssistantChoice, last: Exchange) -> None:
    st.caption(f":material/save: {markdown(last.kept)}")
    model.spent(last.embedded)
    if last.searched != last.context.ask.question:
        words = markdown(line(last.searched, 300))
        st.caption(f":material/forum: Searched together with the question before: {words}")
    if last.problem is not None:
        parts.show_error(last.problem)
    for problem in last.context.problems:
        st.caption(f":material/report: {markdown(problem, 300)}")
    view = parts.view_choice(VIEWS, key="assistant.view")
    with parts.errors_shown(target):
        if view == VIEWS[1]:
            views.waterfall(target, last.context)
        elif view == VIEWS[2]:
            views.preference(target, info, last.context, last.vector)
        elif view == VIEWS[3]:
            views.code(target, last.context, choice.embedder.spec)
        else:
            views.sources(last.context, last.answer)
