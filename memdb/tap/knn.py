"""A nearest-neighbour search as an application sends it, read from the words of its command. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from memdb.numerals import whole_number

COMMANDS = (b"FT.SEARCH", b"FT.AGGREGATE")
# `filter=>[KNN 10 @field $vec EF_RUNTIME 64 AS d]=>{$EF_RUNTIME: 64}`: the last clause of the query.
_CLAUSE = re.compile(
    r"(?P<filter>.*)=>\s*\[\s*KNN\s+(?P<k>\$?\w+)\s+@(?P<field>(?:\\.|[^\s\]])+)\s+\$(?P<vector>\w+)(?P<more>[^\]]*)\]"
    r"\s*(?:=>\s*\{(?P<attributes>[^}]*)\}\s*)?$",
    re.IGNORECASE | re.DOTALL,
)
_EF = re.compile(r"\bEF_RUNTIME\b\s*:?\s*(\$?\w+)", re.IGNORECASE)
_PARAMETER = re.compile(r"\$(\w+)")
_LIKELY = re.compile(rb"=>\s*\[\s*KNN\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KnnCall:
    """What one search asked for. Other words of the command are not kept."""

    index: str
    field: str
    filter: str  # in the engine's words, without the KNN clause; "*" for all
    filter_params: tuple[tuple[str, str], ...]  # values of the $names in the filter
    k: int
    ef_runtime: int | None  # None: the index's own
    vector: bytes  # as sent: of the type of the index


def likely(words: Sequence[bytes]) -> bool:
    """Whether a command is worth reading: cheap, and True for every one that `read` understands."""
    return len(words) > 4 and words[0].upper() in COMMANDS and _LIKELY.search(words[2]) is not None


def read(words: Sequence[bytes]) -> KnnCall | None:
    """The search of a command; None where it is no KNN search, or not one that an engine would take.

    Args:
        words: the command and its arguments, as sent.
    """
    try:
        return _read(words) if likely(words) else None
    except UnicodeDecodeError:  # a name or a filter that is no text
        return None


def _read(words: Sequence[bytes]) -> KnnCall | None:
    clause = _clause(words[2])
    bound = _params(words)
    if clause is None:
        return None
    k, vector = _number(clause.said_k, bound), bound.get(clause.vector)
    ef_runtime = _number(clause.said_ef, bound) if clause.said_ef else None
    if not k or not vector or (clause.said_ef and not ef_runtime):
        return None
    filter_params = tuple(
        (name, _text(bound[name])) for name in clause.names if name in bound and name != clause.vector
    )
    return KnnCall(_text(words[1]), clause.field, clause.filter, filter_params, k, ef_runtime, vector)


class _Clause(NamedTuple):
    filter: str
    names: tuple[str, ...]  # of parameters in the filter
    said_k: str  # a number or a $name, as all below
    field: str
    vector: str
    said_ef: str


@lru_cache(maxsize=256)  # an application has few templates
def _clause(query: bytes) -> _Clause | None:
    text = _text(query)
    clause = _CLAUSE.match(text)
    if clause is None:
        return None
    ef = _EF.search(clause["attributes"] or "") or _EF.search(clause["more"])
    condition = clause["filter"].strip() or "*"
    while condition.startswith("(") and condition.endswith(")") and _encloses(condition):
        condition = condition[1:-1].strip() or "*"
    return _Clause(
        condition,
        tuple(dict.fromkeys(_PARAMETER.findall(condition))),
        clause["k"],
        re.sub(r"\\(.)", r"\1", clause["field"]),
        clause["vector"],
        ef[1] if ef else "",
    )


def _params(words: Sequence[bytes]) -> Mapping[str, bytes]:
    """The names and values behind PARAMS."""
    for place in range(3, len(words) - 1):
        if words[place].upper() == b"PARAMS" and (count := whole_number(words[place + 1])) is not None:
            pairs = words[place + 2 : place + 2 + count]
            return {
                name.decode("utf-8", "replace"): value
                for name, value in zip(pairs[::2], pairs[1::2], strict=False)
            }
    return {}


def _number(word: str, bound: Mapping[str, bytes]) -> int | None:
    text = bound.get(word[1:], b"").decode("utf-8", "replace") if word.startswith("$") else word
    return whole_number(text, most_digits=9)


def _encloses(text: str) -> bool:
    """Whether the first bracket closes at the end: `(a) | (b)` must keep both."""
    depth, place = 0, 0
    while place < len(text):
        sign = text[place]
        if sign == "\\":
            place += 1
        elif sign == '"':
            closing = re.compile(r'(?:\\.|[^"\\])*"').match(text, place + 1)
            place = closing.end() - 1 if closing else len(text)
        elif sign == "(":
            depth += 1
        elif sign == ")":
            depth -= 1
            if not depth and place < len(text) - 1:
                return False
        place += 1
    return depth == 0


def _text(raw: bytes) -> str:
    return raw.decode("utf-8")
