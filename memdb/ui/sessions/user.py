"""The user of the open session: the record, the preference vector, and the documents nearest to it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import line, markdown, plain
from memdb.sessions import formats
from memdb.sessions.formats import Session
from memdb.sessions.users import UserRecord
from memdb.ui import frame
from memdb.ui.kit import cached, parts, state
from memdb.ui.sessions import filter_bar
from memdb.ui.sessions.cached import RUN
from memdb.vectors.distance import Floats
from memdb.vectors.query import KnnRequest, returnable, vector_param
from memdb.vectors.titles import titles_in

NEAREST = 8
PANE = 480  # height in pixels
EF = 64
PREVIEW = 600  # characters of a field


def user(target: Target, session: Session) -> None:
    """Draw it."""
    if not session.user_id:
        st.caption("The session names no user.")
        return
    printable = session.user_id.isprintable()
    with st.container(height=PANE, border=True):
        st.button(
            "All sessions of this user",
            icon=":material/filter_alt:",
            disabled=not printable,
            on_click=filter_bar.only_user,
            args=(session.user_id,),
            key="sessions.of_user",
        )
        with parts.errors_shown(target):
            record = cached.user_record(target, formats.printable_id(session.user_id), state.reading(RUN))
            _record(record)
            if record.vector is not None:
                _nearest(target, record.vector)


def _record(record: UserRecord) -> None:
    for field in record.fields:
        name, value = st.columns([1, 2.4], gap="small")
        name.caption(markdown(field.name, 60))
        value.text(plain(field.preview(PREVIEW), PREVIEW))
    for problem in record.problems:
        st.warning(markdown(problem, 300), icon=":material/report:")
    if record.vector is not None:
        length = float(np.linalg.norm(record.vector))
        st.caption(f"Preference vector: {len(record.vector):,} × FLOAT32, length {length:.3f}")
        st.line_chart(pd.DataFrame({"value": record.vector}), height=90)


def _nearest(target: Target, vector: Floats) -> None:
    name = frame.index_name()
    if name is None:
        st.caption("No index to look for documents near this vector.")
        return
    info = cached.index_info(target, name)
    field, params = info.vector_field()
    request = KnnRequest(
        name,
        vector_param(vector),
        field.name,
        NEAREST,
        EF if params.has_ef else None,
        return_fields=returnable(info),
    )
    st.markdown(f"**Nearest documents** in {markdown(name)}")
    parts.unfinished(info)
    result = cached.knn(target, info, request, 0)
    titles = titles_in(info, result)
    table = pd.DataFrame(
        {
            "distance": result.distances,
            "title": [titles[key] for key in result.keys],
            "key": [line(key, 300) for key in result.keys],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        column_config={"distance": st.column_config.NumberColumn(format="%.4f", width=75)},
        key="sessions.nearest",
    )
