"""Sessions: page through conversations, watch their time to live, open one."""

import streamlit as st

from memdb.ui import (
    frame,
    parts,
    session_bulk,
    session_filter,
    session_format_form,
    session_list,
    session_other,
    session_overview,
    session_panel,
    session_views,
)

target = frame.page("Sessions", "Conversations with their time to live: page, filter, open, export, change.")

with parts.errors_shown(target):
    view, layout, detected = session_views.row(target)
    if view == "Overview":
        session_overview.view(target, layout)
    elif view == "Formats":
        session_format_form.view(target, detected, layout)
    elif view == "Change many":
        session_bulk.view(target, layout)
    elif session_views.is_article(layout):
        wanted = session_filter.bar()
        left, right = st.columns([1.2, 1], gap="medium")
        with right:
            asked = session_panel.asked()
        with left:
            shown = session_list.listing(target, wanted)
        with right, parts.errors_shown(target):
            session_panel.panel(target, asked, shown)
    else:
        session_other.view(target, layout)
