"""Each engine known by its commands, and what it lacks told with the reason; on recorded replies."""

from __future__ import annotations

import re

import pytest
import redis.exceptions

from memdb.cluster import replies
from memdb.cluster.dialects import PROBED, explain_refusal, recognise
from memdb.cluster.refusals import explain
from memdb.cluster.server import names_described
from memdb.cluster.target import Target
from memdb.errors import (
    Busy,
    EngineError,
    MemDBError,
    NotAllowed,
    RejectedQuery,
    UnknownIndex,
    UnsupportedFeature,
)
from tests.unit import recorded

VALKEY = frozenset(("FT.SEARCH", "FT.AGGREGATE"))


def modules(file: str) -> tuple[tuple[str, str], ...]:
    said = replies.text(recorded.reply(file, "INFO modules"))
    return tuple(re.findall(r"module:name=(\w+),ver=(\d+)", said))


@pytest.mark.parametrize("file", recorded.FILES)
def test_the_engine_is_known_by_what_exists(file: str) -> None:
    there = names_described(recorded.reply(file, "what exists"))
    dialect = recognise(there | {"FT.SEARCH", "FT.AGGREGATE"}, modules=modules(file))
    if file.startswith("valkey"):
        assert dialect.title == "valkey-search 1.2"
        assert dialect.limits.ef_runtime == 1_000_000  # as its own refusal says
        assert dialect.text_search
        assert dialect.lacks("FT.PROFILE").startswith("valkey-search 1.2 has no FT.PROFILE: ")
    else:
        assert dialect.name == "redisearch"
        assert dialect.needs_sortby
        assert dialect.lacks("FT.PROFILE") == ""
    assert dialect.searches


@pytest.mark.parametrize(
    ("commands", "version", "title", "ef", "plain", "text"),
    [
        (frozenset({"FT.SEARCH"}), "1", "valkey-search 1.0", 4_096, False, False),
        (VALKEY, str(0x010100), "valkey-search 1.1", 4_096, True, False),
        (VALKEY, str(0x010201), "valkey-search 1.2", 1_000_000, True, True),
        (VALKEY, "", "valkey-search", 4_096, True, True),  # ElastiCache tells no module
    ],
)
def test_releases_of_valkey_search(
    commands: frozenset[str], version: str, title: str, ef: int, plain: bool, text: bool
) -> None:
    found = recognise(commands, modules=(("search", version),) if version else ())
    assert (found.title, found.limits.ef_runtime, found.plain_queries, found.text_search) == (
        title,
        ef,
        plain,
        text,
    )
    assert not found.needs_sortby


def test_memorydb_and_a_server_without_search() -> None:
    memorydb = recognise(frozenset({"FT.SEARCH", "FT.AGGREGATE", "FT.PROFILE", "FT._ALIASLIST"}))
    assert (memorydb.name, memorydb.needs_sortby, memorydb.limits.indexes) == ("memorydb", False, 10)
    assert "FT.CURSOR" in memorydb.lacks("FT.CURSOR")
    assert not recognise(frozenset()).searches
    assert set(PROBED) >= {"FT.SEARCH", "FT.PROFILE", "FT.CURSOR"}


def test_several_shards_are_searched_only_where_the_engine_asks_them_all() -> None:
    module = recognise(frozenset({"FT.SEARCH", "FT.CURSOR"}), shards=3)
    assert not module.searches
    assert "one shard" in module.refused
    assert recognise(VALKEY, shards=3).searches


@pytest.mark.parametrize("file", recorded.FILES)
def test_recorded_refusals_become_ours(file: str) -> None:
    expected = {
        "unknown index": UnknownIndex,
        "info of an unknown index": UnknownIndex,
        "filter that does not parse": RejectedQuery,
        "vector of the wrong length": RejectedQuery,
    }
    if file.startswith("valkey"):
        expected |= {
            "profile": UnsupportedFeature,
            "explain": UnsupportedFeature,
            "ef too large": RejectedQuery,
        }
    for note, kind in expected.items():
        (entry,) = [entry for entry in recorded.replies(file) if entry.get("note") == note]
        error = explain_refusal(entry["reply"]["error"], tuple(entry["command"].split(" ", 2)))
        assert type(error) is kind, (note, error)
        assert error.full()


@pytest.mark.parametrize(
    ("reply", "command", "kind"),
    [
        ("CLUSTERDOWN The cluster is down", ("GET", "k"), Busy),
        ("TRYAGAIN Multiple keys request during rehashing of slot", ("MGET", "a", "b"), Busy),
        ("ERR Index is not available: backfill in progress", ("FT.SEARCH", "i", "*"), Busy),
        ("MOVED 1 127.0.0.1:7000", ("GET", "k"), EngineError),
        ("CROSSSLOT Keys in request don't hash to the same slot", ("MGET", "a", "b"), EngineError),
        ("READONLY You can't write against a read only replica.", ("SET", "k", 1), EngineError),
        ("NOPERM User u has no permissions to run the 'ft.search' command", ("FT.SEARCH", "i"), NotAllowed),
        ("NOPERM No permissions to access a key", ("GET", "k"), NotAllowed),
    ],
)
def test_words_of_clusters_and_acls(reply: str, command: tuple[object, ...], kind: type[MemDBError]) -> None:
    error = explain_refusal(reply, command)
    assert type(error) is kind
    assert error.hint


def test_the_code_that_redis_py_cuts_off_is_put_back() -> None:
    target = Target.parse("redis://h")
    down = explain(redis.exceptions.ClusterDownError("The cluster is down"), target, ("GET", "k"))
    assert isinstance(down, Busy)
    readonly = explain(redis.exceptions.ReadOnlyError("You can't write"), target, ("SET", "k", 1))
    assert "replica" in str(readonly)
