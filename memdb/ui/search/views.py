"""The Search page's right side: what came back, as a table, as cards, and in the other views."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from memdb.cluster import replies
from memdb.cluster.target import Target
from memdb.display import bytes_text, code, counted, duration, labels, line, markdown, plain
from memdb.errors import BadVector, NotFound
from memdb.ui.kit import cached, charts, parts, state
from memdb.ui.search.beside import side_by_side
from memdb.ui.search.compare import two_settings
from memdb.ui.search.exact import against_exact
from memdb.ui.search.form import SearchChoice, more_like
from memdb.ui.search.judge import judge
from memdb.ui.search.share import again, code_and_link, history, remember
from memdb.ui.search.shown import CONTENTS, SearchView, export, table_of
from memdb.vectors import distance, search
from memdb.vectors.index import IndexInfo
from memdb.vectors.titles import is_title, titles_in

VIEWS = ("Table", "Cards", "Judge", "Against exact", "Two EF settings", "Side by side", "Code and link")
CARDS = 24
_TITLE = 240  # pixels


def results(target: Target, info: IndexInfo, choice: SearchChoice) -> None:
    """Run the search and draw it in the chosen view."""
    run = state.reading("search.run")
    result = cached.knn(target, info, choice.request, run)
    search_view = SearchView(target, info, choice, result, titles_in(info, result))
    nearest = search_view.titles.get(result.keys[0], "") if result.keys else ""
    remember(info, choice, result.took_ms, nearest)
    _headline(search_view)
    view = parts.view_choice(VIEWS, key="search.view")
    with parts.errors_shown(target):
        if not result.keys and view not in {"Code and link", "Side by side"}:
            _nothing(search_view)
        elif view == "Cards":
            _cards(search_view)
        elif view == "Judge":
            judge(search_view)
        elif view == "Against exact":
            against_exact(search_view)
        elif view == "Two EF settings":
            two_settings(search_view)
        elif view == "Side by side":
            side_by_side(target, info, choice)
        elif view == "Code and link":
            code_and_link(search_view)
        else:
            _table(search_view)


def _headline(view: SearchView) -> None:
    result, request = view.result, view.choice.request
    ef = "" if request.ef_runtime is None else f" · EF {request.ef_runtime}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{len(result.keys):,}** of K {request.k:,}{ef} · **{result.took_ms:.1f} ms**",
            help="Time around the command, measured at this app: network and engine together.",
        )
        st.space("stretch")
        st.button("Again", icon=":material/refresh:", on_click=again, help="Ask the server once more.")
        with st.popover("History", icon=":material/history:"):
            history()
    for note in result.notes:
        st.warning(markdown(note), icon=":material/warning:")
    matching = view.choice.matching
    if matching is not None and len(result.keys) < min(request.k, matching):
        st.warning(
            f"{len(result.keys):,} came back although {matching:,} documents match. "
            "A higher EF\\_RUNTIME may find more.",
            icon=":material/warning:",
        )


def _nothing(view: SearchView) -> None:
    if view.info.documents == 0 and view.choice.matching == 0:
        parts.empty(
            "The index is empty", "It holds no document so far: ask again later.", ":material/database:"
        )
        return
    parts.empty(
        "Nothing matches",
        "No document passes the filter. Remove a condition, or widen a range."
        if view.choice.matching == 0
        else "The index returned no hit. Ask again with a higher EF_RUNTIME.",
        ":material/filter_alt_off:",
    )


def _table(view: SearchView) -> None:
    result, info = view.result, view.info
    frame = table_of(info, result)
    long = [f.name for f in info.fields if f.name.lower() in CONTENTS]
    order = [c for c in frame.columns if c not in long and c not in {"key"}]
    digest = f"{view.choice.request.__hash__():x}.{st.session_state['search.run']}"
    titles = [c for c in order[3:] if is_title(c)]
    headed = labels([str(c) for c in frame.columns], 80)
    table = frame.rename(columns=headed)
    event = st.dataframe(
        table,
        hide_index=True,
        column_order=[
            headed(c) for c in (*order[:3], *titles, *(c for c in order[3:] if c not in titles), "key", *long)
        ],
        column_config=_columns(result.metric, table),
        on_select="rerun",
        selection_mode="single-row",
        key=f"search.table.{digest}",
        height=min(420, 38 + 35 * len(frame)),
    )
    st.markdown(markdown(distance.profile_words(result.distances), 300))
    st.plotly_chart(
        charts.distance_profile(
            result.keys,
            [view.titles[key] for key in result.keys],
            result.distances,
            distance.MEANING[result.metric][0],
            dark=state.dark(),
        ),
        key="search.profile",
        config=charts.PLAIN,
        alt="Distance by rank",
    )
    export(view, frame)
    rows = event.get("selection", {}).get("rows", [])
    if rows and rows[0] < len(result.keys):
        document_panel(view, result.keys[rows[0]])
    else:
        st.caption("Choose a row to see the whole document.")


def _columns(metric: str, frame: pd.DataFrame) -> dict[str, Any]:
    low = min(0.0, float(frame["similarity"].min())) if len(frame) else 0.0
    high = max(1.0, float(frame["similarity"].max())) if len(frame) else 1.0
    return {
        "rank": st.column_config.NumberColumn("#", width=40),
        "distance": st.column_config.NumberColumn(format="%.4f", help=distance.MEANING[metric][0], width=72),
        "similarity": st.column_config.ProgressColumn(
            format="%.3f", min_value=low, max_value=high, help=distance.MEANING[metric][1], width=96
        ),
        **{
            c: st.column_config.NumberColumn(format="%g")
            for c in frame.columns
            if pd.api.types.is_float_dtype(frame[c]) and c not in {"distance", "similarity"}
        },
        # Long titles leave room for the fields beside them; the panel below shows all of a document.
        **{
            c: st.column_config.TextColumn(width=_TITLE)
            for c in frame.columns
            if is_title(str(c)) and not pd.api.types.is_numeric_dtype(frame[c])
        },
    }


def document_panel(view: SearchView, key: str) -> None:
    """One document, whole: fields as text, its vector, size and time to live."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"#### {markdown(view.titles.get(key, key), 160)}")
            st.space("stretch")
            st.button(
                "More like this", icon=":material/hub:", on_click=more_like, args=(key,), key="search.more"
            )
        client = cached.client(view.target)
        fields = search.document(client, key, view.info.on)
        facts = search.facts(client, key)
        st.caption(
            f"{code(key)} · {bytes_text(facts.size_bytes)} in memory · "
            + ("no TTL" if facts.ttl_s is None else f"expires in {duration(facts.ttl_s)}")
        )
        vectors = {f.identifier: f for f in view.info.of_kind("VECTOR")}
        short: dict[str, str] = {}
        long: dict[str, str] = {}
        for name, value in fields.items():
            if name not in vectors:
                text = plain(replies.text(value), 20_000)
                (long if len(text) > 80 else short)[name] = text
        st.dataframe(
            pd.DataFrame({"field": [line(n) for n in short], "value": [line(v) for v in short.values()]}),
            hide_index=True,
            key="search.fields",
        )
        for name, text in long.items():
            if len(text) > 1_200:  # not a scrolling box: who uses the keyboard alone would not get into it
                with st.expander(markdown(f"{name}, {counted(len(text), 'character')}")):
                    st.text(text)
            else:
                st.caption(markdown(name))
                with st.container(border=True):
                    st.text(text)
        for name, field in vectors.items():
            _vector_preview(view, key, name, field.name)


def _vector_preview(view: SearchView, key: str, identifier: str, name: str) -> None:
    _, params = view.info.vector_field(name)
    try:
        vector = search.document_vector(cached.client(view.target), view.info, name, key)
    except (BadVector, NotFound) as exc:
        parts.show_error(exc)
        return
    st.caption(
        f"{markdown(identifier)}: {params.dim:,} × {markdown(params.type)}, "
        f"length {float(np.linalg.norm(vector)):.3f}"
    )
    st.line_chart(pd.DataFrame({"value": vector}), height=110)


def _cards(view: SearchView) -> None:
    contents = [f.name for f in view.info.fields if f.name.lower() in CONTENTS]
    tags = [f.name for f in view.info.of_kind("TAG")]
    for rank, hit in enumerate(view.result.hits[:CARDS], 1):
        similar = float(view.result.similarities[rank - 1])
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{rank:,}. {markdown(view.titles[hit.key], 160)}**")
                st.space("stretch")
                st.button(
                    "More like this",
                    icon=":material/hub:",
                    on_click=more_like,
                    args=(hit.key,),
                    key=f"search.card.{rank}",
                    type="tertiary",
                )
            facts = ["no distance"]
            if np.isfinite(hit.distance):
                facts = [f"distance {hit.distance:.4f}", f"similarity {similar:.3f}"]
            if hit.key in view.result.outside:
                facts.append(":material/filter_alt_off: breaks the filter")
            facts += [f"{markdown(n)}: {markdown(hit.fields[n], 60)}" for n in tags if hit.fields.get(n)]
            st.caption(" · ".join(facts))
            for name in contents:
                if hit.fields.get(name):
                    st.text(plain(hit.fields[name], 420))
    if len(view.result.keys) > CARDS:
        st.caption(f"The first {CARDS} of {len(view.result.keys):,}; the table shows all.")
