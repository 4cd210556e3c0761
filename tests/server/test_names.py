"""Names of fields, indexes and keys as people give them: asked for and found again; commands as lines that send them."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.errors import BadFilter
from memdb.sizing.samples import serves_json
from memdb.tuning import shadow
from memdb.vectors import read, search
from memdb.vectors.filters import And, Not, Or, Range, Tag, Text
from memdb.vectors.index import index_info, index_names
from memdb.vectors.query import Command, KnnRequest, knn_command
from tests.standins import memorydb
from tests.waiting import until

pytestmark = pytest.mark.any_engine

VECTOR = ("VECTOR", "HNSW", 6, "TYPE", "FLOAT32", "DIM", 2, "DISTANCE_METRIC", "L2")
NAMES = (
    "my-field",
    "a.b",
    "$.x",
    "a:b",
    "a b",
    "é",
    "_u",
    "1d",
    "a_b",
    "a'b",
    'a"b',
    "a\\b",
    "a,b",
    "a@b",
    "a|b",
    "a{b}",
    "(x)",
    "[y]",
    "日本",
    "a*",
    "a$b",
    "=>",
    "VECTOR",
    "distance",
    "a%b",
    "#1",
    "-x",
    "~x",
    "vec",
    "AS",
    "name\\",
    "documents",
    "low",
    "high",
    "memdb",
    "tab\tbed",
)


@pytest.mark.needs("any_name")
@pytest.mark.parametrize("name", NAMES)
def test_fields_of_any_name(client: Client, prefix: str, name: str) -> None:
    index = f"{prefix}idx {name}"
    vector, number, words = (f"{start}{name}" for start in "vnt")
    client.execute(
        "FT.CREATE",
        index,
        "PREFIX",
        1,
        prefix + "d:",
        "SCHEMA",
        name,
        "TAG",
        number,
        "NUMERIC",
        words,
        "TEXT",
        vector,
        *VECTOR,
    )
    for i in range(6):
        blob = np.array([i, 0], "<f4").tobytes()
        client.execute("HSET", f"{prefix}d:{i}", name, "ab"[i % 2], number, i, words, "red fox", vector, blob)
    until(lambda: index_info(client, index).documents == 6, "all documents are indexed")
    with memorydb(client.target) as proxy, connect(proxy.target) as front:
        for asked in (client, front):
            info = index_info(asked, index)
            conditions = And((Tag(name, ("a",)), Range(number, 1, 5)))
            if asked is client:
                conditions = And(
                    (Or((conditions, Tag(name, ("none",)))), Not(Range(number, 5)), Text(words, "fox"))
                )
            request = KnnRequest(index, (0.0, 0.0), k=5, filter=conditions, return_fields=(name, number))
            hits = search.knn(asked, request, info).hits
            assert [(h.key, h.distance) for h in hits] == [(f"{prefix}d:2", 4.0), (f"{prefix}d:4", 16.0)]
            assert [h.fields for h in hits] == [{name: "a", number: "2"}, {name: "a", number: "4"}]
            assert {v.value: v.documents for v in search.tag_values(asked, info, name)} == {"a": 3, "b": 3}
            assert search.numeric_bounds(asked, info, number) == (0, 5)
            held = {
                key: v[0]
                for block in read.blocks(asked, info)
                for key, v in zip(block.keys, block.vectors, strict=True)
            }
            assert held == {f"{prefix}d:{i}": i for i in range(6)}
    built = shadow.build(client, index_info(client, index), vector, shadow.Variant("FLAT"))
    try:
        copy = KnnRequest(built.name, (0.0, 0.0), k=2, filter=Tag(name, ("b",)))
        assert search.knn(client, copy).keys == (f"{prefix}d:1", f"{prefix}d:3")
    finally:
        client.execute("FT.DROPINDEX", built.name)


def test_a_name_that_no_query_can_say_is_refused(client: Client, prefix: str) -> None:
    client.execute("FT.CREATE", prefix + "idx", "PREFIX", 1, prefix + "d:", "SCHEMA", "a\x01b", *VECTOR)
    with pytest.raises(BadFilter, match="cannot name the field"):
        search.knn(client, KnnRequest(prefix + "idx", (0.0, 0.0)))


def test_index_names_that_are_no_text(client: Client, prefix: str) -> None:
    name = prefix + "bin\udcff\udcfe"
    client.execute("FT.CREATE", name, "PREFIX", 1, prefix + "\udcffd:", "SCHEMA", "v", *VECTOR)
    try:
        client.execute("HSET", prefix + "\udcffd:1", "v", np.array([3, 4], "<f4").tobytes())
        assert name in index_names(client)
        until(lambda: index_info(client, name).documents == 1, "the document is indexed")
        info = index_info(client, name)
        assert (info.name, info.prefixes) == (name, (prefix + "\udcffd:",))
        assert index_info(client, prefix + r"bin\xff\xfe").name == name  # as it is shown
        hit = search.knn(client, KnnRequest(name, (0.0, 0.0)), info).hits[0]
        assert (hit.key, hit.distance) == (prefix + "\udcffd:1", 25.0)
    finally:
        client.execute("FT.DROPINDEX", name)


@pytest.mark.parametrize("between", ["\n", "\r\n", r"\n"])
def test_index_names_with_line_breaks(client: Client, prefix: str, between: str) -> None:
    """RediSearch lists a line break as two characters, which are no name that it knows."""
    name = f"{prefix}one{between}two"
    client.execute("FT.CREATE", name, "PREFIX", 1, prefix + "d:", "SCHEMA", "v", *VECTOR)
    try:
        client.execute("HSET", prefix + "d:1", "v", np.array([3, 4], "<f4").tobytes())
        until(lambda: index_info(client, name).documents == 1, "the document is indexed")
        (listed,) = [other for other in index_names(client) if other.startswith(prefix)]
        for said in (name, listed):
            info = index_info(client, said)
            assert info.name == name
            assert search.knn(client, KnnRequest(said, (0.0, 0.0)), info).keys == (prefix + "d:1",)
    finally:
        client.execute("FT.DROPINDEX", name)


@pytest.mark.needs("any_name")
@pytest.mark.parametrize("between", ["\n", "\r\n", r"\n", r"\r\n"])
def test_prefixes_and_hash_fields_with_line_breaks(client: Client, prefix: str, between: str) -> None:
    """FT.INFO tells a line break as two signs, and these two as themselves: documents and queries say which."""
    index, keys, stored, alias = (f"{prefix}{name}{between}x" for name in ("i", "k", "f", "a"))
    for name, said in (("", stored), (" aliased", alias)):
        words = () if said == stored else ("AS", said)
        schema = (stored, *words, *VECTOR, "t" + stored, "TAG", "n" + stored, "NUMERIC")
        client.execute("FT.CREATE", index + name, "PREFIX", 1, keys, "SCHEMA", *schema)
    blob = np.array([3, 4], "<f4").tobytes()
    client.execute("HSET", keys + "1", stored, blob, "t" + stored, "a", "n" + stored, 7)
    for name, said in (("", stored), (" aliased", alias)):
        until(lambda name=name: index_info(client, index + name).documents == 1, "the document is indexed")
        info = index_info(client, index + name)
        assert (info.prefixes, info.fields[0].name, info.fields[0].identifier) == ((keys,), said, stored)
        only = And((Tag("t" + stored, ("a",)), Range("n" + stored, 7, 7)))
        (hit,) = search.knn(client, KnnRequest(index + name, (0.0, 0.0), filter=only), info).hits
        assert (hit.key, hit.distance) == (keys + "1", 25.0)
        assert [(v.value, v.documents) for v in search.tag_values(client, info, "t" + stored)] == [("a", 1)]
        assert search.numeric_bounds(client, info, "n" + stored) == (7, 7)
        (block,) = read.blocks(client, info, "")
        assert (block.keys, block.vectors.tolist()) == ((keys + "1",), [[3, 4]])
        client.execute("FT.DROPINDEX", index + name)


# ---- JSON paths without an alias ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An engine that serves JSON documents."""
    with (
        local_engine.start(tmp_path_factory.mktemp("json"), log=False, json=True) as running,
        connect(running.target) as found,
    ):
        running.wait_ready()
        if not serves_json(found):
            pytest.skip("this engine has no JSON documents")
        yield found


@pytest.mark.parametrize("path", ["$.embedding", "$.deep.vec-1", '$["odd name"]', "$.a_b", '$["ключ"]'])
def test_json_paths_without_an_alias(documents: Client, path: str) -> None:
    index = f"json {path}"
    documents.execute(
        "FT.CREATE",
        index,
        "ON",
        "JSON",
        "PREFIX",
        1,
        "j:",
        "SCHEMA",
        path,
        *VECTOR,
        "$.kind",
        "TAG",
        "$.n[*]",
        "NUMERIC",
    )
    for i in range(4):
        whole = {
            "embedding": [i, 0],
            "deep": {"vec-1": [i, 0]},
            "odd name": [i, 0],
            "a_b": [i, 0],
            "ключ": [i, 0],
            "kind": "ab"[i % 2],
            "n": [i, 10 + i],
        }
        documents.execute("JSON.SET", f"j:{i}", "$", json.dumps(whole))
    until(lambda: index_info(documents, index).documents == 4, "all documents are indexed")
    info = index_info(documents, index)
    request = KnnRequest(index, (0.0, 0.0), k=4, filter=r"@\$\.kind:{b}", return_fields=("$.kind", "$.n[*]"))
    hits = search.knn(documents, request, info).hits
    assert [(h.key, h.distance, h.fields["$.kind"], h.fields["$.n[*]"]) for h in hits] == [
        ("j:1", 1.0, "b", "[1,11]"),
        ("j:3", 9.0, "b", "[3,13]"),
    ]
    assert search.numeric_bounds(documents, info, "$.n[*]") == (0, 13)
    assert {v.value: v.documents for v in search.tag_values(documents, info, "$.kind")} == {"a": 2, "b": 2}
    documents.execute("FT.DROPINDEX", index)


# ---- lines to copy ----------------------------------------------------------------------------------------


def unquoted(word: str) -> bytes:
    """One of redis-cli's quoted strings, as its sdssplitargs reads it."""
    if word[0] not in "\"'":
        assert not set(word) & set(" \"'\\")
        return word.encode()
    assert word[0] == word[-1] == '"'
    found, i = bytearray(), 1
    while i < len(word) - 1:
        if word[i] == "\\" and word[i + 1] == "x":
            found.append(int(word[i + 2 : i + 4], 16))
            i += 4
        else:
            assert word[i] not in '"\\'
            found += word[i].encode()
            i += 1
    return bytes(found)


def sent_by(line: str, blob: bytes) -> list[bytes]:
    """The arguments that redis-cli sends for a shell line; a POSIX shell takes the line apart."""
    shell = subprocess.run(
        [
            "/bin/sh",
            "-c",
            f"for word in {line.removesuffix(' < vector.bin')}; do printf '%s\\0' \"$word\"; done",
        ],
        capture_output=True,
        check=True,
    )
    words = shell.stdout.split(b"\0")[:-1]
    assert words == [word.encode() for word in shlex.split(line.removesuffix(" < vector.bin"))]
    assert words.pop(0) == b"redis-cli"
    tag, quoted = None, False
    while words[0].startswith(b"-"):
        option = words.pop(0)
        if option == b"--quoted-input":
            quoted = True
        elif option == b"-X":
            tag = words.pop(0)
        elif option in (b"-h", b"-p", b"-n", b"--user", b"-s"):
            words.pop(0)
    arguments = [unquoted(word.decode()) if quoted else word for word in words]
    if tag is not None:
        assert line.endswith(" < vector.bin")
        arguments[arguments.index(tag)] = blob  # redis-cli fills in the first that equals it, and no other
    return arguments


@pytest.mark.parametrize(
    "name", [*NAMES, "tab\there", "line\nbreak", "bin\udcff\udcfe", "\x01", "VECTOR_", "", "%s ! `x` $HOME ~"]
)
def test_a_copied_line_sends_the_command_byte_for_byte(client: Client, name: str) -> None:
    blob = bytes(range(8))
    args = (
        "FT.SEARCH",
        name,
        f"@t:{{{name}}}=>[KNN 3 @v $vec]",
        "PARAMS",
        2,
        "vec",
        blob,
        "RETURN",
        1,
        name,
        "VECTOR",
        1.5,
    )
    raw = [a if isinstance(a, bytes) else str(a).encode("utf-8", "surrogateescape") for a in args]
    for target in (None, client.target):
        assert sent_by(Command(args).redis_cli(target), blob) == raw
    without = tuple(a for a in args if a is not blob)
    assert sent_by(Command(without).redis_cli(), b"") == [a for a in raw if a != blob]
    # The Python beside it sends the same.
    code = Command(args).python().partition("execute_command(")[2].rpartition(")")[0]
    told = eval(f"[{code}]", {"vector": blob})  # noqa: S307  # our own text, made one line above
    assert [a if isinstance(a, bytes) else str(a).encode("utf-8", "surrogateescape") for a in told] == raw


@pytest.mark.needs("any_name")
def test_what_the_engine_answers_to_a_copied_line(client: Client, prefix: str) -> None:
    name = prefix + 'it\'s "odd"'
    client.execute("FT.CREATE", name, "PREFIX", 1, prefix + "d:", "SCHEMA", "t", "TAG", "v-1", *VECTOR)
    client.execute("HSET", prefix + "d:1", "t", "a\tb 'c'", "v-1", np.array([1, 0], "<f4").tobytes())
    until(lambda: index_info(client, name).documents == 1, "the document is indexed")
    info = index_info(client, name)
    command = knn_command(
        KnnRequest(name, (0.0, 0.0), filter=Tag("t", ("a\tb 'c'",))), info, client.server.dialect
    )
    assert command.vector is not None
    reply = client.execute(*sent_by(command.redis_cli(), command.vector))
    assert reply[:2] == [1, f"{prefix}d:1".encode()]
