"""Search: nearest neighbours of a question, a document or a vector, under a filter."""

import streamlit as st

from memdb.ui import cached, frame, parts, search_form, search_views

target = frame.page("Search", "Nearest neighbours of a question, a document or a vector, under a filter.")

with parts.errors_shown(target):
    index = frame.index_name()
    if index is None:
        frame.no_index(target)
        st.stop()
    info = cached.index_info(target, index)
    left, right = st.columns([1, 2.4], gap="medium")
    with left:
        asked = search_form.form(target, info)
    with right:
        if isinstance(asked, search_form.Asked):
            search_views.results(target, info, asked)
        else:
            search_form.invitation(target, info, asked)
