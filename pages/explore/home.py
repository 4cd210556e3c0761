"""Home: what this target is, what it holds, and where to go next."""

from memdb.ui import frame, home_parts

target = frame.page("Home", "What this server is, what it holds, and where to go next.")
home_parts.live(target)
home_parts.next_steps()
home_parts.holdings(target, frame.index_name())
