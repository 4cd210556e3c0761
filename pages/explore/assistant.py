"""Assistant: a question in a session, answered from one store in one round trip, with where the time went."""

import streamlit as st

from memdb.ui import assistant_chat, assistant_form, cached, frame, parts

target = frame.page(
    "Assistant", "The conversation, what this user prefers and the documents: one store, one round trip."
)

with parts.errors_shown(target):
    index = frame.index_name()
    if index is None:
        frame.no_index(target)
        st.stop()
    info = cached.index_info(target, index)
    left, right = st.columns([1, 2.4], gap="medium")
    with left:
        asked = assistant_form.form(target, info)
    with right:
        assistant_chat.chat(target, info, asked)
