"""Pages run in Streamlit's AppTest, in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import streamlit as st


@pytest.fixture(autouse=True)
def unsampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sampler runs beside a page, unless its test asks for one."""
    monkeypatch.setenv("MEMDB_SAMPLE_SECONDS", "0")


@pytest.fixture(autouse=True)
def empty_caches() -> Iterator[None]:
    """Caches outlive an AppTest; clients in them are closed here, while their engine still runs."""
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    st.cache_data.clear()
    st.cache_resource.clear()
