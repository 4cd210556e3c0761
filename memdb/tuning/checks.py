"""Whether a sweep's request fits the index and the queries, before anything is measured."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from memdb.cluster.client import Client
from memdb.errors import BadInput, BadVector, OutOfRange
from memdb.tuning import load
from memdb.tuning.run import Queries, SweepRequest
from memdb.vectors.filters import Condition, Rendered, render
from memdb.vectors.index import IndexInfo


def checked(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    queries: Queries,
    condition: Condition | str | None,
) -> SweepRequest:
    """The request with its field named and its filter rendered.

    Raises:
        BadInput: it does not fit the index.
    """
    field, params = info.vector_field(request.field)
    limits = client.server.dialect.limits
    title = client.server.dialect.title
    own = any(queries.own_keys)
    if not 1 <= request.k <= limits.k - own:
        raise OutOfRange("k", request.k, 1, limits.k - own, title)
    for value in (request.ef_min, request.ef_max):
        if params.has_ef and not 1 <= value <= limits.ef_runtime:
            raise OutOfRange("EF_RUNTIME", value, 1, limits.ef_runtime, title)
    if request.ef_min > request.ef_max:
        raise BadInput(
            f"EF_RUNTIME runs from {request.ef_min} to {request.ef_max}.", "Put the smaller number first."
        )
    goal = request.goal
    if goal.kind == "recall" and not 0 < goal.value <= 1:
        raise OutOfRange("The target recall", goal.value, 0, 1, "a recall")
    if goal.kind == "p99_ms" and not (goal.value > 0 and math.isfinite(goal.value)):
        raise BadInput(f"The target p99 is {goal.value:g} ms.", "Give a number of milliseconds above 0.")
    if not 0.5 <= goal.confidence < 1:
        raise OutOfRange("The confidence", goal.confidence, 0.5, 0.999, "an interval")
    for clients in request.concurrency:
        if not 1 <= clients <= load.MOST_CLIENTS:
            raise OutOfRange("The number of clients", clients, 1, load.MOST_CLIENTS, "a sweep")
    if request.budget_qps is not None and not request.budget_qps >= 1:
        raise BadInput(f"The budget is {request.budget_qps:g} queries a second.", "Give at least 1.")
    if not len(queries):
        raise BadInput("There are no queries.", "Give at least one; a few hundred make the interval narrow.")
    shape = queries.vectors.shape
    if shape != (len(queries), params.dim):
        raise BadVector(
            f"The queries have {shape[-1]:,} numbers; '{field.name}' of '{info.name}' expects "
            f"{params.dim:,}.",
            "Use the model the index was built with.",
            expected=params.dim,
            got=shape[-1],
        )
    if not np.isfinite(queries.vectors).all():
        row = int(np.flatnonzero(~np.isfinite(queries.vectors).all(axis=1))[0])
        raise BadVector(
            f"Query {row + 1} ({queries.labels[row]}) holds a value that is not finite.",
            "Replace NaN and infinity.",
            expected=params.dim,
            got=params.dim,
        )
    rendered = render(request.condition if condition is None else condition, client.server.dialect, info)
    if condition is None and not rendered.everything:  # as it was typed: rendering puts it into brackets
        rendered = Rendered(request.filter.strip(), request.filter_params)
    return replace(
        request,
        field=field.name,
        filter=rendered.query,
        filter_params=rendered.params,
        source=queries.source,
    )
