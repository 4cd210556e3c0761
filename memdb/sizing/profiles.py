"""Profiles by name: five that are built in, and those a calibration saved under MEMDB_HOME/profiles."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from memdb import files
from memdb.errors import BadInput
from memdb.sizing.allocator import Allocator
from memdb.sizing.model import ARTICLE_OVERHEAD, Constants, Engine, Grade, Profile
from memdb.sizing.shape import Shape

FORMAT = 4  # 4: allocator and waiting of valkey-search; the factor of an index leaves out what it takes empty
_OTHERS = (1, 2, 3, 5)
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")
# 1,536 float32 and 1 KB of metadata: what 30 % and 50 % instead of the middle change in all.
_RAW, _META = 6_144.0, 1_024.0
_MIDDLE = _RAW * (1 + sum(ARTICLE_OVERHEAD) / 2) + _META

BUILT_IN: dict[str, Profile] = {
    "memorydb": Profile(
        "memorydb",
        "MemoryDB",
        "memorydb",
        "estimate",
        "halfway between RediSearch and valkey-search, both with jemalloc; MemoryDB publishes none",
        0.75,
        1.30,
    ),
    "redisearch": Profile(
        "redisearch",
        "RediSearch 2.10 on Redis 8.2",
        "redisearch",
        "measured",
        "the local engine; benchmarks/sizing.py holds it against shapes that were not fitted",
        0.96,
        1.04,
    ),
    "valkey-search": Profile(
        "valkey-search",
        "valkey-search",
        "valkey-search",
        "measured",
        "sizes recorded of valkey-search 1.2.1 on Valkey 9.1.2 with libc's allocator, all within 2 %",
        0.96,
        1.04,
        allocator="libc",
    ),
    "elasticache": Profile(
        "elasticache",
        "ElastiCache for Valkey",
        "valkey-search",
        "estimate",
        "the valkey-search profile with the size classes of jemalloc, which were not recorded",
        0.90,
        1.10,
    ),
    "article": Profile(
        "article",
        "The article's rule",
        "article",
        "quoted",
        "the article's plan of 6 KB raw + 30–50 % + metadata",
        (_RAW * (1 + ARTICLE_OVERHEAD[0]) + _META) / _MIDDLE,
        (_RAW * (1 + ARTICLE_OVERHEAD[1]) + _META) / _MIDDLE,
    ),
}


def load(name: str, home: Path) -> Profile:
    """A profile by its name.

    Raises:
        BadInput: there is none, or its file is damaged and was set aside.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    path = _path(name, home)
    stored: dict[str, Any] | None = files.document(path, dict[str, Any])
    if stored is None:
        names_there = ", ".join(names(home))
        raise BadInput(
            f"There is no sizing profile '{name}'.",
            f"There are: {names_there}. `memdb calibrate --name {name}` makes one.",
        )
    if stored.get("format") in _OTHERS:
        raise BadInput(
            f"The sizing profile '{name}' cannot be read: another version of memdb made it.",
            "Calibrate again.",
        )
    with files.reading(path):
        profile: Profile = files.typed(stored, _Kept).profile(name)
        return profile


def names(home: Path) -> tuple[str, ...]:
    """All that can be loaded: built in first, then saved ones by name."""
    saved = sorted(p.stem for p in (home / "profiles").glob("*.json") if _NAME.fullmatch(p.stem))
    return (*BUILT_IN, *(name for name in saved if name not in BUILT_IN))


def live_name(index: str) -> str:
    """What a profile that was calibrated on an index is called, where no other name is given."""
    return "live-" + _plain(index, "index")


def samples_name(shape: Shape) -> str:
    """What a profile that was calibrated on samples is called, where no other name is given."""
    links = f"-m{shape.m}" if shape.algorithm == "HNSW" else "-flat"
    return f"samples-{shape.dim}{links}"


def _plain(text: str, otherwise: str) -> str:
    return (re.sub(r"[^a-z0-9_.-]+", "-", text.lower()).strip("-.") or otherwise)[:40]


def save(profile: Profile, home: Path) -> Path:
    """Keep a calibrated profile, replacing one of the same name.

    Raises:
        BadInput: the name cannot be used.
        NotKept: the folder cannot be written.
    """
    if profile.name in BUILT_IN:
        raise BadInput(f"'{profile.name}' is built in.", "Choose another name for the profile.")
    path = _path(profile.name, home)
    text = json.dumps({"format": FORMAT, **asdict(profile)}, indent=1)
    return files.write(path, text.encode())


def _path(name: str, home: Path) -> Path:
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"'{name}' cannot name a profile.", "Use small letters, digits, dots, dashes and underscores."
        )
    return home / "profiles" / f"{name}.json"


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a file holds."""

    format: Literal[4]  # FORMAT
    title: str
    engine: Engine
    grade: Grade
    allocator: Allocator
    source: str
    low: float
    high: float
    constants: Constants
    keyspace_factor: float
    index_factor: float
    waited: bool
    calibrated: str
    samples: int

    def profile(self, name: str) -> Profile:
        """The profile.

        Raises:
            ValueError: a number is out of its range.
        """
        constants = [(each.name, -1e12, 1e12) for each in fields(Constants)]
        for holder, ranges in ((self, _RANGES), (self.constants, constants)):
            for key, low, high in ranges:
                if not low <= getattr(holder, key) <= high:
                    raise ValueError(f"{key} is {getattr(holder, key):g}")
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "format"}
        return Profile(name, **values | {"title": self.title[:200], "source": self.source[:500]})


_RANGES = (
    ("low", 0.01, 1.0),
    ("high", 1.0, 100.0),
    ("keyspace_factor", 0.01, 100.0),
    ("index_factor", 0.01, 100.0),
)
