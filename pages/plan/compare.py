"""Compare: MemoryDB beside ElastiCache, S3 Vectors and OpenSearch Serverless, at your volume and rate."""

import streamlit as st

from memdb.ui import frame, plan_compare, plan_form

target = frame.page("Compare", "Four services at your volume and query rate, and which one to choose when.")

left, right = st.columns([1, 2.4], gap="medium")
with left:
    asked = plan_form.form(target)
with right:
    plan_compare.right_side(target, asked)
