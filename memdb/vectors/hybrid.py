"""Words and vectors together: both asked in turn and fused here, or by the engine where it has FT.HYBRID.

result = hybrid(client, info, HybridRequest(KnnRequest("idx", vector, k=10), "restore a table"))
for hit in result.hits:
    hit.key, hit.score, hit.vectors, hit.words     # rank and score of each leg
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Arg, Client
from memdb.cluster.replies import Reply
from memdb.errors import EngineError
from memdb.vectors import words as by_words
from memdb.vectors.conditions import Condition
from memdb.vectors.distance import Doubles
from memdb.vectors.filters import attribute
from memdb.vectors.fusion import Fused, Fusion, fused, places
from memdb.vectors.index import IndexInfo
from memdb.vectors.query import Command, KnnRequest, filled, template
from memdb.vectors.search import KnnResult, knn
from memdb.vectors.words import SCORER, WordsRequest, WordsResult

NATIVE = "FT.HYBRID"


@dataclass(frozen=True, slots=True)
class HybridRequest:
    """A question by its vector and its words. `knn` says how many come back, the filter and the fields."""

    knn: KnnRequest
    text: str
    fusion: Fusion = field(default_factory=Fusion)


@dataclass(frozen=True, eq=False)
class HybridResult:
    """The fused list, best first, with what each leg brought."""

    hits: tuple[Fused, ...]
    fields: tuple[Mapping[str, str], ...]  # of each hit
    vectors: KnnResult
    words: WordsResult
    took_ms: float
    commands: tuple[Command, ...]
    fused_by: str  # "here", or the engine's command
    notes: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Best first."""
        return tuple(hit.key for hit in self.hits)

    @property
    def scores(self) -> Doubles:
        """(len(hits),), larger is better."""
        return np.array([hit.score for hit in self.hits])


def hybrid(client: Client, info: IndexInfo, request: HybridRequest) -> HybridResult:
    """Both legs, fused.

    By reciprocal ranks an engine with FT.HYBRID fuses itself; each leg is asked as well, since the engine
    tells of a hit no rank among the legs. Weighted scores are fused here on every engine, brought to one
    scale first, which FT.HYBRID does not.

    Raises:
        UnsupportedFeature: this engine, or this index, has no words to search.
        BadInput: the request does not fit the index.
        MemDBError: the server did not answer, or said no.
    """
    fusion, k = request.fusion, request.knn.k
    depth = min(max(fusion.depth, k), client.server.dialect.limits.k)
    deep = replace(request.knn, k=depth)
    began = time.perf_counter()
    word_hits = by_words.words(
        client,
        info,
        WordsRequest(info.name, request.text, depth, request.knn.filter, request.knn.return_fields),
    )
    near = knn(client, deep, info).under_filter()
    hits = fused(near.keys, near.similarities, word_hits.keys, word_hits.scores, fusion)[:k]
    commands = [near.command, *word_hits.commands]
    notes = [*near.notes, *word_hits.notes]
    fused_by = "here"
    if fusion.method == "rrf" and client.server.dialect.fuses:
        command = native_command(client, info, deep, request.text, fusion, k)
        try:
            hits = native_hits(client.execute(*command.args), near, word_hits)
            commands.append(command)
            fused_by = NATIVE
        except EngineError as exc:
            notes.append(f"{NATIVE} was refused, so the legs were fused here: {exc}")
    took = (time.perf_counter() - began) * 1000
    fields_of = {key: dict(row) for key, row in zip(word_hits.keys, word_hits.fields, strict=True)}
    fields_of |= {key: dict(row) for key, row in zip(near.keys, near.fields, strict=True)}
    return HybridResult(
        hits,
        tuple(fields_of.get(hit.key, {}) for hit in hits),
        near,
        word_hits,
        took,
        tuple(commands),
        fused_by,
        tuple(notes),
    )


def native_command(
    client: Client, info: IndexInfo, deep: KnnRequest, text: str, fusion: Fusion, k: int
) -> Command:
    """FT.HYBRID of Redis 8.4 by reciprocal ranks, with the scorer, window and filter of the legs."""
    dialect = client.server.dialect
    shape = template(deep, info, dialect)
    blob = filled(shape, deep).vector or b""
    searched = by_words.question_words(dialect, info, text)[: by_words.MOST_WORDS]
    words_query, bound = by_words.query_of(
        client, info, by_words.under(deep.filter, by_words.holding(info, searched))
    )
    vector_field, params = info.vector_field(deep.field)
    near: list[Arg] = ["K", deep.k]
    if deep.ef_runtime is not None and params.has_ef:
        near += ["EF_RUNTIME", deep.ef_runtime]
    own: Condition = by_words.under(deep.filter)
    filter_query, _ = by_words.query_of(client, info, own)
    args: list[Arg] = ["FT.HYBRID", info.name, "SEARCH", words_query, "SCORER", SCORER]
    args += ["VSIM", attribute(vector_field.name, dialect), "$vec", "KNN", len(near), *near]
    args += ["FILTER", filter_query] if filter_query != "*" else []
    args += ["COMBINE", "RRF", 4, "CONSTANT", fusion.constant, "WINDOW", deep.k]
    args += ["LIMIT", 0, k, "PARAMS", 2 + len(bound[2:]), "vec", blob, *bound[2:]]
    args += ["TIMEOUT", dialect.limits.timeout_ms]
    return Command(tuple(args))


def native_hits(reply: Reply, near: KnnResult, word_hits: WordsResult) -> tuple[Fused, ...]:
    """The reply of FT.HYBRID in the shape of a fusion here; ranks and scores of the legs are the legs' own.

    Raises:
        EngineError: it is no such reply.
    """
    page = replies.pairs(reply)
    rows = [replies.pairs(row) for row in replies.items(page.get("results"))]
    if "results" not in page or any("__key" not in row for row in rows):
        raise EngineError(f"{NATIVE} did not answer with keys.", "")
    vectors, words = places(near.keys, near.similarities), places(word_hits.keys, word_hits.scores)
    hits = []
    for row in rows:
        key = replies.key(row["__key"])
        hits.append(Fused(key, replies.number(row.get("__score"), 0.0), vectors.get(key), words.get(key)))
    return tuple(hits)
