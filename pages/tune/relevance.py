"""Relevance: whether the answers are right, and which of several settings is better."""

from memdb.ui import frame
from memdb.ui.relevance import page

page.draw(
    frame.page(
        "Relevance",
        "Whether the answers are right by your labels, and which index, model or way to search is better.",
    )
)
