"""One reader for every dialect and both protocols, on replies recorded from real servers."""

from __future__ import annotations

import math

import pytest

from memdb.cluster import replies
from memdb.vectors.index import read_info
from memdb.vectors.search import read_hits
from tests.unit import recorded


@pytest.mark.parametrize("file", recorded.FILES)
def test_built_index_reads_the_same_everywhere(file: str) -> None:
    info = read_info("fx:idx", replies.pairs(recorded.reply(file, "state when built")))
    assert info.name == "fx:idx"
    assert info.on == "HASH"
    assert info.prefixes == ("fx:",)
    assert info.documents == 400
    assert info.build.ready
    assert info.build.fraction == 1.0
    assert info.failures == 0
    assert {(f.name, f.kind) for f in info.fields} == {
        ("title", "TEXT"),
        ("source", "TAG"),
        ("year", "NUMERIC"),
        ("embedding", "VECTOR"),
    }
    _, params = info.vector_field()
    assert (params.algorithm, params.type, params.dim, params.metric) == ("HNSW", "FLOAT32", 8, "COSINE")
    assert (params.m, params.ef_construction) == (16, 200)


@pytest.mark.parametrize("file", recorded.FILES)
def test_index_under_construction_is_not_called_ready(file: str) -> None:
    info = read_info(
        "fx:idx", replies.pairs(recorded.reply(file, "state right after creation over existing keys"))
    )
    assert info.build.state == "building"
    assert info.build.fraction < 0.05


@pytest.mark.parametrize(
    ("state", "build", "fraction"),
    [
        ("empty index, available", "ready", 1.0),
        ("older wording from the developer guide", "ready", 1.0),
        ("building", "building", 0.0),
        ("waiting for another build", "queued", 0.0),
        ("available but catching up: 59 % done", "building", 0.59),
        ("ready", "ready", 1.0),
    ],
)
def test_memorydb_states(state: str, build: str, fraction: float) -> None:
    info = read_info("x", replies.pairs(recorded.reply("memorydb.json", state)))
    assert info.build.state == build
    assert info.build.fraction == pytest.approx(fraction)
    assert info.vector_bytes is not None
    assert info.total_bytes is not None
    assert info.total_bytes >= info.vector_bytes


def test_memorydb_flat_over_json() -> None:
    info = read_info("x", replies.pairs(recorded.reply("memorydb.json", "FLAT index over JSON")))
    _, params = info.vector_field()
    assert info.on == "JSON"
    assert (params.algorithm, params.dim, params.metric, params.m) == ("FLAT", 6, "L2", None)


@pytest.mark.parametrize("file", recorded.FILES)
def test_hits(file: str) -> None:
    keys, fields = read_hits(recorded.reply(file, "knn"))
    assert sorted(keys) == ["fx:208", "fx:3", "fx:31"]
    by_key = dict(zip(keys, fields, strict=True))
    assert by_key["fx:31"]["title"] == "Title 31"
    assert float(by_key["fx:31"]["score"]) == pytest.approx(0.183005, abs=1e-5)


@pytest.mark.parametrize("file", recorded.FILES)
def test_hits_without_content_and_without_match(file: str) -> None:
    keys, fields = read_hits(recorded.reply(file, "knn, no return"))
    assert sorted(keys) == ["fx:3", "fx:31"]
    assert fields == [{}, {}]
    assert read_hits(recorded.reply(file, "knn with a filter that matches nothing")) == ([], [])


def test_bare_flags_in_a_field_do_not_shift_its_pairs() -> None:
    entry = [
        "identifier",
        "s",
        "attribute",
        "s",
        "type",
        "TAG",
        "SORTABLE",
        "CASESENSITIVE",
        "SEPARATOR",
        "|",
    ]
    info = read_info("x", {"attributes": [entry]})
    assert info.fields[0].separator == "|"
    entry = [
        "identifier",
        "s",
        "attribute",
        "s",
        "type",
        "TAG",
        "SEPARATOR",
        "|",
        "CASESENSITIVE",
        b"0",
        "size",
        1,
    ]
    assert read_info("x", {"attributes": [entry]}).fields[0].separator == "|"


def test_numbers_in_every_wording() -> None:
    assert replies.number(b"4.711151123046875e-4") == pytest.approx(4.711151123046875e-4)
    assert math.isnan(replies.number(b"nan"))
    assert math.isnan(replies.number(b"soon"))
    assert replies.integer(b"400") == 400
    assert replies.integer("nan", default=7) == 7
    assert replies.number("59%") == 59


def test_keys_lead_back_to_their_bytes() -> None:
    raw = b"doc:\xff\x00\xc3\xa4"
    assert replies.key(raw).encode("utf-8", "surrogateescape") == raw
    assert replies.text(raw) == "doc:\\xff\x00ä"


def test_info_sections() -> None:
    found = replies.info(b"# Server\r\nredis_version:8.2.3\r\n\r\n# Memory\r\nused_memory:10\r\nurl:a:b\r\n")
    assert found == {"server": {"redis_version": "8.2.3"}, "memory": {"used_memory": "10", "url": "a:b"}}
