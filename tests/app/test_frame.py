"""What the app prepares once in a process."""

from __future__ import annotations

import gc

import pytest

from memdb.maps import layout
from memdb.ui import warming


def test_collections_after_the_start_do_not_go_through_what_was_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layout, "warm", lambda: None)
    before = gc.get_freeze_count()
    kept = [[n] for n in range(100_000)]
    warming._compile()
    assert gc.get_freeze_count() >= before + len(kept)
