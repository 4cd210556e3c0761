"""The documents that filters were recorded on, and which of them a condition holds for, computed in Python.

A set of documents is an int, a bit for each: conditions are then a few operations on whole numbers.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import random
from collections.abc import Iterator
from functools import cache
from typing import Any

from memdb.cluster import replies
from memdb.cluster.dialects import STOP_WORDS, Dialect, recognise
from memdb.vectors.conditions import And, Condition, Not, Or, Range, Tag, Text
from memdb.vectors.index import Field, IndexInfo, read_info
from tests.unit.recorded import FOLDER

FILES = {
    "redisearch": "redisearch-2.10.5-conformance.jsonl.gz",
    "valkey-search": "valkey-search-1.2.1-conformance.jsonl.gz",
}
DIALECTS: dict[str, Dialect] = {
    "redisearch": recognise(
        frozenset({"FT.SEARCH", "FT.AGGREGATE", "FT.TAGVALS", "FT.CURSOR", "FT.PROFILE"})
    ),
    "valkey-search": recognise(frozenset({"FT.SEARCH", "FT.AGGREGATE"}), modules=(("search", "66049"),)),
    "memorydb": recognise(frozenset({"FT.SEARCH", "FT.AGGREGATE", "FT.PROFILE", "FT._ALIASLIST"})),
}
STEMS = {"restoring": "restore"}  # of the words that were asked for


def wire(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["base64"]) if "base64" in value else value
    if isinstance(value, list):
        return [wire(item) for item in value]
    return value.encode() if isinstance(value, str) else value


@cache
def entries(engine: str) -> list[dict[str, Any]]:
    """All recorded commands, with the description of the data before them."""
    text = gzip.decompress((FOLDER / FILES[engine]).read_bytes()).decode()
    return [json.loads(entry) for entry in text.splitlines()]


@cache
def info(engine: str, name: str = "cf") -> IndexInfo:
    for entry in entries(engine)[1:]:
        if entry["args"] == ["FT.INFO", name] and isinstance(entry["reply"], list):
            return read_info(name, replies.pairs(wire(entry["reply"])))
    raise LookupError(name)


@cache
def documents() -> list[dict[str, Any]]:
    data = entries("redisearch")[0]["data"]
    words, special = data["words"], data["special"]
    return [
        {
            "title": f"{words[(i + 1) % 13]} {words[(i * 3 + 3) % 13]}",
            "body": " ".join([*(words[(i * k + k) % 13] for k in (1, 3, 5, 7)), f"number {i}"]),
            "source": data["sources"][i % 5],
            "company_size": data["sizes"][i % 3],
            "tags": ";".join([words[(i * k + k) % 13] for k in (1, 3, 5, 7)][: 1 + i % 3]),
            "year": 2006 + i % 20,
            **({"half": i} if i % 2 == 0 else {}),
            "my-field": f"v{i % 4}",
            "odd": f"a{special[i % len(special)]}b",
        }
        for i in range(data["documents"])
    ]


def replace_fields(told: IndexInfo, fields: tuple[Field, ...]) -> IndexInfo:
    """An index of these fields alone."""
    return dataclasses.replace(told, fields=fields)


ALL = (1 << 400) - 1
_FIELDS = {"myfield": "my-field", "where_from": "source"}
_SEPARATORS = {"tags": ";", "odd": "\x1f"}


def holds(condition: Condition, *, stars: str = "", folded: bool = True) -> int:
    """The documents a condition holds for.

    Args:
        condition: any but `Raw`.
        stars: where a star in a tag's value stands for other letters: "end", "everywhere", or nowhere.
        folded: whether tags fold case.
    """
    match condition:
        case And():
            result = ALL
            for part in condition.conditions:
                result &= holds(part, stars=stars, folded=folded)
            return result
        case Or():
            result = 0
            for part in condition.conditions:
                result |= holds(part, stars=stars, folded=folded)
            return result
        case Not():
            return ALL ^ holds(condition.condition, stars=stars, folded=folded)
        case Tag():
            return _tagged(condition, stars, folded)
        case Range():
            return _ranged(condition)
        case Text():
            return _worded(condition)
    raise TypeError(condition)


def _bits(true: list[bool]) -> int:
    return sum(1 << i for i, one in enumerate(true) if one)


@cache
def _tagged(condition: Tag, stars: str, folded: bool) -> int:
    field = _FIELDS.get(condition.field, condition.field)
    low = str.lower if folded else str
    wanted = {low(value.strip(" \t\n\r\v\f")) for value in condition.values}

    def same(held: str, asked: str) -> bool:
        before = stars == "everywhere" and asked.startswith("*")
        after = bool(stars) and asked.endswith("*") and len(asked) > 2
        core = asked[before : len(asked) - after]
        if before and after:
            return core in held
        return held.endswith(core) if before else held.startswith(core) if after else held == asked

    true = []
    for document in documents():
        values = {low(v) for v in document[field].split(_SEPARATORS.get(field, ","))}
        true.append(any(same(held, asked) for held in values for asked in wanted))
    return _bits(true)


@cache
def _ranged(condition: Range) -> int:
    low = float("-inf") if condition.low is None else condition.low
    high = float("inf") if condition.high is None else condition.high
    return _bits(
        [
            (number := document.get(condition.field)) is not None
            and (low <= number if condition.include_low else low < number)
            and (number <= high if condition.include_high else number < high)
            for document in documents()
        ]
    )


@cache
def _worded(condition: Text) -> int:
    fields = condition.field.split("|") if condition.field else ["title", "body"]
    *first, last = condition.words.lower().split()
    starts = condition.mode == "prefix"  # of a word that may be none of the stop words
    asked = [word for word in first if word not in STOP_WORDS] + [last] * (starts or last not in STOP_WORDS)
    return _bits(
        [
            any(_matches(document[f].split(), asked, condition.mode) for f in fields)
            for document in documents()
        ]
    )


def _matches(held: list[str], asked: list[str], mode: str) -> bool:
    if mode == "phrase":
        return any(held[at : at + len(asked)] == asked for at in range(len(held)))
    matching = [any(_same(word, other) for other in held) for word in asked]
    if mode == "prefix":
        matching[-1] = any(other.startswith(asked[-1]) for other in held)
    return any(matching) if mode == "any" else all(matching)


def _same(asked: str, held: str) -> bool:
    if asked.startswith("*"):
        return held.endswith(asked[1:])
    if asked.startswith("%"):
        return _one_apart(asked.strip("%"), held)
    return STEMS.get(asked, asked) == held


def _one_apart(a: str, b: str) -> bool:
    """Whether one letter changed, left out or put in makes one word the other."""
    if abs(len(a) - len(b)) > 1:
        return False
    if len(a) == len(b):
        return sum(x != y for x, y in zip(a, b, strict=True)) <= 1
    longer, shorter = sorted((a, b), key=len, reverse=True)
    return any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))


EXTREMES = (-float("inf"), -1e300, -1e17, -3e-7, 0.0, 1e-5, 0.1 + 0.2, 2.0**53 + 2, 1e22, 1e300, float("inf"))


def generated(
    number: int, seed: int, *, text: bool, negation: bool, phrases: bool = True
) -> Iterator[Condition]:
    """Conditions on these documents, nested up to three deep, the same for the same seed."""
    rng = random.Random(seed)
    data = entries("redisearch")[0]["data"]
    tags = {
        "source": [*data["sources"], "PARIS", "none such", "Aws_Docs", "aws-docs"],
        "company_size": data["sizes"],
        "tags": [*data["words"], "Backup", "two words"],
        "myfield": ["v0", "v1", "v2", "v3", "v"],
        "odd": [f"a{sign}b" for sign in data["special"]] + ["a*", "*", "ab*", "*b", "{a}", 'a"', "a|b", "-a"],
    }
    words = [*data["words"], "number", "12", "7", "Amazon", "RESTORE", "nothing"]

    def leaf() -> Condition:
        kind = rng.random()
        if text and kind < 0.3:
            mode = rng.choice(["all", "any", "phrase" if phrases else "all", "prefix"])
            count = rng.choice([1, 1, 2, 2, 3])
            chosen = [rng.choice(words) for _ in range(count)]
            if mode == "prefix":
                chosen[-1] = rng.choice([word for word in words if len(word) > 1])[: rng.randint(2, 5)]
            elif rng.random() < 0.2:
                chosen.insert(rng.randrange(len(chosen) + 1), rng.choice(["the", "of", "A"]))
            return Text(rng.choice(["title", "body"]), " ".join(chosen), mode)  # type: ignore[arg-type]
        if kind < 0.7:
            field = rng.choice(list(tags))
            return Tag(field, tuple(rng.sample(tags[field], rng.choice([1, 1, 2, 3]))))
        field, span = rng.choice([("year", (2000, 2030)), ("half", (-10, 420))])
        ends = sorted(rng.randint(*span) + rng.choice([0, 0, 0.5]) for _ in range(2))
        low, high = (None if rng.random() < 0.2 else end for end in ends)
        if rng.random() < 0.1:
            high = low
        if rng.random() < 0.15:  # written with an exponent by `str`, and where no document lies
            low, high = sorted(rng.sample(EXTREMES, 2))
        return Range(field, low, high, rng.random() < 0.7, rng.random() < 0.7)

    def tree(depth: int) -> Condition:
        kind = rng.random()
        if depth == 0 or kind < 0.45:
            return leaf()
        if kind < 0.6 and negation:
            return Not(tree(depth - 1))
        parts = tuple(tree(depth - 1) for _ in range(rng.choice([1, 2, 2, 3])))
        return And(parts) if kind < 0.85 else Or(parts)

    return (tree(rng.choice([0, 1, 2, 3])) for _ in range(number))
