"""Requests as commands: compared whole, for each dialect."""

from __future__ import annotations

import struct

import pytest

from memdb.cluster.target import Target
from memdb.errors import BadInput, BadVector, OutOfRange, UnknownField
from memdb.vectors.filters import Range, Tag
from memdb.vectors.query import Command, KnnRequest, knn_command
from memdb.vectors.schema import FlatField, HnswField, IndexSpec, NumericField, TagField, TextField
from tests.unit.test_filters import INFO, MEMORYDB, REDISEARCH, VALKEY

VECTOR = (1.0, 0.0, 0.5, -1.0)
BLOB = struct.pack("<4f", *VECTOR)


def test_knn_on_redisearch_sorts() -> None:
    request = KnnRequest(
        "idx", VECTOR, k=3, ef_runtime=64, filter=Tag("service", ("s3",)), return_fields=("service", "year")
    )
    assert knn_command(request, INFO, REDISEARCH).args == (
        "FT.SEARCH",
        "idx",
        "@service:{s3}=>[KNN 3 @embedding $vec EF_RUNTIME 64 AS distance]",
        "PARAMS",
        2,
        "vec",
        BLOB,
        "RETURN",
        3,
        "distance",
        "service",
        "year",
        "SORTBY",
        "distance",
        "ASC",
        "LIMIT",
        0,
        3,
        "TIMEOUT",
        10000,
        "DIALECT",
        2,
    )


@pytest.mark.parametrize(("dialect", "timeout_ms"), [(VALKEY, 60_000), (MEMORYDB, 10_000)])
def test_others_return_hits_in_order_and_take_no_sortby(dialect: object, timeout_ms: int) -> None:
    args = knn_command(KnnRequest("idx", VECTOR, k=200), INFO, dialect).args  # type: ignore[arg-type]
    assert args == (
        "FT.SEARCH",
        "idx",
        "*=>[KNN 200 @embedding $vec AS distance]",
        "PARAMS",
        2,
        "vec",
        BLOB,
        "RETURN",
        1,
        "distance",
        "LIMIT",
        0,
        200,
        "TIMEOUT",
        timeout_ms,
        "DIALECT",
        2,
    )


def test_filter_parameters_are_bound_beside_the_vector() -> None:
    request = KnnRequest("idx", VECTOR, k=1, filter=Tag("service", ("a\tb\x02",)))
    args = knn_command(request, INFO, REDISEARCH).args
    assert args[3:9] == ("PARAMS", 4, "vec", BLOB, "tag0", "a\tb\x02")


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (KnnRequest("idx", VECTOR[:3]), BadVector),
        (KnnRequest("idx", (*VECTOR[:3], float("nan"))), BadVector),
        (KnnRequest("idx", VECTOR, field="year"), UnknownField),
        (KnnRequest("idx", VECTOR, return_fields=("nope",)), UnknownField),
        (KnnRequest("idx", VECTOR, k=0), OutOfRange),
        (KnnRequest("idx", VECTOR, k=10_001), OutOfRange),
        (KnnRequest("idx", VECTOR, ef_runtime=0), OutOfRange),
        (KnnRequest("idx", VECTOR, filter=Range("nope", 1)), UnknownField),
    ],
)
def test_bad_requests_are_refused_before_they_are_sent(request_: KnnRequest, error: type[BadInput]) -> None:
    with pytest.raises(error) as caught:
        knn_command(request_, INFO, REDISEARCH)
    assert caught.value.hint


def test_ef_limits_differ_by_engine() -> None:
    request = KnnRequest("idx", VECTOR, ef_runtime=5_000)
    knn_command(request, INFO, REDISEARCH)
    with pytest.raises(OutOfRange, match="MemoryDB accepts 1 to 4,096"):
        knn_command(request, INFO, MEMORYDB)


def test_redis_cli_reads_the_vector_from_a_file_and_never_shows_a_password() -> None:
    target = Target.parse("rediss://ada:geheim@db.example:6380")
    command = Command(("FT.SEARCH", "idx", "@a:{it's}=>[KNN 1 @v $vec]", "PARAMS", 2, "vec", BLOB))
    assert command.redis_cli(target) == (
        "redis-cli -h db.example -p 6380 --tls --user ada -X VECTOR FT.SEARCH idx "
        "'@a:{it'\"'\"'s}=>[KNN 1 @v $vec]' PARAMS 2 vec VECTOR < vector.bin"
    )
    assert "geheim" not in command.redis_cli(target) + command.python(target)


def test_create_says_every_parameter() -> None:
    spec = IndexSpec(
        "idx:embeddings",
        (
            TextField("content"),
            TagField("source", separator="|", case_sensitive=True),
            NumericField("year", "$.y"),
            HnswField(
                "embedding", 1536, m=16, ef_construction=200, ef_runtime=64, epsilon=0.02, initial_cap=1000
            ),
            FlatField("small", 8, "L2", "FLOAT64", block_size=512),
        ),
        ("doc:",),
    )
    assert " ".join(map(str, spec.create_args())) == (
        "FT.CREATE idx:embeddings ON HASH PREFIX 1 doc: SCHEMA content TEXT source TAG SEPARATOR | CASESENSITIVE "
        "$.y AS year NUMERIC embedding VECTOR HNSW 16 TYPE FLOAT32 DIM 1536 DISTANCE_METRIC COSINE M 16 "
        "EF_CONSTRUCTION 200 EF_RUNTIME 64 EPSILON 0.02 INITIAL_CAP 1000 "
        "small VECTOR FLAT 8 TYPE FLOAT64 DIM 8 DISTANCE_METRIC L2 BLOCK_SIZE 512"
    )


@pytest.mark.parametrize(
    "spec",
    [
        IndexSpec(" ", (TagField("a"),)),
        IndexSpec("x", ()),
        IndexSpec("x", (TagField("a"), NumericField("a"))),
    ],
)
def test_a_wrong_definition_is_refused(spec: IndexSpec) -> None:
    with pytest.raises(BadInput):
        spec.create_args()
