"""Embedding models beside the local one: what is sent, what comes back, what goes wrong."""

from __future__ import annotations

import io
import json
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from memdb import files
from memdb.embedding import Embedder, Patience, bedrock, declared, fits, named
from memdb.embedding.kept import KeptVectors
from memdb.embedding.openai import OpenAI
from memdb.errors import BadInput, EngineError, LoginFailed, MemDBError, ServiceUnreachable, Throttled
from memdb.settings import Settings
from memdb.vectors.index import VectorParams
from tests import embedders
from tests.embedders import Endpoint, vector_of
from tests.unit.test_files import DAMAGE

AT_ONCE = Patience(first_s=0.0, longest_s=0.0)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Stubber]]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    client = boto3.client("bedrock-runtime", region_name="us-east-1")
    with Stubber(client) as found:
        yield client, found


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with embedders.endpoint() as about:
        yield about


def settings(home: Path, **values: str) -> Settings:
    return Settings.from_env({"MEMDB_HOME": str(home)} | {f"MEMDB_{k.upper()}": v for k, v in values.items()})


def reply(body: object) -> dict[str, object]:
    raw = json.dumps(body).encode()
    return {"body": StreamingBody(io.BytesIO(raw), len(raw)), "contentType": "application/json"}


def sent(model: str, body: object) -> dict[str, object]:
    return {"modelId": model, "body": json.dumps(body), "contentType": ANY, "accept": ANY}


def test_titan_is_asked_text_by_text(stub: tuple[Any, Stubber]) -> None:
    client, stubber = stub
    for text in ("one", "two"):
        stubber.add_response(
            "invoke_model",
            reply({"embedding": [3.0, 4.0] + [0.0] * 254, "inputTextTokenCount": 2}),
            sent(bedrock.TITAN, {"inputText": text, "dimensions": 256, "normalize": False}),
        )
    embedded = Embedder(bedrock.titan("256", client)).ask(["one ", "two"])
    stubber.assert_no_pending_responses()
    assert embedded.vectors.shape == (2, 256)
    np.testing.assert_allclose(embedded.vectors[0, :2], [0.6, 0.8], atol=1e-6)
    assert (embedded.spent.texts, embedded.spent.sent, embedded.spent.tokens) == (2, 2, 4)


@pytest.mark.parametrize("shape", ["list", "by type"])
@pytest.mark.parametrize("side", ["query", "document"])
def test_cohere_takes_many_texts_at_once_and_is_told_what_they_are(
    stub: tuple[Any, Stubber], shape: str, side: Any
) -> None:
    client, stubber = stub
    texts = [f"text {i}" for i in range(100)]
    for part in (texts[:96], texts[96:]):
        rows = [[1.0] * 1024] * len(part)
        stubber.add_response(
            "invoke_model",
            reply({"embeddings": rows if shape == "list" else {"float": rows}}),
            sent(
                "cohere.embed-english-v3",
                {"texts": part, "input_type": f"search_{side}", "truncate": "END"},
            ),
        )
    embedded = Embedder(bedrock.cohere("", client)).ask(texts, side)
    assert embedded.vectors.shape == (100, 1024)
    assert embedded.spent.tokens is None
    stubber.assert_no_pending_responses()


def test_a_text_longer_than_cohere_takes_is_cut_and_said(stub: tuple[Any, Stubber]) -> None:
    client, stubber = stub
    stubber.add_response(
        "invoke_model",
        reply({"embeddings": [[1.0] * 1024] * 2}),
        sent(
            "cohere.embed-english-v3",
            {"texts": ["x" * 2048, "short"], "input_type": "search_query", "truncate": "END"},
        ),
    )
    embedded = Embedder(bedrock.cohere("", client)).ask(["x" * 3000, "short"])
    assert embedded.cut == (0,)
    assert "2,048 characters" in embedded.notes[0]


@pytest.mark.parametrize(
    ("code", "error", "calls"),
    [
        ("AccessDeniedException", LoginFailed, 1),
        ("ThrottlingException", Throttled, 3),
        ("ValidationException", EngineError, 1),
    ],
)
def test_bedrock_says_no(stub: tuple[Any, Stubber], code: str, error: type[Exception], calls: int) -> None:
    client, stubber = stub
    for _ in range(calls):
        stubber.add_client_error("invoke_model", code)
    with pytest.raises(error, match=code):
        Embedder(bedrock.titan("512", client), patience=AT_ONCE).embed(["x"])
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "did not answer with"),
        ({}, "did not answer with"),
        ({"embedding": "x"}, "did not answer with"),
        ({"embedding": []}, "did not answer with"),
        ({"embedding": [float("nan")] * 1024}, "not finite"),
        ({"embedding": [1e300] * 1024}, "not finite"),
        ({"embedding": [1.0] * 512}, "512 numbers, not 1,024"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_an_answer_that_is_no_vector(stub: tuple[Any, Stubber], body: object, said: str) -> None:
    client, stubber = stub
    stubber.add_response("invoke_model", reply(body))
    with pytest.raises(EngineError, match=said):
        Embedder(bedrock.titan("1024", client)).embed(["x"])


@pytest.mark.parametrize(
    "name",
    ["titan:300", "titan:x", "cohere:amazon.nova", "openai:", "gpt", "word llama", "folder:", "local:x"],
)
def test_names_that_are_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        named(name, settings(tmp_path))


def test_the_dimension_is_checked_before_use(tmp_path: Path) -> None:
    params = VectorParams("HNSW", "FLOAT32", 256, "COSINE")
    fits(named("local", settings(tmp_path)), params, "idx")
    with pytest.raises(BadInput, match=r"512 numbers; the vectors of 'idx' have 256"):
        fits(named("titan:512", settings(tmp_path)), params, "idx")


def test_an_openai_compatible_endpoint(endpoint: Endpoint, tmp_path: Path) -> None:
    there = settings(tmp_path, embedder_url=endpoint.url, embedder_key="s3cret")
    embedder = named("openai:m-7", there)
    embedded = embedder.ask(["a b", "c", "a b"])
    for row, text in zip(embedded.vectors, ("a b", "c", "a b"), strict=True):  # in the order of the texts
        own = vector_of(text, 7)
        np.testing.assert_allclose(row, own / np.linalg.norm(own), atol=1e-6)
    assert endpoint.calls == [("/v1/embeddings", "Bearer s3cret", {"model": "m-7", "input": ["a b", "c"]})]
    assert embedded.spent.words.startswith("3 texts (1 not asked again), 3 tokens, ")
    assert "s3cret" not in repr(embedder) + embedder.name + embedder.leaves + repr(there)
    assert "an address of this machine" in embedder.leaves
    with pytest.raises(BadInput, match="7 numbers; the vectors of 'idx' have 256"):
        fits(embedder, VectorParams("HNSW", "FLOAT32", 256, "COSINE"), "idx")
    assert named("openai:m-7@5", there).embed(["a"]).shape == (1, 5)
    assert endpoint.calls[-1][2]["dimensions"] == 5


def test_lengths_are_left_as_they_come_where_the_index_has_such(endpoint: Endpoint) -> None:
    row = Embedder(OpenAI("m-9", endpoint.url), unit=False).embed(["x y"])[0]
    np.testing.assert_allclose(row, vector_of("x y", 9), rtol=1e-6)
    assert abs(np.linalg.norm(row) - 1) > 0.1


def test_what_was_embedded_is_kept_without_text_and_without_key(endpoint: Endpoint, tmp_path: Path) -> None:
    there = settings(tmp_path, embedder_url=endpoint.url, embedder_key="s3cret")
    first = named("openai:m-8", there).ask(["restore a table"])
    second = named("openai:m-8", there).ask(["restore a table", "another"])
    assert [call[2]["input"] for call in endpoint.calls] == [["restore a table"], ["another"]]
    np.testing.assert_array_equal(second.vectors[0], first.vectors[0])
    assert named("openai:m-8", there).ask(["another"]).spent.words.endswith("nothing was asked")
    # The other side, model and dimension are other texts.
    named("openai:m-8", there).ask(["another"], "document")
    named("openai:m-8@4", there).ask(["another"])
    assert len(endpoint.calls) == 4
    raw = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert raw
    assert b"s3cret" not in raw
    assert b"restore" not in raw


def test_what_is_kept_is_bounded_and_the_longest_unused_goes_first(tmp_path: Path) -> None:
    kept = KeptVectors(tmp_path / "embeddings" / "texts.sqlite", most_bytes=100 * 40)
    digests = [KeptVectors.digest("m", "query", str(i)) for i in range(150)]
    row = np.ones(10, np.float32)
    kept.put({digest: row * i for i, digest in enumerate(digests[:100])})
    assert len(kept.get(digests[:50])) == 50  # used now, so these stay
    kept.put(dict.fromkeys(digests[100:], row))
    there = kept.get(digests)
    assert len(there) == 90
    assert all(digest in there for digest in digests[100:])
    assert sum(digest in there for digest in digests[:50]) == 40
    assert not any(digest in there for digest in digests[50:100])
    for i in (i for i in range(50) if digests[i] in there):
        np.testing.assert_array_equal(there[digests[i]], row * i)


def test_work_goes_on_without_a_file_that_cannot_be_used(endpoint: Endpoint, tmp_path: Path) -> None:
    there = settings(tmp_path, embedder_url=endpoint.url)
    path = KeptVectors.under(tmp_path).path
    path.parent.mkdir()
    path.write_bytes(b"no database, but long enough to be taken for one" * 100)
    assert named("openai:m-8", there).embed(["a"]).shape == (1, 8)
    assert "texts.sqlite" in files.NOTICES[0].name
    path.unlink(missing_ok=True)
    path.symlink_to(tmp_path / "elsewhere")
    assert named("openai:m-8", there).embed(["b"]).shape == (1, 8)
    assert not (tmp_path / "elsewhere").exists()


def test_an_endpoint_that_fails_for_a_moment_is_asked_again(endpoint: Endpoint) -> None:
    endpoint.statuses = [503, 429]
    assert Embedder(OpenAI("m-8", endpoint.url), patience=AT_ONCE).embed(["x"]).shape == (1, 8)
    assert len(endpoint.calls) == 3


def test_it_waits_twice_as_long_each_time_and_as_long_as_it_is_told(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("memdb.embedding.embedder.time.sleep", waits.append)
    endpoint.statuses = [500] * 4
    endpoint.headers = {"Retry-After": "3"}
    with pytest.raises(Throttled, match="HTTP 500: status 500"):
        Embedder(OpenAI("m-8", endpoint.url), patience=Patience(tries=4)).embed(["x"])
    endpoint.headers = {}
    endpoint.statuses = [500] * 4
    with pytest.raises(Throttled):
        Embedder(OpenAI("m-8", endpoint.url), patience=Patience(tries=4)).embed(["x"])
    assert waits == [3.0, 3.0, 3.0, 0.5, 1.0, 2.0]


def test_texts_go_in_batches_that_can_be_ended(endpoint: Endpoint) -> None:
    told: list[tuple[int, int]] = []
    texts = [f"text {i}" for i in range(150)]
    embedder = Embedder(OpenAI("m-8", endpoint.url))
    vectors = embedder.ask(texts, report=lambda stage, done, total: told.append((done, total))).vectors
    assert [len(call[2]["input"]) for call in endpoint.calls] == [64, 64, 22]
    assert told == [(0, 150), (64, 150), (128, 150)]
    own = np.array([vector_of(text, 8) for text in texts])
    np.testing.assert_allclose(vectors, own / np.linalg.norm(own, axis=1, keepdims=True), atol=1e-6)


def test_a_text_too_long_for_the_endpoint_is_cut_and_said(endpoint: Endpoint) -> None:
    endpoint.most_characters = 600
    long = "word " * 500
    embedded = Embedder(OpenAI("m-8", endpoint.url)).ask(["short", long, "other"])
    assert embedded.cut == (1,)
    characters = 312  # 2,499 halved until it is at most 600
    assert f"first {characters:,} characters" in embedded.notes[0]
    own = vector_of(long.strip()[:characters], 8)
    np.testing.assert_allclose(embedded.vectors[1], own / np.linalg.norm(own), atol=1e-6)


@pytest.mark.parametrize(
    ("status", "answer", "error", "said"),
    [
        (401, {"error": {"message": "bad key s3cret"}}, LoginFailed, "refused the key"),
        (404, {"error": {"message": "no such model <b>"}}, EngineError, "no such model"),
        (400, {"error": {"message": "what is s3cret"}}, EngineError, "it repeats the key"),
        (302, {}, EngineError, "HTTP 302"),
        (500, ["x"], Throttled, "HTTP 500"),
        (200, ["x"], EngineError, "did not answer with JSON"),
        (200, {"data": "x"}, EngineError, "did not answer with 1 vector"),
        (200, {"data": [{"embedding": [1, "x"]}]}, EngineError, "did not answer with 1 vector"),
        (200, {"data": [{"embedding": [1, float("nan")]}]}, EngineError, "not finite"),
        (200, {"data": [{"embedding": [1, 2]}] * 2}, EngineError, "did not answer with 1 vector"),
        (200, {"data": [{"embedding": [1, 2, 3]}]}, EngineError, "3 numbers, not 8"),
    ],
)
def test_an_endpoint_that_fails(
    endpoint: Endpoint, status: int, answer: object, error: type[Exception], said: str
) -> None:
    endpoint.statuses = [status] * 3
    endpoint.answer = answer
    endpoint.headers = {"Location": "http://127.0.0.1:9/"} if status == 302 else {}
    with pytest.raises(error, match=said) as caught:
        Embedder(OpenAI("m", endpoint.url, "s3cret", wanted=8), patience=AT_ONCE).embed(["x"])
    assert "s3cret" not in repr(caught.value) + getattr(caught.value, "hint", "")


def test_an_endpoint_that_is_not_there() -> None:
    with pytest.raises(ServiceUnreachable, match=r"127\.0\.0\.1:9 did not answer"):
        Embedder(OpenAI("m", "http://127.0.0.1:9/v1", "key"), patience=AT_ONCE).embed(["x"])


def test_an_endpoint_that_answers_too_slowly(endpoint: Endpoint) -> None:
    endpoint.hang = threading.Event()
    once = Patience(tries=1)
    with pytest.raises(ServiceUnreachable, match=r"no answer within 0\.2 s"):
        Embedder(OpenAI("m-8", endpoint.url, timeout_s=0.2), patience=once).embed(["x"])


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("ftp://x", "key"),
        ("https://user:pw@x/v1", "key"),
        ("x", "key"),
        ("http://example.com/v1", "key"),
        ("https://[pw/v1", "key"),
        ("https://h:pw/", "key"),
        ("https://h/v1", "pw\nX-Header: pw"),
    ],
)
def test_addresses_a_key_is_not_sent_to(url: str, key: str) -> None:
    with pytest.raises(BadInput) as caught:
        OpenAI("m", url, key)
    assert "pw" not in caught.value.full()


def test_a_static_model_of_a_folder(tmp_path: Path) -> None:
    table = embedders.static_model(tmp_path / "tiny", 6)
    embedder = named(f"folder:{tmp_path / 'tiny'}", settings(tmp_path))
    assert (embedder.dimension, embedder.leaves) == (6, "Texts are embedded on this machine; none leaves it.")
    rows = embedder.embed(["restore a table", "bucket nobodyknows bucket password"])
    own = np.array([table[[1, 2, 3]].mean(axis=0), table[[6, 6, 5]].mean(axis=0)], dtype=np.float64)
    np.testing.assert_allclose(rows, own / np.linalg.norm(own, axis=1, keepdims=True), atol=1e-6)
    long = embedder.ask(["restore " * 700, "a"])
    assert (long.cut, long.notes) == (
        (0,),
        ("1 of 2 texts is longer than the model takes: its beginning counted.",),
    )


def test_a_static_model_with_weights_and_shared_rows(tmp_path: Path) -> None:
    weights = np.linspace(0.5, 2, 9)
    mapping = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4])
    table = embedders.static_model(tmp_path / "m", 5, normalize=False, weights=weights, mapping=mapping)
    embedder = Embedder(named(f"folder:{tmp_path / 'm'}", settings(tmp_path)).model, unit=False)
    own = (table[[0, 1, 1]] * weights[[1, 2, 3]][:, None]).mean(axis=0)
    np.testing.assert_allclose(embedder.embed(["restore a table"])[0], own, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_an_onnx_model_of_a_folder(tmp_path: Path, pooling: str) -> None:
    table = embedders.onnx_model(tmp_path / "e5-tiny", 6, pooling=pooling).astype(np.float64)
    (tmp_path / "e5-tiny" / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": {"query": "rotate ", "passage": "count "}})
    )
    embedder = named(f"folder:{tmp_path / 'e5-tiny'}", settings(tmp_path))
    assert embedder.prompts.words == "'rotate' is put before each question."
    pooled = {
        "mean": lambda rows: rows.mean(axis=0),
        "cls": lambda rows: rows[0],
        "max": lambda rows: rows.max(axis=0),
    }
    for side, first in (("query", 4), ("document", 7)):
        embedded = embedder.ask(["restore a table bucket", "a"], side)  # type: ignore[arg-type]
        own = np.array([pooled[pooling](table[[first, 1, 2, 3]]), pooled[pooling](table[[first, 2]])])
        np.testing.assert_allclose(
            embedded.vectors, own / np.linalg.norm(own, axis=1, keepdims=True), atol=1e-6
        )
        assert embedded.cut == (0,)  # four tokens is what it takes


def test_a_transformer_s_weights_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against transformers itself; where PyTorch is not installed, that is said."""
    folder = tmp_path / "tiny"
    embedders.onnx_model(folder, 6, pooling="mean")  # its tokenizer and sentence-transformers' files
    (folder / "onnx" / "model.onnx").unlink()
    config = {"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 8}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BadInput, match="PyTorch and transformers, which are not installed"):
        named(f"folder:{folder}", settings(tmp_path))
    monkeypatch.undo()
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    with pytest.raises(BadInput, match="no model that transformers reads"):
        named(f"folder:{folder}", settings(tmp_path))
    sizes = {"vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    made = transformers.BertConfig(**sizes, intermediate_size=16, max_position_embeddings=12)
    torch.manual_seed(3)
    transformers.BertModel(made).eval().save_pretrained(folder)
    embedder = named(f"folder:{folder}", settings(tmp_path))
    texts = ["restore a table", "a bucket a bucket a bucket", "a"]
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokens = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    own = []
    for text in texts:
        ids = tokens(text, truncation=True, max_length=4, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            own.append(model(input_ids=ids).last_hidden_state[0].mean(dim=0).double().numpy())
    wanted = np.stack(own)
    answer = embedder.ask(texts, "document")
    np.testing.assert_allclose(
        answer.vectors, wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-5
    )
    assert answer.cut == (1,)


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    def said(folder: Path) -> str:
        with pytest.raises(BadInput) as caught:
            named(f"folder:{folder}", settings(tmp_path))
        return str(caught.value)

    assert "is no folder" in said(tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no model" in said(empty)
    for name, content, words in (
        ("model.safetensors", b"\xff" * 40, "no safetensors file"),
        ("tokenizer.json", b"{}", "no tokenizer"),
        ("config.json", b"[", "cannot be read"),
        ("config.json", b"[]", "config.json is not what it should be"),
    ):
        folder = tmp_path / f"{name}{len(content)}"
        embedders.static_model(folder, 4)
        (folder / name).write_bytes(content)
        assert words in said(folder)
    other = tmp_path / "other"
    embedders.static_model(other, 4)
    from safetensors.numpy import save_file

    save_file({"encoder.layer.0": np.zeros((2, 2), np.float32)}, other / "model.safetensors")
    assert "holds no table of token vectors ('embeddings'), but encoder.layer.0" in said(other)
    broken = tmp_path / "broken"
    embedders.onnx_model(broken, 4)
    (broken / "onnx" / "model.onnx").write_bytes(b"no model")
    assert "no model that ONNX Runtime runs" in said(broken)
    dense = tmp_path / "dense"
    embedders.onnx_model(dense, 4)
    modules = json.loads((dense / "modules.json").read_text())
    modules.append({"type": "sentence_transformers.models.Dense", "path": "3_Dense"})
    (dense / "modules.json").write_text(json.dumps(modules))
    assert "a part that is not read here: Dense" in said(dense)


@pytest.mark.parametrize(
    ("name", "query", "document"),
    [
        ("intfloat/e5-small-v2", "query: ", "passage: "),
        ("multilingual-e5-large", "query: ", "passage: "),
        ("BAAI/bge-small-en-v1.5", "Represent this sentence for searching relevant passages: ", ""),
        ("nomic-embed-text:v1.5", "search_query: ", "search_document: "),
        ("text-embedding-3-small", "", ""),
        ("phase5-large", "", ""),
    ],
)
def test_what_stands_before_a_text_goes_by_the_family(
    endpoint: Endpoint, tmp_path: Path, name: str, query: str, document: str
) -> None:
    embedder = named(f"openai:{name}@8", settings(tmp_path, embedder_url=endpoint.url))
    embedder.embed(["x"])
    embedder.embed(["x"], "document")
    assert [text for call in endpoint.calls for text in call[2]["input"]] == (
        [query + "x", document + "x"] if query else ["x", "x"]
    )


@pytest.mark.parametrize("name", ["idx:orders", 'a "b" \\ c', "line\nbreak", "ключ 🎈", "tab\t\x7f\x01", ""])
def test_the_table_of_an_index_is_read_back_under_its_name(name: str) -> None:
    written = f"{declared.table_of(name, name or 'v')}\nembedder = {declared.quoted(name)}\n"
    assert tomllib.loads(written) == {"indexes": {name: {"fields": {name or "v": {"embedder": name}}}}}
    assert tomllib.loads(f"{declared.table_of(name)}\nx = 1")["indexes"] == {name: {"x": 1}}


@pytest.mark.parametrize("tokens", [10**400, -5, 1.5, "7", True, [1], None])
def test_tokens_that_cannot_be_are_not_counted(endpoint: Endpoint, tokens: object) -> None:
    endpoint.answer = {"data": [{"embedding": [0.5] * 8}], "usage": {"prompt_tokens": tokens}}
    assert OpenAI("m", endpoint.url, "", wanted=8).call(["x"], "query").tokens is None


def test_numbers_beyond_float32_are_refused_and_warn_nobody(endpoint: Endpoint) -> None:
    endpoint.answer = {"data": [{"embedding": [1e300] * 8}]}
    with pytest.raises(EngineError):
        Embedder(OpenAI("m", endpoint.url, "", wanted=8), patience=AT_ONCE).embed(["x"])


FOLDER_FILES = {
    "static": ("config.json", "tokenizer.json", "model.safetensors", "config_sentence_transformers.json"),
    "onnx": (
        *("modules.json", "sentence_bert_config.json", "1_Pooling/config.json", "onnx/model.onnx"),
        "config_sentence_transformers.json",
    ),
}
OF_A_FOLDER: dict[str, Callable[[Path], object]] = {
    **{name: damage for name, damage in DAMAGE.items() if name != "huge"},
    "texts for numbers": lambda p: p.write_text('{"max_seq_length": "x", "normalize": [], "prompts": 5}'),
    "a number of 400 digits": lambda p: p.write_text(f'{{"max_seq_length": {"9" * 400}}}'),
    "no number": lambda p: p.write_text('{"max_seq_length": NaN, "prompts": {"query": NaN}}'),
    "a place elsewhere": lambda p: p.write_text('[{"type": "x.StaticEmbedding", "path": "../.."}]'),
    "parts of other kinds": lambda p: p.write_text('[5, {"type": 5, "path": null}]'),
}


@pytest.mark.parametrize(
    ("kind", "file"), [(kind, file) for kind, names in FOLDER_FILES.items() for file in names]
)
def test_a_folder_with_a_damaged_file_is_a_model_or_refused(tmp_path: Path, kind: str, file: str) -> None:
    make = {"static": embedders.static_model, "onnx": embedders.onnx_model}[kind]
    refused: list[str] = []
    for number, damage in enumerate(OF_A_FOLDER.values()):
        folder = tmp_path / str(number) / "m"
        make(folder, 6)
        if not (path := folder / file).exists():
            path.write_text("{}")
        damage(path)
        try:
            embedded = named(f"folder:{folder}", settings(tmp_path)).embed(["restore a table"])
        except MemDBError as exc:
            refused.append(exc.full())
        else:
            assert embedded.shape == (1, 6)
    assert refused
    assert max(map(len, refused)) < 700


def test_a_folder_that_names_a_place_outside_is_refused(tmp_path: Path) -> None:
    embedders.static_model(tmp_path / "elsewhere", 6)
    embedders.static_model(tmp_path / "m", 6)
    (tmp_path / "m" / "modules.json").write_text(
        json.dumps([{"type": "x.StaticEmbedding", "path": "../elsewhere"}])
    )
    with pytest.raises(BadInput, match="outside of the folder"):
        named(f"folder:{tmp_path / 'm'}", settings(tmp_path))
