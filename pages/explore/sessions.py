"""Sessions: page through conversations, watch their time to live, open one."""

import streamlit as st

from memdb.ui import frame, parts, session_filter, session_list, session_panel

target = frame.page("Sessions", "Conversations with their time to live: page, filter, open, export.")

with parts.errors_shown(target):
    wanted = session_filter.bar()
    left, right = st.columns([1.2, 1], gap="medium")
    with right:
        asked = session_panel.asked()
    with left:
        shown = session_list.listing(target, wanted)
    with right, parts.errors_shown(target):
        session_panel.panel(target, asked, shown)
