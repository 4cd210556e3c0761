"""What was sent: name, key pattern, time taken of the last commands. No values, no keys, no secrets."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

KEPT = 2_000

_WITH_SUBCOMMAND = frozenset(
    (
        "CONFIG",
        "CLIENT",
        "CLUSTER",
        "MEMORY",
        "OBJECT",
        "MODULE",
        "LATENCY",
        "SLOWLOG",
        "ACL",
        "COMMAND",
        "FT.CURSOR",
        "FT.CONFIG",
    )
)
_SHOWN_WORD = {"MEMORY": 2, "OBJECT": 2, "FT.CURSOR": 2}
_KEYED_NOT = frozenset(
    ("AUTH", "HELLO", "ECHO", "SELECT", "PING", "INFO", "COMMAND", "SCAN", "WAIT", "WAITAOF")
)
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Sent:
    """One command, or a batch that went out together."""

    at: float  # seconds since the epoch, when the answer was there
    name: str  # with its subcommand, e.g. CONFIG GET
    pattern: str  # `session:*` for a key, the index for FT.*, empty where there is neither
    commands: int  # 1, or how many the batch had
    took_ms: float
    outcome: str  # "ok", or the kind of error


class CommandLog:
    """The last commands of one client, oldest first; bounded."""

    def __init__(self, most: int = KEPT) -> None:
        self._kept: deque[tuple[float, str, str, int, float, str]] = deque(maxlen=most)
        self.total = 0

    def add(self, command: Sequence[object], took_s: float, outcome: str = "ok", commands: int = 1) -> None:
        """Note a command; of a batch, its first one."""
        if (
            command[0] == "FT.SEARCH" and len(command) > 1 and type(command[1]) is str
        ):  # the path of every measured search
            name, pattern = "FT.SEARCH", command[1][:_LONGEST]
        else:
            name, pattern = described(command)
        # A tuple, and no lock: appending to a deque is one step, and a view may miss the newest entry.
        self._kept.append((time.time(), name, pattern, commands, took_s * 1000, outcome))
        self.total += commands

    def entries(self) -> tuple[Sent, ...]:
        """What is kept, oldest first."""
        return tuple(Sent(*entry) for entry in self._kept.copy())

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()


def described(command: Sequence[object]) -> tuple[str, str]:
    """Name and key pattern of a command: what of it may be shown."""
    name = _text(command[0]).upper() if command else ""
    if name in _WITH_SUBCOMMAND and len(command) > 1:
        words = _SHOWN_WORD.get(name, 0)
        subcommand = f"{name} {_text(command[1]).upper()[:20]}"
        if not words or len(command) <= words:
            return subcommand, ""
        return subcommand, _pattern(command[words]) if name != "FT.CURSOR" else _text(command[words])[
            :_LONGEST
        ]
    if name in _KEYED_NOT or len(command) < 2:
        return name, ""
    # An index name says nothing about the people whose data it holds; a key may.
    return name, _text(command[1])[:_LONGEST] if name.startswith("FT.") else _pattern(command[1])


def _pattern(key: object) -> str:
    head, colon, _ = _text(key).partition(":")
    return f"{head[:_LONGEST]}:*" if colon else "*"


def _text(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
