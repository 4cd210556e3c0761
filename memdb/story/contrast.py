"""One query whose answer depends on EF_RUNTIME, out of a sweep; asked again, live."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memdb.cluster.client import Client
from memdb.tuning.run import Run
from memdb.vectors.filters import EVERYTHING
from memdb.vectors.index import IndexInfo
from memdb.vectors.membership import Membership
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.recall import judge
from memdb.vectors.search import knn


@dataclass(frozen=True, slots=True)
class Contrast:
    """A query of a run, and two settings between which its answer differs most."""

    row: int  # of the run's queries
    low_ef: int
    high_ef: int


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """What the index answered at one EF_RUNTIME."""

    ef_runtime: int
    found: tuple[bool, ...]  # of each true neighbour, nearest first: whether it, or one as near, was returned
    took_ms: float


def contrast(run: Run) -> Contrast | None:
    """The query that gains most from a higher EF_RUNTIME; of equal ones, the lower setting, then the first.

    None where no query gains anything, as on an index without EF_RUNTIME.
    """
    points = sorted((p for p in run.points if p.ef_runtime > 0), key=lambda p: p.ef_runtime)
    best: tuple[float, Contrast] | None = None
    for point in points[1:]:
        gain = np.nan_to_num(point.recalls.astype(np.float64) - points[0].recalls, nan=-1.0)
        row = int(gain.argmax()) if len(gain) else -1
        if row >= 0 and gain[row] > (best[0] if best else 0.0) + 1e-9:
            best = float(gain[row]), Contrast(row, points[0].ef_runtime, point.ef_runtime)
    return best[1] if best else None


def ask(client: Client, info: IndexInfo, run: Run, chosen: Contrast) -> tuple[QueryAnswer, QueryAnswer]:
    """Send the query at both settings, and hold the answers against the exact one of the run.

    Raises:
        MemDBError: the server does not answer, or says no.
    """
    request, row = run.request, chosen.row
    own = run.queries.own_keys[row]
    vector = run.queries.vectors[row]
    true_keys = run.truth.keys[row]
    k = request.k + (1 if own else 0)  # the document that the query was made from does not count
    under = Membership(client, info, EVERYTHING)
    answers = []
    for ef in (chosen.low_ef, chosen.high_ef):
        result = knn(client, KnnRequest(info.name, vector_param(vector), request.field, k, ef), info)
        keys = [key for key in result.keys if key != own][: request.k]
        (judged,) = judge(
            client,
            info,
            request.field,
            vector[None, :],
            [keys],
            [true_keys],
            [run.truth.distances[row][: len(true_keys)]],
            under,
        )
        answers.append(QueryAnswer(ef, judged.retrieved, result.took_ms))
    return answers[0], answers[1]
