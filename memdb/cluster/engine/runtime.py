"""Who runs on a data directory, and where: the lock, and the runtime file other commands read.

The lock is an flock whose descriptor the server process inherits: it is held exactly as long as the server
lives, whatever happened to the process that took it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memdb.cluster.target import Target
from memdb.errors import EngineUnavailable

LEAVING_S = 20.0  # how long an engine that was asked to end may take, at most
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Running:
    """One local engine that runs now, as its runtime file tells it."""

    pid: int
    port: int
    password: str = field(repr=False)
    directory: Path
    cluster: bool
    started: float  # seconds since 1970
    file: Path

    @property
    def target(self) -> Target:
        """How to open it."""
        return local_target(self.port, self.password)


def local_target(port: int, password: str) -> Target:
    """The target of a local engine: writable, for it is the user's own."""
    return Target(port=port, password=password, label="Local engine", kind="local", writable=True)


def runtime_folder(home: Path) -> Path:
    """Where runtime files of engines started under this home are."""
    return home / "run"


def running_engines(home: Path) -> list[Running]:
    """Local engines that run now, the one on the default directory first, then the newest.

    Files that an engine left behind (its warden was killed too) are removed.
    """
    engines = []
    for path in runtime_folder(home).glob("*.json"):
        entry = _read(path)
        if entry is None:
            continue
        if is_locked(entry.directory):
            engines.append(entry)
        else:
            path.unlink(missing_ok=True)
    default = home / "engine"
    return sorted(engines, key=lambda e: (e.directory != default, -e.started))


def running(home: Path) -> Target | None:
    """The local engine that runs under this home, or None."""
    engines = running_engines(home)
    return engines[0].target if engines else None


def write_runtime(path: Path, *, pid: int, port: int, password: str, directory: Path, cluster: bool) -> None:
    """Tell other commands of this user where the engine is. Readable by this user alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    entry = {
        "pid": pid,
        "port": port,
        "password": password,
        "directory": str(directory),
        "cluster": cluster,
        "started": time.time(),
    }
    part = path.with_suffix(".part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(entry, file)
    part.replace(path)


def take_lock(directory: Path, *, patience_s: float | None = None) -> int:
    """Lock a data directory and return the descriptor that holds the lock.

    An engine whose starter was killed is on its way out; it is waited for.

    Args:
        directory: made if it is not there.
        patience_s: how long to wait for the lock; by default long only where its holder must end soon.

    Raises:
        EngineUnavailable: an engine runs on it.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = os.open(_lock_file(directory), os.O_RDWR | os.O_CREAT, 0o600)
    began = time.monotonic()
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _owner(directory)
            # One second covers a look by `is_locked`, which takes the lock for a moment.
            usual = 1.0 if _exists(int(owner.get("starter", 0))) else LEAVING_S
            if time.monotonic() - began < (usual if patience_s is None else patience_s):
                time.sleep(_POLL_S)
                continue
            os.close(fd)
            where = f"{owner['address']}, process {owner['pid']}" if "pid" in owner else "another process"
            raise EngineUnavailable(
                f"A local engine already runs on {directory} ({where}).",
                "Use that one (`memdb app` opens it), stop it (`memdb engine stop`), "
                "or give another directory.",
            ) from None
        os.ftruncate(fd, 0)  # what the previous engine wrote is over
        return fd


def describe_lock(fd: int, *, pid: int, address: str) -> None:
    """Write into the lock file who holds it, for the message a second start gets."""
    os.ftruncate(fd, 0)
    text = json.dumps({"pid": pid, "address": address, "starter": os.getpid()})
    os.pwrite(fd, text.encode(), 0)


def is_locked(directory: Path) -> bool:
    """Whether an engine runs on this directory."""
    try:
        fd = os.open(_lock_file(directory), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _lock_file(directory: Path) -> Path:
    return directory / "engine.lock"


def _owner(directory: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        owner = json.loads(_lock_file(directory).read_text(encoding="utf-8"))
        if isinstance(owner, dict):
            return owner
    return {}


def _exists(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read(path: Path) -> Running | None:
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        return Running(
            pid=int(entry["pid"]),
            port=int(entry["port"]),
            password=str(entry["password"]),
            directory=Path(entry["directory"]),
            cluster=bool(entry["cluster"]),
            started=float(entry["started"]),
            file=path,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # being written, being removed, or not ours
