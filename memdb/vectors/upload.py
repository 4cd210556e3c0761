"""A vector from what people paste or upload: JSON, an embeddings reply, numbers as text, .npy, .bin.

Size, shape and depth are judged before anything is read as a whole.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import re
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memdb import files
from memdb.array_files import read_array
from memdb.display import bytes_text, line
from memdb.errors import BadVector
from memdb.vectors import distance
from memdb.vectors.distance import Vectors

# Where a vector stands in what models and stores answer: OpenAI, Cohere, Ollama, Gemini, Vertex, Bedrock.
_NAMES = (
    "embedding",
    "vector",
    "embeddings",
    "vectors",
    "embeddingsbytype",
    "values",
    "float",
    "data",
    "predictions",
)
MOST_DEPTH = 16  # of JSON: an embeddings reply has 5
_STRINGS = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_OPENED, _CLOSED = np.frombuffer(b"[{", np.uint8), np.frombuffer(b"]}", np.uint8)
_DECIMAL_COMMAS = re.compile(r"\s*[-+]?\d+,\d+(?:[eE][-+]?\d+)?\s*")
_COUNTING = {"", "id", "key", "index"}  # heads of columns that name or count rows
_UNNAMED = re.compile(r"Unnamed: \d+")  # what pandas calls a column without a head
COUNTED = 8  # columns from which 0, 1, 2, … is taken for a head: shorter, it may be a vector
_HOLDS = re.compile(r".*(embedding|vec(tor)?)s?")  # a name under which some service has a vector
_LIST = re.compile(r"\[([^\[\]]*)\]")
_PRINTED = re.compile(r"(?:(?:array|tensor)\()?\s*(\[.*\])\s*(?:,\s*dtype=[\w.]+\s*)?\)?", re.DOTALL)


def from_text(text: str, dim: int, where: str, type_: str = "FLOAT32") -> Vectors:
    """Numbers as JSON, as NumPy prints them, or separated by commas, semicolons or blanks, (dim,) float32 or,
    for a field of FLOAT64, float64.

    JSON may be a list, an object with a vector in it, or the whole reply of an embeddings service. A table
    may have a line of heads above its one vector.

    Raises:
        BadVector: it does not parse, holds several vectors, or one of another length.
    """
    _check_size("The pasted text", len(text), dim)
    stripped = text.strip().lstrip("\ufeff")
    try:
        rows = _parsed(stripped)
    except (ValueError, OverflowError, RecursionError):
        raise BadVector(
            "The pasted text is not a vector.",
            "Give numbers separated by commas, or a JSON list such as [0.1, -0.2].",
            expected=dim,
            got=0,
        ) from None
    if not rows:
        raise BadVector(
            "There is no vector in this JSON.",
            "Give a list of numbers, or an object with one under `embedding`, `vector` or `data`.",
            expected=dim,
            got=0,
        )
    if len(rows) > 1:
        if not all(isinstance(row, list) and len(row) == 1 for row in rows):
            raise _several(len(rows), dim, where)
        rows = [[number for row in rows if isinstance(row, list) for number in row]]  # a column
    return distance.checked(rows[0], dim, where, type_)


def from_file(name: str, content: bytes, dim: int, type_: str, where: str) -> Vectors:
    """The vector in an uploaded file, (dim,) float32 or, for a field of FLOAT64, float64.

    `.npy` is read without pickle; `.bin` holds the numbers as the index stores them; anything else is text.

    Raises:
        BadVector: it cannot be read, holds several vectors, or one of another length.
    """
    _check_size(f"'{line(name)}'", len(content), dim)
    suffix = name.rsplit(".", 1)[-1].lower()
    if suffix == "npy":
        return distance.checked(array(name, content, dim), dim, where, type_)
    if suffix == "bin":
        return distance.checked(distance.from_bytes(content, type_), dim, where, type_)
    try:
        return from_text(decoded(content), dim, where, type_)
    except UnicodeDecodeError:
        raise BadVector(
            f"'{line(name)}' is neither text nor .npy nor .bin.",
            "Upload .npy, .bin, .json, .csv or .txt.",
            expected=dim,
            got=0,
        ) from None


def json_of(text: str) -> Any:
    """JSON that is at most MOST_DEPTH deep, judged by its brackets.

    Raises:
        ValueError: it is none, is deeper, or holds a number of thousands of digits.
    """
    if text.count("[") + text.count("{") <= MOST_DEPTH:
        return json.loads(text)
    brackets = np.frombuffer(_STRINGS.sub("", text).encode("ascii", "replace"), np.uint8)
    opened, closed = np.isin(brackets, _OPENED), np.isin(brackets, _CLOSED)
    steps = (opened.astype(np.int8) - closed.astype(np.int8))[opened | closed]
    if len(steps) and int(np.cumsum(steps, dtype=np.int64).max()) > MOST_DEPTH:
        raise ValueError(f"its brackets are more than {MOST_DEPTH} deep")
    return json.loads(text)


def decoded(content: bytes) -> str:
    """Text in UTF-8, or in UTF-16 where a byte-order mark says so; without the mark.

    Raises:
        UnicodeDecodeError: it is none of them.
    """
    utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if utf_16 else "utf-8-sig")


def vectors_in(value: object) -> list[object]:
    """Every vector in parsed JSON, in its order: a bare one, a list of them, objects that hold them.

    Of an embeddings reply those in the order of their `index`. Base64, as OpenAI sends it on wish, is read.

    Raises:
        ValueError: a text in the place of a vector is no base64 of float32 numbers.
    """
    if isinstance(value, dict):
        low = {str(name).lower(): item for name, item in value.items()}
        name = next((name for name in _NAMES if low.get(name) is not None), None)
        return _deeper(low) if name is None else vectors_in(low[name])
    if isinstance(value, str):
        try:
            return [np.frombuffer(base64.b64decode(value, validate=True), "<f4").tolist()]
        except binascii.Error as exc:
            raise ValueError(str(exc)) from None
    if isinstance(value, list) and any(isinstance(item, list | dict) for item in value):
        places = [item.get("index") if isinstance(item, dict) else None for item in value]
        if all(type(place) is int for place in places):
            value = [value[i] for i in sorted(range(len(value)), key=lambda i: int(places[i] or 0))]
        return [vector for item in value for vector in vectors_in(item)]
    return [value]


def _deeper(members: dict[str, object]) -> list[object]:
    """The vectors in an object that has none under a known name: in the objects under others, such as
    `{"output": {"embeddings": …}}`, and in lists under names that say what they hold."""
    vectors: list[object] = []
    for name, item in members.items():
        inner = isinstance(item, dict) or (
            isinstance(item, list) and bool(item) and all(isinstance(each, dict) for each in item)
        )
        if inner or (isinstance(item, list) and _HOLDS.fullmatch(name)):
            vectors += [each for each in vectors_in(item) if isinstance(each, list) and each]
    return vectors


def _parsed(text: str) -> list[object]:
    """The vectors in a text."""
    if text.startswith(("[", "{", "array(", "tensor(")):
        try:
            return vectors_in(json_of(text))
        except json.JSONDecodeError:
            printed = _PRINTED.fullmatch(text)
            if printed is None or printed[1].count("[") > 1:
                raise
            return [[float(part) for part in printed[1].strip("[]").replace(",", " ").split()]]
    head, *below = [row for row in text.splitlines() if row.strip()] or [""]
    return _under(head, below) if below and _is_head(head, below) else _plain(text)


def names_rows(head: str) -> bool:
    """Whether a column of this name counts or names the rows of a table."""
    return head.lower() in _COUNTING or bool(_UNNAMED.fullmatch(head))


def decimal_commas(row: str) -> bool:
    """Whether a row is of numbers between semicolons, and one of them has a decimal comma."""
    cells = [cell.strip().strip("\"'") for cell in row.strip().split(";")]
    commas = [bool(_DECIMAL_COMMAS.fullmatch(cell)) for cell in cells]
    return any(commas) and all(
        comma or not cell or _is_number(cell) for comma, cell in zip(commas, cells, strict=True)
    )


def _plain(text: str) -> list[object]:
    """The vectors in numbers with signs or blanks between them."""
    parts = text.split(";")
    if len(parts) > 1 and all(_DECIMAL_COMMAS.fullmatch(part) for part in parts if part.strip()):
        return [[_number(part.replace(",", ".")) for part in parts if part.strip()]]
    rows = [
        [_number(part) for part in row.replace(",", " ").replace(";", " ").split()]
        for row in text.splitlines()
        if row.strip()
    ]
    # Lines of one length with a separator are the rows of a table; else they are one vector, wrapped.
    table = len(rows) > 1 and len({len(row) for row in rows}) == 1 and len(rows[0]) > 1
    if table and not any(row.rstrip().endswith((",", ";")) for row in text.splitlines()[:-1]):
        return list(rows)
    return [[number for row in rows for number in row]]


def _cells(row: str, separator: str | None) -> list[str]:
    return [cell.strip().strip("\"'") for cell in row.split(separator)]


def _separator(head: str) -> str | None:
    return next((sign for sign in ",;\t" if sign in head), None)  # None: blanks


def _is_head(head: str, below: list[str]) -> bool:
    """Whether a first row names columns: none is a number, or they count from 0, as pandas writes them."""
    separator = _separator(head)
    cells = _cells(head, separator)
    if any(cells) and not any(map(_is_number, cells)):
        return True
    named = cells if cells[0] else cells[1:]
    counted = len(named) >= (COUNTED if cells[0] else 2) and named == list(map(str, range(len(named))))
    return counted and len(below) == 1 and len(_cells(below[0], separator)) == len(cells)


def _under(head: str, below: list[str]) -> list[object]:
    """The vectors under a line of heads: lists within cells, else rows or a column of numbers.

    Raises:
        ValueError: a cell is neither number nor word, or the rows do not fit the heads.
    """
    lists = _LIST.findall(" ".join(below))
    if lists:
        return [vector for each in lists for vector in _plain(each)]
    separator = _separator(head)
    names = [name.lower() for name in _cells(head, separator)]
    if head.startswith("#") or len(names) == 1:
        return _plain("\n".join(below))  # a title, under which any sign may stand between the numbers
    rows = [_cells(row.replace(",", ".") if separator == ";" else row, separator) for row in below]
    numbers = []
    for name, column in zip(names, zip(*rows, strict=True), strict=True):
        if name not in _COUNTING and not all(map(_is_word, column)):
            numbers.append([_number(cell) for cell in column])
    if not numbers:
        raise ValueError("no column of numbers")
    return [list(row) for row in zip(*numbers, strict=True)]


def _is_word(cell: str) -> bool:
    return any(map(str.isalpha, cell)) and not _is_number(cell)


def _number(text: str) -> float:
    """A number as it is written; Python alone would read one with an underscore."""
    if "_" in text:
        raise ValueError("a number with an underscore")
    return float(text)


def _is_number(text: str) -> bool:
    try:
        _number(text)
    except ValueError:
        return False
    return True


def array(name: str, content: bytes, dim: int) -> NDArray[np.generic]:
    """The numbers of a `.npy` file, of any shape: (d,), (n, d) or another.

    Raises:
        BadVector: it is none, or holds something else.
    """
    problem = "cannot be read, or is not one whole array"
    try:
        loaded = read_array(BytesIO(content), len(content))
        if loaded.dtype.kind in "fiu":
            return loaded
        problem = f"holds values of type {loaded.dtype}"
    except files.DAMAGE as exc:
        problem += f" ({line(str(exc), 120)})"
    raise BadVector(
        f"'{line(name)}' is not a NumPy file of numbers: it {problem}.",
        "Save it with numpy.save(path, vector); archives and object arrays are not read.",
        expected=dim,
        got=0,
    )


def most_bytes(dim: int) -> int:
    """How large a text or file with a vector of `dim` numbers may be, whatever lies around it."""
    return max(1 << 20, 64 * dim)


def _check_size(what: str, size: int, dim: int) -> None:
    most = most_bytes(dim)
    if size > most:
        raise BadVector(
            f"{what} has {bytes_text(size)}; for a vector of {dim:,} numbers at most {bytes_text(most)} are "
            "read.",
            "Give one vector. A file of many queries is read on the Recall page.",
            expected=dim,
            got=0,
        )


def _several(count: int, dim: int, where: str) -> BadVector:
    return BadVector(
        f"There are {count:,} vectors; {where} is asked with one of {dim:,} numbers.",
        "Give one of them. A file of many queries is read on the Recall page.",
        expected=dim,
        got=0,
    )
