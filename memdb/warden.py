"""The process between us and a child: ends the child when we are gone, however we went.

Run as `python -I -S warden.py`, standard library only, single-threaded: the kernel ties PR_SET_PDEATHSIG
to the *thread* that forked, and a thread of the app may end long before the app does.

Standard input: one JSON line with the order (see child.Order), then silence; its end means that the parent
is gone or wants the child ended. Standard output: one JSON line {"pid": …} once the child is started, or
{"error": …}. The exit status is the child's (128 + n where signal n ended it).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

ASK_AGAIN_S = 0.25  # a server that writes its first append-only file refuses, and does not come back to it
LOG_BYTES = 1_000_000  # of the current log file; one older file of the same size is kept


def main() -> int:
    """Start the child that standard input orders, and outlive it."""
    # Signals of a terminal are for the parent; SIGTERM for us means what the end of the parent means.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    wake_r, wake_w = os.pipe()
    os.set_blocking(wake_w, False)
    signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
    stopping = False

    def on_term(_number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, on_term)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    order = json.loads(_line(0))
    log = _Log(Path(order["log"]))
    try:
        child = subprocess.Popen(
            order["argv"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=order["directory"],
            pass_fds=order["fds"],
            preexec_fn=_die_with_parent(os.getpid()),  # noqa: PLW1509  # this process has one thread
        )
    except OSError as exc:
        _say({"error": f"{order['argv'][0]} cannot be run: {exc.strerror}"})
        return 127
    assert child.stdin is not None  # noqa: S101  # both are pipes, see above
    assert child.stdout is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError):  # it ended at once; its log says why
        child.stdin.write(order["input"].encode())
        child.stdin.close()
    _say({"pid": child.pid})

    out = child.stdout.fileno()
    os.set_blocking(out, False)
    watched = [0, wake_r, out]
    deadline = ask_at = 0.0
    while child.poll() is None:
        now = time.monotonic()
        if stopping:
            deadline = deadline or now + order["grace_s"]
            if now >= deadline:
                child.kill()
            elif now >= ask_at:
                child.terminate()
                ask_at = now + ASK_AGAIN_S
        ready, _, _ = select.select(watched, [], [], ASK_AGAIN_S if stopping else None)
        if wake_r in ready:
            os.read(wake_r, 512)
        if out in ready and not log.pump(out):
            watched.remove(out)
        if 0 in ready and not os.read(0, 512):
            watched.remove(0)
            stopping = True
    log.pump(out)
    for path in order["remove"]:
        Path(path).unlink(missing_ok=True)
    status = child.returncode
    return status if status >= 0 else 128 - status


class _Log:
    """What the child prints, in a file of bounded size with one older file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pump(self, fd: int) -> bool:
        """Move what is there into the file. False at the end of the stream."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(fd, 65536):
                # A full disk must not stop the child: its pipe is drained all the same.
                with contextlib.suppress(OSError):
                    self._write(data)
            return False
        return True

    def _write(self, data: bytes) -> None:
        if self._path.exists() and self._path.stat().st_size + len(data) > LOG_BYTES:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
        with self._path.open("ab") as file:
            file.write(data)


def _die_with_parent(parent: int):  # type: ignore[no-untyped-def]  # typing costs start time
    """On Linux the kernel ends the child if even this process is killed."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(1, signal.SIGTERM, 0, 0, 0)  # 1: PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return ask


def _line(fd: int) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        more = os.read(fd, 65536)
        if not more:
            sys.exit(1)  # the parent is gone before it ordered anything
        data += more
    return data


def _say(message: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # the parent may be gone; the loop will notice
        os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
