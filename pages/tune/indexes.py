"""Indexes: the same documents under other index parameters, measured beside the original."""

from memdb.ui import frame
from memdb.ui.tune import indexes

indexes.draw(
    frame.page(
        "Indexes",
        "What other M, EF_CONSTRUCTION, FLAT or another metric would give and take.",
    )
)
