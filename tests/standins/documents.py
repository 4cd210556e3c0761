"""The documents of an index, read from their keys, and which of them a filter takes.

Nothing of it is asked of the engine's own search: its grammar, its tags, its words and its numbers differ.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import snowballstemmer
from numpy.typing import NDArray

from tests.standins.grammar import Both, Either, Knn, Node, Span, Tags, Without, Word, lowered
from tests.standins.schema import Field, Index

_FOLD = bytes.maketrans(bytes(range(65, 91)), bytes(range(97, 123))).decode("latin-1")
_STEMMER = snowballstemmer.stemmer("english")
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Document:
    """A key and the values of the index's fields in it."""

    key: bytes
    values: dict[str, Any]  # by a field's alias: text, of one character a byte; of JSON what the path has

    def text(self, field: Field) -> str | None:
        value = self.values.get(field.alias)
        if isinstance(value, list):
            return field.separator.join(map(str, value))
        return None if value is None else str(value)

    def tags(self, field: Field) -> frozenset[str]:
        value = self.values.get(field.alias)
        parts = (
            value if isinstance(value, list) else str("" if value is None else value).split(field.separator)
        )
        kept = (str(part).strip(" \t\n\v\f\r") for part in parts)
        return frozenset(part if field.case_sensitive else folded(part) for part in kept if part)

    def number(self, field: Field) -> float | None:
        return numeric(self.values.get(field.alias))


class Documents:
    """What an index holds at a moment."""

    def __init__(self, index: Index, documents: list[Document]) -> None:
        self.index, self.all = index, documents
        self._words: dict[tuple[bytes, str], list[str]] = {}
        self._taken: dict[tuple[str, bool, bool], list[Document]] = {}

    @cached_property
    def by_key(self) -> dict[bytes, Document]:
        return {document.key: document for document in self.all}

    @cached_property
    def vectors(self) -> dict[str, tuple[list[Document], Floats]]:
        """Of each vector field the documents that have a vector of its length, and the vectors (n, d)."""
        made = {}
        for field in self.index.fields:
            if field.kind == "VECTOR":
                pairs = [
                    (document, row)
                    for document in self.all
                    if (row := vector(document.values.get(field.alias), field)) is not None
                ]
                rows = np.array([row for _, row in pairs], np.float32).reshape(-1, field.dimensions)
                made[field.alias] = ([document for document, _ in pairs], rows)
        return made

    def holding(self, field: Field) -> list[Document]:
        """Those whose value of a field is indexed."""
        if field.kind == "VECTOR":
            return self.vectors[field.alias][0]
        has: dict[str, Callable[[Document], bool]] = {
            "TAG": lambda document: bool(document.tags(field)),
            "NUMERIC": lambda document: document.number(field) is not None,
            "TEXT": lambda document: document.text(field) is not None,
        }
        return list(filter(has[field.kind], self.all))

    def taken(
        self, text: str, node: Node | None, *, graph: bool = False, verbatim: bool = False
    ) -> list[Document]:
        """The documents a filter takes; `graph`: as while the graph is walked, with its faults."""
        if node is None:
            return self.all
        name = (text, graph, verbatim)
        if name not in self._taken:
            negated = graph and has_negation(node)
            holds = [d for d in self.all if self._holds(node, d, graph and not negated, False)]
            if len(self._taken) > 200:
                self._taken.clear()
            self._taken[name] = holds
        return self._taken[name]

    def _holds(self, node: Node, document: Document, graph: bool, from_or: bool) -> bool:
        if isinstance(node, Both):
            words = [part for part in node.parts if isinstance(part, Word)]
            for part in node.parts:
                # The engine's fault: words beside another condition are believed to be decided already.
                if isinstance(part, Word) and graph and not from_or:
                    continue
                if not self._holds(part, document, graph, from_or):
                    return False
            ordered = node.slop is not None or node.inorder
            if ordered and len(words) > 1 and not (graph and not from_or):
                return self._near(words, document, node.slop, node.inorder)
            return True
        if isinstance(node, Either):
            return any(self._holds(part, document, graph, True) for part in node.parts)
        if isinstance(node, Without):
            return not self._holds(node.part, document, graph, from_or)
        if isinstance(node, Tags):
            return _has_tag(node, document)
        if isinstance(node, Span):
            value = document.number(node.field)
            return value is not None and _within(node, value)
        return any(
            _reads(node, word, self.index, field, stemmed=not graph)
            for field in node.fields
            for word in self.words(document, field)
        )

    def words(self, document: Document, field: Field) -> list[str]:
        """The words of a TEXT field in their order; stop words leave no place behind."""
        name = (document.key, field.alias)
        if name not in self._words:
            self._words[name] = words_of(document.text(field) or "", self.index)
        return self._words[name]

    def _near(self, words: list[Word], document: Document, slop: int | None, inorder: bool) -> bool:
        fields = set(words[0].fields).intersection(*(word.fields for word in words))
        return any(self._in_field(words, document, field, slop, inorder) for field in fields)

    def _in_field(
        self, words: list[Word], document: Document, field: Field, slop: int | None, inorder: bool
    ) -> bool:
        read = self.words(document, field)
        places = [
            [at for at, text in enumerate(read) if _reads(word, text, self.index, field, stemmed=True)]
            for word in words
        ]

        def follows(chosen: tuple[int, ...], rest: list[list[int]]) -> bool:
            if not rest:
                ordered = list(chosen) == sorted(chosen)
                gaps = max(chosen) - min(chosen) + 1 - len(chosen)
                return (ordered or not inorder) and (slop is None or gaps <= slop)
            return any(follows((*chosen, at), rest[1:]) for at in rest[0] if at not in chosen)

        return follows((), places)

    def nearest(self, knn: Knn, among: list[Document] | None = None) -> list[tuple[Document, float]]:
        """All vectors of a field, or those of some documents, by distance; those that are no numbers last."""
        documents, rows = self.vectors[knn.field.alias]
        if among is not None:
            kept = {document.key for document in among}
            chosen = [at for at, document in enumerate(documents) if document.key in kept]
            documents, rows = [documents[at] for at in chosen], rows[chosen]
        distances = distance(np.frombuffer(knn.blob, "<f4"), rows, knn.field.metric)
        order = np.argsort(distances, kind="stable")
        return [(documents[at], float(distances[at])) for at in order]


def distance(query: Floats, rows: Floats, metric: str) -> Floats:
    """Distances (n,) of a query (d,) to rows (n, d), in the engine's precision."""
    with np.errstate(all="ignore"):
        if metric == "L2":
            gaps = rows - query
            return np.sum(gaps * gaps, axis=1, dtype=np.float32)
        if metric == "COSINE":
            query = query / np.float32(np.linalg.norm(query)) if query.any() else query
            norms = np.linalg.norm(rows, axis=1, keepdims=True).astype(np.float32)
            rows = rows / np.where(norms == 0, np.float32(1), norms)
        return np.float32(1) - (rows @ query).astype(np.float32)


def vector(value: Any, field: Field) -> Floats | None:
    """A value as a vector (d,); None where it has another length."""
    if isinstance(value, list):
        numbers = value[0] if len(value) == 1 and isinstance(value[0], list) else value
        if len(numbers) != field.dimensions or not all(isinstance(n, int | float) for n in numbers):
            return None
        return np.array(numbers, np.float32)
    if not isinstance(value, str) or len(value) != 4 * field.dimensions:
        return None
    return np.frombuffer(value.encode("latin-1"), "<f4")


def numeric(value: Any) -> float | None:
    """A value as a number; None where it is none."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def words_of(text: str, index: Index) -> list[str]:
    """The words of a text as they are indexed."""
    words, word, at = [], "", 0
    while at <= len(text):
        sign = text[at : at + 1]
        if sign == "\\" and at + 1 < len(text) and index.parts_words(text[at + 1]):
            word, at = word + text[at + 1], at + 2
            continue
        if not sign or index.parts_words(sign):
            if word:
                words.append(lowered(word))
            word = ""
        else:
            word += sign
        at += 1
    return [word for word in words if word not in index.stop_words]


def _has_tag(node: Tags, document: Document) -> bool:
    held = document.tags(node.field)
    plain = str if node.field.case_sensitive else folded
    if not held.isdisjoint(map(plain, node.values)):
        return True
    return any(tag.startswith(plain(start)) for start in node.prefixes for tag in held)


def _within(node: Span, value: float) -> bool:
    over = value >= node.low if node.with_low else value > node.low
    under = value <= node.high if node.with_high else value < node.high
    return over and under


def _reads(wanted: Word, word: str, index: Index, field: Field, *, stemmed: bool) -> bool:
    if wanted.how == "prefix":
        return word.startswith(wanted.text)
    if wanted.how == "suffix":
        return word.endswith(wanted.text)
    if wanted.how == "fuzzy":
        return edits(wanted.text, word) <= wanted.distance
    if word == wanted.text:
        return True
    if wanted.how == "exact" or not stemmed or not field.stems:
        return False
    return len(word) >= index.min_stem and stem(word) == stem(wanted.text)


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """The stem of an English word."""
    return str(_STEMMER.stemWord(word))


@lru_cache(maxsize=20_000)
def edits(left: str, right: str) -> int:
    """How many signs must be changed, added or left out; two neighbours that change places are one change."""
    rows = [list(range(len(right) + 1))]
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            least = min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                least = min(least, rows[i - 2][j - 2] + 1)
            row.append(least)
        rows.append(row)
    return rows[-1][-1]


def has_negation(node: Node) -> bool:
    """Whether a filter leaves out anything."""
    if isinstance(node, Without):
        return True
    return isinstance(node, Both | Either) and any(map(has_negation, node.parts))


def folded(text: str) -> str:
    """ASCII letters in lower case, as tags are compared."""
    return text.translate(_FOLD)


def json_values(raw: bytes | None, paths: list[str]) -> dict[str, Any]:
    """What JSON.GET answered for several paths, by path: what each matches."""
    if raw is None:
        return {}
    told = json.loads(raw)
    return told if len(paths) > 1 else {paths[0]: told}
