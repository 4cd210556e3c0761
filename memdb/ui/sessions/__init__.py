"""The Sessions page. Its face: a turn of a conversation as other pages show it."""

from memdb.ui.sessions.turn import turn_shown

__all__ = ["turn_shown"]
