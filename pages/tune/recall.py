"""Recall: the cheapest EF_RUNTIME that meets a target, and how sure that is."""

import streamlit as st

from memdb.ui import cached, frame, parts, tune_form, tune_recall

target = frame.page("Recall", "The cheapest EF_RUNTIME that meets your target on this index, with proof.")

with parts.errors_shown(target):
    index = frame.index_name()
    if index is None:
        frame.no_index(target)
        st.stop()
    info = cached.index_info(target, index)
    left, right = st.columns([1, 2.4], gap="medium")
    with left:
        asked = tune_form.form(target, info)
        tune_recall.start_button(target, info, asked)
    with right:
        tune_recall.right_side(target, info)
