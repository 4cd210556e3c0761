"""TAG values as an index reads them: which values a document's stored field holds, and which are the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from memdb.cluster.client import Client
from memdb.cluster.replies import Reply
from memdb.vectors import stored
from memdb.vectors.filters import BLANKS
from memdb.vectors.index import Field, IndexInfo

_FOLD = str.maketrans({c: c + 32 for c in range(ord("A"), ord("Z") + 1)})  # only ASCII letters are folded


def values(content: Reply, field: Field, *, matches: bool) -> tuple[str, ...]:
    """The different values of one document, in its spelling and order.

    Args:
        content: the field as a reply brought it; None where the document has none.
        field: of kind TAG, as FT.INFO describes it.
        matches: the reply is JSON: a value, a list of what a path matched, or a list of such lists.
    """
    spellings: dict[str, str] = {}
    for text in _texts(content) if matches else _text(content):
        pieces = [piece.strip(BLANKS) for piece in text.split(field.separator)] if field.separator else [text]
        for piece in pieces:
            if piece or field.index_empty:
                spellings.setdefault(folded(piece, field), piece)
    return tuple(spellings.values())


def held(client: Client, info: IndexInfo, field: Field, keys: Sequence[str]) -> list[tuple[str, ...]]:
    """The values of some documents, each in the most frequent spelling among them.

    One round trip a thousand documents.
    """
    every = [values(raw, field, matches=info.on == "JSON") for raw in stored.raw(client, info, field, keys)]
    spellings: dict[str, Counter[str]] = {}
    for document in every:
        for value in document:
            spellings.setdefault(folded(value, field), Counter())[value] += 1
    named = {
        same: min(counts.items(), key=lambda item: (-item[1], item[0]))[0]
        for same, counts in spellings.items()
    }
    return [tuple(named[folded(value, field)] for value in document) for document in every]


def most_frequent(spellings: Counter[str]) -> str:
    """The spelling seen most often; of equally frequent ones the first by the alphabet."""
    return min(spellings.items(), key=lambda item: (-item[1], item[0]))[0]


def folded(value: str, field: Field) -> str:
    """Equal for values that the index takes for one."""
    return value if field.case_sensitive else value.translate(_FOLD)


def _text(content: Reply) -> list[str]:
    if content is None:
        return []
    return [content.decode("utf-8", "surrogateescape") if isinstance(content, bytes) else str(content)]


def _texts(content: Reply) -> list[str]:
    """Every text among what a JSON path matched; a reply that is no JSON is a text of its own."""
    plain = _text(content)
    if not plain:
        return []
    try:
        return list(_leaves(json.loads(plain[0])))
    except (ValueError, RecursionError):
        return plain


def _leaves(value: object) -> Sequence[str]:
    if isinstance(value, list):
        return [text for item in value for text in _leaves(item)]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [value] if isinstance(value, str) else []
