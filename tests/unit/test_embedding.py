"""Embedding models beside the local one: what is sent, what comes back, what goes wrong."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import boto3
import numpy as np
import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from memdb.embedding import bedrock, fits, named
from memdb.embedding.openai import OpenAI
from memdb.errors import BadInput, EngineError, LoginFailed, Unreachable
from memdb.settings import Settings
from memdb.vectors.index import VectorParams


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Stubber]]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    client = boto3.client("bedrock-runtime", region_name="us-east-1")
    with Stubber(client) as found:
        yield client, found


def reply(body: object) -> dict[str, object]:
    raw = json.dumps(body).encode()
    return {"body": StreamingBody(io.BytesIO(raw), len(raw)), "contentType": "application/json"}


def asked(model: str, body: object) -> dict[str, object]:
    return {"modelId": model, "body": json.dumps(body), "contentType": ANY, "accept": ANY}


def test_titan_is_asked_text_by_text(stub: tuple[Any, Stubber]) -> None:
    client, stubber = stub
    for text in ("one", "two"):
        stubber.add_response(
            "invoke_model",
            reply({"embedding": [3.0, 4.0] + [0.0] * 254, "inputTextTokenCount": 1}),
            asked(bedrock.TITAN, {"inputText": text, "dimensions": 256, "normalize": True}),
        )
    found = bedrock.titan("256", client).embed(["one ", "two"])
    stubber.assert_no_pending_responses()
    assert found.shape == (2, 256)
    np.testing.assert_allclose(found[0, :2], [0.6, 0.8], atol=1e-6)


@pytest.mark.parametrize("shape", ["list", "by type"])
def test_cohere_takes_many_texts_at_once(stub: tuple[Any, Stubber], shape: str) -> None:
    client, stubber = stub
    for count in (96, 4):
        rows = [[1.0] * 1024] * count
        stubber.add_response(
            "invoke_model",
            reply({"embeddings": rows if shape == "list" else {"float": rows}}),
            asked(
                "cohere.embed-english-v3",
                {"texts": ["x"] * count, "input_type": "search_query", "truncate": "END"},
            ),
        )
    assert bedrock.cohere("", client).embed(["x"] * 100).shape == (100, 1024)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("AccessDeniedException", LoginFailed),
        ("ThrottlingException", EngineError),
        ("ValidationException", EngineError),
    ],
)
def test_bedrock_says_no(stub: tuple[Any, Stubber], code: str, error: type[Exception]) -> None:
    client, stubber = stub
    stubber.add_client_error("invoke_model", code)
    with pytest.raises(error, match=code):
        bedrock.titan("512", client).embed(["x"])


@pytest.mark.parametrize(
    "body", [[], {}, {"embedding": "x"}, {"embedding": [float("nan")]}, {"embedding": []}]
)
def test_an_answer_that_is_no_vector(stub: tuple[Any, Stubber], body: object) -> None:
    client, stubber = stub
    stubber.add_response("invoke_model", reply(body))
    with pytest.raises(EngineError, match="did not answer with"):
        bedrock.titan("1024", client).embed(["x"])


@pytest.mark.parametrize(
    "name", ["titan:300", "titan:x", "cohere:amazon.nova", "openai:", "gpt", "word llama"]
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(BadInput):
        named(name, Settings.from_env({}))


def test_the_dimension_is_checked_before_use() -> None:
    params = VectorParams("HNSW", "FLOAT32", 256, "COSINE")
    fits(named("local", Settings.from_env({})), params, "idx")
    with pytest.raises(BadInput, match=r"512 numbers; the vectors of 'idx' have 256"):
        fits(named("titan:512", Settings.from_env({})), params, "idx")


class Endpoint(BaseHTTPRequestHandler):
    """An OpenAI-compatible endpoint as its specification describes it."""

    status = 200
    answer: ClassVar[object] = None
    seen: ClassVar[list[tuple[str, str, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append((self.path, self.headers.get("Authorization", ""), body))
        rows = [{"index": i, "embedding": [float(i), 2.0]} for i in range(len(body["input"]))][::-1]
        raw = json.dumps({"data": rows} if self.answer is None else self.answer).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Endpoint, "seen", [])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_openai_compatible_endpoint(endpoint: str) -> None:
    settings = Settings.from_env({"MEMDB_EMBEDDER_URL": endpoint, "MEMDB_EMBEDDER_KEY": "s3cret"})
    embedder = named("openai:small", settings)
    found = embedder.embed(["a", "b", "c"])
    np.testing.assert_allclose(
        found[2], np.array([2, 2]) / np.sqrt(8), atol=1e-6
    )  # in the order of the texts
    assert Endpoint.seen == [
        ("/v1/embeddings", "Bearer s3cret", {"model": "small", "input": ["a", "b", "c"]})
    ]
    assert "s3cret" not in repr(embedder) + embedder.name + repr(settings)
    with pytest.raises(BadInput, match="2 numbers; the vectors of 'idx' have 256"):
        fits(embedder, VectorParams("HNSW", "FLOAT32", 256, "COSINE"), "idx")


@pytest.mark.parametrize(
    ("status", "answer", "error", "said"),
    [
        (401, {"error": {"message": "bad key s"}}, LoginFailed, "401"),
        (404, {"error": {"message": "no such model <b>"}}, EngineError, "no such model"),
        (500, ["x"], EngineError, "HTTP 500"),
        (200, {"data": "x"}, EngineError, "did not answer with 1 vector"),
        (200, {"data": [{"embedding": [1, "x"]}]}, EngineError, "did not answer with 1 vector"),
    ],
)
def test_an_endpoint_that_fails(
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    answer: object,
    error: type[Exception],
    said: str,
) -> None:
    monkeypatch.setattr(Endpoint, "status", status)
    monkeypatch.setattr(Endpoint, "answer", answer)
    with pytest.raises(error, match=said):
        OpenAI("m", endpoint).embed(["x"])


def test_an_endpoint_that_is_not_there() -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9 did not answer"):
        OpenAI("m", "http://127.0.0.1:9/v1", "key").embed(["x"])


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "https://user:pw@x/v1", "x", "http://example.com/v1", "https://[pw/v1", "https://h:pw/"],
)
def test_addresses_a_key_is_not_sent_to(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        OpenAI("m", url, "key")
    assert "pw" not in caught.value.full()
