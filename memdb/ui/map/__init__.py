"""The Map page. Its face: points of a map as a figure, and links to kept maps."""

from memdb.ui.map.figures import BETWEEN, Colouring, points
from memdb.ui.map.links import map_link

__all__ = ["BETWEEN", "Colouring", "map_link", "points"]
