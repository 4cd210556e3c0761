"""One server process on one data directory."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from memdb import files
from memdb.child import Child, Order
from memdb.cluster.client import connect
from memdb.cluster.engine import runtime
from memdb.cluster.engine.binaries import Binaries, ways_on
from memdb.cluster.engine.config import NodeConfig
from memdb.cluster.target import Target
from memdb.errors import Busy, EngineUnavailable, NotKept, Unreachable

_START_S = 30.0  # from the order to the first answer; 0.05 s on an idle machine
_POLL_S = 0.02
_LOG = "engine.log"
_LOG_TAIL = 3
_FULL = "no space left"


@dataclass(frozen=True, slots=True)
class NodePlan:
    """How a server process is started, and started again."""

    binaries: Binaries
    config: NodeConfig
    runtime: Path | None  # file that tells other commands where this server is; None for replicas


class ServerProcess:
    """A running server process. `stop` ends it; so does the end of this Python process."""

    def __init__(self, plan: NodePlan, *, patience_s: float | None = None) -> None:
        self.plan = plan
        self.target: Target = runtime.local_target(plan.config.port, plan.config.password)
        self._server = _launch(plan, self.target, patience_s)
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

    @property
    def log(self) -> Path:
        """What the server prints."""
        return self._server.order.log

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._server.pid

    @property
    def status(self) -> int | None:
        """None while the server runs, 0 after a clean end, else how it failed (128 + n: signal n)."""
        return self._server.status

    def alive(self) -> bool:
        """Whether the server process runs. It may still be loading its data."""
        return self.status is None

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
                        f"Wait longer; its log is {self.log}.",
                    ) from None
                time.sleep(_POLL_S)
            else:
                return

    def stop(self) -> None:
        """End the server cleanly and wait for its end. Safe to call twice."""
        self._server.stop()
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
                    described = client.execute("COMMAND", "INFO", "FT.SEARCH")
            except Busy:
                return  # loading; what the module is shows in the log if it does not load
            except Unreachable as exc:
                self._check_alive()
                if time.monotonic() > end:
                    raise EngineUnavailable(
                        f"The local engine did not answer within {_START_S:g} s: {exc}",
                        f"Its log is {self.log}.",
                    ) from None
                time.sleep(_POLL_S)
            else:
                if not described or not described[0]:
                    raise EngineUnavailable(
                        f"{self.plan.binaries.server} has no search (no FT.SEARCH).",
                        "Name its search module in MEMDB_ENGINE_SEARCH. " + ways_on(),
                    )
                return

    def _check_alive(self) -> None:
        if not self.alive():
            log_words = _told(self._server.tail())
            if _FULL in log_words.lower() or not files.room(self.plan.config.directory):
                raise NotKept(
                    f"The local engine did not start: the disk of '{self.plan.config.directory}' is full.",
                    f"Free some space there, or set MEMDB_HOME to another disk. Its log is {self.log}.",
                )
            raise EngineUnavailable(
                f"The local engine did not start ({self._server.ended_by()})"
                + (f": {log_words}" if log_words else "."),
                f"Its log is {self.log}.",
            )

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _launch(plan: NodePlan, target: Target, patience_s: float | None) -> Child:
    config = plan.config.text()  # before the lock: it may refuse a value
    lock_fd = runtime.take_lock(plan.config.directory, patience_s=patience_s)
    server: Child | None = None
    try:
        server = Child(
            Order(
                argv=(str(plan.binaries.server), "-"),
                directory=plan.config.directory,
                log=plan.config.directory / _LOG,
                input=config,
                fds=(lock_fd,),  # the lock on the directory lives as long as the server
                remove=(plan.runtime,) if plan.runtime else (),
                # A clean shutdown takes about 0.1 s; replicas and a slow disk may need more.
                grace_s=runtime.LEAVING_S - 5,
            )
        )
        runtime.describe_lock(lock_fd, pid=server.pid, address=target.address)
    except OSError as exc:
        if server is not None:
            server.stop()
        if exc.errno in files.FULL:
            raise files.not_kept(plan.config.directory / _LOG, exc) from None
        raise EngineUnavailable(
            f"The local engine did not start: {exc}.",
            "Check that the file can be run on this system. " + ways_on(),
        ) from None
    finally:
        os.close(lock_fd)
    return server


def _told(lines: list[str]) -> str:
    """The last warnings and errors the server printed, without process id and date."""
    warnings = [line for line in lines if " # " in line or line.startswith((">>>", "Bad", "***"))]
    return " / ".join(line.split(" # ")[-1].strip() for line in warnings[-_LOG_TAIL:])
