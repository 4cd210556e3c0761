"""Who may change or start things here: asked in this place, and nowhere else.

To look is to read: searches, maps, exact answers, surveys. To change is what others see afterwards, or what
runs on the app's own machine: kept runs, evaluations, labels, watches, thresholds, formats, prices and
profiles, and engines that are started to be killed. Writes to the server are not asked for here: the client
that a page is handed refuses them (`targets`, `safety`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import streamlit as st

from memdb.display import Markdown
from memdb.errors import MemDBError
from memdb.ui.kit import access, targets

P = ParamSpec("P")
LOOKS: Markdown = "This login may look only: what is kept here for all, and engines here, are not for it."
ELSEWHERE: Markdown = (
    "What is kept here for all, and engines here, may be changed by who sits at this machine, and by whom "
    "`[access]` in the settings file lets write."
)


def refusal() -> Markdown:
    """Why this visitor may change nothing; empty where they may."""
    try:
        rights = targets.rights()
    except MemDBError:
        return LOOKS  # nothing is open then; the frame says why
    if rights is not None:
        return "" if rights.may_write(access.claims()) else LOOKS
    return "" if access.on_this_machine() else ELSEWHERE


def locked() -> bool:
    """Whether a widget that changes something is shown, but cannot be used."""
    return bool(refusal())


def changes(action: Callable[P, None]) -> Callable[P, None]:
    """What changes or starts something; it asks again when called: a browser can press what is disabled."""

    @wraps(action)
    def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        why = refusal()
        if why:
            st.toast(why, icon=":material/lock:")
        else:
            action(*args, **kwargs)

    return checked


def panel() -> None:
    """In the sidebar: what this visitor may not, if anything."""
    why = refusal()
    if why:
        st.caption(f":material/lock: {why}")
