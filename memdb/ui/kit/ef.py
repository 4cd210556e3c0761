"""EF_RUNTIME: the control of pages that search, which takes what the engine takes; and it carried to them."""

from __future__ import annotations

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import Markdown
from memdb.ui.kit import cached
from memdb.vectors.query import EF_RUNTIME


def ef_input(
    target: Target,
    key: str,
    default: int = EF_RUNTIME,
    *,
    label: Markdown = "EF_RUNTIME",
    help: Markdown = "",  # noqa: A002  # as Streamlit names it
    disabled: bool = False,
) -> int:
    """A number from 1 to the engine's limit, typed or by steps of one; in the link under its key."""
    most = cached.server(target).dialect.limits.ef_runtime
    typed = st.number_input(
        label,
        min_value=1,
        max_value=most,
        value=min(default, most),
        step=1,
        key=key,
        bind="query-params",
        help=f"{help} 1 to {most:,}.".strip(),
        disabled=disabled,
    )
    return int(typed)
