"""Columns that several tables of the plan have."""

from __future__ import annotations

import streamlit as st

USD = st.column_config.NumberColumn(format="dollar")
