"""Any endpoint that speaks OpenAI's /embeddings: OpenAI, Azure, vLLM, Ollama, text-embeddings-inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import urllib3

from memdb import http_address
from memdb.display import line
from memdb.embedding import answers
from memdb.errors import BadInput, EngineError, LoginFailed, Unreachable
from memdb.vectors.distance import Floats

DEFAULT_URL = "https://api.openai.com/v1"
_TIMEOUT = urllib3.Timeout(connect=5.0, read=30.0)


@dataclass(frozen=True, slots=True)
class OpenAI:
    """A model behind an endpoint. The key is sent to that endpoint only, over TLS or to this machine."""

    model: str
    url: str = DEFAULT_URL
    key: str = field(default="", repr=False)
    dimension: int | None = None

    def __post_init__(self) -> None:
        if not self.model:
            raise BadInput("The embedding model has no name.", "Write it like openai:text-embedding-3-small.")
        object.__setattr__(self, "url", (self.url or DEFAULT_URL).rstrip("/"))
        parts = http_address.parts_of(self.url)
        if parts is None or parts.username or parts.password:
            raise BadInput(
                "MEMDB_EMBEDDER_URL is no http(s) address without a login in it.",
                "Write it like https://host/v1 and put the key into MEMDB_EMBEDDER_KEY.",
            )
        if self.key and parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise BadInput(
                "The key would be sent unencrypted to another machine.", "Use https, or leave the key out."
            )

    @property
    def name(self) -> str:
        """Model and host."""
        return f"{self.model} at {urlsplit(self.url).hostname}"

    def embed(self, texts: Sequence[str]) -> Floats:
        """(len(texts), dimension) float32 of length 1.

        Raises:
            Unreachable: the endpoint does not answer.
            LoginFailed: it refuses the key.
            EngineError: it answers with an error, or with something else than vectors.
            BadInput: a text is blank.
        """
        wanted = answers.asked(texts)
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        try:
            with urllib3.PoolManager(timeout=_TIMEOUT, retries=False) as pool:
                reply = pool.request(
                    "POST",
                    f"{self.url}/embeddings",
                    json={"model": self.model, "input": wanted},
                    headers=headers,
                )
                status, body = reply.status, _json(reply)
        except urllib3.exceptions.HTTPError as exc:
            raise Unreachable(
                f"The embedding endpoint {urlsplit(self.url).netloc} did not answer ({type(exc).__name__}).",
                "Check MEMDB_EMBEDDER_URL.",
            ) from exc
        if status in (401, 403):
            raise LoginFailed(
                f"The embedding endpoint refused the key (HTTP {status}).", "Check MEMDB_EMBEDDER_KEY."
            )
        if status != 200 or not isinstance(body, dict):
            told = body.get("error") if isinstance(body, dict) else None
            words = told.get("message", "") if isinstance(told, dict) else told or ""
            raise EngineError(
                f"The embedding endpoint answered HTTP {status}"
                + (f": {line(str(words), 200)}" if words else "."),
                "Check the model's name and MEMDB_EMBEDDER_URL.",
            )
        data = body.get("data")
        rows = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
        rows.sort(key=lambda row: row.get("index", 0) if isinstance(row.get("index", 0), int) else 0)
        return answers.vectors([row.get("embedding") for row in rows], len(wanted), self.model)


def _json(reply: urllib3.BaseHTTPResponse) -> object:
    try:
        return reply.json()
    except ValueError:
        return None
