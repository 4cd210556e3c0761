"""A search result with what all views of the Search page share: titles, rows, files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from memdb.cluster import replies
from memdb.cluster.target import Target
from memdb.display import line
from memdb.ui.kit import cached, parts
from memdb.ui.search.form import SearchChoice
from memdb.vectors.filters import render
from memdb.vectors.index import IndexInfo
from memdb.vectors.search import KnnResult

CONTENTS = ("content", "text", "body", "description", "summary", "preference")


@dataclass(frozen=True, slots=True)
class SearchView:
    """A result with what all views need beside it."""

    target: Target
    info: IndexInfo
    choice: SearchChoice
    result: KnnResult
    titles: dict[str, str]


def table_of(info: IndexInfo, result: KnnResult) -> pd.DataFrame:
    """A result as rows: rank, distance, similarity, key, then the fields that fit a cell."""
    columns: dict[str, object] = {
        "rank": np.arange(1, len(result.keys) + 1),
        "distance": result.distances,
        "similarity": result.similarities,
        "key": [line(key, 300) for key in result.keys],
    }
    if result.outside:
        columns["filter"] = ["breaks it" if key in result.outside else "" for key in result.keys]
    for field in info.fields:
        if field.kind == "VECTOR":
            continue
        values = [fields.get(field.name, "") for fields in result.fields]
        # A document's own "rank" or "distance" stands beside ours.
        name = field.name if field.name not in columns else f"{field.name} (field)"
        if field.kind == "NUMERIC":
            columns[name] = pd.array([replies.number(v) for v in values], dtype="Float64")
        else:
            columns[name] = [line(v, 300) for v in values]
    return pd.DataFrame(columns)


def export(view: SearchView, frame: pd.DataFrame) -> None:
    """Files of what is shown, with the request that made it."""
    request = view.choice.request
    about = {
        "target": view.target.address,
        "index": request.index,
        "field": request.field,
        "by": view.choice.by,
        "query": view.choice.text,
        "k": request.k,
        "ef_runtime": request.ef_runtime,
        "filter": render(request.filter, cached.server(view.target).dialect, view.info).query,
        "took_ms": view.result.took_ms,
    }
    parts.export(frame, "search", about, key="search.export")
