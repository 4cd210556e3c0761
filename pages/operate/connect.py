"""Connect: which servers can be opened, whether they answer, and how to add one."""

from memdb.ui.connect import page

page.draw()
