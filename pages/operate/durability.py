"""Durability: two engines are killed while they are written to, and the ledger tells what is lost."""

from memdb.ui import drill_cluster, drill_page, frame

target = frame.page(
    "Durability", "The proof, on engines started for it on this machine, or on your cluster by a failover."
)
if drill_page.where() == drill_page.PLACES[0]:
    drill_page.view(drill_page.form())
else:
    drill_cluster.view(target)
