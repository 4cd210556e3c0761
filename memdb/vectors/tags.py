"""TAG values as an index reads them: which values a document's stored field holds, and which are the same."""

from __future__ import annotations

import json
from collections.abc import Sequence

from memdb.cluster.replies import Reply
from memdb.vectors.filters import BLANKS
from memdb.vectors.index import Field

_FOLD = str.maketrans({c: c + 32 for c in range(ord("A"), ord("Z") + 1)})  # only ASCII letters are folded


def values(stored: Reply, field: Field, *, matches: bool) -> tuple[str, ...]:
    """The different values of one document, in its spelling and order.

    Args:
        stored: the field as a reply brought it; None where the document has none.
        field: of kind TAG, as FT.INFO describes it.
        matches: the reply is JSON: a value, a list of what a path matched, or a list of such lists.
    """
    found: dict[str, str] = {}
    for text in _texts(stored) if matches else _text(stored):
        pieces = [piece.strip(BLANKS) for piece in text.split(field.separator)] if field.separator else [text]
        for piece in pieces:
            if piece or field.index_empty:
                found.setdefault(folded(piece, field), piece)
    return tuple(found.values())


def folded(value: str, field: Field) -> str:
    """Equal for values that the index takes for one."""
    return value if field.case_sensitive else value.translate(_FOLD)


def _text(stored: Reply) -> list[str]:
    if stored is None:
        return []
    return [stored.decode("utf-8", "surrogateescape") if isinstance(stored, bytes) else str(stored)]


def _texts(stored: Reply) -> list[str]:
    """Every text among what a JSON path matched; a reply that is no JSON is a text of its own."""
    plain = _text(stored)
    if not plain:
        return []
    try:
        return list(_leaves(json.loads(plain[0])))
    except ValueError:
        return plain


def _leaves(value: object) -> Sequence[str]:
    if isinstance(value, list):
        return [text for item in value for text in _leaves(item)]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [value] if isinstance(value, str) else []
