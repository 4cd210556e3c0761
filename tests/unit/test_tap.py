"""The tap's reading of commands and its file, without a server."""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Sequence
from pathlib import Path

import hiredis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis

from memdb.errors import BadInput, NotKept
from memdb.tap.client import recording
from memdb.tap.follow import Follower
from memdb.tap.knn import KnnCall, read
from memdb.tap.record import Recorder, load, servers

VECTOR = np.arange(4, dtype="<f4").tobytes()


def search(query: str, *more: bytes | str | int, vector: bytes = VECTOR) -> list[bytes]:
    words = ["FT.SEARCH", "idx", query, "PARAMS", 2 + len(more), "v", vector, *more, "DIALECT", 2]
    return [word if isinstance(word, bytes) else str(word).encode() for word in words]


@pytest.mark.parametrize(
    ("query", "more", "call"),
    [
        ("*=>[KNN 10 @vec $v]", (), ("vec", "*", (), 10, None)),
        ("*=>[knn 3 @vec $v ef_runtime 50 as d]", (), ("vec", "*", (), 3, 50)),
        ("(@a:{x} | @b:[1 2])=>[KNN $k @vec $v EF_RUNTIME $ef]", ("k", "7", "ef", "99"),
         ("vec", "@a:{x} | @b:[1 2]", (), 7, 99)),
        ("(@a:{x}) | (@b:{y}) =>[KNN 7 @vec $v]=>{$EF_RUNTIME: 40; $YIELD_DISTANCE_AS: d}", (),
         ("vec", "(@a:{x}) | (@b:{y})", (), 7, 40)),
        ("@t:$word =>[KNN 7 @my\\-vec $v AS d]", ("word", "tea", "other", "secret"),
         ("my-vec", "@t:$word", (("word", "tea"),), 7, None)),
        ('@t:"=>[KNN 1 @no $v]" =>[KNN 2 @yes $v]', (), ("yes", '@t:"=>[KNN 1 @no $v]"', (), 2, None)),
        ("(@t:{a\\)b})=>[KNN 2 @vec $v HYBRID_POLICY ADHOC_BF]", (), ("vec", "@t:{a\\)b}", (), 2, None)),
    ],
)  # fmt: skip
def test_a_search_is_read_with_its_own_settings(
    query: str, more: Sequence[str], call: tuple[str, str, tuple[tuple[str, str], ...], int, int | None]
) -> None:
    field, condition, params, k, ef_runtime = call
    assert read(search(query, *more)) == KnnCall("idx", field, condition, params, k, ef_runtime, VECTOR)


@pytest.mark.parametrize(
    ("command", "query", "beside", "condition"),
    [
        ("FT.SEARCH", "*", "FILTER p (50 inf", "@p:[(50 inf]"),
        ("FT.SEARCH", "@a:{x} | @b:{y}", "NOCONTENT filter p-q 5 6 SORTBY d LIMIT 0 9 FILTER r 1 +inf",
         "(@a:{x} | @b:{y}) @p\\-q:[5 6] @r:[1 +inf]"),
        ("FT.SEARCH", "*", "GEOFILTER at 2.5 48 10 km RETURN 2 params 2", "@at:[2.5 48 10 km]"),
        ("FT.SEARCH", "(@a:{x})", "RETURN 3 FILTER p 1", "@a:{x}"),
        ("FT.AGGREGATE", "*", "LOAD 2 @params @p FILTER @p>5 SORTBY 2 @p DESC", "*"),
    ],
)  # fmt: skip
def test_what_narrows_a_search_beside_its_query_is_part_of_its_filter(
    command: str, query: str, beside: str, condition: str
) -> None:
    words = [command, "idx", f"{query}=>[KNN 3 @vec $v]", *beside.split(), "PARAMS", "2", "v", "abcd"]
    assert read([word.encode() for word in words]) == KnnCall("idx", "vec", condition, (), 3, None, b"abcd")


@pytest.mark.parametrize(
    "words",
    [
        [*search("*=>[KNN 10 @vec $v]"), b"INKEYS", b"2", b"d:1", b"d:2"],  # no filter says these
        [*search("tea=>[KNN 10 @vec $v]"), b"infields", b"1", b"title"],
        [b"GET", b"=>[KNN 10 @vec $v]", b"x"],
        search("@t:tea"),
        search("*=>[KNN 10 @vec $other]"),
        search("*=>[KNN $k @vec $v]"),
        search("*=>[KNN 0 @vec $v]"),
        search("*=>[KNN 10 @vec $v EF_RUNTIME $gone]"),
        search("@v:[VECTOR_RANGE 0.2 $v]"),
        [b"FT.SEARCH", b"\xff", b"*=>[KNN 10 @vec $v]", b"PARAMS", b"2", b"v", VECTOR],
        [b"FT.SEARCH", b"idx", b"*=>[KNN 10 @vec $v]"],
    ],
)
def test_what_is_no_search_is_not_read(words: list[bytes]) -> None:
    assert read(words) is None


class Kept:
    """What a follower offers."""

    def __init__(self) -> None:
        self.rows: list[tuple[list[bytes], float | None]] = []

    def offer(self, draw: float, words: list[bytes], at: float, took_ms: float | None) -> None:
        assert draw == 0.0
        self.rows.append((words, took_ms))

    def follower(self) -> Follower:
        return Follower(lambda: 0.0, self.offer)


def packed(*commands: Sequence[bytes | str]) -> bytes:
    return b"".join(hiredis.pack_command(tuple(command)) for command in commands)


def test_searches_are_seen_however_the_bytes_are_cut() -> None:
    stream = (
        packed(["AUTH", "secret"])
        + b"PING\r\n\r\nECHO typed\n"
        + packed(["SET", "k", b"*3\r\n" + packed(search("*=>[KNN 1 @no $v]"))], search("*=>[KNN 2 @a $v]"))
        + packed(["GET", ""], search("*=>[KNN 3 @a $v]", vector=b"\r\n" * 500))
    )
    draws = random.Random(1)
    for step in [1, 2, 3, 7, 64, len(stream), *(draws.randrange(1, 300) for _ in range(50))]:
        kept = Kept()
        follower = kept.follower()
        for start in range(0, len(stream), step):
            follower.sent(stream[start : start + step], 0.0)
        follower.answered(b"+OK\r\n+PONG\r\n$5\r\ntyped\r\n+OK\r\n*1\r\n:0\r\n$-1\r\n*1\r\n:0\r\n", 1.0)
        assert [read(words) is not None for words, _ in kept.rows] == [True, True]
        assert [words[2][:9] for words, _ in kept.rows] == [b"*=>[KNN 2", b"*=>[KNN 3"]
        assert (follower.commands, follower.searches, follower.followed) == (7, 2, True)


def test_a_value_that_is_passed_over_is_not_held() -> None:
    kept = Kept()
    follower = kept.follower()
    follower.sent(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$300000000\r\n", 0.0)
    piece = bytes(1_000_000)
    for _ in range(300):
        follower.sent(piece, 0.0)
    follower.sent(b"\r\n" + packed(search("*=>[KNN 2 @a $v]")), 0.0)
    follower.answered(b"+OK\r\n*1\r\n:0\r\n", 0.5)
    assert len(kept.rows) == 1
    assert len(follower._tail) == 0


def test_times_are_of_searches_that_nothing_else_waited_with() -> None:
    kept = Kept()
    follower = kept.follower()
    one, reply = packed(search("*=>[KNN 2 @a $v]")), b"*1\r\n:0\r\n"
    follower.sent(one, 10.0)
    follower.answered(reply[:4], 10.1)
    follower.answered(reply[4:], 10.25)  # the time is that of the whole reply
    follower.sent(one + one, 11.0)
    follower.answered(reply, 11.1)
    follower.answered(reply, 11.2)
    follower.sent(packed(["GET", "big"]), 12.0)
    follower.answered(b"$100000\r\n" + b"x" * 10, 12.0)
    follower.answered(b"x" * 99_990 + b"\r\n>2\r\n+push\r\n:1\r\n", 12.0)
    follower.sent(one, 13.0)
    follower.answered(reply, 13.5)
    assert [took for _, took in kept.rows] == [pytest.approx(250), None, None, pytest.approx(500)]


def test_refused_and_queued_searches() -> None:
    kept = Kept()
    follower = kept.follower()
    one = packed(search("*=>[KNN 2 @a $v]"))
    follower.sent(one, 0.0)
    follower.answered(b"-ERR no such index\r\n", 0.1)
    assert kept.rows == []
    follower.sent(packed(["MULTI"]), 0.0)
    follower.answered(b"+OK\r\n", 0.1)
    follower.sent(one, 0.0)
    follower.answered(b"+QUEUED\r\n", 0.1)
    assert kept.rows == []  # it has not run
    follower.sent(packed(["EXEC"]), 0.0)
    follower.answered(b"*1\r\n*1\r\n:0\r\n", 0.2)
    assert [took for _, took in kept.rows] == [None]


@pytest.mark.parametrize(
    ("end", "reply", "ks"),
    [
        (["EXEC"], b"*3\r\n*1\r\n:0\r\n-ERR gone\r\n*1\r\n:0\r\n", [1, 3]),
        (["exec"], b"*3\r\n-ERR gone\r\n$1\r\nx\r\n-ERR gone\r\n", []),
        (["EXEC"], b"*2\r\n-ERR gone\r\n:0\r\n", [1, 3]),  # as many as were sent? nothing is known
        (["EXEC"], b"*-1\r\n", []),  # a watched key has changed
        (["EXEC"], b"-EXECABORT\r\n", []),
        (["DISCARD"], b"+OK\r\n", []),
        (["RESET"], b"+RESET\r\n", []),
        (["SUBSCRIBE", "c"], b"-ERR not here\r\n", [1, 3]),  # and no reply is counted from then on
    ],
)
def test_searches_of_a_transaction_are_kept_where_they_ran(
    end: list[str], reply: bytes, ks: list[int]
) -> None:
    kept = Kept()
    follower = kept.follower()
    follower.sent(packed(["MULTI"], search("*=>[KNN 9 @a $v]"), ["DISCARD"], ["MULTI"]), 0.0)
    follower.answered(b"+OK\r\n+QUEUED\r\n+OK\r\n+OK\r\n", 0.1)
    queued = packed(search("*=>[KNN 1 @a $v]"), ["GET", "x"], search("*=>[KNN 3 @a $v]"))
    after = packed(search("*=>[KNN 4 @a $v]"))
    follower.sent(queued + packed(end) + after, 0.0)
    follower.answered(3 * b"+QUEUED\r\n" + reply + b"*1\r\n:0\r\n", 0.2)
    assert sorted(call.k for words, _ in kept.rows if (call := read(words))) == [*ks, 4]


def test_a_search_typed_by_hand() -> None:
    kept = Kept()
    follower = kept.follower()
    typed = rb"""ft.search idx '@t:"it\'s"=>[KNN 2 @a $v]' PARAMS 2 v "\x20\r\n\xfF\"\\ab" DIALECT 2"""
    follower.sent(typed + b"\r\n", 0.0)
    follower.answered(b"*1\r\n:0\r\n", 0.1)
    ((words, took),) = kept.rows
    call = read(words)
    assert call is not None
    assert (call.filter, call.vector, took) == ('@t:"it\'s"', b' \r\n\xff"\\ab', pytest.approx(100))


def test_all_searches_of_a_large_pipeline_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memdb.tap.follow._MOST_WAITING", 100_000)
    kept = Kept()
    follower = kept.follower()
    for n in range(1, 3_001):
        follower.sent(packed(search(f"*=>[KNN {n} @a $v]")), 0.0)
    assert 0 < len(kept.rows) < 3_000  # more than are held while their replies are on the way
    follower.answered(b"*1\r\n:0\r\n" * 2_999 + b"-ERR gone\r\n", 0.1)
    assert [call.k for words, _ in kept.rows if (call := read(words))] == list(range(1, 3_000))


@pytest.mark.parametrize("words", [["SUBSCRIBE", "c"], ["MONITOR"], ["CLIENT", "REPLY", "OFF"]])
def test_where_replies_cannot_be_counted_searches_are_kept_without_a_time(words: list[str]) -> None:
    kept = Kept()
    follower = kept.follower()
    follower.sent(packed(words), 0.0)
    follower.answered(b"+OK\r\n", 0.1)
    follower.sent(packed(search("*=>[KNN 2 @a $v]")), 1.0)
    follower.answered(b"*1\r\n:0\r\n", 1.1)
    assert [took for _, took in kept.rows] == [None]
    assert follower.followed


@pytest.mark.parametrize("garbage", [b"*x\r\n", b"*1\r\nPING\r\n" + b"x" * 40, b"*2\r\n$-1\r\n$1\r\na\r\n"])
def test_what_is_no_protocol_ends_the_following(garbage: bytes) -> None:
    follower = Kept().follower()
    follower.sent(garbage, 0.0)
    assert not follower.followed


def filled(recorder: Recorder, count: int, first: int = 0) -> None:
    for n in range(first, first + count):
        if (draw := recorder.wanted()) is not None:
            recorder.offer(draw, search(f"@n:[{n} {n}]=>[KNN 2 @a $v EF_RUNTIME 11]"), 1e9 + n, n / 8)


def numbers(path: Path) -> list[int]:
    record = load(path.name, path.read_bytes())
    assert record is not None
    return [int(each.call.filter[4:].split()[0]) for each in record.searches]


def test_the_record_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "tap.parquet"
    with Recorder(path) as recorder:
        filled(recorder, 3)
    record = load(path.name, path.read_bytes())
    assert record is not None
    assert (record.seen, record.share, len(record.searches)) == (3, 1.0, 3)
    last = record.searches[-1]
    assert (last.at, last.took_ms) == (1e9 + 2, 0.25)
    assert last.call == KnnCall("idx", "a", "@n:[2 2]", (), 2, 11, VECTOR)
    assert path.stat().st_mode & 0o777 == 0o600
    assert pq.read_table(path).to_pandas()["k"].tolist() == [2, 2, 2]  # by anybody's reader too


def test_the_record_stays_within_its_bounds_and_is_uniform(tmp_path: Path) -> None:
    """Each search has a draw; those below the largest 1 / 2^n that leaves room for all are kept, however often the
    file was written meanwhile. Told with the same draws, made here."""
    counts = np.zeros(10)
    for seed in range(20):
        path = tmp_path / f"{seed}.parquet"
        with Recorder(path, most=200, every_s=0.01, seed=seed) as recorder:
            filled(recorder, 5_000)
        made = random.Random(seed)
        draws = np.array([made.random() for _ in range(5_000)])
        share = next(2.0**-n for n in range(20) if (draws < 2.0**-n).sum() <= 200)
        kept = numbers(path)
        assert kept == np.flatnonzero(draws < share).tolist()
        assert recorder.share == share
        counts += np.histogram(kept, 10, (0, 5_000))[0]
    # Each tenth of the time has a tenth of what is kept: within five standard deviations of a binomial.
    total = counts.sum()
    assert total > 1_500
    assert np.abs(counts - total / 10).max() < 5 * np.sqrt(total * 0.09)


def test_what_comes_while_the_file_is_written_is_not_lost(tmp_path: Path) -> None:
    """It is counted before the file tells how many passed, and not yet among the rows that are written."""
    path = tmp_path / "tap.parquet"
    came = threading.Event()

    class Busy(Recorder):
        def _take(self) -> None:
            super()._take()
            if len(self) == 3:
                filled(self, 2, 3)
                came.set()

    with Busy(path, every_s=0.01) as recorder:
        filled(recorder, 3)
        assert came.wait(60)
    record = load(path.name, path.read_bytes())
    assert record is not None
    assert (record.seen, numbers(path)) == (5, [0, 1, 2, 3, 4])


def test_the_record_is_bounded_in_bytes(tmp_path: Path) -> None:
    path = tmp_path / "tap.parquet"
    with Recorder(path, most_bytes=100_000) as recorder:
        for _ in range(500):
            recorder.offer(
                recorder.wanted() or 0.0, search("*=>[KNN 1 @a $v]", vector=bytes(4_000)), 1.0, None
            )
    assert 0 < path.stat().st_size < 130_000
    assert recorder.share < 1


def test_a_record_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "tap.parquet"
    for first in (0, 10):
        with Recorder(path) as recorder:
            filled(recorder, 10, first)
    assert numbers(path) == list(range(20))
    record = load("", path.read_bytes())
    assert record is not None
    assert record.seen == 20


def test_the_servers_that_were_searched_are_told(tmp_path: Path) -> None:
    path = tmp_path / "tap.parquet"
    for server in ("redis://b:1", "rediss://a:6379", "redis://b:1"):
        with Recorder(path, server=server):
            pass
    assert searched(path) == ("redis://b:1", "rediss://a:6379")
    with recording(redis.Redis(host="c", port=2, db=3), path):
        pass
    assert searched(path) == ("redis://b:1", "redis://c:2/3", "rediss://a:6379")
    with Recorder(path):  # of one that is not known
        pass
    assert "" in searched(path)
    path.write_bytes(b"no record")
    with pytest.raises(ValueError, match="no Parquet"):
        searched(path)


def searched(path: Path) -> tuple[str, ...]:
    with path.open("rb") as file:
        return servers(file)


def test_another_file_is_never_replaced(tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"vector": [[1.0]]}), other)
    text = tmp_path / "text.parquet"
    text.write_text("mine")
    for path in (other, text):
        before = path.read_bytes()
        with pytest.raises(BadInput, match="is no record of a tap"):
            Recorder(path)
        assert path.read_bytes() == before
        assert load(path.name, before) is None
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be read: Not a directory"):
        Recorder(tmp_path / "file" / "tap.parquet")
    with pytest.raises(NotKept, match="cannot be written"):
        Recorder(tmp_path / ("x" * 250))  # its part has a longer name than a file may have


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    path = tmp_path / "tap.parquet"
    with Recorder(path) as recorder:
        filled(recorder, 50)
    raw = path.read_bytes()
    assert load(path.name, raw[:-100]) is None  # no Parquet file any more
    table = pq.read_table(path)
    table = table.set_column(4, "filter_params", pa.array(["{"] * 50))
    changed = io.BytesIO()
    pq.write_table(table, changed)
    damaged = [changed.getvalue()]
    for name, value in (("k", 0), ("k", -3), ("ef_runtime", 0), ("took_ms", float("nan")), ("took_ms", -1.0)):
        column = pq.read_schema(path).get_field_index(name)
        odd = pa.array([value] * 50, pq.read_schema(path).field(name).type)
        other = io.BytesIO()
        pq.write_table(pq.read_table(path).set_column(column, name, odd), other)
        damaged.append(other.getvalue())
    endless = '{"version": 1, "share": 1, "seen": Infinity}'
    for told in (
        '{"version": 2, "share": 1, "seen": 1}', '{"version": 1, "share": 0, "seen": 1}', endless, "[]", "{",
    ):  # fmt: skip
        other = io.BytesIO()
        pq.write_table(table.replace_schema_metadata({b"memdb.tap": told}), other)
        damaged.append(other.getvalue())
    fewer = io.BytesIO()
    pq.write_table(pq.read_table(path).drop(["k"]), fewer)
    turned = bytearray(raw)
    turned[raw.index(VECTOR) + 3] ^= 1  # one bit of a vector: a page's checksum tells
    damaged += [fewer.getvalue(), bytes(turned)]
    for content in damaged:
        with pytest.raises(BadInput, match=r"tap.parquet' is damaged, or of another version"):
            load(path.name, content)
        path.write_bytes(content)
        with pytest.raises(BadInput, match=r"tap.parquet' is damaged, or of another version"):
            Recorder(path).close()
        assert path.read_bytes() == content


def test_rows_that_another_program_wrote_anew_are_a_record_and_never_taken_for_texts(tmp_path: Path) -> None:
    path, other = tmp_path / "tap.parquet", io.BytesIO()
    with Recorder(path) as recorder:
        for number in range(6):
            more = " EF_RUNTIME 50" if number % 2 else ""
            draw = recorder.wanted()
            assert draw is not None
            recorder.offer(draw, search(f"*=>[KNN 10 @vec $v{more}]"), 1.7e9 + number, None)
    frame = pd.read_parquet(path)
    frame[frame["at"] >= frame["at"].iloc[2]].assign(note="mine").to_parquet(other)
    record, whole = load("some.parquet", other.getvalue()), load(path.name, path.read_bytes())
    assert record is not None
    assert whole is not None
    assert record.searches == whole.searches[2:]
    frame.assign(k="many").to_parquet(other := io.BytesIO())
    with pytest.raises(BadInput, match=r"some.parquet' is damaged"):
        load("some.parquet", other.getvalue())
    frame.drop(columns="vector").to_parquet(other := io.BytesIO())
    assert load("some.parquet", other.getvalue()) is None


def test_half_written_parts_of_a_killed_tap_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "tap.parquet"
    (tmp_path / ".tap.parquet.123.part").write_bytes(b"half")
    (tmp_path / "mine.part").write_bytes(b"mine")
    with Recorder(path):
        pass
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mine.part", "tap.parquet"]
