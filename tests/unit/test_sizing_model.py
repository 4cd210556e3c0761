"""The memory model: allocator rules, worked examples, the article's table, bad input."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdb.errors import BadInput, MemDBError, OutOfRange
from memdb.sizing import allocator, keyspace, model, profiles, redisearch
from memdb.sizing.shape import Sessions, Shape, parse_count

REDISEARCH = profiles.BUILT_IN["redisearch"]


def all_sessions(sessions: Sessions) -> float:
    return keyspace.all_sessions(sessions, redisearch.KEYSPACE)


@pytest.mark.parametrize(
    ("size", "takes"),
    [
        (0, 0),
        (1, 8),
        (24, 24),
        (64, 64),
        (65, 80),
        (129, 160),
        (1030, 1280),
        (6150, 7168),
        (6_291_464, 7_340_032),
    ],
)
def test_size_classes(size: int, takes: int) -> None:
    assert allocator.size_class(size) == takes


def test_tables_grow_as_seen_on_the_engine() -> None:
    assert [allocator.power_of_two(n) for n in (1, 4, 5, 1024, 1025)] == [4, 4, 8, 1024, 2048]
    # libstdc++'s next prime for room that is reserved; not twice the last, as when a table fills up.
    assert [allocator.reserved_buckets(n) for n in (0, 1_024, 3_072, 10_240)] == [0, 1_031, 3_209, 10_273]
    assert [allocator.grown(n) for n in (500, 1_000, 1_024, 4_096)] == [1_000, 1_501, 1_501, 5_069]
    assert allocator.grown(100_000_000) > 100_000_000


# MEMORY USAGE of Redis 8.2.3, as it was read from the local engine.
@pytest.mark.parametrize(
    ("key", "fields", "usage"),
    [
        (12, [(1, 2_000)], 2_200),
        (12, [(1, 2_000), *[(3, 10)] * 3], 2_344),
        (40, [(1, 2_000)], 2_232),
        (12, [(1, 65)], 232),
        (12, [(1, 1_000)], 1_176),
        (12, [(4, 10)], 64),
        (12, [(4, 60)] * 8, 672),
        (12, [(4, 60)] * 100, 7_232),
    ],
)
def test_hashes_weigh_what_the_engine_says(key: int, fields: list[tuple[int, int]], usage: int) -> None:
    assert redisearch.key_object(key) + redisearch.hash_fields(fields) == pytest.approx(usage, abs=32)


@pytest.mark.parametrize(("million", "printed_gb"), [(1, 10), (10, 95), (50, 450)])
def test_the_article_s_table(million: int, printed_gb: int) -> None:
    """Its printed totals, in its GB of a million KB: the high end, the middle and the low end of its rule."""
    found = model.predict(Shape(million * 1_000_000, 1536, metadata_bytes=1024), profiles.BUILT_IN["article"])
    assert found.low_bytes <= printed_gb * 1_024_000_000 <= found.high_bytes * 1.001


def test_the_article_s_profile_gives_9_to_10_kb_a_vector() -> None:
    found = model.predict(Shape(1_000_000, 1536, metadata_bytes=1024), profiles.BUILT_IN["article"])
    assert found.low_bytes / 1e6 / 1024 == pytest.approx(8.8, abs=0.01)
    assert found.high_bytes / 1e6 / 1024 == pytest.approx(10.0, abs=0.01)
    assert found.components["vectors_indexed"] == 6_144_000_000


def test_a_worked_example_by_hand() -> None:
    """docs/sizing.md works this one: 1,000,000 × 1,536 FLOAT32, M 16, 1,024 bytes of metadata, keys of 20."""
    found = model.predict(Shape(1_000_000, 1536, metadata_bytes=1024), profiles.BUILT_IN["redisearch"])
    blocks = 977
    assert found.components["vectors_indexed"] == blocks * 7_340_032
    assert found.components["vectors_stored"] == 1_000_000 * (24 + 16 + 7_168)
    # Of M 16 nodes at 1,536 dimensions: one-way links, as `redisearch.one_way` has them.
    one_way = 15 + (20 + 4.5 * math.log2(48) - 15) * math.exp(
        -(((4 - 3.7 - 0.33 * math.log2(48)) / 0.8) ** 2)
    )
    assert found.components["graph"] == pytest.approx(
        blocks * 229_376 + 1e6 * 80 + 1e6 / 15 * (80 + 96) + 1e6 * 25.04 * one_way / 25, rel=1e-9
    )
    assert found.total_bytes == pytest.approx(sum(found.components.values()))
    assert found.low_bytes < found.total_bytes < found.high_bytes


def test_every_profile_grows_with_everything() -> None:
    base = Shape(100_000, 256, m=16, metadata_bytes=100)
    more = (
        Shape(200_000, 256, m=16, metadata_bytes=100),
        Shape(100_000, 512, m=16, metadata_bytes=100),
        Shape(100_000, 256, m=16, metadata_bytes=900),
    )
    for profile in profiles.BUILT_IN.values():
        small = model.predict(base, profile).total_bytes
        for shape in more:
            assert model.predict(shape, profile).total_bytes > small, profile.name
        assert math.isfinite(small)


def test_sessions_are_rate_times_ttl() -> None:
    sessions = Sessions(per_second=10, bytes=4_000, ttl_s=1_800)
    assert sessions.live == sessions.expiring == 18_000
    found = model.predict(None, REDISEARCH, sessions)
    assert found.components["sessions"] == found.total_bytes == all_sessions(sessions)
    assert found.data_bytes == 0
    twice = model.predict(None, REDISEARCH, Sessions(10, 4_000, 3_600))
    assert twice.total_bytes == pytest.approx(2 * found.total_bytes, rel=0.01)
    both = Sessions(10, 4_000, 1_800, kept=500)
    assert (both.live, both.expiring) == (18_500, 18_000)


def test_a_session_by_hand() -> None:
    """4,096 bytes in all: key 44, `history` 7, other fields 80 of three, so a history of 3,965.

    Key with TTL 17 + 8 + 3 + 45 = 73 → 80. Hash 56, four buckets 32. History 24 + sds(7) 16 + 3,969 → 4,096.
    Others 3 × (24 + sds(7) 16 + sds(19) 21 → 24).
    """
    sessions = Sessions(1, 4_096, 1_000)
    assert sessions.value_bytes == 3_965
    one = 80 + 56 + 32 + (24 + 16 + 4_096) + 3 * (24 + 16 + 24)
    chains = 16 * (1_000 - 1_024 * (1 - math.exp(-1_000 / 1_024)))
    tables = 2 * (1_024 * 8 + chains)  # of keys, of times to live
    assert all_sessions(sessions) == pytest.approx(1_000 * one + tables, abs=32)
    # The length of the history alone would have been rounded up to 5,120.
    assert allocator.sds(4_096) == 5_120


def test_lengths_that_vary_are_rounded_each_by_itself() -> None:
    rng = np.random.default_rng(0)
    varied = Sessions(1, 6_000, 1_000, spread=0.5)
    lengths = varied.value_bytes + rng.uniform(-3_000, 3_000, size=20_000)
    by_hand = np.mean([allocator.sds(round(length)) for length in lengths])
    alike = Sessions(1, 6_000, 1_000)
    difference = (all_sessions(varied) - all_sessions(alike)) / 1_000
    assert difference == pytest.approx(by_hand - allocator.sds(alike.value_bytes), abs=15)
    # Where it was not said how lengths vary, the interval holds what varying ones take.
    told = model.predict(None, REDISEARCH, alike)
    for spread in (0.1, 0.2, 0.3):
        really = all_sessions(Sessions(1, 6_000, 1_000, spread=spread))
        assert told.low_bytes <= really <= told.high_bytes


def test_sessions_and_documents_share_the_table_of_keys() -> None:
    shape, sessions = Shape(60_000, 16), Sessions(bytes=1_000, kept=20_000)
    both = model.predict(shape, REDISEARCH, sessions)
    apart = (
        model.predict(shape, REDISEARCH).total_bytes
        + keyspace.sessions(sessions, redisearch.KEYSPACE) * 20_000
    )
    # 80,000 keys: the table doubles from 65,536 to 131,072 places of 8 bytes.
    assert both.total_bytes - apart == pytest.approx(
        redisearch.main_table(80_000) - redisearch.main_table(60_000)
    )


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"bytes": 100}, "cannot hold a key and fields of 131 bytes"),
        ({"kind": "LIST"}, "'LIST' is no kind of session"),
        ({"spread": 1.5}, "Spread of session lengths is 1.5"),
        ({"kept": -1}, "Sessions without a TTL is -1"),
        ({"fields": 0}, "Session fields is 0"),
    ],
)
def test_parts_of_a_session_that_make_no_sense(change: dict[str, object], word: str) -> None:
    with pytest.raises(BadInput) as caught:
        Sessions(**change)  # type: ignore[arg-type]
    assert word in str(caught.value)
    assert caught.value.hint


def test_an_empty_index_and_no_sessions() -> None:
    for profile in profiles.BUILT_IN.values():
        found = model.predict(Shape(0, 256, tags=3, text_bytes=100), profile, Sessions())
        assert math.isfinite(found.total_bytes)
        assert found.low_bytes <= found.total_bytes <= found.high_bytes
    assert model.predict(Shape(0, 256), REDISEARCH).components["keys"] == 0


def test_words_that_are_given_are_not_estimated() -> None:
    base = Shape(10_000, 64, text_bytes=1_000)
    assert redisearch.words(base) == pytest.approx(111.5)
    few = replace(base, text_words=400, text_vocabulary=100)
    assert (redisearch.words(few), redisearch.vocabulary(few)) == (400, 100)
    # 400 draws from 100 words bring 100 × (1 − (1 − 1/100)^400) = 98.2 different ones.
    assert redisearch.distinct(few) == pytest.approx(100 * (1 - (1 - 1 / 100) ** 400), rel=0.001)

    def width(shape: Shape) -> float:
        found = model.predict(shape, REDISEARCH)
        return (found.high_bytes - found.low_bytes) / found.total_bytes

    estimate = model.predict(few, REDISEARCH)
    language = 0.25 * estimate.components["fields"] / estimate.total_bytes
    assert width(base) > width(few) == pytest.approx(0.08 + language)


@pytest.mark.parametrize(
    ("texts", "words", "vocabulary", "measured"),
    [
        (2_000, 450, 6_000, 8_412_800),  # some words often
        (2_000, 450, 6_000, 10_284_832),  # all alike
        (2_000, 100, 6_000, 3_558_208),
        (4_000, 100, 1_000, 4_285_832),
        (1_000, 1_000, 3_000, 9_508_128),
        (3_000, 20, 500, 1_313_552),
        (3_000, 20, 19_033, 5_764_840),  # most of it terms
        (1_500, 450, 99_875, 30_257_816),
    ],
)
def test_text_of_made_up_words_lies_in_the_interval(
    texts: int, words: int, vocabulary: int, measured: int
) -> None:
    """Read from the local engine: growth of used_memory by an index of one TEXT field, keys of 20 bytes."""
    given = Shape(texts, 1, text_bytes=8 * words, text_words=words, text_vocabulary=vocabulary)
    sizes = model.predict(given, REDISEARCH).components
    exact, counts = redisearch.documents(given)
    documents = sum(exact.values()) + sum(
        getattr(REDISEARCH.constants, name) * count for name, (_, count) in counts.items()
    )
    text = measured - documents
    less, more = model.LANGUAGE_UNSAID
    assert sizes["fields"] * (1 - less) < text < sizes["fields"] * (1 + more)


def test_what_each_choice_costs() -> None:
    found = {
        words: delta
        for words, _, delta in model.changes(Shape(1_000_000, 1536), profiles.BUILT_IN["memorydb"])
    }
    assert found["M 32"] > 0 > found["M 8"]
    assert found["FLOAT64"] > 5e9
    cut = found["cut to 768 dimensions (Matryoshka)"]
    assert -9e9 < cut < -4e9


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"vectors": -5}, "Vectors is -5"),
        ({"vectors": 10**15}, "Vectors is 1,000,000,000,000,000"),
        ({"vectors": 1.5}, "1.5, which is not a whole number"),
        ({"vectors": True}, "not a whole number"),
        ({"dim": 32_769}, "Dimension is 32,769"),
        ({"dim": 0}, "Dimension is 0"),
        ({"m": 1}, "M is 1"),
        ({"m": 10_001}, "M is 10,001"),
        ({"type": "INT4"}, "'INT4' is no vector type"),
        ({"key_type": "LIST"}, "'LIST' is no key type"),
        ({"algorithm": "IVF"}, "'IVF' is no algorithm"),
        ({"metadata_bytes": -1}, "Metadata bytes is -1"),
        ({"tag_bytes": 0}, "Tag bytes is 0"),
        ({"text_words": -1}, "Words of a text is -1"),
        ({"text_vocabulary": 1.5}, "1.5, which is not a whole number"),
    ],
)
def test_wrong_shapes_are_told(change: dict[str, object], word: str) -> None:
    with pytest.raises((BadInput, OutOfRange)) as caught:
        Shape(**{"vectors": 10, "dim": 4, **change})  # type: ignore[arg-type]
    assert word in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, 1e12])
def test_wrong_sessions_are_told(value: float) -> None:
    with pytest.raises(BadInput, match="Sessions a second"):
        Sessions(per_second=value)


def test_profiles_are_kept_and_read_again(tmp_path: Path) -> None:
    mine = replace(profiles.BUILT_IN["redisearch"], name="mine", keyspace_factor=1.1, calibrated="2026-11-01")
    profiles.save(mine, tmp_path)
    assert profiles.load("mine", tmp_path) == mine
    assert profiles.names(tmp_path) == (*profiles.BUILT_IN, "mine")


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"format": 9}', '{"format": 2, "engine": "x", "grade": "measured"}']
)
def test_damaged_profiles_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "bad.json").write_text(text)
    with pytest.raises(BadInput, match="cannot be read"):
        profiles.load("bad", tmp_path)


@pytest.mark.parametrize("name", ["../../etc/passwd", "A B", "", "x" * 80])
def test_names_that_are_no_profile(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="cannot name a profile"):
        profiles.load(name, tmp_path)
    with pytest.raises(BadInput, match="no sizing profile 'none'") as caught:
        profiles.load("none", tmp_path)
    assert "memorydb, redisearch" in caught.value.hint
    with pytest.raises(MemDBError, match="is built in"):
        profiles.save(profiles.BUILT_IN["article"], tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1000", 1_000),
        ("1,000,000", 1_000_000),
        ("10M", 10_000_000),
        (" 1.5 k ", 1_500),
        ("2 billion", 2 * 10**9),
        ("-5", -5),
        ("0", 0),
        ("1_000", 1_000),
    ],
)
def test_counts_as_people_type_them(text: str, value: int) -> None:
    assert parse_count("Vectors", text) == value


@pytest.mark.parametrize(
    "text", ["", "many", "1.5", "1e6", "NaN", "10 MB", "0x10", "٣", "1" * 5_000 + "x", "<b>"]
)
def test_counts_that_are_none(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_count("Vectors", text)
    assert "Vectors is" in str(caught.value)
    assert len(str(caught.value)) < 200


# Measured on the local engine (RediSearch 2.10.5): documents, bytes and indexed words of one text, terms as FT.INFO
# tells them, and bytes that TEXT added to an index of the same documents.
MADE_UP = {
    "frequent and rare words": (5_000, 360, 60, 18_368, 7_154_800),
    "fewer frequent ones": (1_500, 360, 60, 16_679, 5_168_800),
    "every word another": (5_000, 130, 20, 100_000, 24_437_512),
    "half of them": (1_500, 190, 30, 18_773, 5_250_048),
    "fifty words": (1_500, 180, 30, 50, 414_960),
    "long and short texts": (5_000, 900, 152, 19_996, 11_228_688),
    "2,000 equally frequent": (5_000, 240, 40, 2_000, 2_359_024),
    "identifiers of 12 characters": (5_000, 64, 5, 26_618, 7_409_816),
    "of 20": (4_000, 167, 8, 33_904, 10_723_312),
    "of 32": (4_000, 131, 4, 16_987, 6_082_224),
    "of 32, fewer": (1_500, 131, 4, 6_367, 2_178_224),
}


@pytest.mark.parametrize("name", MADE_UP)
def test_texts_of_made_up_words_lie_inside_the_interval(name: str) -> None:
    count, size, words, terms, measured = MADE_UP[name]
    shape = Shape(
        count, 8, algorithm="FLAT", key_bytes=8, text_bytes=size, text_words=words, text_vocabulary=terms
    )
    told = model.predict(shape, REDISEARCH)
    right = told.total_bytes - told.components["fields"] + measured
    assert told.low_bytes <= right <= told.high_bytes
    assert told.total_bytes == pytest.approx(right, rel=0.045)
