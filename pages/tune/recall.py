"""Recall: the cheapest EF_RUNTIME that meets a target, and how sure that is."""

from memdb.ui import frame
from memdb.ui.tune import recall

recall.draw(frame.page("Recall", "The cheapest EF_RUNTIME that meets your target on this index, with proof."))
