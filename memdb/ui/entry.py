"""The script that `memdb app` runs.

It lies where no `pages/` folder is its neighbour: beside one, Streamlit greets the first visitor after a
start who follows a link with "Page not found" (docs/decisions/0001-pages.md).
"""

from memdb.ui import frame

frame.run()
