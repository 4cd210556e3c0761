"""The Metrics page. Its face: a target's health in one line."""

from memdb.ui.metrics.health import health_line

__all__ = ["health_line"]
