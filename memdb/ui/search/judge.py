"""Search, judging: one hit after the other, a grade from 0 to 3 by button or key, kept in `labels.json`."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from memdb.display import code, line, markdown, plain
from memdb.errors import MemDBError
from memdb.relevance import labels
from memdb.relevance.labels import GRADES
from memdb.ui import frame
from memdb.ui.kit import cached, parts, role
from memdb.ui.search.shown import CONTENTS, SearchView

_AT = "search.judge.at"  # (question, place of the hit that is shown)
_WRONG = "search.judge.wrong"  # why the last grade was not kept


def judge(view: SearchView) -> None:
    """The hit that is to be judged with its buttons, and all hits with their grades."""
    if view.choice.by != "Text":
        parts.empty(
            "No question to judge by",
            "A label belongs to a question in words: search by text, then judge the hits.",
            ":material/fact_check:",
        )
        return
    wrong = st.session_state.pop(_WRONG, None)
    if isinstance(wrong, MemDBError):
        parts.show_error(wrong)
    question, keys = view.choice.text.strip(), view.result.keys
    grades = {each.key: each.grade for each in labels.load(cached.home()) if each.question == question}
    judged = sum(key in grades for key in keys)
    st.caption(
        f"**{judged:,} of {len(keys):,}** hits are judged. Press 0, 1, 2 or 3; the arrows go on and back, X "
        f"takes a grade back. Grades: {', '.join(f'{grade} {words}' for grade, words in GRADES.items())}."
    )
    at = _place(question, keys, grades)
    _hit(view, question, at, grades)
    table = pd.DataFrame(
        {
            "rank": range(1, len(keys) + 1),
            "shown": ["→" if place == at else "" for place in range(len(keys))],
            "grade": pd.array([grades.get(key) for key in keys], dtype="Int64"),
            "title": [line(view.titles[key], 200) for key in keys],
            "key": [line(key, 300) for key in keys],
        }
    )
    st.dataframe(table, hide_index=True, placeholder="–", height=min(420, 38 + 35 * len(table)))
    st.page_link(
        frame.link("relevance"),
        label="Evaluate indexes by your labels",
        icon=":material/fact_check:",
        query_params={"relevance.labels": "mine"},
    )


def _hit(view: SearchView, question: str, at: int, grades: dict[str, int]) -> None:
    key = view.result.keys[at]
    fields = view.result.fields[at]
    with st.container(border=True):
        st.markdown(f"**{at + 1:,}. {markdown(view.titles[key], 160)}**")
        st.caption(code(key))
        for name in (field.name for field in view.info.fields if field.name.lower() in CONTENTS):
            if fields.get(name):
                st.text(plain(fields[name], 1_200))
        with st.container(horizontal=True, gap="small"):
            for grade, words in GRADES.items():
                st.button(
                    markdown(words),  # its key, the grade, stands beside it
                    type="primary" if grades.get(key) == grade else "secondary",
                    shortcut=str(grade),
                    key=f"search.judge.{grade}",
                    disabled=role.locked(),
                    on_click=_grade,
                    args=(question, view.result.keys, at, grade),
                )
            st.space("stretch")
            st.button(
                "",
                icon=":material/arrow_back:",
                shortcut="Left",
                key="search.judge.back",
                help="The hit before",
                disabled=at == 0,
                on_click=_go,
                args=(question, at - 1),
            )
            st.button(
                "",
                icon=":material/arrow_forward:",
                shortcut="Right",
                key="search.judge.on",
                help="The next hit",
                disabled=at + 1 >= len(view.result.keys),
                on_click=_go,
                args=(question, at + 1),
            )
            st.button(
                "",
                icon=":material/undo:",
                shortcut="x",
                key="search.judge.take_back",
                help="Take the grade back",
                disabled=key not in grades or role.locked(),
                on_click=_grade,
                args=(question, view.result.keys, at, None),
            )


def _place(question: str, keys: tuple[str, ...], grades: dict[str, int]) -> int:
    """The hit that was gone to, else the first that is not judged."""
    place = st.session_state.get(_AT)
    if isinstance(place, tuple) and place[0] == question and 0 <= place[1] < len(keys):
        return int(place[1])
    return next((place for place, key in enumerate(keys) if key not in grades), 0)


def _go(question: str, place: int) -> None:
    st.session_state[_AT] = (question, place)


@role.changes
def _grade(question: str, keys: tuple[str, ...], at: int, grade: int | None) -> None:
    """A callback: keep the grade, and go on to the next hit; taking one back stays."""
    try:
        labels.judge(cached.home(), question, keys[at], grade)
    except MemDBError as exc:
        st.session_state[_WRONG] = exc
        return
    _go(question, at if grade is None else min(at + 1, len(keys) - 1))
