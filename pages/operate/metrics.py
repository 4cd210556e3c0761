"""Metrics: memory, load and index builds of every node, live and as they were; alerts."""

from memdb.ui import frame
from memdb.ui.metrics import page

page.draw(frame.page("Metrics", "What every node tells, sampled once for all who look, and kept for a week."))
