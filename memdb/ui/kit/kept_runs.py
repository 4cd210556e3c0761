"""What a page offers for an entry of a list of kept runs: to open it, and to delete it for good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import streamlit as st

from memdb.display import Markdown, markdown
from memdb.ui.kit import role


class KeptRun(Protocol):
    """An entry of a list."""

    @property
    def id(self) -> str:
        """Its name in links."""

    @property
    def started(self) -> str:
        """ISO 8601."""


def open_or_delete(
    what: Markdown,
    entry: KeptRun,
    open_it: Callable[[str], None],
    delete_it: Callable[[str], None],
    *,
    key: str,
) -> None:
    """Two buttons for the entry that was chosen.

    Args:
        what: a run or an evaluation.
        entry: which.
        open_it: takes its id.
        delete_it: takes its id.
        key: what the names of the widgets begin with.
    """
    with st.container(horizontal=True):
        st.button(
            f"Open this {what}",
            icon=":material/open_in_full:",
            on_click=open_it,
            args=(entry.id,),
            key=f"{key}.open",
        )
        with st.popover("Delete", icon=":material/delete:"):
            st.caption(f"Delete the {what} of {markdown(entry.started[:16].replace('T', ' '))} for good.")
            st.button(
                f"Delete this {what}",
                type="primary",
                disabled=role.locked(),
                on_click=delete_it,
                args=(entry.id,),
                key=f"{key}.delete",
            )
