"""The files under MEMDB_HOME: one way to read them, one to write them; databases of SQLite and what an engine
itself writes apart.

Whatever lies there may be damaged, huge, a link, a pipe, or of another program. A file is read up to a bound,
into a type, or it is set aside under another name, told in `NOTICES`, and the work goes on without it.
A written file is whole or absent, whatever ends this process.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import threading
import time
import tomllib
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from memdb.errors import DamagedFile, MemDBError, NotKept
from memdb.numerals import whole_number

# What lies under the home: folders of ours, none of which is a link.
FOLDERS = (
    "corpus drill embeddings engine evaluations history logs maps profiles run runs samples taps truth "
    "tuning watch"
).split(" ")
CACHES = (
    "corpus",
    "embeddings",
    "maps",
    "samples",
    "truth",
)  # of them: what is made again from something else
MOST_BYTES = 64 << 20  # of a JSON file
MOST_TEXT_BYTES = 4 << 20  # of a settings file
_OLD_S = 3_600.0  # a part this old belongs to nobody
FULL = (errno.ENOSPC, errno.EDQUOT)  # of OSErrors
_NO_FILE = {
    errno.ELOOP: "is a link, and none is followed here",
    errno.EISDIR: "is no regular file",
    errno.ENXIO: "is no regular file",  # a socket
}
_LITTLE = 64 << 10  # bytes: a disk with less is full
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# What reading damaged content raises, in the standard library, NumPy and msgspec.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
    zipfile.BadZipFile,
    zlib.error,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Notice:
    """A file that could not be read, and where it is now."""

    name: str  # with its folder
    why: str
    aside: str  # its new name; empty where it stays
    at: float  # Unix seconds

    @property
    def words(self) -> str:
        """For people, in one sentence."""
        rest = f"; it was set aside as {self.aside}" if self.aside else ""
        return f"{self.name} {self.why}{rest}."


NOTICES: deque[Notice] = deque(maxlen=20)  # of this process, oldest first; a file once


@contextmanager
def opened(path: Path, most: int, *others: Path) -> Iterator[IO[bytes] | None]:
    """A regular file of at most so many bytes, open for reading; None where there is no file.

    Raises:
        DamagedFile: it is a link, a pipe or larger, and was set aside; or it cannot be read.
    """
    try:
        _check_folder(path)
        file = os.fdopen(os.open(path, os.O_RDONLY | _FLAGS), "rb")
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    except OSError as exc:
        if why := _NO_FILE.get(exc.errno or 0):
            raise set_aside(path, why, *others) from None
        raise _noted(path, f"cannot be read ({reason(exc)})", "") from None
    with file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise set_aside(path, _NO_FILE[errno.EISDIR], *others)
        if about.st_size > most:
            raise set_aside(path, f"has {about.st_size:,} bytes, and at most {most:,} are read", *others)
        yield file


def is_there(path: Path) -> bool:
    """Whether there is a regular file, for those who open it by its name.

    Raises:
        DamagedFile: it is a link, a pipe or a folder.
    """
    with opened(path, 1 << 62) as file:
        return file is not None


def content(path: Path, *, most: int = MOST_BYTES) -> bytes | None:
    """The bytes of a regular file; None where there is no file.

    Raises:
        DamagedFile: it is a link, a pipe, larger than `most` or cannot be read.
    """
    with opened(path, most) as file:
        return None if file is None else file.read()


def text(path: Path, *, most: int = MOST_TEXT_BYTES) -> str:
    """The text of a file that a user wrote, in UTF-8. It may be a link, as dotfiles and mounts have them.

    Raises:
        OSError: there is none, it cannot be read, is no regular file, or has more than `most` bytes.
        UnicodeDecodeError: it is no UTF-8.
    """
    return named(path, most).decode("utf-8")


def named(path: Path, most: int) -> bytes:
    """The bytes of a file that a user named; its size is judged first. It may be a link.

    Raises:
        OSError: there is none, it cannot be read, is no regular file, or has more than `most` bytes.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        raw = file.read(most + 1) if about.st_size <= most else b""
    if len(raw) > most or about.st_size > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes")
    return raw


def tables(toml: str) -> dict[str, Any]:
    """The tables of a text in TOML.

    Raises:
        ValueError: it is none, is nested too deeply, or holds a number of thousands of digits.
    """
    try:
        return tomllib.loads(toml)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:
        raise ValueError("a number in it has thousands of digits") from None


def document(path: Path, kind: type[T] | Any, *, most: int = MOST_BYTES) -> Any:
    """The JSON of a file as a `kind`, e.g. a dataclass; None where there is no file.

    Raises:
        DamagedFile: it is no such thing; it was set aside.
    """
    raw = content(path, most=most)
    if raw is None:
        return None
    with reading(path):
        return typed(json.loads(raw), kind)


def typed(value: object, kind: type[T] | Any) -> Any:
    """A value of plain lists, dicts, texts and numbers as a `kind`.

    Raises:
        ValidationError: msgspec's; it is none, and where.
    """
    return msgspec.convert(value, kind)


@contextmanager
def reading(path: Path, *others: Path) -> Iterator[None]:
    """Set a file aside where its content turns out to be damaged.

    Args:
        path: the file.
        others: what belongs to it, and goes with it.

    Raises:
        DamagedFile: it was.
    """
    try:
        yield
    except MemDBError:
        raise
    except DAMAGE as exc:
        raise set_aside(path, f"cannot be read ({_reason(exc)})", *others) from exc


def write(path: Path, new_content: bytes | Callable[[IO[bytes]], object]) -> Path:
    """Write a file, readable by this user alone, that others see whole or not at all.

    Args:
        path: the file; its folder is made.
        new_content: its content, or what writes it.

    Raises:
        NotKept: the disk is full, or the folder cannot be written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        _check_folder(path)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        tidy(path.parent)
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600), "wb") as file:
                if isinstance(new_content, bytes):
                    file.write(new_content)
                else:
                    new_content(file)
            return part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as exc:
        raise not_kept(path, exc) from exc


def not_kept(path: Path, exc: OSError) -> NotKept:
    """That a file cannot be written, with the reason: a full disk is called one."""
    return NotKept(f"'{path}' cannot be written: {reason(exc)}.", hint(exc))


def reason(exc: OSError) -> str:
    """Why a file cannot be read or written, for people."""
    if exc.errno in FULL:
        return "the disk is full"
    if exc.errno == errno.EROFS:
        return "the disk is read-only"
    if exc.errno in (errno.EACCES, errno.EPERM):
        return "this user may not"
    if exc.errno == errno.ELOOP:
        return "it is a link"
    return exc.strerror or str(exc)


def hint(exc: OSError) -> str:
    """What to do about it."""
    if exc.errno in FULL:
        return "Free some space there, or set MEMDB_HOME to another disk."
    return "Set MEMDB_HOME to a folder with room that you may write to."


def room(folder: Path) -> bool:
    """Whether the folder's disk has any left worth the name."""
    try:
        volume = os.statvfs(folder)
    except OSError:
        return True  # not told
    return volume.f_bavail * volume.f_frsize >= _LITTLE


def set_aside(path: Path, why: str, *others: Path) -> DamagedFile:
    """Rename a file that cannot be used, note it, and return the error that tells so.

    Where it will be made again from something else, it is removed.

    Args:
        path: the file.
        why: what follows its name in a sentence.
        others: what belongs to it.
    """
    aside = path.with_name(f"{path.name}.damaged")
    named = aside.name
    if path.parent.name in CACHES:
        with contextlib.suppress(OSError):  # a folder is none that can be unlinked
            path.unlink()
            return _noted(path, why, "")
    try:
        path.rename(aside)
    except OSError:
        named = ""
    else:
        for other in others:
            with contextlib.suppress(OSError):
                other.rename(other.with_name(f"{other.name}.damaged"))
    return _noted(path, why, named)


def tidy(folder: Path) -> None:
    """Remove what writers left behind that were killed."""
    with contextlib.suppress(OSError):
        for part in folder.glob("*.part"):
            with contextlib.suppress(OSError):
                if time.time() - part.lstat().st_mtime > _OLD_S or not _writes_still(part.name):
                    part.unlink()


def tidy_home(home: Path) -> None:
    """The same in every folder of the home."""
    for folder in (home, *(home / name for name in FOLDERS)):
        tidy(folder)


def _check_folder(path: Path) -> None:
    if path.parent.name in FOLDERS and path.parent.is_symlink():
        raise OSError(errno.EMLINK, "its folder is a link")


def _noted(path: Path, why: str, aside: str) -> DamagedFile:
    name = f"{path.parent.name}/{path.name}" if path.parent.name in FOLDERS else path.name
    notice = Notice(name, why, aside, time.time())
    if all((notice.name, notice.why) != (name, why) for notice in NOTICES):
        NOTICES.append(notice)
    return DamagedFile(notice.words, f"It lies in '{path.parent}'; the work goes on without it.", path=path)


def _reason(exc: BaseException) -> str:
    if isinstance(exc, OSError):
        return reason(exc)
    if isinstance(exc, RecursionError):
        return "it is nested too deeply"
    words = " ".join(str(exc).split())[:200]
    return f"{words} is missing" if isinstance(exc, KeyError) else words or type(exc).__name__


def _writes_still(name: str) -> bool:
    """Whether the writer of a part may still be there, by the process id in its name."""
    numbers = [number for word in name.split(".")[:-1] if (number := whole_number(word)) is not None]
    if not numbers:
        return True  # not told
    with contextlib.suppress(PermissionError):
        for number in numbers[:1]:
            try:
                os.kill(number, 0)
            except (ProcessLookupError, OverflowError):
                return False
    return True
