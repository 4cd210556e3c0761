"""Tables as files: CSV, JSON and Parquet, with the settings that made them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from memdb.display import takes_room
from memdb.json_text import json_text


def to_csv(frame: pd.DataFrame) -> bytes:
    """CSV of which no spreadsheet runs anything as a formula: such text gets an apostrophe in front.

    That holds for cells and names of columns. What is missing or not a finite number is an empty cell;
    a line break is \\n.
    """
    safe = frame.copy()
    for place, kind in enumerate(frame.dtypes):  # by place: two columns may have one name
        column = frame.iloc[:, place]
        if _texts(column):
            safe.isetitem(place, np.array([_no_formula(_in_utf8(v)) for v in column], dtype=object))
        elif pd.api.types.is_float_dtype(kind):
            safe.isetitem(place, column.where(~np.isinf(column), np.nan).to_numpy())
    safe.columns = pd.Index([_no_formula(name) for name in frame.columns])
    return bytes(safe.to_csv(index=False).encode("utf-8", "backslashreplace"))


def to_json(frame: pd.DataFrame, about: Mapping[str, object]) -> bytes:
    """`{"about": {…}, "rows": […]}`; null for what is missing or not a finite number."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return json_text({"about": about, "rows": rows}, indent=1).encode()


def to_parquet(frame: pd.DataFrame, about: Mapping[str, object]) -> bytes:
    """Parquet with the settings in the schema's metadata, under `memdb`; bytes not UTF-8 as `\\udcNN`."""
    safe = frame.copy()
    for column in safe.columns:
        if _texts(safe[column]):
            safe[column] = pd.Series(map(_in_utf8, safe[column]), index=safe.index, dtype=object)
    table = pa.Table.from_pandas(safe, preserve_index=False)
    metadata = {**(table.schema.metadata or {}), b"memdb": json_text(about).encode()}
    buffer = BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), buffer)
    return buffer.getvalue()


def _texts(column: pd.Series) -> bool:
    return any(isinstance(value, str) for value in column) or isinstance(column.dtype, pd.CategoricalDtype)


def _no_formula(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.replace("\r\n", "\n").replace("\r", "\n")  # a bare \r is not quoted, and would end the row
    return f"'{text}" if _is_formula(text) else text


def _is_formula(text: str) -> bool:
    """Whether a spreadsheet may see a formula: its sign may be full-width, and stand behind blanks, line
    breaks and signs without width, which some programs drop."""
    if text[:1] in {"\t", "\n"}:
        return True
    sign = next(filter(takes_room, text), "")
    return unicodedata.normalize("NFKC", sign)[:1] in {"=", "+", "-", "@", "\u2212"}


def _in_utf8(value: object) -> object:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
