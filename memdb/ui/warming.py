"""What the app prepares before somebody waits for it, one after the other: two at once would share one core.

Its modules are imported while the first browser fetches Streamlit's files; what the map compiles comes once
the first page is drawn (docs/decisions/0136-garbage.md, and docs/figures.md for what a visitor waits).
"""

from __future__ import annotations

import gc
import threading
from functools import cache

from memdb.maps import layout

AFTER_FIRST_PAGE_S = 3.0  # in which the browser draws what it was sent


def modules() -> None:
    """Import what every first page needs, in a thread of its own. Imports leave nothing to collect."""
    gc.disable()
    threading.Thread(target=_import_modules, name="modules", daemon=True).start()


@cache
def map_layout() -> None:
    """Compile what the Map page needs, some seconds from now; once in this process."""
    timer = threading.Timer(AFTER_FIRST_PAGE_S, _compile)
    timer.name, timer.daemon = "warm", True
    timer.start()


def _import_modules() -> None:
    try:
        from memdb.ui import home  # noqa: F401
    finally:
        gc.enable()
        gc.freeze()


def _compile() -> None:
    _set_aside()
    layout.warm()
    _set_aside()


def _set_aside() -> None:
    """Keep what is imported by now out of the garbage collector's sight.

    Streamlit collects after every run of the script, also of a panel that draws itself each second: going
    through all modules took longer than most runs.
    """
    gc.collect()
    gc.freeze()
