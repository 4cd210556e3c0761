"""A child process that ends with us, whatever ends us, and whose output is kept within bounds."""

from __future__ import annotations

import contextlib
import json
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_WARDEN = Path(__file__).with_name("warden.py")
_START_S = 30.0  # 0.05 s on an idle machine
_TAIL_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class Order:
    """What the warden is told."""

    argv: tuple[str, ...]
    directory: Path
    log: Path  # at most 1 MB, and an older file of the same size
    input: str = field(default="", repr=False)  # for its standard input; may hold secrets
    fds: tuple[int, ...] = ()  # descriptors it inherits
    remove: tuple[Path, ...] = ()  # files that go away when it ends
    grace_s: float = 5.0  # from SIGTERM to SIGKILL


class Child:
    """A running program."""

    def __init__(self, order: Order, env: Mapping[str, str] | None = None) -> None:
        """Start it.

        Raises:
            OSError: it cannot be run.
        """
        self.order = order
        self._lock = threading.Lock()  # a thread that watches and the main thread may both end it
        order.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._warden = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_WARDEN)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=order.fds,
            env=env,
            start_new_session=True,  # Ctrl-C in the terminal is ours to handle, in our order
        )
        answer: dict[str, Any] = {}
        try:
            answer = self._send(order)
        finally:
            if "pid" not in answer:
                self._close()
                self._warden.wait()
        if "pid" not in answer:
            raise OSError(answer.get("error", f"{order.argv[0]} was not started"))
        self.pid: int = answer["pid"]

    @property
    def status(self) -> int | None:
        """None while it runs, else its exit status; 128 + n where signal n ended it."""
        status = self._warden.poll()
        # A warden that was killed takes the child along; how the child itself ended is not known then.
        return 128 - status if status is not None and status < 0 else status

    def ended_by(self) -> str:
        """How it ended, for a message."""
        status = self.status
        if status is None:
            return "it runs"
        if status > 128:
            with contextlib.suppress(ValueError):
                return f"ended by {signal.Signals(status - 128).name}"
        return f"ended with status {status}"

    def stop(self) -> None:
        """End it with SIGTERM, after a grace with SIGKILL, and wait for its end. Safe to call twice."""
        with self._lock:
            self._close()
            try:
                self._warden.wait(timeout=self.order.grace_s + 5)
            except subprocess.TimeoutExpired:
                self._warden.kill()
                self._warden.wait()

    def tail(self) -> list[str]:
        """The last lines it printed."""
        try:
            with self.order.log.open("rb") as file:
                file.seek(0, 2)
                file.seek(max(0, file.tell() - _TAIL_BYTES))
                return file.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return []

    def _send(self, order: Order) -> dict[str, Any]:
        stdin, stdout = self._warden.stdin, self._warden.stdout
        assert stdin is not None  # noqa: S101  # pipes, see __init__
        assert stdout is not None  # noqa: S101
        message = {
            "argv": order.argv,
            "directory": str(order.directory),
            "log": str(order.log),
            "input": order.input,
            "fds": order.fds,
            "remove": [str(path) for path in order.remove],
            "grace_s": order.grace_s,
        }
        try:
            stdin.write(json.dumps(message).encode() + b"\n")
            stdin.flush()
            ready, _, _ = select.select([stdout], [], [], _START_S)
            answer = json.loads(stdout.readline()) if ready else {}
        except (OSError, ValueError):
            return {}
        return answer if isinstance(answer, dict) else {}

    def _close(self) -> None:
        for pipe in (self._warden.stdin, self._warden.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
