"""Documents by the words of a question: ranked by the engine's BM25 where it tells a score, else by rarity.

result = words(client, info, WordsRequest("idx:docs", "restore a table", k=10))
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Arg, Client
from memdb.cluster.dialects import Dialect
from memdb.cluster.replies import Reply
from memdb.errors import BadFilter, UnsupportedFeature
from memdb.vectors import shards, stored
from memdb.vectors.conditions import And, Condition, Or, Raw, Text
from memdb.vectors.distance import Doubles
from memdb.vectors.filters import EVERYTHING, indexed_words, render, splits_of
from memdb.vectors.index import IndexInfo
from memdb.vectors.query import Command

SCORER = "BM25STD"
MOST_WORDS = 24  # of a question that are asked, the first of them
LOOKED_AT = 2_000  # documents whose score is summed here, where the engine tells none


@dataclass(frozen=True, slots=True)
class WordsRequest:
    """The k best documents for the words of a text, any of which they hold. Hashable: a cache key."""

    index: str
    text: str
    k: int = 10
    filter: Condition | str = EVERYTHING
    return_fields: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class WordsResult:
    """What came back, best first."""

    keys: tuple[str, ...]
    scores: Doubles  # (len(keys),), larger is better; BM25, or a sum of rarities: `scored` tells which
    raw_fields: tuple[Reply, ...]
    matching: int  # documents that hold any of the words, under the filter
    took_ms: float
    commands: tuple[Command, ...]
    scored: str  # what a score is, in a few words
    notes: tuple[str, ...] = ()

    @cached_property
    def fields(self) -> tuple[dict[str, str], ...]:
        """Each hit's fields as text."""
        return tuple(
            {name: replies.text(value) for name, value in replies.pairs(raw).items()}
            for raw in self.raw_fields
        )


def why_not(dialect: Dialect, info: IndexInfo) -> str:
    """Why an index cannot be asked for words, as a sentence; empty where it can."""
    if not info.of_kind("TEXT"):
        return f"'{info.name}' has no TEXT field, so no words of its documents are indexed."
    if not dialect.text_search:
        return f"{dialect.title} returns TEXT fields but does not search them."
    if not dialect.plain_queries:
        return f"{dialect.title} answers no query without a KNN clause."
    return ""


def need(dialect: Dialect, info: IndexInfo) -> None:
    """Refuse an index that cannot be asked for words.

    Raises:
        UnsupportedFeature: it cannot, and why.
    """
    if why := why_not(dialect, info):
        raise UnsupportedFeature("Searching words", why.rstrip("."), "Search by vectors.")


def words(client: Client, info: IndexInfo, request: WordsRequest) -> WordsResult:
    """The best documents for the words of a question.

    Where the engine tells no score, a document's is the sum of the rarity (inverse document frequency) of
    the words that the engine finds in it, how often is not counted; and of documents that hold only words
    that are in very many, some are left out, which a note says.

    Raises:
        UnsupportedFeature: this engine, or this index, has no words to search.
        BadFilter: the question holds no word that is indexed, or the filter cannot be said.
        MemDBError: the server did not answer, or said no.
    """
    dialect = client.server.dialect
    need(dialect, info)
    searched = question_words(dialect, info, request.text)
    if not searched:
        raise BadFilter(
            f"'{request.text[:80]}' holds no word that is indexed.", "Use other words: not only stop words."
        )
    cut = (f"Of the question the first {MOST_WORDS} words were asked.",) if len(searched) > MOST_WORDS else ()
    searched = searched[:MOST_WORDS]
    with shards.explained(client, info.name):
        if dialect.scores:
            return _scored(client, info, request, searched, cut)
        return _summed(client, info, request, searched, cut)


def question_words(dialect: Dialect, info: IndexInfo, text: str) -> tuple[str, ...]:
    """The words of a question that are in an index: each once, without its stop words."""
    stopped = dialect.stop_words(info.rules.stop_words)
    parted = indexed_words(text.replace("\\", " "), splits_of(dialect, info))
    lowered = dict.fromkeys(dialect.lower(word) for word in parted)
    return tuple(word for word in lowered if word not in stopped)


def holding(info: IndexInfo, some: Sequence[str]) -> Condition:
    """That a document holds any of some words in any TEXT field."""
    sentence = " ".join(some)
    fields = tuple(Text(field.name, sentence, "any") for field in info.of_kind("TEXT"))
    return fields[0] if len(fields) == 1 else Or(fields)


def under(condition: Condition | str, *others: Condition) -> Condition:
    """A filter and other conditions, all of which hold."""
    own = Raw(condition) if isinstance(condition, str) and condition.strip() not in ("", "*") else condition
    return And((*([] if isinstance(own, str) or own == EVERYTHING else [own]), *others))


def query_of(client: Client, info: IndexInfo, condition: Condition) -> tuple[str, list[Arg]]:
    """A condition as the engine takes it, and what PARAMS binds in it."""
    rendered = render(condition, client.server.dialect, info)
    bound = [part for pair in rendered.params for part in pair]
    return rendered.query, ["PARAMS", len(bound), *bound] if bound else []


def _scored(
    client: Client, info: IndexInfo, request: WordsRequest, searched: Sequence[str], notes: tuple[str, ...]
) -> WordsResult:
    dialect = client.server.dialect
    query, bound = query_of(client, info, under(request.filter, holding(info, searched)))
    loaded = request.return_fields if dialect.loads else ()
    wanted: list[Arg] = ["RETURN", len(loaded), *loaded] if loaded else ["NOCONTENT"]
    command = Command(
        (
            "FT.SEARCH",
            info.name,
            query,
            "WITHSCORES",
            "SCORER",
            SCORER,
            *wanted,
            "LIMIT",
            0,
            request.k,
            "TIMEOUT",
            dialect.limits.timeout_ms,
            *bound,
            "DIALECT",
            2,
            *dialect.every_shard,
        )
    )
    began = time.perf_counter()
    reply = client.execute(*command.args)
    took = (time.perf_counter() - began) * 1000
    keys, scores, raw, matching = scored_hits(reply, with_fields=bool(loaded))
    # BM25 of equal documents is equal: the engine's own order stands.
    missing = [info.field(name) for name in request.return_fields] if not loaded else []
    fields = _stored(client, info, keys, [f.name for f in missing]) if missing else tuple(raw)
    return WordsResult(
        tuple(keys), np.array(scores), fields, matching, took, (command,), f"{SCORER}, by the engine", notes
    )


def scored_hits(reply: Reply, *, with_fields: bool) -> tuple[list[str], list[float], list[Reply], int]:
    """Keys, scores, fields and how many match, of a reply WITHSCORES: a flat array, or a map (RESP3)."""
    if isinstance(reply, dict):
        page = replies.pairs(reply)
        rows = [replies.pairs(hit) for hit in replies.items(page.get("results"))]
        return (
            [replies.key(row.get("id")) for row in rows],
            [replies.number(row.get("score"), 0.0) for row in rows],
            [row.get("extra_attributes") for row in rows],
            replies.integer(page.get("total_results")),
        )
    parts = replies.items(reply)
    step = 3 if with_fields else 2
    rest = parts[1:]
    return (
        [replies.key(part) for part in rest[::step]],
        [replies.number(part, 0.0) for part in rest[1::step]],
        list(rest[2::step]) if with_fields else [None] * (len(rest) // 2),
        replies.integer(parts[0]) if parts else 0,
    )


def _summed(
    client: Client, info: IndexInfo, request: WordsRequest, searched: Sequence[str], notes: tuple[str, ...]
) -> WordsResult:
    began = time.perf_counter()
    any_word = _keys_command(client, info, under(request.filter, holding(info, searched)), 0)
    counting = [any_word, *(_keys_command(client, info, holding(info, [word]), 0) for word in searched)]
    matching, *counts = (_total(reply) for reply in client.pipeline([c.args for c in counting]))
    rarity = {
        word: math.log(1 + (max(info.documents, count) - count + 0.5) / (count + 0.5))
        for word, count in zip(searched, counts, strict=True)
        if count
    }
    often = dict(zip(searched, counts, strict=True))
    rare: list[str] = []
    for word in sorted(rarity, key=lambda word: often[word]):
        if rare and sum(often[each] for each in rare) + often[word] > LOOKED_AT:
            break
        rare.append(word)
    scores: dict[str, float] = {}
    commands: list[Command] = []
    if rare:
        base = under(request.filter, holding(info, rare))
        commands = [
            _keys_command(
                client,
                info,
                under(request.filter, holding(info, [word]))
                if word in rare
                else under(base, holding(info, [word])),
                LOOKED_AT,
            )
            for word in rarity
        ]
        for word, reply in zip(rarity, client.pipeline([c.args for c in commands]), strict=True):
            for key in replies.items(reply)[1:]:
                name = replies.key(key)
                scores[name] = scores.get(name, 0.0) + rarity[word]
    best = sorted(scores, key=lambda key: (-scores[key], key))[: request.k]
    took = (time.perf_counter() - began) * 1000
    if len(scores) < matching:
        notes = (
            *notes,
            f"{matching:,} documents hold any of the words; scored are the {len(scores):,} with the rarest.",
        )
    return WordsResult(
        tuple(best),
        np.array([scores[key] for key in best]),
        _stored(client, info, best, request.return_fields),
        matching,
        took,
        (*counting, *commands),
        "sum of the words' rarities, computed here: the engine tells no score",
        notes,
    )


def _keys_command(client: Client, info: IndexInfo, condition: Condition, most: int) -> Command:
    query, bound = query_of(client, info, condition)
    every = client.server.dialect.every_shard
    return Command(
        ("FT.SEARCH", info.name, query, "NOCONTENT", "LIMIT", 0, most, *bound, "DIALECT", 2, *every)
    )


def _total(reply: Reply) -> int:
    parts = replies.items(reply)
    return replies.integer(parts[0]) if parts else 0


def _stored(
    client: Client, info: IndexInfo, keys: Sequence[str], names: Sequence[str]
) -> tuple[dict[str, Reply], ...]:
    """Fields of some documents, read by their keys."""
    rows: list[dict[str, Reply]] = [{} for _ in keys]
    for name in names:
        for row, stored_values in zip(rows, stored.values(client, info, info.field(name), keys), strict=True):
            if stored_values is not None:
                row[name] = stored_values
    return tuple(rows)
