"""Behind an answer: its sources, where the time went, what the preference changed, and the code."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, replace

import pandas as pd
import streamlit as st

from memdb.assistant import flow
from memdb.assistant.answers import CitedAnswer
from memdb.assistant.flow import Context
from memdb.cluster.target import Target
from memdb.display import line, markdown
from memdb.ui import frame
from memdb.ui.assistant import figures as figures_assistant
from memdb.ui.kit import cached, charts, parts, state
from memdb.vectors.distance import Floats
from memdb.vectors.index import IndexInfo
from memdb.vectors.titles import titles_in

PYTHON = """\
from memdb.assistant import answers, flow
from memdb.cluster.client import connect
from memdb.cluster.find import find_target
from memdb.embedding import embedder_for
from memdb.sessions import append, users
from memdb.sessions.turns import said
from memdb.settings import Settings
from memdb.vectors.index import index_info

question = {question}
with connect(find_target(Settings.from_env())) as client:
    info = index_info(client, {index})
    preference = {user}
    ask = flow.Ask(
        {index}, {session}, {user_id}, question, k={k}, ef_runtime={ef}, weight={weight}, filter={filter}
    )
    embedder = embedder_for(client, info, Settings.from_env(), here={model})
    found = flow.context(client, info, ask, embedder.embed([question])[0], preference)  # one round trip
    answer = answers.extractive(question, found.result.hits)
    turns = [said("user", question), said("assistant", answer.text)]
    append.append(client, ask.session_key, turns)  # compare-and-set; renews the TTL
print(answer.text)
"""


def sources(context: Context, answer: CitedAnswer) -> None:
    """The documents the answer rests on, each a link into Search."""
    st.caption(f"Answered by {markdown(answer.by, 120)}. [n] in the answer is the document of that number.")
    for note in context.result.notes:
        st.warning(markdown(note), icon=":material/warning:")
    table = pd.DataFrame(
        [
            {"n": s.number, "document": s.title, "distance": s.distance, "key": line(s.key, 200)}
            for s in answer.sources
        ]
    )
    st.dataframe(
        table,
        hide_index=True,
        key="assistant.sources",
        column_config={"distance": st.column_config.NumberColumn(format="%.4f")},
    )
    _export(table, "sources", context)
    with st.container(horizontal=True):
        for source in answer.sources[:5]:
            st.page_link(
                frame.link("search"),
                label=f"[{source.number}] in Search",
                icon=":material/search:",
                query_params={
                    state.INDEX: state.index_in_link(context.ask.index),
                    "search.by": "Document",
                    "search.key": source.key,
                },
            )


def waterfall(target: Target, context: Context) -> None:
    """Each step of the flow as a bar, by when it began, and the commands of the round trip one by one."""
    remote = context.round_trip_ms
    total = context.steps[-1].end_ms if context.steps else 0.0
    st.markdown(
        f"**{total:.1f} ms** from the question to the documents, **{remote:.1f} ms** of them one round "
        "trip that brought the history, the preference and the documents."
    )
    if context.asked_again:
        st.info(
            "The preference had changed since the user was chosen: the documents were asked for once more.",
            icon=":material/sync:",
        )
    st.plotly_chart(
        figures_assistant.waterfall(context.steps, dark=state.dark()),
        key="assistant.waterfall",
        config=charts.PLAIN,
        alt="Steps of the flow by time",
    )
    both = flow.compared(cached.client(target), context)
    single = both.steps
    st.markdown(
        f"**Sent at once: {_spread(both.together_ms)}. One by one: {_spread(both.sums_ms)}.** Medians, and "
        f"smallest to largest, of {len(both.together_ms)} times each, taken in turn just now."
    )
    st.plotly_chart(
        figures_assistant.waterfall(single, dark=state.dark()),
        key="assistant.alone",
        config=charts.PLAIN,
        alt="The commands of the round trip one after the other",
    )
    rows = [("flow", s) for s in context.steps] + [("one by one", s) for s in single]
    table = pd.DataFrame(
        [
            {
                "what": what,
                "step": s.name,
                "where": "server and wire" if s.remote else "here",
                "from ms": s.start_ms,
                "took ms": s.took_ms,
            }
            for what, s in rows
        ]
    )
    st.dataframe(
        table,
        hide_index=True,
        key="assistant.steps",
        column_config=dict.fromkeys(("from ms", "took ms"), st.column_config.NumberColumn(format="%.2f")),
    )
    _export(table, "waterfall", context)


def _spread(times_ms: Sequence[float]) -> str:
    return f"{statistics.median(times_ms):.2f} ms ({min(times_ms):.2f} to {max(times_ms):.2f})"


@st.fragment
def preference(target: Target, info: IndexInfo, context: Context, vector: Floats) -> None:
    """The documents without and with the preference, and how ranks moved; `vector` is the question's (d,).

    The weight chosen here is used for this comparison alone.
    """
    if context.preference is None or context.preference.shape != vector.shape:
        parts.empty(
            "Nothing to compare",
            "This user has no preference vector of the question's length.",
            ":material/person_off:",
        )
        return
    weight = st.slider(
        "Weight of the preference",
        0.0,
        1.0,
        context.ask.weight,
        0.05,
        key="assistant.try",
        help="Tried here alone; the form's weight is used for the next question.",
    )
    with parts.errors_shown(target):
        ask = replace(context.ask, weight=weight)
        without, blended = flow.both(cached.client(target), info, ask, vector, context.preference)
        titles = {**titles_in(info, without), **titles_in(info, blended)}
        names = ("without", f"weight {weight:.2f}")
        moves = charts.moves(without.keys, blended.keys, titles)
        same = len(set(without.keys) & set(blended.keys))
        st.markdown(f"**{same} of {len(without.keys)}** documents are the same.")
        st.plotly_chart(
            charts.rank_moves(moves, names, dark=state.dark()),
            key="assistant.moves",
            config=charts.PLAIN,
            alt="Rank of each document without and with the preference",
        )
        table = pd.DataFrame(
            {
                names[0]: pd.array([m.before for m in moves], dtype="Int64"),
                names[1]: pd.array([m.after for m in moves], dtype="Int64"),
                "document": [m.title for m in moves],
                "key": [line(m.key, 200) for m in moves],
            }
        )
        st.dataframe(table, hide_index=True, placeholder="–", key="assistant.moved")
        _export(table, "preference", replace(context, ask=ask))


def code(target: Target, context: Context, model: str) -> None:
    """The flow with this library, and its three commands."""
    ask = context.ask
    user = f"users.user_record(client, {ask.user_id!r}).vector" if context.preference is not None else "None"
    condition = str(context.commands[-1].args[2]).rpartition("=>")[0]
    parts.code_block(
        PYTHON.format(
            question=repr(ask.question),
            model=repr(model),
            index=repr(ask.index),
            session=repr(ask.session_key),
            user_id=repr(ask.user_id),
            user=user,
            k=ask.k,
            ef=ask.ef_runtime,
            weight=ask.weight,
            filter=repr(condition),
        ),
        "python",
    )
    st.caption("The commands of the round trip; the vector is shown as a variable.")
    parts.code_block("\n".join(c.redis_cli(target) for c in context.commands), "bash")


def _export(table: pd.DataFrame, name: str, context: Context) -> None:
    about = {key: str(value) for key, value in asdict(context.ask).items()}
    parts.export(table, name, about, key=f"assistant.{name}")
