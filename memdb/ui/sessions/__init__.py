"""The Sessions page. Its face: a turn as other pages show it, and the formats of a target's sessions."""

from memdb.ui.sessions.cached import formats_there
from memdb.ui.sessions.turn import turn_shown

__all__ = ["formats_there", "turn_shown"]
