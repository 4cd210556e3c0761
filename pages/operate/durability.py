"""Durability: two engines are killed while they are written to, and the ledger tells what is lost."""

from memdb.ui import frame
from memdb.ui.durability import page

page.draw(
    frame.page(
        "Durability",
        "The proof, on engines started for it on this machine, or on your cluster by a failover.",
    )
)
