"""The AWS page put together: the cluster is chosen, then one of four views of it."""

from __future__ import annotations

from memdb.cluster.target import Target
from memdb.ui.aws import alarms, card, choice, metrics, snapshots

_VIEWS = {"Metrics": metrics.view, "Alarms": alarms.view, "Snapshots": snapshots.view}


def draw(target: Target) -> None:
    """What AWS tells of the chosen cluster; without AWS credentials, what is missing."""
    chosen = choice.choose(target)
    if chosen is not None:
        _VIEWS.get(choice.view(), card.view)(chosen)
