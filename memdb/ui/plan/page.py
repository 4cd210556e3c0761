"""The Sizing and the Compare page put together: one form on the left, two answers."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from memdb.cluster.target import Target
from memdb.errors import MemDBError
from memdb.ui import frame
from memdb.ui.plan import compare, form, views
from memdb.ui.plan.form import PlanChoice

TAKE = "plan.take"  # of a link: read the cluster into the form at once


def size(target: Target) -> None:
    """Memory, nodes and dollars."""
    if st.query_params.get(TAKE):
        del st.query_params[TAKE]
        form.read_cluster(target, frame.index_name() or "")
    _draw(target, views.right_side)


def compare_services(target: Target) -> None:
    """Four services at the same volume and rate."""
    _draw(target, compare.right_side)


def _draw(target: Target, right_side: Callable[[Target, PlanChoice | MemDBError], None]) -> None:
    left, right = st.columns([1, 2.4], gap="medium")
    with left:
        workload = form.form(target)
    with right:
        right_side(target, workload)
