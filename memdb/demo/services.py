"""The demo's JSON documents: one a service, with a vector for each of some of its operations.

An index over several vectors of a document finds the service by whichever of its operations is nearest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from memdb.cluster.client import Client, Command
from memdb.demo.corpus import Document
from memdb.embedding import local
from memdb.vectors.distance import Floats
from memdb.vectors.index import HnswField, IndexSpec, NumericField, TagField, TextField

PREFIX = "service:"
OPERATIONS = 6  # of a service that stand in its document, the first of the corpus
_DIGITS = 6  # of a number in JSON: shorter, and far below what tells two operations apart

INDEX = IndexSpec(
    "idx:services",
    (
        TextField("name", path="$.name"),
        TagField("source", path="$.source"),
        TagField("verb", path="$.operations[*].verb"),
        NumericField("size", path="$.size"),
        HnswField(
            "embedding",
            local.DIMENSION,
            "COSINE",
            m=16,
            ef_construction=200,
            path="$.operations[*].embedding",
        ),
    ),
    (PREFIX,),
    "JSON",
)


@dataclass(frozen=True, slots=True)
class Service:
    """A service and where its operations stand in the corpus."""

    name: str
    size: int  # operations it has in the corpus
    rows: tuple[int, ...]  # those that its document holds

    @property
    def key(self) -> str:
        """Of its document."""
        return PREFIX + self.name


def served(client: Client) -> bool:
    """Whether the server indexes several vectors of a JSON document: RediSearch beside RedisJSON."""
    json_module = any("json" in name.lower() for name, _ in client.server.modules)
    return json_module and client.server.dialect.several_vectors


def services(documents: Sequence[Document]) -> tuple[Service, ...]:
    """The services of a corpus, by name."""
    rows: dict[str, list[int]] = {}
    for row, document in enumerate(documents):
        rows.setdefault(document.service, []).append(row)
    return tuple(Service(name, len(own), tuple(own[:OPERATIONS])) for name, own in sorted(rows.items()))


def commands(
    wanted: Sequence[Service], documents: Sequence[Document], vectors: dict[int, Floats]
) -> Iterator[Command]:
    """JSON.SET of each service; `vectors` by row of the corpus, each (d,)."""
    for service in wanted:
        whole = {
            "name": service.name,
            "source": documents[service.rows[0]].source,
            "size": service.size,
            "operations": [
                {
                    "title": documents[row].title,
                    "verb": documents[row].verb,
                    "embedding": vectors[row].astype(np.float64).round(_DIGITS).tolist(),
                }
                for row in service.rows
            ],
        }
        yield ("JSON.SET", service.key, "$", json.dumps(whole))
