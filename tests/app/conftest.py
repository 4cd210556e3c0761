"""Pages run in Streamlit's AppTest, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import local_script_runner
from streamlit.testing.v1.local_script_runner import LocalScriptRunner


@pytest.fixture(scope="session", autouse=True)
def lean_runs() -> Iterator[None]:
    """AppTest without what it does over and over: it read the metadata of every installed package for each
    new AppTest (0.2 s), and looked a thousand times a second whether the script has ended.
    """
    polling = local_script_runner.require_widgets_deltas

    def ended(runner: LocalScriptRunner, timeout: float = 3) -> None:
        runner._script_thread.join(timeout)
        if not runner.script_stopped():
            polling(runner, timeout)  # it ends the script and tells

    with pytest.MonkeyPatch.context() as patch:
        scan = cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", scan)
        patch.setattr(local_script_runner, "require_widgets_deltas", ended)
        yield


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
