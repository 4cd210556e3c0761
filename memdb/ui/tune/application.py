"""What an application gets with its own settings, and how its queries differ from documents."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from memdb.display import line, markdown
from memdb.tuning import report
from memdb.tuning.run import AsAsked, Run
from memdb.ui.kit import charts, parts, state
from memdb.ui.tune import figures


def view(run: Run, as_asked: AsAsked) -> None:
    """The sentence, the distances to the nearest document, and the settings in use."""
    st.markdown("###### as the application asks")
    st.info(markdown(as_asked.words), icon=":material/record_voice_over:")
    left, right = st.columns(2, gap="medium")
    with left:
        if as_asked.nearest and as_asked.documents_nearest:
            st.plotly_chart(
                figures.nearest_distances(as_asked.nearest, as_asked.documents_nearest, dark=state.dark()),
                key="recall.asked.nearest",
                config=charts.PLAIN,
                alt="Distance to the nearest document, of the application's queries and of random documents",
            )
    with right:
        frame = settings_frame(as_asked)
        st.dataframe(
            frame, hide_index=True, key="recall.asked.settings", placeholder="the index's own", height=260
        )
        if as_asked.all_settings > len(as_asked.settings):
            st.caption(f"The {len(as_asked.settings):,} most frequent of {as_asked.all_settings:,} settings.")
    parts.export(frame, "settings", report.about(run), key="recall.asked.export")


def settings_frame(as_asked: AsAsked) -> pd.DataFrame:
    """The settings as a table."""
    return pd.DataFrame(
        [(line(each.filter, 200), each.k, each.ef_runtime, each.queries) for each in as_asked.settings],
        columns=["filter", "K", "EF_RUNTIME", "queries"],
    ).astype({"EF_RUNTIME": "Int64"})
