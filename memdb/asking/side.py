"""A way to ask an index: by vectors, by words, or both; with which model, EF_RUNTIME and filter.

a = opened(client, Side("idx:docs"), settings)
b = opened(other, Side("idx:docs2", model="titan:1024", by="both"), settings)
ask(a, "restore a table").keys
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from memdb import embedding
from memdb.cluster.client import Client
from memdb.embedding import Embedded, Embedder, Spent, silent
from memdb.errors import BadInput
from memdb.settings import Settings
from memdb.vectors import words as by_words
from memdb.vectors.distance import Doubles, Floats
from memdb.vectors.filters import EVERYTHING, Condition, render
from memdb.vectors.fusion import FUSION, Fused, Fusion
from memdb.vectors.hybrid import HybridRequest, hybrid
from memdb.vectors.index import IndexInfo, index_info
from memdb.vectors.query import EF_RUNTIME, Command, KnnRequest, returnable, template, vector_param
from memdb.vectors.search import knn
from memdb.vectors.words import WordsRequest, words

By = Literal["vectors", "words", "both"]
WAYS: dict[By, str] = {"vectors": "vectors", "words": "words", "both": "words and vectors"}


@dataclass(frozen=True, slots=True)
class Side:
    """A way to ask. `model` empty: the one that is said of the index. `ef_runtime` None: the index's own."""

    index: str
    field: str = ""
    by: By = "vectors"
    k: int = 10
    ef_runtime: int | None = EF_RUNTIME
    filter: Condition | str = EVERYTHING
    model: str = ""
    fusion: Fusion = FUSION


@dataclass(frozen=True, slots=True, eq=False)
class OpenSide:
    """A side held against its index; `embedder` is None where it is asked by words alone."""

    client: Client
    info: IndexInfo
    side: Side
    embedder: Embedder | None

    def words(self, other: OpenSide | None = None) -> str:
        """For people; beside another side what differs from it, or all where nothing does."""
        own, theirs = self._parts(), other._parts() if other is not None else {}
        differing = [text for name, text in own.items() if theirs.get(name) != text and text]
        return ", ".join(differing or [text for text in own.values() if text])

    def _parts(self) -> dict[str, str]:
        side = self.side
        named, params = self.info.vector_field(side.field)
        vectors = side.by != "words"
        ef = f"EF {side.ef_runtime}" if side.ef_runtime and params.has_ef else ""
        rendered = render(side.filter, self.client.server.dialect, self.info)
        return {
            "target": self.client.target.name,
            "index": self.info.name,
            "field": named.name if vectors else "",
            "model": self.embedder.spec if self.embedder else "",
            "by": WAYS[side.by],
            "ef": ef if vectors else "",
            "m": f"M {params.m}" if vectors and params.m else "",
            "filter": "no filter" if rendered.everything else f"filter {rendered.query}",
            "fusion": side.fusion.words if side.by == "both" else "",
        }


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a side answered to one question, best first."""

    keys: tuple[str, ...]
    scores: Doubles  # (len(keys),): distances by vectors, smaller is better; else scores, larger is better
    fields: tuple[Mapping[str, str], ...]
    took_ms: float
    commands: tuple[Command, ...]
    notes: tuple[str, ...] = ()
    legs: tuple[Fused, ...] = ()  # by words and vectors: rank and score of each leg, of each hit
    embedded: Embedded | None = None
    scored: str = ""  # what a score is


def opened(
    client: Client,
    side: Side,
    settings: Settings,
    *,
    info: IndexInfo | None = None,
    tell: Callable[[Embedder], None] = silent,
) -> OpenSide:
    """A side held against its index and its model, before anything is asked.

    Args:
        client: where the index is.
        side: the way.
        settings: of the environment; they name the settings file.
        info: the index, where it is known.
        tell: gets the embedder before any text is sent, e.g. to say what leaves this machine.

    Raises:
        BadInput: field, K, EF_RUNTIME, filter or model do not fit the index.
        UnsupportedFeature: words are asked for where none can be searched.
        MemDBError: the server or the model did not answer.
    """
    info = info or index_info(client, side.index)
    if side.by != "vectors":
        by_words.need(client.server.dialect, info)
    embedder = None
    if side.by != "words":
        template(_request(info, side, b""), info, client.server.dialect)
        embedder = embedding.embedder_for(
            client, info, settings, field=side.field, here=side.model, tell=tell
        )
    return OpenSide(client, info, side, embedder)


def ask(open_side: OpenSide, text: str, *, vector: Floats | None = None) -> Answer:
    """One question asked of a side.

    Args:
        open_side: which.
        text: the question.
        vector: (dim,) of it, where it is embedded already.

    Raises:
        BadInput: the question is blank, holds no word that is indexed, or the vector is of another dimension.
        MemDBError: the server or the model did not answer.
    """
    client, info, side = open_side.client, open_side.info, open_side.side
    if side.by == "words":
        word_result = words(
            client, info, WordsRequest(info.name, text, side.k, side.filter, returnable(info))
        )
        return Answer(
            word_result.keys,
            word_result.scores,
            word_result.fields,
            word_result.took_ms,
            word_result.commands,
            word_result.notes,
            scored=word_result.scored,
        )
    embedded = None
    if vector is None:
        embedded = embeddings(open_side, [text])
        vector = embedded.vectors[0]
    notes = embedded.notes if embedded else ()
    request = _request(info, side, vector_param(_fitting(open_side, vector)))
    if side.by == "vectors":
        near = knn(client, request, info)
        return Answer(
            near.keys,
            near.distances,
            near.fields,
            near.took_ms,
            (near.command,),
            (*notes, *near.notes),
            embedded=embedded,
            scored="distance",
        )
    fused = hybrid(client, info, HybridRequest(request, text, side.fusion))
    return Answer(
        fused.keys,
        fused.scores,
        fused.fields,
        fused.took_ms,
        fused.commands,
        (*notes, *fused.notes),
        fused.hits,
        embedded,
        f"{side.fusion.words}; fused by {fused.fused_by}",
    )


def embeddings(open_side: OpenSide, texts: Sequence[str]) -> Embedded:
    """Questions as vectors of a side's model; see `Embedder.ask`.

    Raises:
        BadInput: the side is asked by words alone.
        MemDBError: the model did not answer.
    """
    if open_side.embedder is None:
        raise BadInput("Words are not embedded.", "Ask this side by vectors.")
    return open_side.embedder.ask(texts)


def spent(answers: Sequence[Answer]) -> Spent:
    """What embedding cost for some answers together."""
    return sum((answer.embedded.spent for answer in answers if answer.embedded), Spent())


def _request(info: IndexInfo, side: Side, vector: tuple[float, ...] | bytes) -> KnnRequest:
    field, params = info.vector_field(side.field)
    ef = side.ef_runtime if params.has_ef else None
    return KnnRequest(info.name, vector, field.name, side.k, ef, side.filter, returnable(info))


def _fitting(open_side: OpenSide, vector: Floats) -> Floats:
    _, params = open_side.info.vector_field(open_side.side.field)
    if len(vector) != params.dim:
        raise BadInput(
            f"The question's vector has {len(vector):,} numbers; the vectors of '{open_side.info.name}' have "
            f"{params.dim:,}.",
            "Ask in words: each index then gets the vector of its own model.",
        )
    return vector
