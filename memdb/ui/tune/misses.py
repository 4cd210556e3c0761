"""The Misses view: worst queries first, and for one of them what became of its true neighbours."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import streamlit as st

from memdb.display import bytes_text, code, line, markdown
from memdb.tuning import misses, report
from memdb.tuning.misses import Miss
from memdb.tuning.vectors import documents
from memdb.ui import frame
from memdb.ui.kit import cached, charts, parts, state
from memdb.ui.tune import figures
from memdb.ui.tune.views import RunView, ef_choice

_COLUMNS = ("recall", "missed", "nearest missed", "excess", "short", "found by EF", "title", "query")
AT_ONCE_BYTES = 64 * 2**20  # vectors up to this size are read without being asked for


def view(run_view: RunView) -> None:
    """Draw the view."""
    run = run_view.run
    if not run.points:
        st.caption("Nothing was measured yet.")
        return
    ef = ef_choice(run, "recall.miss_ef", misses.default_ef(run))
    worst = misses.worst(run, ef)
    point = run.point(ef)
    missing = int((point.recalls < 1.0).sum()) if point is not None else 0
    if not worst:
        parts.empty(
            "No miss",
            f"At EF {ef} each of the {len(run.queries):,} queries found all of its true neighbours.",
            ":material/target:",
        )
        return
    st.caption(
        f"**{missing:,}** of {len(run.queries):,} queries miss something at EF {ef}; the worst come first. "
        "Choose a row."
    )
    table = report.worst_frame(worst)
    names = cached.titles(run_view.target, run_view.info, [m.own_key for m in worst if m.own_key])
    table.insert(1, "title", [names.get(m.own_key, "") if m.own_key else "" for m in worst])
    event = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        column_order=_COLUMNS,
        selection_mode="single-row",
        key=f"recall.worst.{run.id}.{ef}",
        height=min(320, 38 + 35 * len(table)),
        placeholder="–",
        column_config={
            "recall": st.column_config.ProgressColumn(format="%.2f", min_value=0.0, max_value=1.0, width=110),
            "nearest missed": st.column_config.NumberColumn(
                help="True rank of the nearest neighbour missed."
            ),
            "excess": st.column_config.NumberColumn(
                format="percent",
                help="How much farther the farthest document returned lies than the farthest true neighbour.",
            ),
            "found by EF": st.column_config.NumberColumn(help="The lowest EF measured that finds all."),
            "short": None if not table["short"].any() else st.column_config.NumberColumn(),
        },
    )
    parts.export(table, "misses", report.about(run), key="recall.worst.export")
    rows = event.get("selection", {}).get("rows", [])
    place = rows[0] if rows and rows[0] < len(worst) else 0
    _one(run_view, worst[place])


def _one(run_view: RunView, miss: Miss) -> None:
    run = run_view.run
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            title = cached.titles(run_view.target, run_view.info, [miss.own_key]) if miss.own_key else {}
            made_from = "Made from " if miss.own_key and miss.own_key != miss.label else ""
            called = title.get(miss.own_key, "") or miss.own_key or miss.label
            st.markdown(f"#### {made_from}{markdown(called, 120)}")
            st.space("stretch")
            _search_link(run_view, miss)
        st.markdown(markdown(miss.words(), 1_000))
        keys = [n.key for n in miss.neighbours]
        names = cached.titles(run_view.target, run_view.info, keys)
        if miss.neighbours:
            st.markdown("###### Each true neighbour, by EF_RUNTIME")
            st.plotly_chart(
                figures.found_by_ef(
                    [n.rank for n in miss.neighbours],
                    [names[key] for key in keys],
                    miss.efs,
                    np.array([n.found_at for n in miss.neighbours], dtype=bool),
                    dark=state.dark(),
                ),
                key="recall.found_by_ef",
                config=charts.PLAIN,
                alt="Which true neighbour is found at which EF_RUNTIME",
            )
        st.dataframe(
            pd.DataFrame(
                {
                    "true rank": [n.rank for n in miss.neighbours],
                    "by the index": ["missed" if n.returned is None else "found" for n in miss.neighbours],
                    "index rank": pd.array([n.returned for n in miss.neighbours], dtype="Int64"),
                    "distance": [n.distance for n in miss.neighbours],
                    "first EF": pd.array([n.first_ef for n in miss.neighbours], dtype="Int64"),
                    "title": [names[key] for key in keys],
                    "key": [line(key, 300) for key in keys],
                }
            ),
            hide_index=True,
            placeholder="none",
            key="recall.neighbours",
            column_config={
                "distance": st.column_config.NumberColumn(format="%.4f"),
                "first EF": st.column_config.NumberColumn(help="The lowest EF measured that returns it."),
            },
        )
        if miss.extra_distances or miss.outside:
            with parts.errors_shown(run_view.target):
                _extras(run_view, miss)
        request = run.request_of(miss.query)
        own = (
            f", with its own filter {code(request.filter, 200)} and K {request.k}" if run.queries.asks else ""
        )
        st.caption(f"Query {miss.query + 1:,} of {len(run.queries):,}: {code(miss.label, 160)}{own}")


def _extras(run_view: RunView, miss: Miss) -> None:
    """Where the documents that came instead rank truly: one search and a look at all vectors."""
    run, info = run_view.run, run_view.info
    st.markdown("###### Returned instead")
    if miss.extra_distances:
        st.caption(
            f"{len(miss.extra_distances)} returned lie farther than the {len(miss.neighbours)}th true "
            f"neighbour ({miss.kth_distance:.4f}): up to {miss.worst_distance:.4f}."
        )
    if miss.outside:
        st.caption(f"{miss.outside:,} returned break the filter: they have no true rank.")
    if info is None:
        return
    _, params = info.vector_field(run.request.field)
    size = info.documents * params.bytes
    if size > AT_ONCE_BYTES and st.session_state.get("recall.rank_extras") != run.id:
        st.button(
            f"Compute their exact ranks (reads {bytes_text(size)})",
            icon=":material/target:",
            on_click=_rank,
            args=(run.id,),
            key="recall.rank",
        )
        return
    client = cached.client(run_view.target)
    with st.spinner("Looking at all vectors"):
        every = documents(client, info, run.request.field, run.request_of(miss.query).condition)
        extras = misses.extras(client, info, run, miss.query, miss.ef_runtime, every)
    names = cached.titles(run_view.target, info, [e.key for e in extras])
    broken = {"filter": ["" if e.true_rank else "breaks it" for e in extras]} if miss.outside else {}
    st.dataframe(
        pd.DataFrame(
            {
                "index rank": [e.returned for e in extras],
                "true rank": pd.array([e.true_rank for e in extras], dtype="Int64"),
                **broken,
                "distance": [e.distance for e in extras],
                "title": [names[e.key] for e in extras],
                "key": [line(e.key, 300) for e in extras],
            }
        ),
        hide_index=True,
        key="recall.extras",
        column_config={"distance": st.column_config.NumberColumn(format="%.4f")},
    )
    if ranked := [(e.true_rank, e) for e in extras if e.true_rank is not None]:
        rank, farthest = max(ranked, key=lambda pair: pair[0])
        st.caption(
            f"Searched again just now. Of the wrong documents, {code(farthest.key, 120)} is the farthest: "
            f"its true rank is {rank:,}."
        )


def _rank(run_id: str) -> None:
    st.session_state["recall.rank_extras"] = run_id


def _search_link(run_view: RunView, miss: Miss) -> None:
    if run_view.info is None:
        return
    query = search_query(run_view, miss)
    if query is not None:
        is_made = bool(miss.own_key) and miss.own_key != miss.label
        label = "Open its document in Search" if is_made else "Open in Search"
        st.page_link(frame.link("search"), label=label, icon=":material/search:", query_params=query)


def search_query(run_view: RunView, miss: Miss) -> dict[str, str] | None:
    """The Search page's link for a query, or the document it was made from; None where none can carry it."""
    run = run_view.run
    request = run.request_of(miss.query)
    query = {
        state.INDEX: state.index_in_link(run.index),
        "search.k": str(request.k + (1 if miss.own_key else 0)),
    }
    if miss.own_key:
        query |= {"search.by": "Document", "search.key": miss.own_key}
    elif not run.queries.asks and not re.fullmatch(r"row \d+ of .*", miss.label, re.DOTALL):
        query |= {"search.by": "Text", "search.q": miss.label}
    else:
        return None
    if not query.get("search.key", "x").isprintable():
        return None
    if miss.ef_runtime:
        query["search.ef"] = str(miss.ef_runtime)
    if request.filter not in ("", "*") and not request.filter_params:
        query["search.raw"] = request.filter
    return query
