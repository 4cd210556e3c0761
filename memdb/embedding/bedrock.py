"""Amazon Titan Text Embeddings V2 and Cohere Embed, through Bedrock's InvokeModel."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from memdb.assistant.bedrock_client import aws_region, client, explained
from memdb.embedding.answers import ModelAnswer, Side, counted_tokens
from memdb.errors import BadInput, EngineError

TITAN = "amazon.titan-embed-text-v2:0"
TITAN_DIMENSIONS = (256, 512, 1024)
# Cohere's v3 models have one dimension; v4 has 1,536 unless asked otherwise, which we do not.
COHERE = {"cohere.embed-english-v3": 1024, "cohere.embed-multilingual-v3": 1024, "cohere.embed-v4:0": 1536}
# What a call may carry, as Bedrock's guide has it: texts, and characters of each.
_TITAN_LONGEST = 50_000
_COHERE_AT_ONCE, _COHERE_LONGEST, _COHERE_4_LONGEST = 96, 2_048, 400_000


@dataclass(frozen=True)
class Bedrock:
    """A model of Bedrock. Credentials and region are boto3's own."""

    family: Literal["titan", "cohere"]
    model: str
    dimension: int | None
    longest: int = _TITAN_LONGEST
    at_once: int = 1
    boto: Any = field(
        default=None, repr=False, compare=False
    )  # a bedrock-runtime client, else made when needed

    @property
    def spec(self) -> str:
        """`titan:512`, `cohere:MODEL`."""
        return f"titan:{self.dimension}" if self.family == "titan" else f"cohere:{self.model}"

    @property
    def name(self) -> str:
        """Model and dimension."""
        return f"{self.model}, {self.dimension:,} numbers" if self.dimension else self.model

    @property
    def identity(self) -> str:
        """Model and dimension."""
        return self.spec

    @property
    def sends_to(self) -> str:
        """The service, with its Region where one is configured."""
        region = aws_region()
        return f"Amazon Bedrock in {region}" if region else "Amazon Bedrock"

    @cached_property
    def _client(self) -> Any:
        return self.boto if self.boto is not None else client()

    def call(self, texts: Sequence[str], side: Side) -> ModelAnswer:
        """The vectors of some texts, of the lengths that the model gives them.

        Raises:
            MemDBError: there are no credentials, or Bedrock does not answer or says no.
        """
        if self.family == "titan":
            (text,) = texts
            reply = self._invoke({"inputText": text, "dimensions": self.dimension, "normalize": False})
            tokens = reply.get("inputTextTokenCount")
            return ModelAnswer([reply.get("embedding")], counted_tokens(tokens))
        # Documents and questions are embedded differently, and the model is told which these are.
        body = {"texts": list(texts), "input_type": f"search_{side}", "truncate": "END"}
        vectors = self._invoke(body).get("embeddings")
        return ModelAnswer((vectors.get("float") if isinstance(vectors, dict) else vectors) or [])

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
        except (ValueError, RecursionError):
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
    return Bedrock("titan", TITAN, int(dimension), boto=boto)


def cohere(model: str, boto: Any = None) -> Bedrock:
    """A Cohere model by its id on Bedrock.

    Raises:
        BadInput: the id is no Cohere embedding model's.
    """
    model = model or "cohere.embed-english-v3"
    if not model.rpartition("cohere.embed")[1]:
        raise BadInput(f"'{model}' is no Cohere embedding model.", f"One of: {', '.join(COHERE)}.")
    longest = _COHERE_4_LONGEST if ".embed-v4" in model else _COHERE_LONGEST
    return Bedrock("cohere", model, COHERE.get(model), longest, _COHERE_AT_ONCE, boto)
