"""Parquet that unpacks to far more than its bytes: refused before it is unpacked, whatever the values are."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memdb import parquet_files
from memdb.errors import BadInput
from memdb.tap import record
from memdb.tuning import query_rows

LIMIT = 1 << 20


def written(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    return stream.getvalue()


def lists(rows: int, length: int) -> pa.Array:
    return pa.ListArray.from_arrays(
        pa.array(np.arange(rows + 1) * length, pa.int32()), pa.array(np.ones(rows * length))
    )


HUGE = {
    "rows": pa.table({"a": pa.array(np.zeros(200_000, "i1"))}),
    "numbers of one value": pa.table({"a": pa.array(np.zeros(90_000)), "b": pa.array(np.zeros(90_000))}),
    "long lists of one number": pa.table({"v": lists(20, 50_000)}),
    "a list in one row": pa.table({"v": lists(1, 1_000_000)}),
    "one long text, many times": pa.table({"t": pa.array(["x" * 100_000] * 50)}),
    "the same in bytes": pa.table({"t": pa.array([b"x" * 100_000] * 50)}),
    "one that is many times empty": pa.table({"t": pa.array(["x" * 100_000, None] * 50)}),
    "texts of a fixed length": pa.table({"t": pa.array([b"x" * 10_000] * 500, pa.binary(10_000))}),
}


@pytest.mark.parametrize("kind", HUGE)
def test_what_unpacks_to_more_is_not_unpacked(kind: str) -> None:
    content = written(HUGE[kind])
    assert len(content) < 200_000
    with pytest.raises(parquet_files.TooLarge, match=r"unpacks to|holds 200,000 rows"):
        parquet_files.table(content, most_rows=100_000, most_bytes=LIMIT)


def test_what_fits_comes_as_it_was_written() -> None:
    table = pa.table(
        {
            "v": pa.array([[1.5, 2.0], [3.0, 4.0], None]),
            "text": pa.array(["a", None, "a"]),
            "raw": pa.array([b"\x00\xff", b"", None]),
            "fixed": pa.array([b"1234", b"5678", None], pa.binary(4)),
            "n": pa.array([1, None, -3], pa.int32()),
            "chosen": pa.array(["x", "y", "x"]).dictionary_encode(),
        }
    )
    made = parquet_files.table(written(table), most_rows=3, most_bytes=LIMIT)
    assert made.to_pydict() == table.to_pydict()
    assert made.schema.field("text").type == pa.string()


def test_texts_within_values_are_left_out() -> None:
    table = pa.table({"tags": pa.array([["x" * 100_000] * 50]), "n": pa.array([7])})
    made = parquet_files.table(written(table), most_rows=3, most_bytes=LIMIT)
    assert made.to_pydict() == {"n": [7]}


def test_a_file_of_queries_that_unpacks_to_more_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_rows, "MOST_BYTES", LIMIT)
    content = written(pa.table({"v": lists(20, 50_000)}))
    assert len(content) < 100_000
    with pytest.raises(BadInput, match="unpacks to"):
        query_rows.rows_of("parquet", content, "q.parquet", "", 4)


def tapped(rows: int, vector: bytes) -> bytes:
    schema = record._schema()
    values = {"filter_params": "[]", "k": 3, "ef_runtime": 10, "took_ms": 1.0, "vector": vector, "at": 0}
    columns = [
        pa.array([values.get(field.name, "x")], field.type).take(pa.array(np.zeros(rows, "i4")))
        for field in schema
    ]
    about = json.dumps({"version": 1, "share": 1.0, "seen": rows, "servers": []}).encode()
    return written(pa.table(columns, schema=schema.with_metadata({record._KEY: about})))


@pytest.mark.parametrize(("rows", "vector"), [(300_000, b"0123"), (300, b"x" * 1_000_000)])
def test_a_record_that_unpacks_to_more_is_refused_in_words(rows: int, vector: bytes) -> None:
    content = tapped(rows, vector)
    assert len(content) < 100_000
    with pytest.raises(BadInput, match=r"holds 300,000 rows|unpacks to"):
        record.load("tap.parquet", content)
    loaded = record.load("tap.parquet", tapped(30, b"0123"))
    assert loaded is not None
    assert [search.call.vector for search in loaded.searches] == [b"0123"] * 30
