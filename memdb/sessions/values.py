"""Values of keys of any kind, bounded and parsed: what formats are read from."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from memdb.cluster import possible, replies
from memdb.cluster.client import Arg, Client, Command
from memdb.display import bytes_text
from memdb.errors import EngineError, MemDBError
from memdb.sessions.checkpoint import plain_state
from memdb.sessions.hashes import VALUE_BYTES, StoredField, seconds
from memdb.sessions.mapping import TYPES, Format, Stored

_ODD = re.compile("[\udc80-\udcff]")
ENTRIES = 500  # of a list, the newest
_STORED: dict[str, Stored] = {told: stored for stored, told in TYPES.items()}


@dataclass(frozen=True, slots=True)
class Value:
    """A key's value. `document` is None where it was not read; `problems` says why."""

    key: str
    stored: Stored | None  # None: another type
    kind: str  # TYPE as the engine words it, "none" where the key is gone
    document: Any
    raw: bytes  # as stored, for showing
    size_bytes: int | None
    ttl_s: float | None
    problems: tuple[str, ...]
    whole: bool = True  # False: too large, so that nothing or only the newest entries were read

    @property
    def fields(self) -> tuple[StoredField, ...]:
        """What is stored, field by field where it is a hash, else as one."""
        if self.stored == "hash" and isinstance(self.document, dict):
            return tuple(
                StoredField(name, len(value), value)
                for name, value in (
                    (n, v.encode("utf-8", "surrogateescape")) for n, v in self.document.items()
                )
            )
        return (StoredField(self.key, len(self.raw), self.raw or None),) if self.stored else ()


def values(
    client: Client, keys: Sequence[str], format_: Format | None = None, *, each: int = VALUE_BYTES, total: int
) -> list[Value]:
    """Values in few round trips; no key over `each` bytes of server memory is read, nor more than `total`.

    A list gives as many of its newest entries as fit, at most ENTRIES. A key that expired meanwhile comes
    as kind "none".
    """
    asked: list[Command] = []
    for key in keys:
        asked += [("TYPE", key), ("PTTL", key), ("MEMORY", "USAGE", key)]
    facts = client.pipeline(asked, errors_as_values=True)
    commands: list[tuple[Arg, ...]] = []
    rows = []
    lists = [key for key, kind in zip(keys, facts[::3], strict=True) if replies.text(kind) == "list"]
    lengths = client.pipeline([("LLEN", key) for key in lists], errors_as_values=True)
    entries = {key: max(1, replies.integer(n)) for key, n in zip(lists, lengths, strict=True)}
    for key, kind, ttl, size in zip(keys, facts[::3], facts[1::3], facts[2::3], strict=True):
        for reply in (kind, ttl):
            if isinstance(reply, MemDBError):
                raise reply
        told = replies.text(kind)
        stored = _STORED.get(told)
        memory = possible.size(size)
        cost = memory or 0
        fits = 1 if cost <= each and cost <= total else 0
        if stored == "list":  # entries are taken for equally large: MEMORY USAGE looks at some of them only
            whole = entries[key]
            fits = min(ENTRIES, whole, int(min(each, max(0, total)) * whole / max(cost, 1)))
            cost = round(cost * fits / whole)
        wanted = stored is not None and fits > 0
        if wanted:
            total -= cost
            commands.append(_reading(stored, key, format_, fits))
        rows.append((key, told, stored, seconds(ttl), memory, wanted, fits))
    answers = iter(client.pipeline(commands, errors_as_values=True))
    read = []
    for key, told, stored, ttl, memory, wanted, fits in rows:
        document, raw = None, b""
        problems: tuple[str, ...] = ()
        whole = True
        if wanted:
            document, raw, problems = _document(stored, next(answers))
            if stored == "list" and fits < entries[key]:
                whole = False
                problems = (f"Of {entries[key]:,} entries the newest {fits:,} were read.", *problems)
        elif stored is not None:
            whole = False
            problems = (f"The value takes {bytes_text(memory)} and was not read.",)
        elif told != "none":
            problems = (f"The key holds a {told}, which no format reads.",)
        read.append(Value(key, stored, told, document, raw, memory, ttl, problems, whole))
    return read


def reading(format_: Format, key: str) -> tuple[Arg, ...]:
    """The command that reads a key of this format."""
    return _reading(format_.stored, key, format_, ENTRIES)


def _reading(stored: Stored | None, key: str, format_: Format | None, entries: int) -> tuple[Arg, ...]:
    if stored == "hash":
        return ("HGETALL", key)
    if stored == "json":
        return ("JSON.GET", key)
    if stored == "list":
        newest_first = format_ is not None and format_.newest_first
        return ("LRANGE", key, 0, entries - 1) if newest_first else ("LRANGE", key, -entries, -1)
    return ("GET", key)


def _document(stored: Stored | None, reply: Any) -> tuple[Any, bytes, tuple[str, ...]]:
    if isinstance(reply, EngineError):
        return None, b"", (f"The key could not be read: {reply}",)
    if isinstance(reply, MemDBError):
        raise reply
    if reply is None or reply == []:
        return None, b"", ("The key was gone when it was read.",)
    if stored == "hash":
        pairs = {replies.key(reply[i]): replies.key(reply[i + 1]) for i in range(0, len(reply), 2)}
        return pairs, b"", _binary(pairs.values())
    if stored == "list":
        texts = [replies.key(entry) for entry in reply]
        return texts, b"\n".join(reply), _binary(texts)
    text = replies.key(reply)
    try:
        return plain_state(json.loads(text)), bytes(reply), _binary([text])
    except RecursionError:
        return None, bytes(reply), ("The value is JSON nested too deeply to be a conversation.",)
    except ValueError as exc:
        where = f": {exc.msg} at character {exc.pos + 1:,}" if isinstance(exc, json.JSONDecodeError) else ""
        return None, bytes(reply), (f"The value is not JSON{where}.", *_binary([text]))


def _binary(texts: Any) -> tuple[str, ...]:
    odd = any(not text.isascii() and _ODD.search(text) for text in texts)
    return ("The value is not all UTF-8; such bytes are shown as \\xNN.",) if odd else ()
