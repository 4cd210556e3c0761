"""Values of keys of any kind, bounded and parsed: what formats are read from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from memdb.cluster import possible, replies
from memdb.cluster.client import Arg, Client, Command
from memdb.display import bytes_text, line
from memdb.errors import EngineError, MemDBError
from memdb.json_text import json_text
from memdb.sessions.checkpoint import plain_state
from memdb.sessions.entries import problems_told
from memdb.sessions.hashes import VALUE_BYTES, StoredField, seconds
from memdb.sessions.mapping import SEQUENCES, TYPES, Format, Stored
from memdb.sessions.messages import is_entry
from memdb.sessions.number_types import guessed
from memdb.sessions.packed import named, unpacked, wide_text
from memdb.sessions.size import memory_usage
from memdb.sessions.wrapped import parsed, time_in

ENTRIES = 500  # of a list, the newest
FIRST = 5  # of a list that is not read whole, the oldest: how it began
LENGTHS = {"list": "LLEN", "stream": "XLEN", "zset": "ZCARD"}
_STORED: dict[str, Stored] = {type_name: stored for stored, type_name in TYPES.items()}


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
    note: str = ""  # why only a part of it was read, a sentence
    entries: int = 0  # of a list, stream or sorted set; `document` has some of them
    first: tuple[Any, ...] = ()  # of one that was not read whole, its oldest entries

    @property
    def whole(self) -> bool:
        """False: too large, so that nothing or only some entries were read."""
        return not self.note

    @property
    def earlier(self) -> int:
        """Entries of a list, stream or sorted set that were not read."""
        return max(0, self.entries - len(self.document or ())) if self.stored in SEQUENCES else 0

    @property
    def fields(self) -> tuple[StoredField, ...]:
        """What is stored, field by field where it is a hash, else as one."""
        if self.stored == "hash" and isinstance(self.document, dict):
            return tuple(
                StoredField(name, len(value), value)
                for name, value in ((n, _bytes(v)) for n, v in self.document.items())
            )
        return (StoredField(self.key, len(self.raw), self.raw or None),) if self.stored else ()


def values(
    client: Client,
    keys: Sequence[str],
    format_: Format | None = None,
    *,
    each: int = VALUE_BYTES,
    total: int,
    entries: int = ENTRIES,
) -> list[Value]:
    """Values in few round trips; no key over `each` bytes of server memory is read, nor more than `total`.

    Args:
        client: where to read.
        keys: of any type; one that expired meanwhile comes as kind "none".
        format_: tells at which end of a list the newest entry is.
        each: bytes of server memory that a value may take to be read.
        total: of all values that are read.
        entries: newest ones of a list that are read at most, as many as fit, beside its FIRST oldest.
    """
    facts_asked: list[Command] = []
    for key in keys:
        facts_asked += [("TYPE", key), ("PTTL", key), memory_usage(key)]
    facts = client.pipeline(facts_asked, errors_as_values=True)
    commands: list[tuple[Arg, ...]] = []
    rows = []
    told_of = {key: replies.text(kind) for key, kind in zip(keys, facts[::3], strict=True)}
    lists = [key for key in keys if _STORED.get(told_of[key]) in SEQUENCES]
    lengths = client.pipeline([(LENGTHS[told_of[key]], key) for key in lists], errors_as_values=True)
    length = {key: max(1, replies.integer(n)) for key, n in zip(lists, lengths, strict=True)}
    newest_first = format_ is not None and format_.newest_first
    for key, kind, ttl, size in zip(keys, facts[::3], facts[1::3], facts[2::3], strict=True):
        for reply in (kind, ttl):
            if isinstance(reply, MemDBError):
                raise reply
        type_name = replies.text(kind)
        stored = _STORED.get(type_name)
        memory = possible.size(size)
        cost = memory or 0
        fits = 1 if cost <= each and cost <= total else 0
        if (
            stored in SEQUENCES
        ):  # entries are taken for equally large: MEMORY USAGE looks at some of them only
            fits = min(entries, length[key], int(min(each, max(0, total)) * length[key] / max(cost, 1)))
            cost = round(cost * fits / length[key])
        wanted = stored is not None and fits > 0
        if wanted:
            total -= cost
            commands.append(_reading(stored, key, fits, newest_first=newest_first))
            if stored in SEQUENCES and fits < length[key]:
                commands.append(_reading(stored, key, min(FIRST, fits), newest_first=not newest_first))
        rows.append((key, type_name, stored, seconds(ttl), memory, wanted, fits))
    answers = iter(client.pipeline(commands, errors_as_values=True))
    read = []
    for key, type_name, stored, ttl, memory, wanted, fits in rows:
        document, raw = None, b""
        problems: tuple[str, ...] = ()
        oldest: tuple[str, ...] = ()
        note, count = "", length.get(key, 0)
        if wanted:
            document, raw, problems = _document(stored, next(answers), newest_first=newest_first)
            if stored in SEQUENCES and fits < count:
                note = f"Of {count:,} entries the newest {fits:,} were read."
                began, _, _ = _document(stored, next(answers), newest_first=not newest_first)
                if isinstance(began, list):
                    oldest = tuple(began)
        elif stored is not None:
            note = f"The value takes {bytes_text(memory)} and was not read."
            problems = (note,)
        elif type_name != "none":
            problems = (f"The key holds a {type_name}, which no format reads.",)
        read.append(Value(key, stored, type_name, document, raw, memory, ttl, problems, note, count, oldest))
    return read


def reading(format_: Format, key: str) -> tuple[Arg, ...]:
    """The command that reads a key of this format."""
    return _reading(format_.stored, key, ENTRIES, newest_first=format_.newest_first)


def _reading(stored: Stored | None, key: str, entries: int, *, newest_first: bool) -> tuple[Arg, ...]:
    if stored == "hash":
        return ("HGETALL", key)
    if stored == "json":
        return ("JSON.GET", key)
    if stored == "stream":
        ends = ("XRANGE", key, "-", "+") if newest_first else ("XREVRANGE", key, "+", "-")
        return (*ends, "COUNT", entries)
    if stored in ("list", "zset"):
        part = (0, entries - 1) if newest_first else (-entries, -1)
        return ("LRANGE", key, *part) if stored == "list" else ("ZRANGE", key, *part, "WITHSCORES")
    return ("GET", key)


def _document(stored: Stored | None, reply: Any, *, newest_first: bool) -> tuple[Any, bytes, tuple[str, ...]]:
    """A value as JSON has it, as its bytes, and what is wrong; entries in their stored order."""
    if isinstance(reply, EngineError):
        return None, b"", (f"The key could not be read: {reply}",)
    if isinstance(reply, MemDBError):
        raise reply
    if reply is None or reply == []:
        return None, b"", ("The key was gone when it was read.",)
    if stored == "hash":
        return _hash(reply)
    if stored == "list":
        texts, problems = _entries(reply)
        return texts, b"\n".join(reply), problems
    if stored == "stream":
        return _stream(reply if newest_first else reply[::-1])
    if stored == "zset":
        return _sorted_set(reply)
    value = unpacked(bytes(reply))
    return plain_state(value.document) if value.readable else None, bytes(reply), value.problems


def _hash(reply: Sequence[Any]) -> tuple[dict[str, Any], bytes, tuple[str, ...]]:
    """Fields as texts. A field that is packed is opened; a vector stays as it is."""
    fields: dict[str, Any] = {}
    problems: list[str] = []
    for i in range(0, len(reply), 2):
        name, value = replies.key(reply[i]), reply[i + 1]
        wide = wide_text(value)
        fields[name] = replies.key(value) if wide is None else wide
        if wide is not None:
            problems.append(f"The field '{line(name, 60)}' is in UTF-16 or UTF-32.")
        elif not value.isascii() or value[:1] in (b"x", b"a", b"O") or _sealed(value):
            what = f"The field '{line(name, 60)}'"
            opened = unpacked(value, what)
            if opened.readable and not isinstance(opened.document, str | int | float):
                fields[name] = opened.document
            if _plain_text(value) or _vector(value):
                continue
            # A field need not be JSON: what is not text is told as that, or by its name where it has one.
            text = not opened.readable and any("is not JSON" in problem for problem in opened.problems)
            problems += (
                [f"{what} is not all UTF-8; such bytes are shown as \\xNN."] if text else opened.problems
            )
    return fields, b"", _few(problems)


def _stream(reply: Sequence[Any]) -> tuple[list[Any], bytes, tuple[str, ...]]:
    """Entries of a stream: the fields of each, or the message that its only field holds, and when it came."""
    entries: list[Any] = []
    problems: list[str] = []
    raw: list[bytes] = []
    for id_, pairs in reply:
        fields, _, field_problems = _hash(pairs or ())
        only = parsed(next(iter(fields.values()))) if len(fields) == 1 else None
        if isinstance(only, str) and is_entry(only):  # "User: Hi"
            entries.append(only)
        else:
            entries.append(_at(only if isinstance(only, dict) else fields, bytes(id_).partition(b"-")[0]))
        problems += field_problems
        raw.append(b" ".join((id_, *(pairs or ()))))
    return entries, b"\n".join(raw), _few(problems)


def _sorted_set(reply: Sequence[bytes]) -> tuple[list[Any], bytes, tuple[str, ...]]:
    """Members of a sorted set by their scores, which are times where they can be."""
    texts, problems = _entries(reply[::2])
    entries: list[Any] = []
    for text, score in zip(texts, reply[1::2], strict=True):
        message = parsed(text)
        entries.append(_at(message, bytes(score)) if isinstance(message, dict) else text)
    return entries, b"\n".join(reply[::2]), problems


def _at(entry: dict[str, Any], score: bytes) -> dict[str, Any]:
    """An entry with the time that its place in the key tells, unless it tells one itself."""
    try:
        number = float(score)
    except ValueError:
        return entry
    # A score may be a number of a place: what is before 1973 is no time.
    if not 1e8 <= number < 1e20 or time_in(entry) is not None:
        return entry
    return {**entry, "timestamp": number}


def _sealed(value: bytes) -> bool:
    return value[:6] in (b"gAAAAA", b"U2FsdG", b"Salted") or value[:3] == b"eyJ"


def _plain_text(value: bytes) -> bool:
    """Whether it is a text in UTF-8 that need not be JSON."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return named(value) == ""


def _vector(value: bytes) -> bool:
    """Whether bytes can be a vector, of numbers of any type."""
    return not named(value) and guessed(value, 4) != ""


def _entries(reply: Sequence[bytes]) -> tuple[list[str], tuple[str, ...]]:
    """Entries of a list as texts, and what is wrong: one sentence for all that are packed alike."""
    texts, problems, packed = [], [], Counter[str]()
    for place, entry in enumerate(reply, 1):
        text, problem, packing = _entry(entry, f"Entry {place:,} as stored")
        texts.append(text)
        if packing:
            packed[packing] += 1
        elif problem:
            problems.append(problem)
    sentences = [f"{number:,} of {len(reply):,} entries are {how}." for how, number in packed.items()]
    return texts, (*sentences, *_few(problems))


def _entry(entry: bytes, what: str) -> tuple[str, str, str]:
    """An entry as text, or as JSON where it was packed; what is wrong with it; how it was packed."""
    if (wide := wide_text(entry)) is not None:
        return wide, "", "in UTF-16 or UTF-32"
    if _plain_text(entry) and (entry[:1] in (b"{", b"[") or not (_sealed(entry) or entry[:1] == b"x")):
        return replies.key(entry), "", ""
    opened = unpacked(entry, what)
    if opened.readable:
        how = next((problem.removeprefix(f"{what} is ") for problem in opened.problems), "").rstrip(".")
        packing = how.partition(",")[0] + (")" if "(" in how else "")
        if packing.startswith(("compressed", "MessagePack")):
            return json_text(opened.document, ascii_only=False), "", packing
        return replies.key(entry), "", ""
    return replies.key(entry), "" if _plain_text(entry) else opened.problems[0], ""


def _few(problems: Sequence[str]) -> tuple[str, ...]:
    return tuple(problems_told(problems))


def _bytes(value: Any) -> bytes:
    text = value if isinstance(value, str) else json_text(value, ascii_only=False)
    return text.encode("utf-8", "surrogateescape" if isinstance(value, str) else "strict")
