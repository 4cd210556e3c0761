"""The Recall and Indexes pages. Its face: the runs that are kept, and how one is called and drawn."""

from memdb.ui.tune.cached import listed, saved
from memdb.ui.tune.figures import recall_curve
from memdb.ui.tune.views import curve_of, named

__all__ = ["curve_of", "listed", "named", "recall_curve", "saved"]
