"""Connect: which servers can be opened, whether they answer, and how to add one."""

from memdb.ui import frame
from memdb.ui.connect import page

frame.heading(
    "Connect", "Which servers can be opened, whether they answer, and what to do where they do not."
)
page.draw()
