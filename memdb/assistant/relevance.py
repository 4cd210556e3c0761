"""Whether documents have to do with a question: the nearest, held against the index's own distances."""

from __future__ import annotations

from itertools import chain, islice

import numpy as np

from memdb.cluster.client import Client
from memdb.vectors import distance, read
from memdb.vectors.index import IndexInfo

SHARE = 0.02  # of pairs of documents taken at random that lie nearer than the bound
SAMPLE = 400  # documents: 79,800 pairs
_LEAST = 20


def bound(client: Client, info: IndexInfo, field: str = "") -> float | None:
    """The distance from which on a document is taken to have nothing to do with a question.

    Of pairs of documents taken at random, 2 % lie nearer: two documents of one subject mostly do, and two of
    different subjects mostly do not. An estimate from up to 400 documents. In the metric's own unit, as the
    engine returns it; None where fewer than 20 documents can be read.

    Raises:
        UnsupportedFeature: the vectors are of a type that is not read here.
        MemDBError: the server did not answer, or said no.
    """
    name, params = info.vector_field(field)
    keys = list(islice(chain.from_iterable(read.by_scan(client, info, SAMPLE)), SAMPLE))
    block = read.vectors_of(client, info, name.name, keys) if keys else None
    if block is None:
        return None
    vectors = distance.prepared(block.single().vectors, params.metric)
    if len(vectors) < _LEAST:
        return None
    between = distance.distances(vectors, vectors, params.metric)
    return float(np.quantile(between[np.triu_indices(len(vectors), 1)], SHARE))
