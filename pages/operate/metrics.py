"""Metrics: memory, load and index builds of every node, live and as they were; alerts."""

from memdb.ui import frame, metrics_page

target = frame.page("Metrics", "What every node tells, sampled once for all who look, and kept for a week.")
metrics_page.view(target)
