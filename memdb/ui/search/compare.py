"""Search, two EF settings side by side: what both found, and how ranks moved."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from memdb.display import line, markdown
from memdb.ui.kit import cached, charts, parts, state
from memdb.ui.kit.ef import ef_input
from memdb.ui.search.shown import SearchView, export
from memdb.vectors.titles import titles_in


def two_settings(view: SearchView) -> None:
    """A second EF_RUNTIME beside the form's: overlap, times, rank moves."""
    request = view.choice.request
    if request.ef_runtime is None:
        parts.empty(
            "Nothing to compare",
            markdown(view.info.vector_field(request.field)[1].without_ef),
            ":material/tune:",
        )
        return
    other = ef_input(
        view.target,
        "search.ef2",
        10,
        label="The other EF_RUNTIME",
        help=f"Beside EF_RUNTIME {request.ef_runtime} of the form.",
    )
    changed = replace(request, ef_runtime=other)
    second = cached.knn(view.target, view.info, changed, state.reading("search.run"))
    names = (f"EF {other:g}", f"EF {request.ef_runtime}")
    titles = {**titles_in(view.info, second), **view.titles}
    moves = charts.moves(second.keys, view.result.keys, titles)
    common = len(set(second.keys) & set(view.result.keys))
    with st.container(horizontal=True):
        st.metric("in both", f"{common} of {len(view.result.keys)}")
        st.metric(names[0], f"{second.took_ms:.1f} ms")
        st.metric(names[1], f"{view.result.took_ms:.1f} ms")
    st.plotly_chart(
        charts.rank_moves(moves, names, dark=state.dark()),
        key="search.moves",
        config=charts.PLAIN,
        alt="Rank of each document under the two settings",
    )
    st.caption(
        "One call each: times of single calls vary. Lines that slope changed their rank; diamonds stand for "
        "documents that only one setting found."
    )
    frame = pd.DataFrame(
        {
            names[0]: pd.array([m.before for m in moves], dtype="Int64"),
            names[1]: pd.array([m.after for m in moves], dtype="Int64"),
            "title": [m.title for m in moves],
            "key": [line(m.key, 300) for m in moves],
        }
    )
    st.dataframe(frame, hide_index=True, placeholder="–")
    export(view, frame)
