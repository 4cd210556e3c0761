"""Sizing: memory, nodes and dollars of your vectors and sessions, and the templates to deploy them."""

from memdb.ui import frame
from memdb.ui.plan import page

page.size(frame.page("Sizing", "Memory, nodes and dollars of your vectors and sessions, ready to deploy."))
