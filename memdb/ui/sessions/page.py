"""The Sessions page put together: a format and a view are chosen, then that view is drawn."""

from __future__ import annotations

import streamlit as st

from memdb.cluster.target import Target
from memdb.sessions.mapping import Format
from memdb.ui.kit import parts
from memdb.ui.sessions import bulk, filter_bar, formats, listing, meaning, overview, panel, usage, views


def draw(target: Target) -> None:
    """The conversations of a target."""
    with parts.errors_shown(target):
        view, layout, detected = views.row(target)
        if view == "Overview":
            overview.view(target, layout)
        elif view == "Formats":
            formats.view(target, detected, layout)
        elif view == "Change many":
            bulk.view(target, layout)
        else:
            _sessions(target, layout)


def _sessions(target: Target, layout: Format) -> None:
    wanted = filter_bar.bar(layout)
    left, right = st.columns([1.2, 1], gap="medium")
    with right:
        id_ = panel.id_asked()
    with left:
        summaries = listing.listing(target, layout, wanted)
        meaning.by_meaning(target, layout, summaries)
        usage.of_page(target, layout, summaries)
    with right, parts.errors_shown(target):
        panel.panel(target, layout, id_, summaries)
