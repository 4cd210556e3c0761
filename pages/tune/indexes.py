"""Indexes: the same documents under other index parameters, measured beside the original."""

import streamlit as st

from memdb.ui import cached, frame, parts, tune_indexes

target = frame.page("Indexes", "What other M, EF_CONSTRUCTION, FLAT or another metric would give and take.")

with parts.errors_shown(target):
    index = tune_indexes.base_name(target, frame.index_name())
    if index is None:
        frame.no_index(target)
        st.stop()
    info = cached.index_info(target, index)
    left, right = st.columns([1, 2.4], gap="medium")
    with left:
        asked = tune_indexes.left_side(target, info)
    with right:
        tune_indexes.right_side(target, info, asked)
