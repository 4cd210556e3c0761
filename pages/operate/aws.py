"""AWS: the cluster against the production checklist, CloudWatch, alarms, snapshots."""

from memdb.ui import frame
from memdb.ui.aws import page

page.draw(
    frame.page(
        "AWS",
        "What AWS tells of a MemoryDB or ElastiCache cluster, with the credentials of the app's machine.",
    )
)
