"""Which version of the app wrote what lies under MEMDB_HOME: an older one does not go on from there."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from memdb import files
from memdb.errors import BadInput, BadSettings

FILE = "version"  # of MEMDB_HOME; install.sh reads it too
_WHEEL = re.compile(r"memdb_explorer-(\d[^-]*)-[^/]*\.whl")


def own() -> str:
    """The version of this package; empty where it is not installed."""
    try:
        return version("memdb-explorer")
    except PackageNotFoundError:
        return ""


def of_home(home: Path) -> str:
    """The newest version that served from this home; empty where none did."""
    try:
        return files.text(home / FILE, most=100).strip()
    except (OSError, UnicodeDecodeError):
        return ""


def built() -> Path | None:
    """The wheel of this version in ./dist; None where there is none, or more than one."""
    wheels = sorted((Path.cwd() / "dist").glob(f"memdb_explorer-{own() or '*'}-*.whl"))
    return wheels[0] if len(wheels) == 1 else None


def of_wheel(path: Path) -> str:
    """The version of a wheel, by its name.

    Raises:
        BadInput: it is no file, or no wheel of this package.
    """
    match = _WHEEL.fullmatch(path.name)
    if match is None or not path.is_file():
        raise BadInput(
            f"'{path}' is no wheel of memdb-explorer.", "`python -m build --wheel` makes one in dist/."
        )
    return match[1]


def check(home: Path, wanted: str) -> None:
    """Refuse to go on with an older version than the home's.

    Raises:
        BadSettings: its data is of a newer version.
    """
    installed = of_home(home)
    if installed and _order(wanted) < _order(installed):
        raise BadSettings(
            f"The data in '{home}' is of version {installed}, and this is {wanted}.",
            f"Take version {installed} or later, or another MEMDB_HOME.",
        )


def mark(home: Path) -> None:
    """Note that this version serves from the home.

    Raises:
        BadSettings: its data is of a newer version.
        NotKept: it cannot be written.
    """
    if own():
        check(home, own())
        files.write(home / FILE, f"{own()}\n".encode())


def _order(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))
