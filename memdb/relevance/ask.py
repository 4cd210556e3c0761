"""Asking an index the same questions in several ways, many at once: ranked keys, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memdb.cluster.client import Client
from memdb.embedding import Embedder, fits
from memdb.errors import BadInput, OutOfRange, UnsupportedFeature
from memdb.relevance.run import EvaluationRequest, Setting
from memdb.tuning import load
from memdb.tuning.run import SweepRequest
from memdb.vectors.distance import Floats
from memdb.vectors.filters import may_be_broken
from memdb.vectors.index import IndexInfo
from memdb.vectors.membership import Membership
from memdb.vectors.query import KnnRequest, template

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
        raise UnsupportedFeature("Searching words", "it is not part of this release")
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

    Args:
        way: how to ask.
        texts: n questions.
        vectors: (n, dim) of them; None where the way needs none.

    Raises:
        MemDBError: the server does not answer or refuses.
    """
    assert vectors is not None  # noqa: S101  # `prepared` asks for a model
    request, setting = way.request, way.setting
    ef = setting.ef_runtime if way.info.vector_field(setting.field)[1].has_ef else None
    made = load.questions(
        way.client,
        way.info,
        SweepRequest(way.info.name, setting.field),
        np.asarray(vectors),
        ef or 0,
        k=request.k,
        condition=request.filter,
    )
    ranked = [keys for batch in load.answers(way.client, made, lambda _: None) for keys, _ in batch]
    if way.under is not None:
        outside = way.under.outside({key for keys in ranked for key in keys})
        ranked = [[key for key in keys if key not in outside] for keys in ranked]
    return [tuple(key.removeprefix(setting.strip) for key in keys) for keys in ranked]
