"""What an application really asks: its nearest-neighbour searches, recorded as they pass."""

from memdb.tap.client import recording

__all__ = ["recording"]
