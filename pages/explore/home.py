"""Home: what this target is, what it holds, and where to go next."""

from memdb.ui import frame, home

home.draw(frame.page("Home", "What this server is, what it holds, and where to go next."))
