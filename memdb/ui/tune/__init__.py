"""The Recall and Indexes pages. Its face: the runs that are kept."""

from memdb.ui.tune.cached import listed, saved

__all__ = ["listed", "saved"]
