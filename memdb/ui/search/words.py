"""Search by words, or by words and vectors: the fused list with each leg's rank and score."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from memdb.asking.side import Answer
from memdb.cluster.target import Target
from memdb.display import labels, line, markdown
from memdb.ui.kit import cached, model, parts, state
from memdb.ui.search.beside import first_side, side_by_side
from memdb.ui.search.cached import answer
from memdb.ui.search.form import SearchChoice, more_like
from memdb.ui.search.share import again, answer_code, history, link, remember
from memdb.vectors.filters import render
from memdb.vectors.fusion import Place
from memdb.vectors.index import IndexInfo
from memdb.vectors.titles import title_of

VIEWS = ("Table", "Side by side", "Code and link")


def results(target: Target, info: IndexInfo, choice: SearchChoice) -> None:
    """Ask, and draw the answer in the chosen view."""
    with parts.errors_shown(target):
        side, embedder = first_side(info, choice)
        got = answer(target, info, side, embedder, choice.text, b"", state.reading("search.run"), None)
        nearest = title_of(got.fields[0], got.keys[0], info) if got.keys else ""
        remember(info, choice, got.took_ms, nearest)
        _headline(choice, got)
        view = parts.view_choice(VIEWS, key="search.view")
        if view == "Side by side":
            side_by_side(target, info, choice)
        elif view == "Code and link":
            _code(target, info, choice, got)
        else:
            _table(target, info, choice, got)


def _headline(choice: SearchChoice, got: Answer) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{len(got.keys):,}** of K {choice.request.k:,} · **{got.took_ms:.1f} ms**")
        st.space("stretch")
        with st.popover("History", icon=":material/history:"):
            history()
        st.button("Again", icon=":material/refresh:", on_click=again, help="Ask the server once more.")
    st.caption(f"Score: {markdown(got.scored)}.")
    for note in got.notes:
        st.warning(markdown(note), icon=":material/warning:")
    if got.embedded is not None:
        model.spent(got.embedded)


def table_of(info: IndexInfo, got: Answer) -> pd.DataFrame:
    """An answer as rows: rank, score, of both legs rank and score, title, key, fields."""
    columns: dict[str, object] = {"rank": range(1, len(got.keys) + 1), "score": got.scores}
    if got.legs:
        for name in ("vectors", "words"):
            places: list[Place | None] = [getattr(hit, name) for hit in got.legs]
            columns[f"{name}: rank"] = pd.array([p.rank if p else None for p in places], dtype="Int64")
            columns[f"{name}: score"] = pd.array([p.score if p else None for p in places], dtype="Float64")
    rows = zip(got.fields, got.keys, strict=True)
    columns["title"] = [title_of(fields, key, info) for fields, key in rows]
    columns["key"] = [line(key, 300) for key in got.keys]
    for field in info.fields:
        if field.kind != "VECTOR":
            name = field.name if field.name not in columns else f"{field.name} (field)"
            columns[name] = [line(fields.get(field.name, ""), 300) for fields in got.fields]
    return pd.DataFrame(columns)


def _table(target: Target, info: IndexInfo, choice: SearchChoice, got: Answer) -> None:
    if not got.keys:
        parts.empty(
            "Nothing matches",
            "No document under the filter holds any of these words.",
            ":material/filter_alt_off:",
        )
        return
    if got.legs:
        both = sum(hit.vectors is not None and hit.words is not None for hit in got.legs)
        near = sum(hit.words is None for hit in got.legs)
        by_words = sum(hit.vectors is None for hit in got.legs)
        st.markdown(
            f"**{both:,}** of {len(got.legs):,} hits are in both legs, **{near:,}** in the vectors' alone, "
            f"**{by_words:,}** in the words' alone."
        )
    frame = table_of(info, got)
    headed = labels([str(name) for name in frame.columns], 80)
    event = st.dataframe(
        frame.rename(columns=headed),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"search.words.{choice.text.__hash__():x}.{st.session_state['search.run']}",
        column_config={
            name: st.column_config.NumberColumn(format="%.4f")
            for name in ("score", "vectors: score", "words: score")
        },
        placeholder="–",
    )
    st.caption("A rank is a leg's own, from 1; – is a document that the leg does not have among its hits.")
    about = {
        "target": target.address,
        "index": info.name,
        "field": choice.request.field,
        "by": choice.way,
        "query": choice.text,
        "k": choice.request.k,
        "filter": render(choice.request.filter, cached.server(target).dialect, info).query,
        "score": got.scored,
        "took_ms": got.took_ms,
    }
    parts.export(frame, "search", about, key="search.export")
    rows = event.get("selection", {}).get("rows", [])
    if rows and rows[0] < len(got.keys):
        st.button(
            "More like this",
            icon=":material/hub:",
            on_click=more_like,
            args=(got.keys[rows[0]],),
            key="search.more",
        )


def _code(target: Target, info: IndexInfo, choice: SearchChoice, got: Answer) -> None:
    st.markdown("##### The commands")
    parts.code_block("\n".join(command.redis_cli(target) for command in got.commands), "bash")
    st.markdown("##### With this library")
    parts.code_block(answer_code(target, info, choice), "python")
    st.markdown("##### Link to this view")
    parts.code_block(f"{(st.context.url or '').split('?')[0]}?{link(info)}")
