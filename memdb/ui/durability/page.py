"""The Durability page put together: the drill on this machine, or a failover of the opened cluster."""

from __future__ import annotations

from memdb.cluster.target import Target
from memdb.ui.durability import cluster, local


def draw(target: Target) -> None:
    """The drill where it was chosen to run."""
    if local.where() == local.PLACES[0]:
        local.view(local.form())
    else:
        cluster.view(target)
