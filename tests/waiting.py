"""Waiting for a condition, for tests of things that happen in other processes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

_POLL_S, _SLOWEST_S = 0.02, 0.2  # the longer one has waited, the less is lost by a longer pause
# A bound on what hangs, not on what is slow: a busy machine may take many times as long as a quiet one.
PATIENCE_S = 120
_PROCESSES = Path("/proc")  # of Linux


def until(is_so: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Poll until the condition holds; fail with `what` if it does not in time."""
    began = time.monotonic()
    while not is_so():
        waited = time.monotonic() - began
        assert waited < timeout_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(min(_SLOWEST_S, max(_POLL_S, waited / 20)))


def gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits to be reaped has."""
    if (_PROCESSES / "self").exists():  # `ps`, every few milliseconds, takes CPU from what is waited for
        here = _PROCESSES / str(pid)
        try:
            state = (here / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
            # While one of its threads lives, its files are open and its locks held.
            return state == "Z" and len(list((here / "task").iterdir())) == 1
        except (FileNotFoundError, ProcessLookupError):
            return True
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip()[:1] in {"", "Z"}
