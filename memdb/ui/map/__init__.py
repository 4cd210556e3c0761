"""The Map page. Its face: points of a map as a figure."""

from memdb.ui.map.figures import BETWEEN, Colouring, points

__all__ = ["BETWEEN", "Colouring", "points"]
