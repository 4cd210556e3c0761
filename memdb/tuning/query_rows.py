"""The rows of a file of queries: numbers, texts, or replies of an embeddings service."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from memdb import files, parquet_files
from memdb.errors import BadInput
from memdb.vectors import upload

MOST_QUERIES = 20_000
MOST_BYTES = 512 * 2**20  # of a file
_MOST_CELLS = 40_000  # of a row: an index takes at most 32,768 dimensions
_VECTOR_NAMES = ("vector", "embedding", "vec", "values", "query_vector")
_TEXT_NAMES = ("text", "query", "question", "content", "title")


def check_count(count: int, what: str = "There are") -> None:
    """Whether so many queries can be asked.

    Raises:
        BadInput: none, or more than MOST_QUERIES.
    """
    if not count:
        raise BadInput(f"{what} no queries.", "Give at least one; a few hundred make the interval narrow.")
    if not 0 < count <= MOST_QUERIES:
        raise BadInput(f"{what} {count:,} queries; at most {MOST_QUERIES:,} are asked.", "Give fewer.")


def rows_of(kind: str, content: bytes, file_name: str, column: str, dim: int) -> Sequence[Any]:
    """Each row a vector (list or array) or a text.

    Args:
        kind: npy, parquet, csv, jsonl or json.
        content: of the file.
        file_name: for messages.
        column: which to use; empty for one that is named like vectors or texts, else the first that fits.
        dim: of the index.

    Raises:
        BadInput: damaged, too many rows, or without a usable column.
    """
    try:
        if kind == "npy":
            array = upload.array(file_name, content, dim)
            if array.ndim == 2:
                check_count(len(array), f"'{file_name}' holds")
            if array.ndim not in (1, 2):
                raise BadInput(
                    f"'{file_name}' holds {array.ndim}-dimensional values of type {array.dtype}.",
                    f"Store an array of shape (queries, {dim}) of numbers.",
                )
            return list(array) if array.ndim == 2 else [array]
        if kind in ("json", "jsonl"):
            text = upload.decoded(content)
            if kind == "jsonl":
                check_count(
                    max(1, sum(1 for line in text.split("\n") if line.strip())), f"'{file_name}' holds"
                )
                # Split at line feeds alone: within its strings JSON may hold other ends of lines.
                parsed = [upload.json_of(line) for line in text.split("\n") if line.strip()]
            else:
                parsed = upload.json_of(text)
                # A list of numbers is one vector; of anything else, one row each.
                if not isinstance(parsed, list) or (parsed and type(parsed[0]) in (int, float)):
                    parsed = [parsed]
            if any(map(_is_reply, parsed)):
                return [vector for row in parsed for vector in upload.vectors_in(row)]
            if parsed and not all(isinstance(row, dict) for row in parsed):
                return _values(parsed, file_name)
            return _column(pd.DataFrame(parsed), file_name, column, dim)
        if kind == "parquet":
            about = pq.ParquetFile(io.BytesIO(content)).metadata
            check_count(max(1, about.num_rows), f"'{file_name}' holds")
            table = parquet_files.table(content, most_rows=MOST_QUERIES, most_bytes=MOST_BYTES)
            return _column(table.to_pandas(), file_name, column, dim)
        return _column(_table(upload.decoded(content)), file_name, column, dim)
    except (*files.DAMAGE, pa.ArrowException) as exc:
        raise BadInput(
            f"'{file_name}' cannot be read as .{kind}: {' '.join(str(exc).split())[:200].rstrip('.')}.",
            "Check that the file is whole and is what its ending says.",
        ) from exc


def _table(text: str) -> pd.DataFrame:
    """CSV, with a head or without: a first row of numbers is data, gaps in it or not, unless it counts the
    columns, as pandas writes them.

    Cells stand between commas; between semicolons or tabs where the first row has these and no comma, or has
    commas within its numbers.
    """
    first, _, below = text.lstrip("\n\r").partition("\n")
    decimals = [upload.decimal_commas(row) for row in (first, below.partition("\n")[0])]
    separator = ";" if decimals[0] else next((sign for sign in ",;\t" if sign in first), ",")
    if first.count(separator) > _MOST_CELLS:
        raise ValueError(f"its first row has {first.count(separator):,} cells")
    decimal = "," if separator == ";" and any(decimals) else "."
    cells = [cell.strip().strip('"').replace(decimal, ".") for cell in first.split(separator)]
    counted = len(cells) >= upload.COUNTED and cells == list(map(str, range(len(cells))))
    if any(cells) and not counted and all(not cell or _is_number(cell) for cell in cells):
        return pd.read_csv(
            io.StringIO(text), header=None, sep=separator, decimal=decimal, nrows=MOST_QUERIES + 1
        )
    return pd.read_csv(
        io.StringIO(text), keep_default_na=False, sep=separator, decimal=decimal, nrows=MOST_QUERIES + 1
    )


def _column(frame: pd.DataFrame, file_name: str, column: str, dim: int) -> Sequence[Any]:
    names = {str(name): name for name in frame.columns}
    if column and column not in names:
        raise BadInput(
            f"'{file_name}' has no column '{column}'.", f"It has: {', '.join(list(names)[:20]) or 'none'}."
        )
    if not len(frame):
        return []
    low = {name.lower(): name for name in names}
    usual = [low[name] for name in (*_VECTOR_NAMES, *_TEXT_NAMES) if name in low]
    numbers = frame.select_dtypes("number")
    if not column and not usual:  # then a text beside as many numbers as a vector has names its row
        for counting in ((), [name for name in numbers.columns if upload.names_rows(str(name))]):
            if len(columns := numbers.drop(columns=list(counting)).columns) == dim:
                return list(frame[columns].to_numpy(np.float64))
    rows: dict[str, list[Any]] = {}
    for name in [column] if column else [*usual, *(n for n in names if n not in usual)]:
        values = frame[names[name]].tolist()
        kinds = [isinstance(v, list | tuple | np.ndarray | str) for v in values]
        if name in (column, *usual) and any(kinds) and not all(kinds):
            raise BadInput(
                f"Row {kinds.index(False) + 1} of '{file_name}' has nothing in '{name}'.",
                "Give each row a vector or a text.",
            )
        if all(kinds):
            rows[name] = _values(values, file_name)
            if name in (column, *usual) and _usable_rows(rows[name]):
                return rows[name]
    usable = [name for name, column_rows in rows.items() if _usable_rows(column_rows)]
    vectors = [name for name in usable if not isinstance(rows[name][0], str)]
    if len(vectors) > 1:
        raise BadInput(
            f"'{file_name}' has several columns of vectors: {', '.join(vectors[:20])}.", "Call one 'vector'."
        )
    if usable:
        return rows[(vectors or usable)[0]]
    if len(numbers.columns) == len(frame.columns):
        return list(numbers.to_numpy(np.float64))
    raise BadInput(
        f"'{file_name}' has no column of vectors or texts.",
        f"Call one 'vector' or 'text', or give {dim} columns of numbers.",
    )


def _usable_rows(rows: Sequence[Any]) -> bool:
    """Whether a column can be what is asked: vectors, or texts of which one has a letter."""
    return not all(isinstance(row, str) for row in rows) or any(map(_has_letter, rows))


def _values(values: Iterable[Any], file_name: str) -> list[Any]:
    """Texts that are JSON lists become lists; texts and vectors must not be mixed."""
    parsed = [_parsed(value) for value in values]
    kinds = {isinstance(value, str) for value in parsed}
    if len(kinds) > 1:
        row = next(
            i for i, value in enumerate(parsed) if isinstance(value, str) != isinstance(parsed[0], str)
        )
        raise BadInput(
            f"'{file_name}' holds both texts and vectors (row {row + 1} differs from the first).",
            "Put them into two files.",
        )
    return parsed


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and re.match(r"\s*\[[\s\d.,eE+\-naifNIty]*\]\s*$", value):
        try:
            return upload.json_of(value)
        except ValueError:
            return [float(part) for part in value.strip().strip("[]").replace(",", " ").split()]
    return value


def _is_reply(row: object) -> bool:
    """Whether it is what an embeddings service answers, and not a row with columns."""
    if not isinstance(row, dict):
        return False
    many = (row.get(name) for name in ("data", "embeddings", "predictions", "embeddingsByType"))
    if isinstance(row.get("embedding"), dict) or any(isinstance(item, list | dict) for item in many):
        return True
    columns = any(str(name).lower() in (*_VECTOR_NAMES, *_TEXT_NAMES) for name in row)
    return not columns and any(map(_is_reply, row.values()))  # {"output": {"embeddings": …}}


def _has_letter(text: str) -> bool:
    """Whether it can be a question; what has none is numbers in a form that is not read."""
    return any(sign.isalpha() for sign in text)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
