"""Labels as files, and an evaluation as files, command, code and link."""

from __future__ import annotations

from collections import Counter
from typing import get_args
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from memdb.display import counted, line, markdown
from memdb.errors import MemDBError
from memdb.relevance import exchange, labels, report, store
from memdb.relevance.exchange import Format
from memdb.relevance.labels import GRADES, Label
from memdb.relevance.run import Evaluation
from memdb.ui.kit import cached, parts, role, state
from memdb.ui.relevance import cached as own

_TOLD = "relevance.imported"  # what an import did, said once
_KINDS: dict[Format, str] = {"csv": "CSV", "beir": "BEIR", "trec": "TREC"}


def labels_view() -> None:
    """The user's own labels: counted by question, imported, exported, taken back."""
    outcome = st.session_state.pop(_TOLD, None)
    if isinstance(outcome, MemDBError):
        parts.show_error(outcome)
    elif outcome:
        st.success(markdown(outcome, 600))
    _import()
    mine = own.own_labels(cached.home())
    if not mine:
        parts.empty(
            "No labels yet",
            "Ask a question on the Search page, open “Judge”, and grade the hits from 0 to 3.",
            ":material/fact_check:",
        )
        return
    questions: dict[str, Counter[int]] = {}
    for label in mine:
        questions.setdefault(label.question, Counter())[label.grade] += 1
    sentence = markdown(f"{counted(len(mine), 'label')} of {counted(len(questions), 'question')}")
    st.caption(f"{sentence}, in `labels.json` of this app.")
    texts = list(questions)
    event = st.dataframe(
        pd.DataFrame(
            {
                "question": [line(text, 300) for text in texts],
                **{f"grade {g}": [questions[text][g] for text in texts] for g in GRADES},
            }
        ),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"relevance.labels.table.{len(mine)}.{len(texts)}",
        height=min(330, 38 + 35 * len(texts)),
    )
    with st.container(horizontal=True, gap="small"):
        for kind in get_args(Format):
            _export(mine, kind)
    rows = [row for row in event.get("selection", {}).get("rows", []) if row < len(texts)]
    if rows:
        _of_question([label for label in mine if label.question == texts[rows[0]]])


def files_view(run: Evaluation) -> None:
    """The evaluation as files, as a command, as code, as a link."""
    st.markdown("###### Each question")
    parts.export(report.questions_frame(run), "relevance-questions", report.about(run), key="relevance.files")
    st.text_input(
        "Name of this evaluation",
        value=run.title,
        key=f"relevance.title.{run.id}",
        on_change=_rename,
        args=(run.id,),
        max_chars=120,
        disabled=role.locked(),
    )
    st.markdown("###### The same on the command line")
    words = {"your labels": "", "the demo's labelled set": "--labels demo"}.get(run.source)
    if words is None:
        st.caption("Name the files of questions and grades in the place of these.")
        words = "--queries queries.jsonl --qrels qrels.tsv"
    parts.code_block(report.command_line(run.request, words), "bash")
    st.caption("With `--ndcg 0.6` or `--not-below` it exits with 1 where the bound is missed.")
    parts.code_block(f"memdb evaluate --run {run.id}", "bash")
    st.markdown("###### With this library")
    parts.code_block(library_code(run), "python")
    st.markdown("###### Link to this evaluation")
    address = (st.context.url or "").split("?")[0]
    index = run.request.settings[0].index
    linked = urlencode({state.INDEX: state.index_in_link(index), "relevance.run": run.id})
    parts.code_block(f"{address}?{linked}")
    st.caption("It opens where the same evaluations are kept.")


def library_code(run: Evaluation) -> str:
    """The same evaluation with this library, by labels of the user's own."""
    settings = "".join(f"        {setting!r},\n" for setting in run.request.settings)
    return f"""import os

from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.relevance.compare import conclusion
from memdb.relevance.evaluate import evaluate
from memdb.relevance.labels import judgements, load
from memdb.relevance.models import of_settings
from memdb.relevance.run import EvaluationRequest, Setting
from memdb.settings import Settings
from memdb.vectors.fusion import Fusion

settings = Settings.from_env()
request = EvaluationRequest(
    (
{settings}    ),
    k={run.request.k},
    filter={run.request.filter!r},
    relevant={run.request.relevant},
    confidence={run.request.confidence!r},
)
target = Target.parse({run.target!r}, password=os.environ.get("MEMDB_PASSWORD", ""))
with connect(target) as client:
    run = evaluate(client, request, judgements(load(settings.home)), of_settings(client, settings))
print(conclusion(run))
"""


def _import() -> None:
    with st.expander("Import labels", icon=":material/upload:"):
        qrels = st.file_uploader("Grades: TREC, BEIR's .tsv, or CSV", key="relevance.import.qrels")
        queries = st.file_uploader("Questions, where the grades name ids", key="relevance.import.queries")
        st.button(
            "Add to your labels",
            key="relevance.import.start",
            disabled=qrels is None or role.locked(),
            on_click=_add,
            args=(
                None if queries is None else (queries.name, queries.getvalue()),
                None if qrels is None else (qrels.name, qrels.getvalue()),
            ),
        )


@role.changes
def _add(queries: tuple[str, bytes] | None, qrels: tuple[str, bytes] | None) -> None:
    if qrels is None:
        return
    try:
        judged = exchange.read(queries, qrels)
        more = exchange.to_labels(judged)
        stored = labels.add(cached.home(), more)
    except MemDBError as exc:
        st.session_state[_TOLD] = exc
        return
    more_of = f"{counted(len(more), 'label')} of {counted(len(judged.grades), 'question')}"
    sentence = f"Imported {more_of}; there are {len(stored):,} now."
    st.session_state[_TOLD] = " ".join((sentence, *judged.notes))


def _export(mine: tuple[Label, ...], kind: Format) -> None:
    try:
        named, content = exchange.export(mine, kind)
    except MemDBError as exc:
        st.button(_KINDS[kind], disabled=True, help=markdown(exc.full(), 300), key=f"relevance.export.{kind}")
        return
    st.download_button(
        _KINDS[kind],
        content,
        file_name=line(named, 80),
        icon=":material/download:",
        on_click="ignore",
        key=f"relevance.export.{kind}",
    )


def _of_question(chosen: list[Label]) -> None:
    st.dataframe(
        pd.DataFrame(
            {
                "key": [line(label.key, 300) for label in chosen],
                "grade": [label.grade for label in chosen],
                "time": [line(label.time, 40) for label in chosen],
            }
        ),
        hide_index=True,
        key="relevance.labels.of",
    )
    with st.popover("Take these labels back", icon=":material/delete:"):
        st.button(
            f"Remove {len(chosen):,} labels for good",
            type="primary",
            disabled=role.locked(),
            on_click=_remove,
            args=(chosen,),
            key="relevance.labels.remove",
        )


@role.changes
def _remove(chosen: list[Label]) -> None:
    try:
        labels.remove(cached.home(), chosen)
    except MemDBError as exc:
        st.session_state[_TOLD] = exc


@role.changes
def _rename(run_id: str) -> None:
    store.rename(cached.home(), run_id, str(st.session_state.get(f"relevance.title.{run_id}", "")))
    own.forget()
