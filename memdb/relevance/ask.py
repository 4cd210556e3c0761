"""Asking an index the same questions in several ways, many at once: ranked keys, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from memdb.cluster.client import Client
from memdb.embedding import Embedder, fits
from memdb.errors import BadInput, OutOfRange
from memdb.relevance.run import EvaluationRequest, Setting
from memdb.tuning import load
from memdb.tuning.run import SweepRequest
from memdb.vectors import words
from memdb.vectors.distance import Floats
from memdb.vectors.filters import may_be_broken, render
from memdb.vectors.hybrid import HybridRequest, hybrid
from memdb.vectors.index import IndexInfo
from memdb.vectors.membership import Membership
from memdb.vectors.query import KnnRequest, template, vector_param
from memdb.vectors.search import knn
from memdb.vectors.words import WordsRequest

Hits = list[tuple[str, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A setting that fits its index: what `hits` needs."""

    client: Client
    info: IndexInfo
    setting: Setting
    request: EvaluationRequest
    embedder: Embedder | None  # None where no vector is needed
    under: Membership | None  # the filter, where this engine may return hits that break it


def prepared(
    client: Client, info: IndexInfo, setting: Setting, request: EvaluationRequest, embedder: Embedder | None
) -> Way:
    """A setting held against its index and its model, before anything is asked.

    Raises:
        BadInput: field, k, EF_RUNTIME, filter or model do not fit the index.
        UnsupportedFeature: this engine does not search words.
        MemDBError: the model had to be asked and did not answer.
    """
    limits, title = client.server.dialect.limits, client.server.dialect.title
    if request.k > limits.k:
        raise OutOfRange("k", request.k, 1, limits.k, title)
    if setting.by != "vectors":
        words.need(client.server.dialect, info)
        render(request.filter, client.server.dialect, info)
    if setting.by == "words":
        return Way(client, info, setting, request, None, None)
    field, params = info.vector_field(setting.field)
    if embedder is None:
        raise BadInput(
            f"'{info.name}' is to be asked by vectors, and no model is named.", "Name an embedder."
        )
    fits(embedder, params, info.name)
    ef = setting.ef_runtime if params.has_ef else None
    # Whatever does not fit is told now, not after the first batch was embedded.
    template(
        KnnRequest(info.name, b"", field.name, request.k, ef, request.filter), info, client.server.dialect
    )
    broken = may_be_broken(request.filter, client.server.dialect, info, field.name)
    return Way(
        client, info, setting, request, embedder, Membership(client, info, request.filter) if broken else None
    )


def hits(way: Way, texts: Sequence[str], vectors: Floats | None) -> Hits:
    """The ranked keys of some questions, as the labels have them; those that break the filter are left out.

    A question without a word that is indexed has no hits by words, and those of its vector by both.

    Args:
        way: how to ask.
        texts: n questions.
        vectors: (n, dim) of them; None where the way needs none.

    Raises:
        MemDBError: the server does not answer or refuses.
    """
    ranked = _near(way, vectors) if way.setting.by == "vectors" else _by_words(way, texts, vectors)
    if way.under is not None:
        outside = way.under.outside({key for keys in ranked for key in keys})
        ranked = [[key for key in keys if key not in outside] for keys in ranked]
    strip = way.setting.strip
    if not strip:
        return list(map(tuple, ranked))
    return [tuple(key.removeprefix(strip) for key in keys) for keys in ranked]


def _near(way: Way, vectors: Floats | None) -> list[list[str]]:
    assert vectors is not None  # noqa: S101  # `prepared` asks for a model
    setting, request = way.setting, way.request
    loaded = load.questions(
        way.client,
        way.info,
        SweepRequest(way.info.name, setting.field),
        vectors,
        _ef(way) or 0,
        k=request.k,
        condition=request.filter,
    )
    return [keys for batch in load.answers(way.client, loaded, lambda _: None) for keys, _ in batch]


def _by_words(way: Way, texts: Sequence[str], vectors: Floats | None) -> list[list[str]]:
    client, info, request = way.client, way.info, way.request

    def ask(place: int) -> list[str]:
        text = texts[place]
        none = not words.question_words(client.server.dialect, info, text)
        if vectors is None:
            by_words = WordsRequest(info.name, text, request.k, request.filter)
            return [] if none else list(words.words(client, info, by_words).keys)
        vector = vector_param(vectors[place])
        near = KnnRequest(info.name, vector, way.setting.field, request.k, _ef(way), request.filter)
        if none:
            return list(knn(client, near, info, under=way.under).keys)
        return list(hybrid(client, info, HybridRequest(near, text, way.setting.fusion)).keys)

    with ThreadPoolExecutor(load.IN_FLIGHT, "words") as threads:
        waiting = [threads.submit(ask, place) for place in range(len(texts))]
        try:
            return [future.result() for future in waiting]
        finally:
            for future in waiting:
                future.cancel()


def _ef(way: Way) -> int | None:
    """The setting's EF_RUNTIME, where the index has one."""
    return way.setting.ef_runtime if way.info.vector_field(way.setting.field)[1].has_ef else None
