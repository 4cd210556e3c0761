"""The Sessions page. Its face: a turn as other pages show it, the formats of sessions, and their vectors."""

from memdb.ui.sessions.cached import formats_there, stored_vectors
from memdb.ui.sessions.turn import turn_shown

__all__ = ["formats_there", "stored_vectors", "turn_shown"]
