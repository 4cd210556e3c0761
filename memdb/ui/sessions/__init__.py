"""The Sessions page. Its face: a turn of a conversation as other pages show it."""

from memdb.ui.sessions.panel import turn_shown

__all__ = ["turn_shown"]
