"""Tables as files: CSV, JSON and Parquet, with the settings that made them."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from memdb.json_text import json_text


def to_csv(frame: pd.DataFrame) -> bytes:
    """CSV whose cells no spreadsheet runs as a formula: such text gets an apostrophe in front.

    What is missing or not a finite number is an empty cell.
    """
    safe = frame.copy()
    for column in safe.columns:
        if _texts(safe[column]):
            safe[column] = pd.Series(map(_no_formula, safe[column]), index=safe.index, dtype=object)
        elif pd.api.types.is_float_dtype(safe[column]):
            safe[column] = safe[column].replace([float("inf"), float("-inf")], float("nan"))
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
    return any(isinstance(value, str) for value in column)


def _no_formula(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


def _in_utf8(value: object) -> object:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
