"""The script that `memdb app` runs, and what it is put together from.

It lies where no `pages/` folder is its neighbour: beside one, Streamlit greets the first visitor after a
start who follows a link with "Page not found" (docs/decisions/0001-pages.md).
"""

from memdb.ui import frame
from memdb.ui.metrics import page as metrics

frame.run(strips=(metrics.sidebar,))
