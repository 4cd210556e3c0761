"""The Sizing and the Compare page put together: one form on the left, two answers."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from memdb.cluster.target import Target
from memdb.errors import MemDBError
from memdb.ui.plan import compare, form, views
from memdb.ui.plan.form import PlanChoice


def size(target: Target) -> None:
    """Memory, nodes and dollars."""
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
