"""MemoryDB Explorer for `streamlit run`; `memdb app` is the better way (docs/decisions/0001-pages.md)."""

from memdb.ui import frame

frame.run()
