"""The Durability page. Its face: the drill of this browser, started, watched, and what it found."""

from memdb.ui.durability.figures import timeline
from memdb.ui.durability.local import DRILLING, cards, start, watch

__all__ = ["DRILLING", "cards", "start", "timeline", "watch"]
