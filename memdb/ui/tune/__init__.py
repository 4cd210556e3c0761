"""The Recall and Indexes pages. Its face: the runs that are kept, and how one is called."""

from memdb.ui.tune.cached import listed, saved
from memdb.ui.tune.views import named

__all__ = ["listed", "named", "saved"]
