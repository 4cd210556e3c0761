"""The Connect page put together. It needs no target: it is where one is found."""

from __future__ import annotations

import streamlit as st

from memdb.ui.connect import discover, doctor, form, listing


def draw() -> None:
    """Which targets there are, whether they answer, and two ways to add one."""
    doctor.result()
    listing.targets_list()
    left, right = st.columns(2, gap="medium")
    with left:
        form.panel()
    with right:
        discover.panel()
