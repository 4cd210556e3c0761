"""Reading a stored hash whatever it holds: bounded, in few round trips, without decoding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memdb.cluster import possible, replies
from memdb.cluster.client import Client
from memdb.cluster.possible import SIZE
from memdb.display import bytes_text, line, plain
from memdb.errors import EngineError, MemDBError, NotFound
from memdb.sessions.size import memory_usage

VALUE_BYTES = 8 * 2**20  # a value over this is named, not read
TOTAL_BYTES = 32 * 2**20  # of one hash
FIELDS = 200  # a hash with more fields is read only where something is expected


@dataclass(frozen=True, slots=True)
class StoredField:
    """One field as stored. Texts made from it belong through `memdb.display` before they are shown."""

    name: str  # bytes that are not UTF-8 kept as lone surrogates, see replies.key
    size_bytes: int
    value: bytes | None = None  # None: too large to read

    @property
    def text(self) -> str:
        """The value as text, bytes that are not UTF-8 as lone surrogates; empty where it was not read."""
        return replies.key(self.value) if self.value is not None else ""

    @property
    def utf8(self) -> bool:
        """Whether the value is text."""
        if self.value is None:
            return False
        try:
            self.value.decode()
        except UnicodeDecodeError:
            return False
        return True

    def preview(self, limit: int = 2_000) -> str:
        """At most `limit` characters (and a note of the rest), safe to show as text."""
        if self.value is None:
            return f"({bytes_text(self.size_bytes)}, not read)"
        start = 4 * limit + 16  # no more is decoded than is shown: a character takes at most four bytes
        if len(self.value) <= start:
            return plain(self.text, limit)
        return (
            f"{plain(replies.key(self.value[:start])[:limit], limit)}… ({bytes_text(self.size_bytes)} in all)"
        )


@dataclass(frozen=True, slots=True)
class StoredHash:
    """A hash with what the server knows of its key."""

    key: str
    fields: tuple[StoredField, ...]  # the expected ones first
    ttl_s: float | None  # None: it never expires
    size_bytes: int | None
    size_note: str  # why the size is not known
    left_out: int  # fields that were not read at all

    def field(self, name: str) -> StoredField | None:
        """The field with this name."""
        return next((f for f in self.fields if f.name == name), None)


def read_hash(client: Client, key: str, expected: Sequence[str], what: str) -> StoredHash:
    """Read a hash in four round trips: at most FIELDS fields, VALUE_BYTES a value, TOTAL_BYTES in all.

    Args:
        client: where to read.
        key: as `replies.key` gives it.
        expected: fields that are read first, however many there are.
        what: a word for messages, e.g. "session".

    Raises:
        NotFound: no such key.
        EngineError: the key holds another type.
    """
    kind, ttl, length, size = client.pipeline(
        [("TYPE", key), ("PTTL", key), ("HLEN", key), memory_usage(key)], errors_as_values=True
    )
    stored_as = replies.text(raised(kind))
    if stored_as == "none":
        raise NotFound(key, what)
    if stored_as != "hash":
        raise EngineError(
            f"'{shown_key(key)}' is no {what}: it holds a {stored_as}, not a hash.",
            "Choose a key that holds a hash.",
        )
    total = replies.integer(raised(length))
    names = list(expected)
    if total <= FIELDS:
        stored = [replies.key(name) for name in replies.items(client.execute("HKEYS", key))]
        names = sorted(stored, key=lambda n: (expected.index(n) if n in expected else len(expected), n))
    fields = _fields(client, key, names)
    if not fields and not client.execute("EXISTS", key):
        raise NotFound(key, what)
    note = str(size) if isinstance(size, MemDBError) else possible.refusal(size, SIZE, "MEMORY USAGE")
    return StoredHash(
        key,
        fields,
        seconds(raised(ttl)),
        possible.size(size),
        note,
        max(0, total - len(fields)),
    )


def readable(sizes: Iterable[int], *, each: int, total: int) -> list[bool]:
    """Which values of these sizes to read: none over `each`, and in order while the sum is within `total`."""
    chosen = []
    for size in sizes:
        fits = size <= each and size <= total
        total -= size if fits else 0
        chosen.append(fits)
    return chosen


def seconds(pttl: object) -> float | None:
    """A PTTL reply in seconds; None where the key never expires (or is gone)."""
    pttl_ms = replies.integer(pttl)
    return None if pttl_ms < 0 else pttl_ms / 1000


def raised(reply: object) -> object:
    """The reply, unless it is an error put in its place."""
    if isinstance(reply, MemDBError):
        raise reply
    return reply


def shown_key(key: str) -> str:
    """A key for a message."""
    return line(key, 120)


def _fields(client: Client, key: str, names: list[str]) -> tuple[StoredField, ...]:
    sizes = [replies.integer(n) for n in client.pipeline([("HSTRLEN", key, name) for name in names])]
    chosen = readable(sizes, each=VALUE_BYTES, total=TOTAL_BYTES)
    wanted = [name for name, fits in zip(names, chosen, strict=True) if fits]
    values = dict(
        zip(wanted, replies.items(client.execute("HMGET", key, *wanted)) if wanted else [], strict=True)
    )
    fields = []
    for name, size, fits in zip(names, sizes, chosen, strict=True):
        value = values.get(name)
        if fits and isinstance(value, bytes):
            fields.append(StoredField(name, len(value), value))
        elif not fits:
            fields.append(StoredField(name, size))
    return tuple(fields)
