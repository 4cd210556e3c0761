"""An evaluation shown: the conclusion, means and differences, and every question with its hits."""

from __future__ import annotations

from itertools import combinations

import pandas as pd
import streamlit as st

from memdb.display import line, markdown
from memdb.relevance import compare, report
from memdb.relevance.measures import name
from memdb.relevance.run import Evaluation
from memdb.ui import frame
from memdb.ui.kit import charts, parts, state
from memdb.ui.relevance import figures

TITLES = {
    "ndcg": "nDCG",
    "reciprocal_rank": "MRR",
    "precision": "precision",
    "recall": "recall of the relevant",
    "unjudged": "unjudged",
}
_SHOWN = 500  # questions of the table


def headline(run: Evaluation) -> None:
    """The conclusion in words, then what is to be known about it."""
    clear = len(run.answers) > 1 and all(
        each.clear for each in compare.differences(run) if compare.best(run) in (each.first, each.second)
    )
    sentence = markdown(compare.conclusion(run), 2_000)
    if clear and not run.partial:
        st.success(sentence, icon=":material/check_circle:")
    else:
        st.info(sentence, icon=":material/info:")
    st.caption(
        f"{len(run.questions):,} questions of {markdown(run.source, 200)} · {markdown(run.target, 120)} · "
        f"{markdown(run.started[:16].replace('T', ' '))} UTC"
    )
    for note in run.notes:
        st.caption(f":material/info: {markdown(note, 600)}")
    for text in run.embedded:
        st.caption(f":material/calculate: Embedded by {markdown(text, 300)}.")


def comparison_view(run: Evaluation) -> None:
    """Means with intervals, every pair's difference, tables and files."""
    measure = _measure()
    title = name(measure, run.request.k)
    means = [compare.mean(run, place, measure) for place in range(len(run.answers))]
    st.plotly_chart(
        figures.means(_titles(run), means, title=title, confidence=run.request.confidence, dark=state.dark()),
        key="relevance.means",
        config=charts.PLAIN,
        alt=f"{line(title)} of each setting with its interval",
    )
    frame_ = report.means_frame(run)
    numbers = [column for column in frame_.columns if column not in ("name", "setting")]
    st.dataframe(
        frame_,
        hide_index=True,
        key="relevance.means.table",
        column_config={column: st.column_config.NumberColumn(format="%.3f") for column in numbers},
    )
    st.caption(
        f"“low” and “high” are of nDCG, at {run.request.confidence * 100:g} % confidence. Seconds are of "
        "embedding and asking at this app."
    )
    parts.export(frame_, "relevance", report.about(run), key="relevance.means.export")
    if len(run.answers) == 1:
        return
    st.markdown("###### Differences, question by question")
    pairs = list(combinations(range(len(run.answers)), 2))
    options = [f"{run.names[b]} less {run.names[a]}" for a, b in pairs]
    chosen = options[0]
    if len(options) > 1:
        chosen = st.segmented_control(
            "Pair",
            options,
            format_func=markdown,
            default=options[0],
            required=True,
            key="relevance.pair",
            label_visibility="collapsed",
        )
    first, second = pairs[options.index(chosen) if chosen in options else 0]
    change = compare.values(run, second, measure) - compare.values(run, first, measure)
    better, worse = int((change > 0).sum()), int((change < 0).sum())
    st.caption(
        f"{markdown(run.names[second])} is better for {better:,} questions, worse for {worse:,}, equal for "
        f"{len(change) - better - worse:,}."
    )
    st.plotly_chart(
        figures.changes(change, names=(run.names[first], run.names[second]), title=title, dark=state.dark()),
        key="relevance.changes",
        config=charts.PLAIN,
        alt=f"Change of {line(title)} by question",
    )
    table = report.differences_frame(run, measure)
    st.dataframe(
        table,
        hide_index=True,
        key="relevance.differences",
        column_config={
            column: st.column_config.NumberColumn(format="%+.3f") for column in ("difference", "low", "high")
        },
    )
    if len(pairs) > 1:
        st.caption("All pairs hold together with that confidence (Bonferroni).")
    parts.export(table, "relevance-differences", report.about(run), key="relevance.differences.export")


def questions_view(run: Evaluation) -> None:
    """Every question: the worst or the most changed first, and the hits of a chosen one."""
    measure = _measure()
    orders = ["Most changed", *(f"Worst of {letter}" for letter in run.names)]
    orders = orders[1:] if len(run.answers) == 1 else orders
    order = st.segmented_control(
        "First", orders, format_func=markdown, default=orders[0], required=True, key="relevance.order"
    )
    place = orders.index(order) if order in orders else 0
    if len(run.answers) > 1 and place == 0:
        rows = compare.most_changed(run, 0, 1, measure)
    else:
        rows = compare.worst(run, place - (len(run.answers) > 1), measure)
    whole = report.questions_frame(run, measure)
    table = whole.iloc[rows[:_SHOWN]]
    numbers = [*run.names, *(["change"] if "change" in whole else [])]
    event = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"relevance.questions.{run.id}.{measure}.{place}",
        height=min(420, 38 + 35 * len(table)),
        # The id stands in the files and with the question that is chosen.
        column_order=["question", *(name for name in whole.columns if name not in ("id", "question"))],
        column_config={
            "question": st.column_config.TextColumn(
                width=max(240, 528 - 60 * len(numbers) - 70 * ("change" in whole))
            ),
            **{column: st.column_config.NumberColumn(format="%.3f", width=56) for column in numbers},
        },
    )
    if len(whole) > _SHOWN:
        st.caption(f"The first {_SHOWN:,} of {len(whole):,}; the files hold all.")
    parts.export(whole, "relevance-questions", report.about(run), key="relevance.questions.export")
    chosen = [row for row in event.get("selection", {}).get("rows", []) if row < len(table)]
    if chosen:
        _question(run, int(rows[chosen[0]]))
    else:
        st.caption("Choose a question to see what each setting returned.")


def _question(run: Evaluation, row: int) -> None:
    grade_of = run.grades[row]
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{markdown(run.questions[row], 1_000)}**")
            st.space("stretch")
            st.page_link(
                frame.link("search"),
                label="Ask it on Search",
                icon=":material/search:",
                query_params={"search.by": "Text", "search.q": run.questions[row], "search.view": "Judge"},
            )
        st.caption(markdown(f"id {run.ids[row]}", 200))
        most = max((len(answered.hits[row]) for answered in run.answers), default=0)
        columns: dict[str, object] = {"rank": list(range(1, most + 1))}
        for letter, answered in zip(run.names, run.answers, strict=True):
            hits = answered.hits[row]
            columns[letter] = [line(key, 200) for key in hits] + [""] * (most - len(hits))
            grades = ["unjudged" if key not in grade_of else str(grade_of[key]) for key in hits]
            columns[f"grade {letter}"] = grades + [""] * (most - len(hits))
        st.dataframe(pd.DataFrame(columns), hide_index=True, key="relevance.question.hits")
        returned = {key for answered in run.answers for key in answered.hits[row]}
        missed = [
            key for key, grade in grade_of.items() if grade >= run.request.relevant and key not in returned
        ]
        if missed:
            named = ", ".join(line(key, 80) for key in missed[:5])
            st.caption(
                f"Relevant and returned by none: {markdown(named, 500)}" + (" …" if len(missed) > 5 else "")
            )


def _measure() -> str:
    chosen = st.segmented_control(
        "Measure",
        list(TITLES),
        format_func=TITLES.__getitem__,
        default="ndcg",
        required=True,
        key="relevance.measure",
        bind="query-params",
    )
    return chosen if chosen in TITLES else "ndcg"


def _titles(run: Evaluation) -> list[str]:
    return [f"{letter}: {each.setting.words}" for letter, each in zip(run.names, run.answers, strict=True)]
