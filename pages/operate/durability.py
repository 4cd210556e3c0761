"""Durability: two engines are killed while they are written to, and the ledger tells what is lost."""

from memdb.ui import drill_page, frame

frame.page(
    "Durability",
    "The proof, on engines of this machine that are started for it: the opened target is not touched.",
)
drill_page.view(drill_page.form())
