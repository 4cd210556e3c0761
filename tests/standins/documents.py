"""The documents of an index, read from their keys, and which of them a filter takes.

Nothing of it is asked of the engine's own search: its grammar, its tags, its words and its numbers differ.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Set
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
SPACE = " \t\n\v\f\r"
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Document:
    """A key and the values of the index's fields in it."""

    key: bytes
    values: dict[str, Any]  # by a field's alias: text, of one character a byte; of JSON what the path has

    def text(self, field: Field) -> str | None:
        """The value as text, of JSON the first that its path matches."""
        value = self.values.get(field.alias)
        value = value[0] if isinstance(value, list) else value
        return None if value is None else str(value)

    def tags(self, field: Field) -> frozenset[str]:
        """The values a filter compares; those of JSON without a separator are not parted."""
        value = self.values.get(field.alias, "")
        parts = [str(part) for part in leaves(value)] if isinstance(value, list) else [str(value)]
        if field.separator:
            parts = [piece.strip(SPACE) for part in parts for piece in part.split(field.separator)]
        return frozenset(part if field.case_sensitive else folded(part) for part in parts if part)

    def numbers(self, field: Field) -> list[float]:
        """The numbers a filter compares: one, of JSON each that its path matches."""
        value = self.values.get(field.alias)
        every = leaves(value) if isinstance(value, list) else [value]
        return [number for part in every if (number := numeric(part)) is not None]

    def vectors(self, field: Field) -> list[Floats]:
        """The vectors (d,) of a field: one, of JSON each that its path matches; none where one does not fit."""
        value = self.values.get(field.alias)
        if isinstance(value, str):
            fits = len(value) == 4 * field.dimensions
            return [np.frombuffer(value.encode("latin-1"), "<f4")] if fits else []
        rows: list[Any] = []
        for match in value or []:
            nested = isinstance(match, list) and match and isinstance(match[0], list)
            rows += match if nested else [match]
        fit = all(
            isinstance(row, list)
            and len(row) == field.dimensions
            and all(isinstance(n, int | float) and not isinstance(n, bool) for n in row)
            for row in rows
        )
        with np.errstate(over="ignore"):
            return [np.array(row, np.float64).astype(np.float32) for row in rows] if fit else []


class Documents:
    """What an index holds at a moment."""

    def __init__(self, index: Index, documents: list[Document]) -> None:
        self.index, self.all = index, documents
        self._texts: dict[tuple[int, str], list[str]] = {}
        self._columns: dict[str, Any] = {}
        self._taken: dict[tuple[str, bool, bool], list[Document]] = {}
        self.notes: dict[tuple[str, str], int] = {}  # what was counted once, by a name
        self._allowed: dict[tuple[str, bool], Set[bytes]] = {}

    @cached_property
    def by_key(self) -> dict[bytes, Document]:
        return {document.key: document for document in self.all}

    @cached_property
    def vectors(self) -> dict[str, tuple[list[Document], Floats]]:
        """Of each vector field the vectors (n, d), and whose each is."""
        made = {}
        for field in self.index.fields:
            if field.kind == "VECTOR":
                pairs = [(document, row) for document in self.all for row in document.vectors(field)]
                rows = np.array([row for _, row in pairs], np.float32).reshape(-1, field.dimensions)
                made[field.alias] = ([document for document, _ in pairs], rows)
        return made

    @cached_property
    def rows(self) -> dict[str, dict[bytes, list[int]]]:
        """Of each vector field the rows of its vectors that are a key's."""
        made: dict[str, dict[bytes, list[int]]] = {}
        for alias, (owners, _) in self.vectors.items():
            for at, document in enumerate(owners):
                made.setdefault(alias, {}).setdefault(document.key, []).append(at)
        return made

    @cached_property
    def odd(self) -> dict[str, list[bytes]]:
        """Of each vector field the keys whose vectors are no numbers: the engine behind leaves them out."""
        return {
            alias: [owners[at].key for at in np.flatnonzero(np.isnan(rows).any(axis=1))]
            for alias, (owners, rows) in self.vectors.items()
        }

    def holding(self, field: Field) -> list[Document]:
        """Those whose value of a field is indexed."""
        if field.kind == "VECTOR":
            return list(dict.fromkeys(self.vectors[field.alias][0]))
        has: dict[str, Callable[[Document], bool]] = {
            "TAG": lambda document: bool(document.tags(field)),
            "NUMERIC": lambda document: bool(document.numbers(field)),
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
            if len(self._taken) > 200:
                self._taken.clear()
            walked = graph and not has_negation(node)
            self._taken[name] = [self.all[at] for at in np.flatnonzero(self._mask(node, walked, False))]
        return self._taken[name]

    def allowed(self, text: str, node: Node | None, *, graph: bool = False) -> Set[bytes]:
        """The keys that a filter takes."""
        name = (text if node else "", graph)
        if name not in self._allowed:
            if len(self._allowed) > 200:
                self._allowed.clear()
            self._allowed[name] = {document.key for document in self.taken(text, node, graph=graph)}
        return self._allowed[name]

    def _mask(self, node: Node, graph: bool, from_or: bool) -> Bools:
        """Whether each document is taken, (n,)."""
        if isinstance(node, Both):
            # The engine's fault: words beside another condition are believed to be decided already.
            ignored = graph and not from_or
            mask = np.ones(len(self.all), bool)
            for part in node.parts:
                if not (ignored and isinstance(part, Word)):
                    mask &= self._mask(part, graph, from_or)
            words = [part for part in node.parts if isinstance(part, Word)]
            if (node.slop is not None or node.inorder) and len(words) > 1 and not ignored:
                for at in np.flatnonzero(mask):
                    mask[at] = self._near(words, int(at), node.slop, node.inorder)
            return mask
        if isinstance(node, Either):
            return np.logical_or.reduce([self._mask(part, graph, True) for part in node.parts])
        if isinstance(node, Without):
            return ~self._mask(node.part, graph, from_or)
        mask = np.zeros(len(self.all), bool)
        if isinstance(node, Span):
            owners, numbers = self._column(node.field, self._numbers)
            low, high = node.low, node.high
            over = numbers >= low if node.with_low else numbers > low
            mask[owners[over & (numbers <= high if node.with_high else numbers < high)]] = True
        elif isinstance(node, Tags):
            plain = str if node.field.case_sensitive else folded
            column, starts = self._column(node.field, self._tags), tuple(map(plain, node.prefixes))
            wanted = set(map(plain, node.values))
            wanted |= {tag for tag in column if starts and tag.startswith(starts)}
            for tag in wanted & column.keys():
                mask[column[tag]] = True
        else:
            for field in node.fields:
                for word, owners in self._column(field, self._words).items():
                    if _reads(node, word, self.index, field, stemmed=not graph):
                        mask[owners] = True
        return mask

    def _column(self, field: Field, read: Callable[[Field], Any]) -> Any:
        if field.alias not in self._columns:
            self._columns[field.alias] = read(field)
        return self._columns[field.alias]

    def _numbers(self, field: Field) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        pairs = [(at, number) for at, document in enumerate(self.all) for number in document.numbers(field)]
        return np.array([at for at, _ in pairs], np.intp), np.array(
            [number for _, number in pairs], np.float64
        )

    def _tags(self, field: Field) -> dict[str, list[int]]:
        held: dict[str, list[int]] = {}
        for at, document in enumerate(self.all):
            for tag in document.tags(field):
                held.setdefault(tag, []).append(at)
        return held

    def _words(self, field: Field) -> dict[str, list[int]]:
        held: dict[str, list[int]] = {}
        for at in range(len(self.all)):
            for word in set(self.words(at, field)):
                held.setdefault(word, []).append(at)
        return held

    def words(self, at: int, field: Field) -> list[str]:
        """The words of a document's TEXT field in their order; stop words leave no place behind."""
        name = (at, field.alias)
        if name not in self._texts:
            self._texts[name] = words_of(self.all[at].text(field) or "", self.index)
        return self._texts[name]

    def _near(self, words: list[Word], at: int, slop: int | None, inorder: bool) -> bool:
        fields = set(words[0].fields).intersection(*(word.fields for word in words))
        return any(self._in_field(words, at, field, slop, inorder) for field in fields)

    def _in_field(self, words: list[Word], at: int, field: Field, slop: int | None, inorder: bool) -> bool:
        read = self.words(at, field)
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

    def nearest(self, knn: Knn, among: Iterable[bytes] | None = None) -> list[tuple[Document, float]]:
        """All vectors of a field, or those of some keys, by distance; those that are no numbers last."""
        documents, rows = self.vectors[knn.field.alias]
        if among is not None:
            held = self.rows.get(knn.field.alias, {})
            chosen = [at for key in dict.fromkeys(among) for at in held.get(key, ())]
            documents, rows = [documents[at] for at in chosen], rows[chosen]
        distances = distance(np.frombuffer(knn.blob, "<f4"), rows, knn.field.metric)
        hits: dict[Document, float] = {}
        for at in np.argsort(distances, kind="stable"):
            hits.setdefault(documents[at], float(distances[at]))
        return list(hits.items())


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


def leaves(value: Any) -> list[Any]:
    """What a JSON path matched, and of arrays in it what they hold."""
    if not isinstance(value, list):
        return [] if value is None else [value]
    return [leaf for part in value for leaf in leaves(part)]


def numeric(value: Any) -> float | None:
    """A value as a number; None where it is none."""
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
        if sign == "\\" and at + 1 < len(text):
            kept = text[at + 1]
            if kept == "\\" or index.parts_words(kept) or not index.parts_words("\\"):
                word, at = word + kept, at + 2
                continue
        if not sign or index.parts_words(sign):
            if word:
                words.append(lowered(word))
            word = ""
        else:
            word += sign
        at += 1
    return [word for word in words if word not in index.stop_words]


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
    return {path: _as_bytes(value) for path, value in (told if len(paths) > 1 else {paths[0]: told}).items()}


def _as_bytes(value: Any) -> Any:
    """Texts in it with one character a byte."""
    if isinstance(value, list):
        return [_as_bytes(part) for part in value]
    return value.encode("utf-8", "surrogatepass").decode("latin-1") if isinstance(value, str) else value
