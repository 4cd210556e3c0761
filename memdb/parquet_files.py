"""Parquet that others wrote: what it unpacks to is judged before it is unpacked.

A value that is repeated stands in such a file once: 3 KB of it may hold a gigabyte, and neither the size of
the file nor the sizes that it tells of its pieces say so.
"""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from memdb.display import bytes_text

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_TEXT = "BYTE_ARRAY"  # of Parquet: values of any length
_INDEX = 4  # bytes of what stands for such a value while it is read


class TooLarge(ValueError):
    """What follows the file's name in a sentence."""


def table(content: bytes, *, most_rows: int, most_bytes: int) -> pa.Table:
    """The table of a file, without lists of texts and what else holds texts within its values.

    Args:
        content: of the file.
        most_rows: that it may have.
        most_bytes: that it may take in memory, about.

    Raises:
        TooLarge: it has more.
        ArrowException: pyarrow's; it is no Parquet.
    """
    whole = pq.ParquetFile(io.BytesIO(content))
    about, columns = whole.metadata, [whole.schema.column(i) for i in range(len(whole.schema))]
    if about.num_rows > most_rows:
        raise TooLarge(f"holds {about.num_rows:,} rows, and at most {most_rows:,} are read")
    columns_read = [
        i for i, column in enumerate(columns) if column.physical_type != _TEXT or column.path == column.name
    ]
    size = 0
    for group in map(about.row_group, range(about.num_row_groups)):
        for i in columns_read:
            width = _WIDTHS.get(columns[i].physical_type, max(_INDEX, columns[i].length))
            size += max(group.column(i).total_uncompressed_size, group.column(i).num_values * width)
    _check(size, most_bytes)
    texts = [columns[i].path for i in columns_read if columns[i].physical_type == _TEXT]
    # Texts are read as places among the different ones: they are counted before they are written out.
    file = pq.ParquetFile(io.BytesIO(content), read_dictionary=texts, page_checksum_verification=True)
    read_table = file.read(columns=[columns[i].path for i in columns_read])
    _check(sum(_written_out(column) for column in read_table.columns), most_bytes)
    for i, field in enumerate(read_table.schema):
        if pa.types.is_dictionary(field.type):
            read_table = read_table.set_column(
                i, field.name, read_table.column(i).cast(field.type.value_type)
            )
    return read_table


def _check(size: int, most: int) -> None:
    if size > most:
        raise TooLarge(f"unpacks to {bytes_text(size)}, and at most {bytes_text(most)} are read")


def _written_out(column: pa.ChunkedArray) -> int:
    """Bytes of a column once every value stands for itself."""
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    return sum(
        int(pc.sum(pc.take(pc.binary_length(chunk.dictionary), chunk.indices)).as_py() or 0)
        for chunk in column.chunks
    )
