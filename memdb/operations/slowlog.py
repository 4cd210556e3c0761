"""The slow log of a node, without values: of a search index and query, of other commands the key."""

from __future__ import annotations

import math
from dataclasses import dataclass

from memdb.cluster import possible, replies
from memdb.cluster.client import Client
from memdb.cluster.possible import MICROSECONDS, SECONDS, Range
from memdb.cluster.replies import Reply
from memdb.cluster.topology import Node
from memdb.display import line

_WHAT = 200


@dataclass(frozen=True, slots=True)
class SlowCommand:
    """One entry."""

    number: int
    # NaN where what the server tells cannot be.
    at: float  # the server's clock, Unix seconds
    took_ms: float  # on the thread that runs commands, without waiting
    command: str
    what: str  # key, or index and query


_LEAST = 4  # of an entry: its number, time, duration and words


def slow_commands(client: Client, node: Node, count: int = 50) -> tuple[SlowCommand, ...]:
    """The newest entries, newest first.

    Raises:
        MemDBError: the node did not answer, or refuses SLOWLOG.
    """
    entries = map(replies.items, replies.items(client.on(node).execute("SLOWLOG", "GET", count)))
    return tuple(_read(entry) for entry in entries if len(entry) >= _LEAST)


def _or_nan(value: Reply, within: Range) -> float:
    number = possible.number(value, within)
    return math.nan if number is None else number


def _read(entry: list[Reply]) -> SlowCommand:
    number, at, took_us, args = entry[:_LEAST]
    words = [replies.text(word) for word in replies.items(args)]
    command = words[0].upper() if words else "?"
    words_shown = words[1:3] if command.startswith("FT.") else words[1:2]
    return SlowCommand(
        replies.integer(number),
        _or_nan(at, SECONDS),
        _or_nan(took_us, MICROSECONDS) / 1000,
        command,
        line(" ".join(words_shown), _WHAT),
    )
