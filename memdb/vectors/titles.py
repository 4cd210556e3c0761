"""Which field of a document is its title, and what a document is called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.display import line
from memdb.errors import MemDBError
from memdb.vectors import stored
from memdb.vectors.index import Field, IndexInfo
from memdb.vectors.search import KnnResult

TITLES = ("title", "name", "subject", "heading")  # the earlier one wins
LENGTH = 120  # characters of a title
_LAST = re.compile(r"[\w-]+$")


def title_field(info: IndexInfo) -> Field | None:
    """The field that is called like a title, by its name or by the end of its path ($.doc.title)."""
    ranked = [(min(_rank(f.name), _rank(f.identifier)), f) for f in info.fields if f.kind in {"TEXT", "TAG"}]
    best = min(ranked, key=lambda item: item[0], default=None)
    return best[1] if best is not None and best[0] < len(TITLES) else None


def text_field(info: IndexInfo) -> Field | None:
    """The title, or the first TEXT field where none is called like one: what a document is about."""
    return title_field(info) or next(iter(info.of_kind("TEXT")), None)


def is_title(name: str) -> bool:
    """Whether a field of this name or path is called like a title."""
    return _rank(name) < len(TITLES)


def title_of(
    fields: Mapping[str, str], key: str, info: IndexInfo | None = None, *, length: int = LENGTH
) -> str:
    """What a document is called: the first title among its fields that says something, else its key.

    Args:
        fields: name → text, as a hit returns them.
        key: of the document.
        info: of its index, which knows a title behind an alias.
        length: characters at most.
    """
    identifiers = {} if info is None else {f.name: f.identifier for f in info.fields}
    named = sorted((min(_rank(name), _rank(identifiers.get(name, ""))), name) for name in fields)
    title = next((fields[name] for rank, name in named if rank < len(TITLES) and fields[name].strip()), "")
    return line(title, length) or line(key, length)


def titles_in(info: IndexInfo, result: KnnResult) -> dict[str, str]:
    """What each hit of a search is called, from the fields it came with."""
    return {key: title_of(fields, key, info) for key, fields in zip(result.keys, result.fields, strict=True)}


def titles_of(
    client: Client, info: IndexInfo, keys: Sequence[str], *, length: int = LENGTH
) -> dict[str, str]:
    """What each document is called, read from the documents: one round trip a thousand.

    A document whose field cannot be read is called by its key.
    """
    named = title_field(info)
    values: list[replies.Reply] = [None] * len(keys)
    if named is not None and keys:
        with suppress(MemDBError):  # a title is a help, never a reason to show nothing
            values = stored.values(client, info, named, keys)
    return {
        key: line(replies.text(value), length) or line(key, length)
        for key, value in zip(keys, values, strict=True)
    }


def _rank(name: str) -> int:
    """The place among TITLES of what a name or path ends with; beyond them where it is none."""
    last = _LAST.search(name.lower())
    return TITLES.index(last.group()) if last and last.group() in TITLES else len(TITLES)
