"""Any endpoint that speaks OpenAI's /embeddings: OpenAI, Azure, vLLM, Ollama, text-embeddings-inference."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import urllib3

from memdb import http_address
from memdb.display import line, repeats
from memdb.embedding.answers import ModelAnswer, Side, counted_tokens
from memdb.errors import (
    BadInput,
    EngineError,
    LoginFailed,
    MemDBError,
    ServiceUnreachable,
    TextTooLong,
    Throttled,
)
from memdb.numerals import whole_number

DEFAULT_URL = "https://api.openai.com/v1"
TIMEOUT_S = 30.0
# What OpenAI's own models give where no other dimension is wanted.
DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
_MOST_BYTES = 64 << 20  # of a reply
_LOCAL = ("127.0.0.1", "localhost", "::1")
_LENGTH = re.compile(
    r"context length|maximum.{0,30}(tokens|length)|too (long|many tokens)|token limit|max_\w*len",
    re.IGNORECASE,
)
_BUSY = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class OpenAI:
    """A model behind an endpoint. The key is sent to that endpoint only, over TLS or to this machine.

    `wanted` is a dimension that the endpoint is asked for; None leaves it the model's own.
    """

    model: str
    url: str = DEFAULT_URL
    key: str = field(default="", repr=False)
    wanted: int | None = None
    timeout_s: float = TIMEOUT_S
    at_once: int = 64
    longest: int = 32_000  # characters: 8,192 tokens of English; where the endpoint takes less, it says so

    def __post_init__(self) -> None:
        if not self.model:
            raise BadInput("The embedding model has no name.", "Write it like openai:text-embedding-3-small.")
        object.__setattr__(self, "url", (self.url or DEFAULT_URL).rstrip("/"))
        parts = http_address.parts_of(self.url)
        if parts is None or parts.username or parts.password:
            raise BadInput(
                "The address of the embedding endpoint is no http(s) address without a login in it.",
                "Write it like https://host/v1 (MEMDB_EMBEDDER_URL) and keep the key in MEMDB_EMBEDDER_KEY.",
            )
        if self.key and parts.scheme == "http" and parts.hostname not in _LOCAL:
            raise BadInput(
                "The key would be sent unencrypted to another machine.", "Use https, or leave the key out."
            )
        if not self.key.isascii() or any(sign.isspace() for sign in self.key):
            raise BadInput(
                "The key of the embedding endpoint holds a sign that no key has.", "Check MEMDB_EMBEDDER_KEY."
            )

    @property
    def spec(self) -> str:
        """`openai:MODEL`, or `openai:MODEL@DIMENSION`."""
        return f"openai:{self.model}" + (f"@{self.wanted}" if self.wanted else "")

    @property
    def name(self) -> str:
        """Model and host."""
        return f"{self.model} at {urlsplit(self.url).hostname}"

    @property
    def dimension(self) -> int | None:
        """As asked for, or as OpenAI documents it; None at another endpoint."""
        return self.wanted or (DIMENSIONS.get(self.model) if self.url == DEFAULT_URL else None)

    @property
    def identity(self) -> str:
        """Endpoint, model and dimension; no key."""
        return f"{self.url} {self.spec}"

    @property
    def sends_to(self) -> str:
        """The endpoint."""
        near = urlsplit(self.url).hostname in _LOCAL
        return f"{self._netloc}, an address of this machine" if near else self._netloc

    def call(self, texts: Sequence[str], side: Side) -> ModelAnswer:
        """The vectors of some texts, of the lengths that the endpoint gives them.

        Raises:
            ServiceUnreachable: the endpoint does not answer, or not in time.
            Throttled: it wants fewer calls, or fails for the moment.
            LoginFailed: it refuses the key.
            TextTooLong: a text has more tokens than the model takes.
            EngineError: it answers with an error, or with something else than JSON.
        """
        body: dict[str, object] = {"model": self.model, "input": list(texts)}
        if self.wanted:
            body["dimensions"] = self.wanted
        status, answer, wait = self._posted(body)
        if status != 200 or not isinstance(answer, dict):
            raise self._refused(status, answer, wait)
        data = answer.get("data")
        rows = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
        rows.sort(key=lambda row: row.get("index", 0) if isinstance(row.get("index", 0), int) else 0)
        usage = answer.get("usage")
        tokens = usage.get("prompt_tokens", usage.get("total_tokens")) if isinstance(usage, dict) else None
        return ModelAnswer([row.get("embedding") for row in rows], counted_tokens(tokens))

    def _posted(self, body: dict[str, object]) -> tuple[int, object, float]:
        """Status, JSON (None where it is none) and the seconds that the endpoint wants to be left alone."""
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        until = time.monotonic() + self.timeout_s
        timeout = urllib3.Timeout(connect=min(5.0, self.timeout_s), read=self.timeout_s)
        raw = bytearray()
        try:
            with urllib3.PoolManager(timeout=timeout, retries=False) as pool:
                reply = pool.request(
                    "POST", f"{self.url}/embeddings", json=body, headers=headers, preload_content=False
                )
                try:
                    while part := reply.read1(1 << 16):
                        raw += part
                        if len(raw) > _MOST_BYTES:
                            raise EngineError(
                                f"The embedding endpoint {self._netloc} answered with more than "
                                f"{_MOST_BYTES >> 20} MB.",
                                "Check its address.",
                            )
                        if time.monotonic() > until:  # each read alone may be in time
                            raise self._silent("it answers too slowly")
                finally:
                    reply.close()
        except urllib3.exceptions.TimeoutError as exc:
            raise self._silent(f"no answer within {self.timeout_s:g} s") from exc
        except urllib3.exceptions.HTTPError as exc:
            raise self._silent(type(exc).__name__) from exc
        wait = reply.headers.get("Retry-After", "")
        return reply.status, _json(bytes(raw)), float(whole_number(wait) or 0)

    @property
    def _netloc(self) -> str:
        return urlsplit(self.url).netloc

    def _silent(self, why: str) -> ServiceUnreachable:
        return ServiceUnreachable(
            f"The embedding endpoint {self._netloc} did not answer ({why}).",
            "Check its address (MEMDB_EMBEDDER_URL), or give it longer (MEMDB_EMBEDDER_TIMEOUT).",
        )

    def _refused(self, status: int, body: object, wait: float) -> MemDBError:
        if status in (401, 403):
            return LoginFailed(
                f"The embedding endpoint refused the key (HTTP {status}).", "Check MEMDB_EMBEDDER_KEY."
            )
        error = body.get("error", body.get("message")) if isinstance(body, dict) else None
        words = str((error.get("message", "") if isinstance(error, dict) else error) or "")
        if self.key and repeats(words, self.key):
            words = "(not shown: it repeats the key)"
        if status in (400, 413, 422) and (status == 413 or _LENGTH.search(words)):
            return TextTooLong(f"{self.name} takes no text as long as this.", "Give a shorter one.")
        sentence = f"The embedding endpoint answered HTTP {status}" + (
            f": {line(words, 200)}" if words else "."
        )
        if status == 200:
            sentence = f"The embedding endpoint {self._netloc} did not answer with JSON."
        if status in _BUSY or status >= 500:
            return Throttled(sentence, "Try again in a moment, or look at that service.", after_s=wait)
        return EngineError(
            sentence, "Check the model's name and the endpoint's address (MEMDB_EMBEDDER_URL)."
        )


def _json(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None
