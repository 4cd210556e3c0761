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
from typing import Annotated, Any

from msgspec import Meta

from memdb import files
from memdb.cluster.target import Target
from memdb.errors import DamagedFile, EngineUnavailable

LEAVING_S = 20.0  # how long an engine that was asked to end may take, at most
_POLL_S = 0.05
_MOST_BYTES = 64 << 10  # of a runtime file
_SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


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
    """Tell other commands of this user where the engine is. Readable by this user alone.

    Raises:
        NotKept: it cannot be written.
    """
    entry = {
        "pid": pid,
        "port": port,
        "password": password,
        "directory": str(directory),
        "cluster": cluster,
        "started": time.time(),
    }
    files.write(path, json.dumps(entry).encode())


def take_lock(directory: Path, *, patience_s: float | None = None) -> int:
    """Lock a data directory and return the descriptor that holds the lock.

    An engine whose starter was killed is on its way out; it is waited for.

    Args:
        directory: made if it is not there.
        patience_s: how long to wait for the lock; by default long only where its holder must end soon.

    Raises:
        EngineUnavailable: an engine runs on it.
        NotKept: the directory cannot be written, e.g. since the disk is full.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(_lock_file(directory), os.O_RDWR | os.O_CREAT | _SAFE, 0o600)
    except OSError as exc:
        raise files.not_kept(_lock_file(directory), exc) from exc
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
        fd = os.open(_lock_file(directory), os.O_RDONLY | _SAFE)
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
    with contextlib.suppress(OSError, ValueError, RecursionError):
        with os.fdopen(os.open(_lock_file(directory), os.O_RDONLY | _SAFE), "rb") as file:
            owner: dict[str, Any] = files.typed(json.loads(file.read(_MOST_BYTES)), dict[str, str | int])
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
        entry: _Entry | None = files.document(path, _Entry, most=_MOST_BYTES)
    except DamagedFile:
        return None
    if entry is None:  # being removed
        return None
    return Running(
        entry.pid,
        entry.port,
        entry.password,
        Path(entry.directory),
        entry.cluster,
        entry.started,
        path,
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a runtime file holds."""

    pid: Annotated[int, Meta(ge=1, le=2**31)]
    port: Annotated[int, Meta(ge=1, le=65_535)]
    password: str = field(repr=False)
    directory: str
    cluster: bool
    started: float
