"""Waiting for a condition, for tests of things that happen in other processes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

_POLL_S = 0.02
# A bound on what hangs, not on what is slow: a busy machine may take many times as long as a quiet one.
PATIENCE_S = 120


def until(is_so: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Poll until the condition holds; fail with `what` if it does not in time."""
    end = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end, f"not within {timeout_s:g} s: {what}"
        time.sleep(_POLL_S)


def gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits to be reaped has."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip()[:1] in {"", "Z"}
