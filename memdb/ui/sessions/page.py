"""The Sessions page put together: a format and a view are chosen, then that view is drawn."""

from __future__ import annotations

import streamlit as st

from memdb.cluster.target import Target
from memdb.ui.kit import parts
from memdb.ui.sessions import bulk, filter_bar, formats, listing, other, overview, panel, views


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
        elif views.is_article(layout):
            wanted = filter_bar.bar()
            left, right = st.columns([1.2, 1], gap="medium")
            with right:
                asked = panel.asked()
            with left:
                shown = listing.listing(target, wanted)
            with right, parts.errors_shown(target):
                panel.panel(target, asked, shown)
        else:
            other.view(target, layout)
