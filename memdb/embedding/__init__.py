"""Embedding models behind one interface: the local one, Titan and Cohere on Bedrock, OpenAI-compatible.

embedder = named("titan:512", settings)
fits(embedder, params)          # before it is used on an index
vectors = embedder.embed(["restore a table"])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from memdb.errors import BadInput
from memdb.settings import Settings
from memdb.vectors.distance import Floats
from memdb.vectors.index import VectorParams

LOCAL = "local"
EXAMPLES = ("local", "titan:1024", "cohere:cohere.embed-english-v3", "openai:text-embedding-3-small")


class Embedder(Protocol):
    """Texts → vectors. `dimension` is None where only an answer tells it."""

    @property
    def name(self) -> str:
        """The model, as people call it."""

    @property
    def dimension(self) -> int | None:
        """Numbers of a vector, if they are known without asking."""

    def embed(self, texts: Sequence[str]) -> Floats:
        """(len(texts), dimension) float32 of length 1.

        Raises:
            BadInput: a text is blank.
            MemDBError: the service did not answer, refused, or answered with something else.
        """


def named(name: str, settings: Settings) -> Embedder:
    """The embedder of a name: `local`, `titan:DIMENSION`, `cohere:MODEL`, `openai:MODEL`.

    Raises:
        BadInput: there is none of that name, or a setting it needs is missing.
    """
    kind, _, rest = name.strip().partition(":")
    if kind in ("", LOCAL):
        from memdb.embedding.local import Local

        return Local()
    if kind in ("titan", "cohere"):
        from memdb.embedding import bedrock

        return bedrock.titan(rest or "1024") if kind == "titan" else bedrock.cohere(rest)
    if kind == "openai":
        from memdb.embedding.openai import OpenAI

        return OpenAI(rest, settings.embedder_url, settings.embedder_key)
    raise BadInput(f"There is no embedder '{name}'.", f"Use one like: {', '.join(EXAMPLES)}.")


def fits(embedder: Embedder, params: VectorParams, index: str) -> None:
    """Hold a model against a vector field before it is used; a model of unknown dimension is asked once.

    Raises:
        BadInput: its vectors have another length than the index's.
        MemDBError: the model had to be asked and did not answer.
    """
    dimension = embedder.dimension
    if dimension is None:
        dimension = int(embedder.embed(["dimension"]).shape[1])
    if dimension != params.dim:
        raise BadInput(
            f"{embedder.name} gives {dimension:,} numbers; the vectors of '{index}' have {params.dim:,}.",
            "Choose the model the index was built with, or another index.",
        )
