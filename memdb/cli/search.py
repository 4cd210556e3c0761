"""`memdb search`: the nearest documents, as a table or as JSON."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from memdb.cli.output import print_json, print_table
from memdb.cluster.client import Client, connect
from memdb.cluster.find import find_target
from memdb.errors import BadInput
from memdb.settings import Settings
from memdb.vectors import distance, upload
from memdb.vectors.distance import Floats
from memdb.vectors.exact import Neighbours, nearest
from memdb.vectors.index import IndexInfo, index_info
from memdb.vectors.query import KnnRequest, numbers, returnable, vector_param
from memdb.vectors.read import blocks
from memdb.vectors.recall import Judged, judge
from memdb.vectors.search import KnnResult, document_vector, knn

_SHOWN_FIELDS = 4


def search(found: argparse.Namespace) -> int:
    """Ask, and print what came."""
    target = find_target(Settings.from_env(), found.url)
    with connect(target) as client:
        info = index_info(client, found.index)
        field, _ = info.vector_field(found.field)
        request = KnnRequest(
            index=info.name,
            vector=vector_param(_vector(client, info, found)),
            field=field.name,
            k=found.k,
            ef_runtime=found.ef,
            filter=found.filter,
            return_fields=_fields(info, found.returned),
        )
        result = knn(client, request, info)
        exact, compared = _exact(client, info, request, result) if found.exact else (None, None)
    if found.json:
        print_json(_as_json(result, result.command.redis_cli(target), exact, compared))
    else:
        _show(result, request, exact, compared)
    return 0


def _vector(client: Client, info: IndexInfo, found: argparse.Namespace) -> Floats:
    field, params = info.vector_field(found.field)
    where = f"'{field.name}' of '{info.name}'"
    if found.key is not None:
        return document_vector(client, info, field.name, found.key)
    if found.text is not None:
        if not found.text.strip():
            raise BadInput("The text to search for is empty.", "Give some words with --text.")
        from memdb.embed import embed

        return distance.checked(embed([found.text])[0], params.dim, where)
    if found.vector == "-":
        return upload.from_text(sys.stdin.read(), params.dim, where)
    path = Path(found.vector).expanduser()
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise BadInput(
            f"The file '{found.vector}' cannot be read: {exc.strerror}.",
            "Give the path of a file with a vector.",
        ) from None
    return upload.from_file(path.name, content, params.dim, params.type, where)


def _fields(info: IndexInfo, returned: str | None) -> tuple[str, ...]:
    if returned is None:
        return returnable(info)
    return tuple(name for part in returned.split(",") if (name := part.strip()))


def _exact(
    client: Client, info: IndexInfo, request: KnnRequest, result: KnnResult
) -> tuple[Neighbours, Judged]:
    """The exact answer, and the index's answer against it."""
    _, params = info.vector_field(request.field)
    sent = distance.as_sent(np.array([numbers(request.vector)], dtype=np.float32), params.type)
    exact = nearest(blocks(client, info, request.field, request.filter), sent, request.k, params.metric)
    verdicts = judge(client, info, request.field, sent, [result.keys], exact.keys, exact.distances)
    return exact, verdicts[0]


def _as_json(
    result: KnnResult, command: str, exact: Neighbours | None, compared: Judged | None
) -> dict[str, object]:
    found: dict[str, object] = {
        "hits": [{"key": h.key, "distance": h.distance, "fields": dict(h.fields)} for h in result.hits],
        "took_ms": round(result.took_ms, 3),
        "command": command,
    }
    if exact is not None and compared is not None:
        found["exact"] = {
            "hits": [
                {"key": key, "distance": float(d), "found": there}
                for key, d, there in zip(exact.keys[0], exact.distances[0], compared.found, strict=True)
            ],
            "recall": compared.recall,
            "looked_at": exact.looked_at,
        }
    return found


def _show(result: KnnResult, request: KnnRequest, exact: Neighbours | None, compared: Judged | None) -> None:
    names = request.return_fields[:_SHOWN_FIELDS]
    rows = [
        (str(i), hit.key, f"{hit.distance:.4f}", *(hit.fields.get(name, "") for name in names))
        for i, hit in enumerate(result.hits, 1)
    ]
    if rows:
        print_table("", ("", "key", "distance", *names), rows, right=(0, 2))
    print(f"{len(rows)} hits in {result.took_ms:.1f} ms")
    if exact is not None and compared is not None:
        missed = [k for k, there in zip(exact.keys[0], compared.found, strict=True) if not there]
        print(f"Recall {compared.recall:.3f} against all {exact.looked_at:,} vectors under the filter")
        for key in missed:
            print(f"missed: {key}")
