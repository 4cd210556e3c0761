"""AWS: the cluster against the production checklist, CloudWatch, alarms, snapshots."""

from memdb.ui import aws_alarms, aws_card, aws_choice, aws_metrics, aws_snapshots, frame

target = frame.page(
    "AWS", "What AWS tells of a MemoryDB cluster, with the AWS credentials of the machine this app runs on."
)
chosen = aws_choice.choice(target)
if chosen is not None:
    view = aws_choice.view()
    if view == "Metrics":
        aws_metrics.view(chosen)
    elif view == "Alarms":
        aws_alarms.view(chosen)
    elif view == "Snapshots":
        aws_snapshots.view(chosen)
    else:
        aws_card.view(chosen)
