"""Vectors as people have them: what is read, and what is refused in words."""

from __future__ import annotations

import base64
import codecs
import json
import os
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from memdb.errors import BadInput, BadVector
from memdb.tuning import queries
from memdb.vectors import upload
from memdb.vectors.index import IndexInfo, read_info


def _npy(array: object, *, pickled: bool = False) -> bytes:
    buffer = BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=pickled)
    return buffer.getvalue()


_REPLY = b'{"object": "list", "data": [{"index": 0, "embedding": [1, 2, 3]}], "model": "m"}'
_BASE64 = base64.b64encode(np.array([1, 2, 3], "<f4").tobytes())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("double.npy", _npy(np.array([1.0, 2, 3]))),
        ("big-endian.npy", _npy(np.array([1, 2, 3], ">f4"))),
        ("half.npy", _npy(np.array([1, 2, 3], "<f2"))),
        ("whole.npy", _npy([1, 2, 3])),
        ("row.npy", _npy([[1, 2, 3]])),
        ("column.npy", _npy([[1], [2], [3]])),
        ("boxed.npy", _npy([[[1, 2, 3]]])),
        ("raw.bin", np.array([1, 2, 3], "<f4").tobytes()),
        ("mark.json", b"\xef\xbb\xbf[1, 2, 3]"),
        ("mark.csv", b"\xef\xbb\xbf1,2,3\r\n"),
        ("utf16.txt", "[1, 2, 3]".encode("utf-16")),
        ("utf16-be.json", codecs.BOM_UTF16_BE + "[1, 2, 3]".encode("utf-16-be")),
        ("openai.json", _REPLY),
        ("openai-mark.json", b"\xef\xbb\xbf" + _REPLY),
        ("openai-base64.json", b'{"data": [{"embedding": "%s"}]}' % _BASE64),
        ("ollama.json", b'{"model": "m", "embeddings": [[1, 2, 3]]}'),
        ("gemini.json", b'{"embedding": {"values": [1, 2, 3]}}'),
        ("vertex.json", b'{"predictions": [{"embeddings": {"values": [1, 2, 3], "statistics": {}}}]}'),
        ("cohere.json", b'{"embeddings": {"float": [[1, 2, 3]]}, "texts": ["x"]}'),
        ("titan.json", b'{"embedding": [1, 2, 3], "inputTextTokenCount": 2}'),
        ("stored.json", b'{"id": 7, "vector": [1, 2, 3]}'),
        ("column.json", b"[[1], [2], [3]]"),
        ("commas.csv", b"1,0;2,0;3,0"),
        ("lines.txt", b"1\n2\n3\n"),
        ("wrapped.csv", b"1,2,\n3"),
        ("printed.txt", b"[1. 2. 3.]"),
        ("printed-over-lines.txt", b"[1. 2.\n 3.]"),
        ("headed.csv", b"f0,f1,f2\n1,2,3\n"),
        ("headed-quoted.csv", b'\xef\xbb\xbf"dim_0","dim_1","dim_2"\r\n"1","2","3"\r\n'),
        ("headed-column.csv", b"embedding\n1\n2\n3\n"),
        ("headed-key.csv", b"key,f0,f1,f2\nd:7,1,2,3\n"),
        ("headed-text.csv", b'text,vector\n"one, two","[1.0, 2.0, 3.0]"\n'),
        ("headed-array.csv", b'id,vector\n7,"[1. 2.\n 3.]"\n'),
        ("headed-list.csv", b"embedding\n1.0, 2.0, 3.0\n"),
        ("headed-index.csv", b"index,value\n0,1\n1,2\n2,3\n"),
        ("headed-commas.csv", b"a;b;c\n1,0;2,0;3,0\n"),
        ("headed-tabs.tsv", b"id\ta\tb\tc\n9\t1\t2\t3\n"),
        ("headed-blanks.txt", b"a b c\n1 2 3\n"),
        ("pandas-index.csv", b",0,1,2\n0,1.0,2.0,3.0\n"),
        ("savetxt.txt", b"# f0 f1 f2\n1.0e+00,2.0e+00,3.0e+00\n"),
        ("counts-from-nothing.txt", b"1 2\n3"),
        ("output.json", b'{"output": {"embeddings": [[1, 2, 3]]}, "usage": {"total_tokens": 3}}'),
        (
            "dashscope.json",
            b'{"output": {"embeddings": [{"text_index": 0, "embedding": [1, 2, 3]}]}, "request_id": "r"}',
        ),
        ("objects.json", b'{"embeddings": [{"embedding": [1, 2, 3], "embeddingType": "TEXT"}]}'),
        ("workers.json", b'{"result": {"shape": [1, 3], "data": [[1, 2, 3]]}, "success": true}'),
        ("triton.json", b'{"outputs": [{"name": "e", "shape": [1, 3], "data": [1, 2, 3]}]}'),
        ("results.json", b'{"model": "m", "results": [{"embedding": [1, 2, 3]}]}'),
        ("sentence.json", b'{"sentence_embedding": [1, 2, 3], "token_ids": [7, 8]}'),
        ("batch.json", b'{"response": {"status": 200, "body": {"data": [{"embedding": [1, 2, 3]}]}}}'),
        ("repr.txt", b"array([1., 2., 3.], dtype=float32)"),
        ("torch.txt", b"tensor([1., 2., 3.])"),
    ],
)
def test_vectors_as_people_have_them(name: str, content: bytes) -> None:
    np.testing.assert_array_equal(upload.from_file(name, content, 3, "FLOAT32", "here"), [1, 2, 3])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("two.npy", _npy([[1, 2, 3], [4, 5, 6]]), "2 vectors of 3 numbers"),
        ("other.npy", _npy([[1, 2], [4, 5], [7, 8]]), "3 vectors of 2 numbers"),
        ("none.npy", _npy(np.empty((0, 3))), "0 vectors|0 numbers"),
        ("cube.npy", _npy(np.zeros((2, 2, 3))), "12 numbers"),
        ("two.json", b"[[1, 2, 3], [4, 5, 6]]", "2 vectors"),
        ("two.csv", b"1,2,3\n4,5,6\n", "2 vectors"),
        ("two-counted.csv", b"0,1,2\n4,5,6\n", "2 vectors"),
        ("two-headed.csv", b"a,b,c\n1,2,3\n4,5,6\n", "2 vectors"),
        ("two-lists.csv", b'id,v\n1,"[1, 2, 3]"\n2,"[4, 5, 6]"\n', "2 vectors"),
        ("two-output.json", b'{"output": {"embeddings": [[1, 2, 3], [4, 5, 6]]}}', "2 vectors"),
        (
            "two-inside.json",
            b'{"text": {"embedding": [1, 2, 3]}, "image": {"embedding": [4, 5, 6]}}',
            "2 vec",
        ),
        ("longer-headed.csv", b"a,b,c,label\n1,2,3,0\n", "4 numbers"),
        ("typo.csv", b"1,2x\n3\n", "not a vector"),
        ("gap-headed.csv", b"a,b,c,d\n1,,2,3\n", "not a vector"),
        ("ragged-headed.csv", b"a,b,c\n1,2\n", "not a vector"),
        ("words.csv", b"a,b,c\nx,y,z\n", "not a vector"),
        ("heads.csv", b"a,b,c\n", "not a vector"),
        ("underscore-headed.csv", b"a,b,c\n1,2,3_0\n", "not a vector"),
        ("usage.json", b'{"usage": {"tokens": [1, 2, 3]}, "output": {"text": "x"}}', "no vector"),
        ("two-openai.json", b'{"data": [{"embedding": [1, 2, 3]}, {"embedding": [4, 5, 6]}]}', "2 vectors"),
        ("three.bin", np.zeros(6, "<f4").tobytes(), "6 numbers"),
        (
            "objects.npy",
            _npy(np.array([{"a": 1}], dtype=object), pickled=True),
            "not a NumPy file of numbers",
        ),
        ("complex.npy", _npy(np.array([1, 2, 3], complex)), "of type complex"),
        ("flags.npy", _npy(np.array([True, False, True])), "of type bool"),
        ("times.npy", _npy(np.array([1, 2, 3], "M8[s]")), "of type datetime"),
        ("words.npy", _npy(np.array(["1", "2", "3"])), "of type <U1"),
        ("cut.npy", _npy([1.0, 2, 3])[:-5], "not a NumPy file"),
        ("binary.json", b"\xff\xfe\x00", "neither text"),
        ("cut.bin", b"\0" * 11, "no multiple of 4"),
        ("empty.txt", b"", "0 numbers"),
        ("empty.json", b"{}", "no vector"),
        ("text.json", b'{"embedding": "a text"}', "not a vector"),
        ("failed.json", b'{"error": {"message": "no key"}}', "no vector"),
        ("null.json", b"[1, null, 3]", "not finite|not consist"),
        ("flags.json", b"[true, 2, 3]", "not consist"),
        ("nan.json", b"[1, NaN, 3]", "not finite"),
        ("beyond.json", b"[1e39, 2, 3]", "too large for float32"),
        ("huge.json", b"[1" + b"0" * 400 + b", 2, 3]", "not consist|too large|not finite"),
        ("deep.json", b"[" * 100_000, "not a vector"),
        ("ragged.json", b"[[1, 2], [3]]", "2 vectors"),
        ("dots.txt", b"[1. 2. ... 3.]", "not a vector"),
        ("underscore.txt", b"1_0 2 3", "not a vector"),
        ("lone.txt", b"7", "has 1 number;"),
    ],
)
def test_what_is_not_one_vector_is_refused_in_words(name: str, content: bytes, message: str) -> None:
    with pytest.raises(BadVector, match=message) as caught:
        upload.from_file(name, content, 3, "FLOAT32", "here")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npy", _npy([[1, 2, 3], [4, 5, 6]])),
        ("a.json", b"[[1, 2, 3], [4, 5, 6]]"),
        ("a.csv", b"1,2,3\n4,5,6"),
        ("a.txt", b"1 2 3\n4 5 6\n"),
        ("b.csv", b"1;2;3\n4;5;6"),
    ],
)
def test_a_table_is_never_taken_for_one_long_vector(name: str, content: bytes) -> None:
    """Two rows of three numbers where six are asked: joined they would fit."""
    with pytest.raises(BadVector, match="2 vectors"):
        upload.from_file(name, content, 6, "FLOAT32", "here")


@pytest.fixture
def info() -> IndexInfo:
    reply = {
        "index_name": b"idx",
        "index_definition": [b"key_type", b"HASH", b"prefixes", [b"p:"]],
        "attributes": [
            [
                b"identifier",
                b"v",
                b"attribute",
                b"v",
                b"type",
                b"VECTOR",
                b"algorithm",
                b"FLAT",
                b"data_type",
                b"FLOAT32",
                b"dim",
                3,
                b"distance_metric",
                b"COSINE",
            ]
        ],
        "num_docs": b"1",
        "indexing": b"0",
        "percent_indexed": b"1",
    }
    return read_info("idx", reply)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.npy", _npy([[1, 2, 3], [4, 5, 6]])),
        ("q.csv", b"\xef\xbb\xbf1,2,3\n4,5,6\n"),
        ("q.csv", 'vector\n"[1, 2, 3]"\n"[4, 5, 6]"\n'.encode("utf-16")),
        ("q.jsonl", b"\xef\xbb\xbf[1, 2, 3]\n[4, 5, 6]\n"),
        ("q.jsonl", b'{"vector": [1, 2, 3]}\n{"vector": [4, 5, 6]}\n'),
        ("q.jsonl", _REPLY + b'\n{"data": [{"embedding": [4, 5, 6]}]}\n'),
        ("q.jsonl", b'{"embedding": {"values": [1, 2, 3]}}\n{"embedding": {"values": [4, 5, 6]}}\n'),
        ("q.json", b'{"data": [{"index": 1, "embedding": [4, 5, 6]}, {"index": 0, "embedding": [1, 2, 3]}]}'),
        ("q.json", b'\xef\xbb\xbf{"embeddings": [[1, 2, 3], [4, 5, 6]]}'),
        ("q.json", b"[[1, 2, 3], [4, 5, 6]]"),
        ("q.json", b'{"output": {"embeddings": [{"embedding": [1, 2, 3]}, {"embedding": [4, 5, 6]}]}}'),
        ("q.jsonl", b'{"body": {"embeddings": [[1, 2, 3]]}}\n{"body": {"embeddings": [[4, 5, 6]]}}\n'),
        ("q.json", b'[{"id": 1, "embedding": [1, 2, 3]}, {"id": 2, "embedding": [4, 5, 6]}]'),
        ("q.csv", b"1,0;2,0;3\n4;5,0;6,0\n"),
        ("q.csv", b"a;b;c\r\n1,0;2,0;3,0\r\n4,0;5,0;6,0\r\n"),
        ("q.csv", b"1.0;2.0;3.0\n4.0;5.0;6.0\n"),
        ("q.csv", b"doc,a,b,c\nx1,1,2,3\nx2,4,5,6\n"),
        ("q.csv", b"id;a;b;c\n7;1,0;2,0;3,0\n8;4,0;5,0;6,0\n"),
        ("q.csv", b",a,b,c\n0,1,2,3\n1,4,5,6\n"),
        ("q.csv", b'name,emb\nx1,"[1, 2, 3]"\nx2,"[4, 5, 6]"\n'),
    ],
)
def test_files_of_queries(info: IndexInfo, name: str, content: bytes) -> None:
    asked = queries.from_file(name, content, info)
    np.testing.assert_array_equal(asked.vectors, [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.npy", _npy(np.array([[1, 2, 3]], complex)), "of type complex"),
        ("q.npy", _npy([[[1, 2, 3]]]), "3-dimensional"),
        ("q.npy", _npy([[1, 2, 3], [0, 0, 0]]), "Row 2 of 'q.npy': The vector is zero"),
        ("q.jsonl", b"[1, 2, 3]\n[4, 5]\n", "Row 2 of 'q.jsonl': The vector has 2 numbers"),
        ("q.json", b'{"error": {"message": "no key"}}', "no column of vectors"),
        ("q.json", b'{"data": [{"embedding": "no base64"}]}', "cannot be read"),
        ("q.json", b'[{"a": [1, 2, 3], "b": [4, 5, 6]}]', "several columns of vectors: a, b"),
        ("q.json", b'[{"vector": [1, 2, 3]}, {"vector": null}]', "Row 2 of 'q.json' has nothing in 'vector'"),
        (
            "q.json",
            b'[{"text": "a", "vector": [1, 2, 3]}, {"text": "b"}]',
            "Row 2 of 'q.json' has nothing in",
        ),
        ("q.json", b"{", "cannot be read"),
        ("q.json", b"[]", "holds no queries"),
        ("q.jsonl", b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_files_of_queries_that_cannot_be_asked(
    info: IndexInfo, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        queries.from_file(name, content, info)
    assert caught.value.hint


def test_an_archive_is_no_array(info: IndexInfo) -> None:
    buffer = BytesIO()
    np.savez(buffer, a=np.zeros(3))
    for read in (
        lambda: upload.from_file("v.npy", buffer.getvalue(), 3, "FLOAT32", "here"),
        lambda: queries.from_file("v.npy", buffer.getvalue(), info),
    ):
        with pytest.raises(BadInput, match="not one whole array"):
            read()


def zipped() -> bytes:
    stream = BytesIO()
    np.savez(stream, a=np.ones(3, np.float32))
    return stream.getvalue()


def headed(shape: str) -> bytes:
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head


DEEP = 900  # what a parser of JSON still takes, and what follows no more
# Below, what takes megabytes is made when its test runs: every worker imports this file.


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"[" * 200_000),
        ("a.json", b"[" * DEEP + b"1" + b"]" * DEEP),
        ("a.json", b'{"embedding":' * DEEP + b"[1,2,3]" + b"}" * DEEP),
        ("a.json", b'{"a":"' + b"[" * 900 + b'","vector":' + b"[" * 20 + b"1" + b"]" * 20 + b"}"),
        ("a.json", b"[" + b"9" * 400 + b",1,1]"),
        ("a.json", b"[" + b"9" * 5_000 + b",1,1]"),
        ("a.json", b"[1e999,1,1]"),
        ("a.json", b'["x",1,1]'),
        ("a.csv", lambda: b"1,2,3\n" * 10_000_000),
        ("a.csv", b"9" * 400 + b",1,1"),
        ("a.txt", b"1;" * 400_000),
        ("a.npy", zipped()),
        ("a.npy", headed("(10000000000,)")),
        ("a.npy", headed("(100000, 100000)")),
        ("a.npy", headed("(3,)") + bytes(4)),
        ("a.npy", headed("(3,)") + bytes(400)),
        ("a.npy", headed("(-3,)") + bytes(12)),
        ("a.npy", headed("(True, 3)") + bytes(12)),
        ("a.npy", headed("[3]") + bytes(12)),
        ("a.npy", b"\x93NUMPY\x01\x00\x76\x00{'descr'"),
        ("a.npy", b"\x93NUMPY\x03\x00" + b"\xff" * 100),
        ("a.npy", b""),
        ("a.bin", lambda: bytes(50_000_000)),
        ("a.bin", b"\x00" * 7),
    ],
)
def test_what_cannot_be_a_vector_is_judged_before_it_is_read(
    name: str, content: bytes | Callable[[], bytes]
) -> None:
    content = content() if callable(content) else content
    tracemalloc.start()
    try:
        with pytest.raises(BadVector):
            upload.from_file(name, content, 3, "FLOAT32", "'v'")
        if name != "a.npy" and name != "a.bin":
            with pytest.raises(BadVector):
                upload.from_text(content.decode(), 3, "'v'")
        assert tracemalloc.get_traced_memory()[1] < len(content) * 2 + 100_000_000
    finally:
        tracemalloc.stop()


def test_a_first_row_that_counts_the_columns_is_a_head_where_it_is_long() -> None:
    numbers = [0.5 * i - 2 for i in range(9)]
    text = ",".join(map(str, range(9))) + "\n" + ",".join(map(str, numbers)) + "\n"
    assert upload.from_text(text, 9, "'v'").tolist() == numbers


def test_brackets_in_texts_are_no_depth() -> None:
    reply = json.dumps({"text": "[" * 100 + '\\"' + "{" * 100, "embedding": [1.0, 2.0, 3.0]})
    assert upload.from_text(reply, 3, "'v'").tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"[" * 200_000),
        ("a.json", b"[" * DEEP + b"1" + b"]" * DEEP),
        ("a.json", b'[{"vector":' + b"[" * 100 + b"1" + b"]" * 100 + b"}]"),
        ("a.json", b"[[" + b"9" * 400 + b",1,1]]"),
        ("a.json", b"[[" + b"9" * 5_000 + b",1,1]]"),
        ("a.jsonl", b"[1,2,3]\n" * 20_001),
        ("a.jsonl", b"[" * 100_000),
        ("a.jsonl", lambda: b"1" * 17_000_000),
        ("a.csv", lambda: b"1,2,3\n" * 2_000_000),
        ("a.csv", lambda: b"1,2,3\n" * 10_000_000),
        ("a.csv", b"v\n" + b"9" * 400 + b"\n"),
        ("a.csv", b"," * 1_000_000),
        ("a.npy", zipped()),
        ("a.npy", headed("(10000000000, 3)")),
        ("a.npy", headed("(0, 3)")),
        ("a.npy", lambda: headed("(4000000, 1)") + bytes(16_000_000)),
        ("a.parquet", b"PAR1" + b"\xff" * 100 + b"PAR1"),
    ],
)
def test_what_cannot_be_queries_is_judged_before_it_is_read(
    info: IndexInfo, name: str, content: bytes | Callable[[], bytes]
) -> None:
    content = content() if callable(content) else content
    tracemalloc.start()
    try:
        with pytest.raises(BadInput):
            queries.from_file(name, content, info)
        assert tracemalloc.get_traced_memory()[1] < len(content) * 2 + 100_000_000
    finally:
        tracemalloc.stop()


def test_a_file_is_not_read_before_its_size_is_known(tmp_path: Path) -> None:
    huge = tmp_path / "huge.csv"
    huge.touch()
    os.truncate(huge, queries.MOST_BYTES + 1)
    pipe = tmp_path / "pipe.npy"
    os.mkfifo(pipe)
    for path, why in ((huge, "more than"), (pipe, "no regular file"), (tmp_path, "directory")):
        with pytest.raises(BadInput, match=why):
            queries.content_of(str(path))
