"""Turns added to a session so that two who write at once lose nothing: read, compare, set.

append(client, "session:42", [said("user", "How …?"), said("assistant", "Call …")])
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from memdb.cluster import replies
from memdb.cluster.client import Arg, Client
from memdb.cluster.replies import Reply
from memdb.display import bytes_text, line
from memdb.errors import BadInput, NotFound
from memdb.sessions.formats import CONTEXT, CREATED_AT, HISTORY, USER_ID, session_key
from memdb.sessions.hashes import VALUE_BYTES
from memdb.sessions.store import LONGEST_TTL_S
from memdb.sessions.turns import Text, Turn

TTL_S = 1_800.0  # the article's: half an hour since the last turn
_TURN_BYTES = 1_000_000  # of the turns added at once


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append did."""

    key: str
    turns: int  # in the history now
    ttl_s: float | None  # None: it never expires
    attempts: int  # 1 where nobody came between


def append(client: Client, key: str, turns: Sequence[Turn], *, ttl_s: float | None = TTL_S) -> Appended:
    """Add turns to the end of a session's history and renew its TTL, atomically.

    A TTL is never shortened, and a session that never expires stays so. What the history holds besides turns
    is kept as it is.

    Args:
        client: where to write.
        key: of the session's hash.
        turns: to be added, in order; texts only.
        ttl_s: seconds the session lives from now at least; None leaves its TTL alone.

    Raises:
        NotFound: the session is gone, perhaps expired since it was opened.
        BadInput: the history is no JSON list, too large, or the turns are; nothing was written.
        ReadOnlyTarget: the target takes no writes.
        Busy: others wrote all the time.
    """
    added = _entries(turns)
    _checked_ttl(ttl_s)
    reads: list[Sequence[Arg]] = [
        ("TYPE", key),
        ("PTTL", key),
        ("HSTRLEN", key, HISTORY),
        ("HGET", key, HISTORY),
    ]
    appended = Appended(key, 0, None, 0)

    def writes(stored: list[Reply]) -> list[list[Arg]]:
        nonlocal appended
        kind, pttl, size, history = stored
        if replies.text(kind) == "none":
            raise NotFound(key, "session")
        entries = _history(key, replies.integer(size), history)
        entries += added
        text = _json(entries)
        if len(text) > VALUE_BYTES:
            raise BadInput(
                f"The history of '{line(key, 80)}' would have {bytes_text(len(text))}; at most "
                f"{bytes_text(VALUE_BYTES)} are kept.",
                "Begin another session.",
            )
        commands: list[list[Arg]] = [["HSET", key, HISTORY, text]]
        left_ms = replies.integer(pttl)
        forever = left_ms == -1
        if ttl_s is not None and not forever and ttl_s * 1000 > left_ms:
            commands.append(["PEXPIRE", key, round(ttl_s * 1000)])
        lives = None if forever else max(ttl_s or 0.0, left_ms / 1000)
        appended = Appended(key, len(entries), lives, appended.attempts + 1)
        return commands

    # A hash is asked for before it is read: HGET on another type is an error of the server.
    _must_be_hash(client, key)
    client.compare_and_set(key, reads, writes)
    return appended


def create(
    client: Client, session_id: str, user_id: str, *, context: str = "", ttl_s: float | None = TTL_S
) -> str:
    """Begin an empty session, in the article's shape; returns its key.

    Raises:
        BadInput: an id is empty, or there is such a session already.
        ReadOnlyTarget: the target takes no writes.
    """
    key = session_key(session_id)
    if not user_id.strip():
        raise BadInput("The session names no user.", "Choose a user.")
    _checked_ttl(ttl_s)

    def writes(stored: list[Reply]) -> list[list[Arg]]:
        if replies.integer(stored[0]):
            raise BadInput(f"There is a key '{line(key, 80)}' already.", "Choose another id.")
        created = datetime.now(UTC).isoformat(timespec="seconds")
        commands: list[list[Arg]] = [
            ["HSET", key, USER_ID, user_id, HISTORY, "[]", CONTEXT, context, CREATED_AT, created]
        ]
        return commands + ([["PEXPIRE", key, round(ttl_s * 1000)]] if ttl_s is not None else [])

    client.compare_and_set(key, [("EXISTS", key)], writes)
    return key


def _must_be_hash(client: Client, key: str) -> None:
    kind = replies.text(client.execute("TYPE", key))
    if kind == "none":
        raise NotFound(key, "session")
    if kind != "hash":
        raise BadInput(
            f"The key '{line(key, 80)}' holds a {kind}, not a session.", "Choose a session that is a hash."
        )


def _entries(turns: Sequence[Turn]) -> list[object]:
    if not turns:
        raise BadInput("There is no turn to add.", "Ask something first.")
    size = sum(len(turn.content) for turn in turns)
    if size > _TURN_BYTES:
        raise BadInput(f"The turns have {size:,} characters; at most {_TURN_BYTES:,} are added.", "Say less.")
    if any(not isinstance(part, Text) for turn in turns for part in turn.parts):
        raise BadInput("Only texts are added to a session.", "Leave out tool calls, images and files.")
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _json(entries: list[object]) -> bytes:
    try:
        return json.dumps(entries, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can say
        return json.dumps(entries).encode()


def _history(key: str, size: int, raw: Reply) -> list[object]:
    if size > VALUE_BYTES:
        raise BadInput(
            f"The history of '{line(key, 80)}' has {bytes_text(size)}; nothing was added.",
            "Begin another session.",
        )
    if raw is None or raw == b"":
        return []
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise BadInput(
            f"The history of '{line(key, 80)}' is no JSON; nothing was added.",
            "What is stored stays as it is. Begin another session.",
        ) from exc
    if not isinstance(parsed, list):
        raise BadInput(
            f"The history of '{line(key, 80)}' is JSON but no list; nothing was added.",
            "What is stored stays as it is. Begin another session.",
        )
    return parsed


def _checked_ttl(ttl_s: float | None) -> None:
    if ttl_s is not None and not 0 < ttl_s <= LONGEST_TTL_S:
        raise BadInput(f"A session cannot live {ttl_s:g} s.", "Give more than 0 s and at most ten years.")
