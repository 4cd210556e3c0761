"""Map: embedding neighbourhoods as a picture, with the live index on top and how far it can be believed."""

import streamlit as st

from memdb.ui import cached, frame, map_form, map_page, parts

target = frame.page(
    "Map",
    "Where documents lie among their neighbours, what the index finds there, and what a map cannot show.",
)

with parts.errors_shown(target):
    index = frame.index_name()
    if index is None:
        frame.no_index(target)
        st.stop()
    info = cached.index_info(target, index)
    left, right = st.columns([1, 3], gap="medium")
    with left:
        asked = map_form.form(target, info)
    with right:
        map_page.right_side(target, info, asked)
