"""MemoryDB Explorer for `streamlit run`; `memdb app` is the better way (docs/decisions/0001-pages.md)."""

from memdb.ui import frame
from memdb.ui.metrics import page as metrics

frame.run(strips=(metrics.sidebar,))
