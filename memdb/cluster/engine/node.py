"""One server process with its warden, on one data directory."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from memdb.cluster.client import connect
from memdb.cluster.engine import runtime
from memdb.cluster.engine.binaries import Binaries, ways_on
from memdb.cluster.engine.config import NodeConfig
from memdb.cluster.target import Target
from memdb.errors import Busy, EngineUnavailable, Unreachable

_WARDEN = Path(__file__).with_name("warden.py")
_START_S = 30.0  # from the order to the first answer; 0.05 s on an idle machine
_POLL_S = 0.02
_LOG_TAIL = 3


@dataclass(frozen=True, slots=True)
class NodePlan:
    """How a server process is started, and started again."""

    binaries: Binaries
    config: NodeConfig
    log: Path
    runtime: Path | None  # file that tells other commands where this server is; None for replicas


class Node:
    """A running server process. `stop` ends it; so does the end of this Python process."""

    def __init__(self, plan: NodePlan, *, patience_s: float | None = None) -> None:
        self.plan = plan
        self.target: Target = runtime.local_target(plan.config.port, plan.config.password)
        self._lock = threading.Lock()  # a supervisor's thread and the main thread may both end it
        self.pid, self._warden = _launch(plan, self.target, patience_s)
        try:
            self._wait_answer()
        except BaseException:
            self.stop()
            raise
        if plan.runtime is not None:
            runtime.write_runtime(
                plan.runtime,
                pid=self.pid,
                port=plan.config.port,
                password=plan.config.password,
                directory=plan.config.directory,
                cluster=bool(plan.config.cluster_port),
            )

    def alive(self) -> bool:
        """Whether the server process runs. It may still be loading its data."""
        return self._warden.poll() is None

    def ended_by(self) -> str:
        """How the server ended, for a message."""
        status = self._warden.poll()
        if status is None:
            return "it runs"
        if status > 128:
            with contextlib.suppress(ValueError):
                return f"ended by {signal.Signals(status - 128).name}"
        return f"ended with status {status}"

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until the server has loaded its data and answers.

        Raises:
            EngineUnavailable: it ended, or the time passed.
        """
        end = time.monotonic() + timeout_s
        while True:
            try:
                with connect(self.target) as client:
                    client.execute("PING")
            except (Busy, Unreachable):
                self._check_alive()
                if time.monotonic() > end:
                    raise EngineUnavailable(
                        f"The local engine was not ready within {timeout_s:g} s; it still loads its data.",
                        f"Wait longer; its log is {self.plan.log}.",
                    ) from None
                time.sleep(_POLL_S)
            else:
                return

    def stop(self) -> None:
        """End the server cleanly and wait for its end. Safe to call twice."""
        with self._lock:
            warden = self._warden
            if warden.stdin is not None:
                with contextlib.suppress(OSError):
                    warden.stdin.close()
            try:
                warden.wait(timeout=runtime.LEAVING_S)
            except subprocess.TimeoutExpired:
                warden.kill()
                warden.wait()
            if warden.stdout is not None:
                warden.stdout.close()
            self._end_orphan()

    def _end_orphan(self) -> None:
        # Only where the warden was killed and the kernel has no PR_SET_PDEATHSIG (macOS): the lock shows
        # that the server lives, so its process id is still its own.
        if runtime.is_locked(self.plan.config.directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def _wait_answer(self) -> None:
        end = time.monotonic() + _START_S
        while True:
            try:
                with connect(self.target) as client:
                    found = client.execute("COMMAND", "INFO", "FT.SEARCH")
            except Busy:
                return  # loading; what the module is shows in the log if it does not load
            except Unreachable as exc:
                self._check_alive()
                if time.monotonic() > end:
                    raise EngineUnavailable(
                        f"The local engine did not answer within {_START_S:g} s: {exc}",
                        f"Its log is {self.plan.log}.",
                    ) from None
                time.sleep(_POLL_S)
            else:
                if not found or not found[0]:
                    raise EngineUnavailable(
                        f"{self.plan.binaries.server} has no search (no FT.SEARCH).",
                        "Name its search module in MEMDB_ENGINE_SEARCH. " + ways_on(),
                    )
                return

    def _check_alive(self) -> None:
        if not self.alive():
            said = _tail(self.plan.log)
            raise EngineUnavailable(
                f"The local engine did not start ({self.ended_by()})" + (f": {said}" if said else "."),
                f"Its log is {self.plan.log}.",
            )

    def __enter__(self) -> Node:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_port() -> int:
    """A TCP port of the loopback address that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _launch(plan: NodePlan, target: Target, patience_s: float | None) -> tuple[int, subprocess.Popen[bytes]]:
    config = plan.config.text()  # before the lock: it may refuse a value
    plan.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock_fd = runtime.take_lock(plan.config.directory, patience_s=patience_s)
    try:
        warden = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_WARDEN)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(lock_fd,),
            start_new_session=True,  # Ctrl-C in the terminal is ours to handle, in our order
        )
        pid = 0
        try:
            order = {
                "server": str(plan.binaries.server),
                "config": config,
                "directory": str(plan.config.directory),
                "log": str(plan.log),
                "runtime": str(plan.runtime) if plan.runtime else "",
                "lock_fd": lock_fd,
            }
            pid = _order(warden, order)
            runtime.describe_lock(lock_fd, pid=pid, address=target.address)
        finally:
            if not pid:
                _drop(warden)
    finally:
        os.close(lock_fd)  # the server holds it now
    return pid, warden


def _order(warden: subprocess.Popen[bytes], order: dict[str, object]) -> int:
    assert warden.stdin is not None  # noqa: S101  # pipes, see _launch
    assert warden.stdout is not None  # noqa: S101
    try:
        warden.stdin.write(json.dumps(order).encode() + b"\n")
        warden.stdin.flush()
        ready, _, _ = select.select([warden.stdout], [], [], _START_S)
        answer = json.loads(warden.stdout.readline()) if ready else {}
    except (OSError, ValueError):
        answer = {}
    if "pid" not in answer:
        raise EngineUnavailable(
            f"The local engine did not start: {answer.get('error', 'its warden gave no answer')}.",
            "Check that the file can be run on this system. " + ways_on(),
        )
    return int(answer["pid"])


def _drop(warden: subprocess.Popen[bytes]) -> None:
    for pipe in (warden.stdin, warden.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    warden.wait()


def _tail(log: Path) -> str:
    """The last lines the server printed: without process id, date and repetitions."""
    with contextlib.suppress(OSError):
        lines = log.read_bytes().decode("utf-8", "replace").splitlines()
        told = [line for line in lines if " # " in line or line.startswith((">>>", "Bad", "***"))]
        return " / ".join(line.split(" # ")[-1].strip() for line in told[-_LOG_TAIL:])
    return ""
