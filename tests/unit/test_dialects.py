"""Each engine known by its commands, and what it lacks told with the reason; on recorded replies."""

from __future__ import annotations

import re

import pytest
import redis.exceptions

from memdb.cluster import replies
from memdb.cluster.dialects import ASKED, Dialect, Limits, explain_refusal, recognise
from memdb.cluster.refusals import explain
from memdb.cluster.server import names_described, probe
from memdb.cluster.target import Target
from memdb.errors import (
    Busy,
    EngineError,
    MemDBError,
    NotAllowed,
    RefusedFilter,
    RejectedQuery,
    UnknownField,
    UnknownIndex,
    UnsupportedFeature,
)
from memdb.vectors.filters import render
from tests.unit import recorded, recorded_filters

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


@pytest.mark.parametrize(
    "more",
    [
        {"FT._DEBUG", "FT.CURSOR", "FT.HYBRID", "FT._ALIASLIST", "FT.EXPLAIN"},
        {"FT._DEBUG", "FT._ALIASLIST"},
        {"FT.CURSOR", "FT._ALIASLIST"},  # as where a service hides FT._DEBUG
    ],
)
def test_a_later_valkey_search_is_neither_redisearch_nor_memorydb(more: set[str]) -> None:
    """Its main branch has cursors, a list of aliases and FT.HYBRID; none is used as another engine has it."""
    later = recognise(VALKEY | more, modules=(("search", str(0x010300)),))
    assert (later.name, later.title, later.later) == ("valkey-search", "valkey-search 1.3", True)
    assert (later.cursors, later.fuses, later.limits.ef_runtime) == (False, False, 1_000_000)
    info = recorded_filters.info("valkey-search")
    for text in ("@title:(amazon backup)", "@year:[1e3 2e3]", "*"):  # what 1.2 is known or thought to refuse
        assert render(text, later, info).query
    with pytest.raises(UnknownField):
        render("@nosuch:{x}", later, info)
    assert "(" in render("@title:(amazon)", later, info).query
    known = recorded_filters.DIALECTS["valkey-search"]
    assert not known.later
    with pytest.raises(RefusedFilter):
        render("@title:(amazon backup)", known, info)


def test_the_release_is_known_where_module_is_blocked() -> None:
    """ElastiCache answers no MODULE: INFO's list of modules tells, else the counters that came with 1.2."""
    told = {
        e["note"]: recorded_filters.wire(e["reply"]) for e in recorded_filters.entries("valkey-search")[1:]
    }
    commands = [[name, 1] for name in (b"FT.SEARCH", b"FT.AGGREGATE")]
    server = b"# Server\r\nredis_version:7.2.4\r\nvalkey_version:9.0.1\r\nrun_id:1\r\n"
    answers: dict[tuple[str, ...], object] = {
        ("COMMAND", "INFO", *ASKED): commands,
        ("INFO", "server"): server,
        ("INFO", "replication"): b"role:master\r\n",
        ("MODULE", "LIST"): UnsupportedFeature("MODULE", "the service blocks it"),
        ("INFO", "modules"): told["INFO modules"],
        ("INFO", "search"): told["INFO search"],
        ("CONFIG", "GET", "search.*"): UnsupportedFeature("CONFIG", "the service blocks it"),
    }

    def asked(**replaced: object) -> Dialect:
        known = answers | {("INFO", name): reply for name, reply in replaced.items()}
        return probe(lambda batch: [known[tuple(command)] for command in batch], lambda: 1).dialect

    hidden = NotAllowed("no", "")
    assert asked().title == "valkey-search 1.2"
    assert asked(modules=hidden).title == "valkey-search 1.2"
    earlier = b"# search_query\r\nsearch_prefiltering_requests_count:1\r\n"
    assert asked(modules=hidden, search=earlier).title == "valkey-search"
    assert asked(modules=hidden, search=earlier).limits.ef_runtime == 4_096
    assert asked(modules=hidden, search=hidden).title == "valkey-search"


def test_limits_are_what_a_server_s_own_settings_tell() -> None:
    """Of a later release, or one that was configured, no table is right."""
    settings = {
        "search.max-vector-knn": "100000",
        "search.max-vector-ef-runtime": "512",
        "search.query-string-terms-count": "10000",
        "search.max-indexes": "no number",
        "search.fuzzy-max-distance": "9",
    }
    answers: dict[str, object] = {
        "COMMAND": [[name, 1] for name in (b"FT.SEARCH", b"FT.AGGREGATE", b"FT.CURSOR", b"FT._DEBUG")],
        "INFO": b"# Server\r\nredis_version:7.2.4\r\nvalkey_version:9.2.0\r\n",
        "MODULE": [[b"name", b"search", b"ver", 0x010300]],
    }

    def limits(reply: object) -> Limits:
        known = answers | {"CONFIG": reply}
        return probe(lambda batch: [known[str(command[0])] for command in batch], lambda: 1).dialect.limits

    told = limits([part.encode() for pair in settings.items() for part in pair])
    assert (told.k, told.ef_runtime, told.nodes) == (100_000, 512, 10_000)
    assert (told.indexes, told.timeout_ms) == (1_000, 60_000)
    for refusal in (NotAllowed("no", ""), UnsupportedFeature("CONFIG", "blocked")):
        assert limits(refusal).k == 10_000


def test_limits_are_those_that_were_recorded() -> None:
    dialect = recorded_filters.DIALECTS["valkey-search"]
    recorded_settings = next(
        e for e in recorded_filters.entries("valkey-search") if e.get("note") == "settings"
    )
    told = dict(zip(recorded_settings["reply"][::2], recorded_settings["reply"][1::2], strict=True))
    limits = dialect.limits
    assert {
        "search.max-vector-m": limits.m,
        "search.max-vector-knn": limits.k,
        "search.max-vector-ef-runtime": limits.ef_runtime,
        "search.max-vector-ef-construction": limits.ef_construction,
        "search.max-vector-dimensions": limits.dimensions,
        "search.max-indexes": limits.indexes,
        "search.query-string-bytes": limits.query_bytes,
        "search.query-string-terms-count": limits.nodes,
        "search.max-nonvector-search-results-fetched": limits.rows,
    }.items() <= {name: int(value) for name, value in told.items() if value.isdigit()}.items()
    refused = next(e for e in recorded_filters.entries("valkey-search") if e.get("note") == "timeout 60001")
    assert f"cannot exceed {limits.timeout_ms}." in refused["reply"]["error"]


@pytest.mark.parametrize("engine", recorded_filters.FILES)
def test_a_refused_index_says_what_it_was_about(engine: str) -> None:
    refusals = [
        entry
        for entry in recorded_filters.entries(engine)[1:]
        if entry["args"][0] == "FT.CREATE" and isinstance(entry["reply"], dict)
    ]
    assert len(refusals) >= 3
    for entry in refusals:
        error = explain_refusal(entry["reply"]["error"], tuple(entry["args"]))
        assert type(error) is EngineError
        assert str(error).startswith(f"The index '{entry['args'][1]}' was not created")
        assert "brackets" not in error.hint
        assert not str(error).endswith("..")
        assert _named(entry["note"]) in str(error)


def _named(note: str) -> str:
    """What a refusal of FT.CREATE must name, by the note of the recorded command."""
    kind, _, what = note.partition(" ")
    if kind == "type":
        return f"no vectors of type {what}"
    if kind == "attribute":
        return what.removeprefix("named ")
    if note.startswith("option "):  # valkey-search's words are of what stands behind it
        return "" if "WEIGHT" in note else f"no {what} there"
    words = ("FILTER", "TEMPORARY", "NOFREQS", "EPSILON", "BLOCK_SIZE")
    return next((word for word in words if word in note), "")


@pytest.mark.parametrize(
    ("fields", "said", "named"),
    [
        ("a TAG INDEXEMPTY b TAG", "field `INDEXEMPTY`: Unknown argument `b`", "no INDEXEMPTY there"),
        ("a TAG INDEXEMPTY text TEXT v TAG", "field `TEXT`: Unknown argument `v`", "no INDEXEMPTY there"),
        ("a TEXT phonetic dm:en", "field `phonetic`: Unknown argument `dm:en`", "no PHONETIC there"),
        ("a TAG b TAG NOINDEX", "field `NOINDEX`: Missing argument", "no NOINDEX there"),
        ("unf GEO b TAG", "field `unf`: Unknown argument `GEO`", "no GEO there"),
        (
            "v VECTOR FLAT 6 TYPE FLOAT32 DIM 2 DISTANCE_METRIC L1",
            "field `v`: Error parsing value for the parameter `DISTANCE_METRIC` - Unknown argument `L1`",
            "takes no L1 for DISTANCE_METRIC",
        ),
    ],
)
def test_a_refused_option_is_named_and_not_the_word_behind_it(fields: str, said: str, named: str) -> None:
    command = ("FT.CREATE", "i", "SCHEMA", *fields.split())
    assert named in str(explain_refusal(f"Invalid field type for {said}", command))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            f"Invalid field type for field `{'é' * 70}`: Invalid range: Value above maximum; A numeric field can "
            "have a maximum length of 128.",
            "takes at most 128 bytes for the name of a NUMERIC field, and one has 140",
        ),
        ("Duplicate field in schema - a b", "two fields are called 'a b'"),
        ("Index field `x` already exists", "two fields are called 'x'"),
    ],
)
def test_a_name_that_is_too_long_or_there_twice_is_told(said: str, told: str) -> None:
    error = explain_refusal(said, ("FT.CREATE", "i", "SCHEMA", "x", "TAG"))
    assert told in str(error)
    assert "`" not in str(error)
    assert error.hint


def test_refusals_of_a_search_say_what_to_look_at() -> None:
    hints = {
        "ef 1000001": "within these limits",
        "vector too short": "dimension",
        "unknown field": "field names",
        "k 0": "within these limits",
    }
    entries = {entry["note"]: entry for entry in recorded_filters.entries("valkey-search")[1:]}
    for note, hint in hints.items():
        reply, args = entries[note]["reply"], entries[note]["args"]
        error = explain_refusal(reply["error"], tuple(map(str, args)))
        assert isinstance(error, RejectedQuery)
        assert hint in error.hint, note
    for query in ("(-@tag:{a})", "(-(@tag:{a} | @n:[0 1]))", "(@x:{b} - @tag:{a})"):
        negated = explain_refusal(
            f"Invalid filter expression: `{query}`. Unexpected character at position 2: `-`",
            ("FT.SEARCH", "i", f"{query}=>[KNN 5 @v $vec]"),
        )
        assert "no negation, as MemoryDB does not: list the values" in negated.hint


def test_memorydb_and_a_server_without_search() -> None:
    memorydb = recognise(frozenset({"FT.SEARCH", "FT.AGGREGATE", "FT.PROFILE", "FT._ALIASLIST"}))
    assert (memorydb.name, memorydb.needs_sortby, memorydb.limits.indexes) == ("memorydb", False, 10)
    assert "FT.CURSOR" in memorydb.lacks("FT.CURSOR")
    assert not recognise(frozenset()).searches
    assert set(ASKED) >= {"FT.SEARCH", "FT.PROFILE", "FT.CURSOR"}


def test_several_shards_are_searched_only_where_the_engine_asks_them_all() -> None:
    module = recognise(frozenset({"FT.SEARCH", "FT.TAGVALS"}), shards=3)
    assert not module.searches
    assert "one shard" in module.refused
    assert recognise(VALKEY, shards=3).searches


@pytest.mark.parametrize(
    ("ver", "shards", "words"),
    [(0x010201, 3, ("ALLSHARDS",)), (0x010201, 1, ()), (0x010100, 3, ()), (0x010000, 3, ())],
)
def test_every_shard_is_demanded_where_the_engine_knows_the_word(
    ver: int, shards: int, words: tuple[str, ...]
) -> None:
    dialect = recognise(VALKEY, shards=shards, modules=(("search", str(ver)),), cluster=True)
    assert dialect.every_shard == words
    assert bool(dialect.some_shards) is bool(words)


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
