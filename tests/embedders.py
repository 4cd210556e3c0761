"""Models of the tests: an OpenAI-compatible endpoint on this machine, and folders with tiny models."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memdb.cluster.client import Client
from memdb.vectors.index import HnswField, IndexInfo, IndexSpec, TextField, create, index_info
from tests.waiting import until

TEXTS = ["restore a table", "rotate a password", "count visitors", "a bucket"]
WORDS = ["[UNK]", "restore", "a", "table", "rotate", "password", "bucket", "count", "visitors"]


def vector_of(text: str, dimension: int) -> NDArray[np.float64]:
    """The sum of a direction for each word: texts that share words lie near each other."""
    rows = [
        np.random.default_rng(int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")).normal(
            size=dimension
        )
        for word in text.lower().split()
    ]
    return np.sum(rows, axis=0)


def indexed(
    client: Client,
    prefix: str,
    dim: int,
    metric: str = "COSINE",
    length: float = 0.0,
    texts: Sequence[str] = TEXTS,
    name: str = "",
    own: Callable[[str], NDArray[Any]] | None = None,
) -> IndexInfo:
    """An index of texts, of unit length where none is given, else of lengths up to that.

    By `vector_of`, or by a rule of the test's own.
    """
    name = name or f"{prefix}idx{dim}{metric}"
    key = f"{name}:d:"
    create(client, IndexSpec(name, (TextField("title"), HnswField("embedding", dim, metric)), (key,)))
    for i, text in enumerate(texts):
        row = np.asarray(own(text) if own else vector_of(text, dim), dtype=np.float64)
        row *= (length or 1) / np.linalg.norm(row) * ((i + 1) / len(texts) if length else 1)
        client.execute("HSET", f"{key}{i}", "title", text, "embedding", row.astype("<f4").tobytes())
    until(lambda: index_info(client, name).documents == len(texts), "the documents are indexed")
    return index_info(client, name)


@dataclass
class Endpoint:
    """What the endpoint does, and what it was asked. A model `any-384` gives 384 numbers."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)  # of the next calls; 200 once there are none left
    answer: object = None  # instead of vectors
    headers: dict[str, str] = field(default_factory=dict)
    most_characters: int = 1 << 30  # of a text; a longer one is refused as OpenAI does it
    hang: threading.Event | None = None  # an answer waits for it, after its first byte
    calls: list[tuple[str, str, Any]] = field(default_factory=list)  # path, Authorization, body

    def reply(self, body: Any) -> tuple[int, object]:
        status = self.statuses.pop(0) if self.statuses else 200
        if self.answer is not None:
            return status, self.answer
        if status != 200:
            return status, {"error": {"message": f"status {status}"}}
        if any(len(text) > self.most_characters for text in body["input"]):
            said = "This model's maximum context length is 8192 tokens, however you requested more."
            return 400, {"error": {"message": said}}
        dimension = body.get("dimensions") or int(body["model"].rpartition("-")[2])
        rows = [
            {"index": i, "embedding": vector_of(text, dimension).tolist()}
            for i, text in enumerate(body["input"])
        ]
        tokens = sum(len(text.split()) for text in body["input"])
        return 200, {"data": rows[::-1], "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    """One that answers until the end of the block."""
    about = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            about.calls.append((self.path, self.headers.get("Authorization", ""), body))
            status, answer = about.reply(body)
            raw = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in about.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            try:
                self.wfile.write(raw[:1])
                if about.hang is not None:
                    about.hang.wait(60)
                self.wfile.write(raw[1:])
            except OSError:  # who asked has gone
                pass

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    about.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield about
    finally:
        if about.hang is not None:
            about.hang.set()
        server.shutdown()
        thread.join()
        server.server_close()


def tokenizer(folder: Path, words: Sequence[str] = WORDS) -> None:
    """Words between blanks, each a token by its place."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=words[0]))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]  # its stub is read-only
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))


def static_model(
    folder: Path, dimension: int, *, normalize: bool = True, **more: NDArray[Any]
) -> NDArray[np.float32]:
    """A static model in model2vec's layout; its table (words, dimension)."""
    from safetensors.numpy import save_file

    tokenizer(folder)
    table = np.random.default_rng(dimension).normal(size=(len(WORDS), dimension)).astype(np.float32)
    save_file({"embeddings": table, **more}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": normalize}))
    return table


def onnx_model(folder: Path, dimension: int, *, pooling: str = "mean") -> NDArray[np.float32]:
    """A model of one layer, a token's row of a table, in sentence-transformers' layout; its table."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    tokenizer(folder)
    table = np.random.default_rng(dimension).normal(size=(len(WORDS), dimension)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])],
        "tiny",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
            for name in ("input_ids", "attention_mask")
        ],
        [
            helper.make_tensor_value_info(
                "last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", dimension]
            )
        ],
        [numpy_helper.from_array(table, "table")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "onnx").mkdir()
    onnx.save(made, folder / "onnx" / "model.onnx")
    kinds = ["Transformer", "Pooling", "Normalize"]
    modules = [
        {"type": f"sentence_transformers.models.{kind}", "path": f"{i}_{kind}" if i else ""}
        for i, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    modes = {
        f"pooling_mode_{name}": name.startswith(pooling)
        for name in ("cls_token", "mean_tokens", "max_tokens")
    }
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": dimension, **modes})
    )
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 4}))
    return table
