"""Tables as files: CSV, JSON and Parquet, with the settings that made them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


def to_csv(frame: pd.DataFrame) -> bytes:
    """CSV whose cells no spreadsheet runs as a formula: such text gets an apostrophe in front."""
    safe = frame.copy()
    for column in safe.columns:
        if safe[column].map(lambda value: isinstance(value, str)).any():
            safe[column] = safe[column].map(_no_formula)
    return bytes(safe.to_csv(index=False).encode("utf-8", "backslashreplace"))


def to_json(frame: pd.DataFrame, about: Mapping[str, object]) -> bytes:
    """`{"about": {…}, "rows": […]}`."""
    rows = json.loads(frame.to_json(orient="records", force_ascii=True))
    return json.dumps({"about": about, "rows": rows}, indent=1, default=str).encode()


def to_parquet(frame: pd.DataFrame, about: Mapping[str, object]) -> bytes:
    """Parquet with the settings in the schema's metadata, under `memdb`."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    about_text = json.dumps(about, default=str)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"memdb": about_text.encode()})
    buffer = BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def _no_formula(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value
