"""Sizing: memory, nodes and dollars of your vectors and sessions, and the templates to deploy them."""

import streamlit as st

from memdb.ui import frame, plan_form, plan_views

target = frame.page("Sizing", "Memory, nodes and dollars of your vectors and sessions, ready to deploy.")

left, right = st.columns([1, 2.4], gap="medium")
with left:
    asked = plan_form.form(target)
with right:
    plan_views.right_side(target, asked)
