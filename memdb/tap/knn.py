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
# Words behind the query and how many arguments each has; behind those of COUNTED stands how many.
_SEARCH_WORDS = {
    **dict.fromkeys((b"SLOP", b"TIMEOUT", b"LANGUAGE", b"EXPANDER", b"SCORER", b"PAYLOAD", b"DIALECT"), 1),
    **dict.fromkeys((b"SORTBY", b"FRAGS", b"LEN", b"SEPARATOR"), 1),
    b"LIMIT": 2,
    b"FILTER": 3,
    b"GEOFILTER": 5,
    b"TAGS": 2,
}
_AGGREGATE_WORDS = {
    **dict.fromkeys((b"APPLY", b"FILTER", b"AS", b"TIMEOUT", b"DIALECT", b"SCORER", b"MAX", b"COUNT"), 1),
    **dict.fromkeys((b"REDUCE", b"MAXIDLE"), 1),
    b"LIMIT": 2,
}
_COUNTED = frozenset(b"PARAMS RETURN INKEYS INFIELDS FIELDS LOAD GROUPBY".split())
_ELSEWHERE = frozenset((b"INKEYS", b"INFIELDS"))  # they narrow a search, and no filter says the same
_SPECIAL, _ESCAPED = re.compile(r"(\W)"), r"\\\1"
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
        words: the command and its arguments, as sent. What FILTER and GEOFILTER say beside the query becomes
            part of the filter.
    """
    try:
        return _read(words) if likely(words) else None
    except UnicodeDecodeError:  # a name or a filter that is no text
        return None


def _read(words: Sequence[bytes]) -> KnnCall | None:
    clause, behind = _clause(words[2]), _behind(words)
    if clause is None or not _ELSEWHERE.isdisjoint(name for name, _ in behind):
        return None
    bound = _params(behind)
    k, vector = _number(clause.said_k, bound), bound.get(clause.vector)
    ef_runtime = _number(clause.said_ef, bound) if clause.said_ef else None
    if not k or not vector or (clause.said_ef and not ef_runtime):
        return None
    filter_params = tuple(
        (name, _text(bound[name])) for name in clause.names if name in bound and name != clause.vector
    )
    beside = [] if words[0].upper() == b"FT.AGGREGATE" else _conditions(behind)
    parts = [f"({clause.filter})" if beside else clause.filter] * (not beside or clause.filter != "*")
    condition = " ".join([*parts, *beside])
    return KnnCall(_text(words[1]), clause.field, condition, filter_params, k, ef_runtime, vector)


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


def _behind(words: Sequence[bytes]) -> list[tuple[bytes, Sequence[bytes]]]:
    """The words behind the query, in capitals, each with its arguments."""
    known = _AGGREGATE_WORDS if words[0].upper() == b"FT.AGGREGATE" else _SEARCH_WORDS
    told, place = [], 3
    while place < len(words):
        name = words[place].upper()
        place += 1
        arguments = known.get(name, 0)
        sorted_by = name == b"SORTBY" and known is _AGGREGATE_WORDS
        if name in _COUNTED or sorted_by:
            arguments = (whole_number(words[place]) or 0) if place < len(words) else 0
            place += 1
        told.append((name, words[place : place + arguments]))
        place += arguments
    return told


def _params(behind: Sequence[tuple[bytes, Sequence[bytes]]]) -> Mapping[str, bytes]:
    """The names and values behind PARAMS."""
    pairs = next((arguments for name, arguments in behind if name == b"PARAMS"), ())
    return {
        name.decode("utf-8", "replace"): value for name, value in zip(pairs[::2], pairs[1::2], strict=False)
    }


def _conditions(behind: Sequence[tuple[bytes, Sequence[bytes]]]) -> list[str]:
    """FILTER and GEOFILTER as the query would say them."""
    return [
        f"@{_SPECIAL.sub(_ESCAPED, _text(arguments[0]))}:[{' '.join(map(_text, arguments[1:]))}]"
        for name, arguments in behind
        if name in (b"FILTER", b"GEOFILTER") and arguments
    ]


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
