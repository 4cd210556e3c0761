"""Amazon Titan Text Embeddings V2 and Cohere Embed, through Bedrock's InvokeModel."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from memdb.assistant.bedrock_client import client, explained
from memdb.embedding import answers
from memdb.errors import BadInput, EngineError
from memdb.vectors.distance import Floats

TITAN = "amazon.titan-embed-text-v2:0"
TITAN_DIMENSIONS = (256, 512, 1024)
# Cohere's v3 models have one dimension; v4 has 1,536 unless asked otherwise, which we do not.
COHERE = {"cohere.embed-english-v3": 1024, "cohere.embed-multilingual-v3": 1024, "cohere.embed-v4:0": 1536}
_COHERE_AT_ONCE = 96  # texts a call may carry


@dataclass(frozen=True)
class Bedrock:
    """A model of Bedrock. Credentials and region are boto3's own."""

    family: Literal["titan", "cohere"]
    model: str
    dimension: int | None
    boto: Any = field(
        default=None, repr=False, compare=False
    )  # a bedrock-runtime client, else made when needed

    @property
    def name(self) -> str:
        """Model and dimension."""
        return f"{self.model}, {self.dimension:,} numbers" if self.dimension else self.model

    @cached_property
    def _client(self) -> Any:
        return self.boto if self.boto is not None else client()

    def embed(self, texts: Sequence[str]) -> Floats:
        """(len(texts), dimension) float32 of length 1; Titan takes one text a call, Cohere 96."""
        wanted = answers.asked(texts)
        rows: list[Any] = []
        if self.family == "titan":
            for text in wanted:
                body = {"inputText": text, "dimensions": self.dimension, "normalize": True}
                rows.append(self._invoke(body).get("embedding"))
        else:
            for start in range(0, len(wanted), _COHERE_AT_ONCE):
                part = wanted[start : start + _COHERE_AT_ONCE]
                # The question's side of the model: documents are embedded as "search_document".
                reply = self._invoke({"texts": part, "input_type": "search_query", "truncate": "END"})
                vectors = reply.get("embeddings")
                rows += (vectors.get("float") if isinstance(vectors, dict) else vectors) or []
        return answers.vectors(rows, len(wanted), self.model)

    def _invoke(self, body: dict[str, Any]) -> dict[str, Any]:
        with explained(self.model):
            reply = self._client.invoke_model(
                modelId=self.model,
                body=json.dumps(body),
                contentType="application/json",
                accept="application/json",
            )
            text = reply["body"].read()
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise EngineError(
                f"{self.model} did not answer with JSON.", "Try again, or choose another model."
            )
        return answer


def titan(dimension: str, boto: Any = None) -> Bedrock:
    """Titan V2 with 256, 512 or 1,024 numbers.

    Raises:
        BadInput: it does not offer that many.
    """
    if dimension not in {str(d) for d in TITAN_DIMENSIONS}:
        raise BadInput(
            f"Titan Text Embeddings V2 has no vectors of {dimension} numbers.",
            "Choose 256, 512 or 1024, e.g. titan:512.",
        )
    return Bedrock("titan", TITAN, int(dimension), boto)


def cohere(model: str, boto: Any = None) -> Bedrock:
    """A Cohere model by its id on Bedrock.

    Raises:
        BadInput: the id is no Cohere embedding model's.
    """
    model = model or "cohere.embed-english-v3"
    if not model.rpartition("cohere.embed")[1]:
        raise BadInput(f"'{model}' is no Cohere embedding model.", f"One of: {', '.join(COHERE)}.")
    return Bedrock("cohere", model, COHERE.get(model), boto)
