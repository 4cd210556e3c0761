"""Search: nearest neighbours of a question, a document or a vector, under a filter."""

from memdb.ui import frame
from memdb.ui.search import page

page.draw(frame.page("Search", "Nearest neighbours of a question, a document or a vector, under a filter."))
