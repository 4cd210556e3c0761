"""What an application gets with its own settings, and how its queries differ from documents."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from memdb.display import line, markdown
from memdb.tuning import report
from memdb.tuning.run import AsAsked, Run
from memdb.ui.kit import charts, parts, state
from memdb.ui.tune import figures


def view(run: Run, told: AsAsked) -> None:
    """The sentence, the distances to the nearest document, and the settings in use."""
    st.markdown("###### as the application asks")
    st.info(markdown(told.words), icon=":material/record_voice_over:")
    left, right = st.columns(2, gap="medium")
    with left:
        if told.nearest and told.documents_nearest:
            st.plotly_chart(
                figures.nearest_distances(told.nearest, told.documents_nearest, dark=state.dark()),
                key="recall.asked.nearest",
                config=charts.PLAIN,
                alt="Distance to the nearest document, of the application's queries and of random documents",
            )
    with right:
        frame = settings_frame(told)
        st.dataframe(
            frame, hide_index=True, key="recall.asked.settings", placeholder="the index's own", height=260
        )
        if told.all_settings > len(told.settings):
            st.caption(f"The {len(told.settings):,} most frequent of {told.all_settings:,} settings.")
    parts.export(frame, "settings", report.about(run), key="recall.asked.export")


def settings_frame(told: AsAsked) -> pd.DataFrame:
    """The settings as a table."""
    return pd.DataFrame(
        [(line(each.filter, 200), each.k, each.ef_runtime, each.queries) for each in told.settings],
        columns=["filter", "K", "EF_RUNTIME", "queries"],
    ).astype({"EF_RUNTIME": "Int64"})
