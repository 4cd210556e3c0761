"""The only reader of environment variables."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_data_path

from memdb.errors import BadSettings

VARIABLES: dict[str, str] = {
    "MEMDB_HOME": "folder for the local engine's data, embeddings and settings",
    "MEMDB_URL": "server to open, e.g. rediss://user@host:6379; used when no local engine runs",
    "MEMDB_PASSWORD": "password for MEMDB_URL, so that it need not stand in the URL",
    "MEMDB_WRITABLE": "1 allows writes to MEMDB_URL; everything else keeps it read-only",
    "MEMDB_LABEL": "name of the target, shown on every page",
    "MEMDB_KIND": "local, development or production: the colour of the target's badge",
    "MEMDB_ENGINE_SERVER": "path of a redis-server for the local engine, instead of the packaged one",
    "MEMDB_ENGINE_SEARCH": "path of a search module for that server; empty if it has search built in",
}

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, checked. Field names follow VARIABLES."""

    home: Path
    url: str = field(default="", repr=False)  # may carry a password
    password: str = field(default="", repr=False)
    writable: bool = False
    label: str = ""
    kind: str = ""
    engine_server: str = ""
    engine_search: str = ""

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read MEMDB_* from the environment.

        Raises:
            BadSettings: a switch is neither on nor off.
        """
        env = os.environ if env is None else env
        home = env.get("MEMDB_HOME", "")
        return cls(
            home=Path(home).expanduser().absolute() if home else user_data_path("memdb-explorer"),
            url=env.get("MEMDB_URL", "").strip(),
            password=env.get("MEMDB_PASSWORD", ""),
            writable=_switch(env, "MEMDB_WRITABLE"),
            label=env.get("MEMDB_LABEL", "").strip(),
            kind=env.get("MEMDB_KIND", "").strip().lower(),
            engine_server=env.get("MEMDB_ENGINE_SERVER", ""),
            engine_search=env.get("MEMDB_ENGINE_SEARCH", ""),
        )


def inherited() -> dict[str, str]:
    """The environment of this process, for a child to which some variables are added."""
    return dict(os.environ)


def has_screen() -> bool:
    """Whether a browser window could open here."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _switch(env: Mapping[str, str], name: str) -> bool:
    value = env.get(name, "").strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise BadSettings(f"{name} is '{value}', which is neither on nor off.", f"Set {name}=1 or leave it out.")
