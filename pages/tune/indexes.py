"""Indexes: the same documents under other index parameters, measured beside the original."""

from memdb.ui import frame
from memdb.ui.tune import indexes

indexes.draw(
    frame.page(
        "Indexes",
        "What another M, EF_CONSTRUCTION, metric or FLAT changes: recall, memory and time.",
    )
)
