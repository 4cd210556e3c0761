"""The Metrics page. Its face: a target's health in one line, its history, how fast an index is built."""

from memdb.ui.metrics.builds import build_rate
from memdb.ui.metrics.cached import history_of
from memdb.ui.metrics.health import health_line

__all__ = ["build_rate", "health_line", "history_of"]
