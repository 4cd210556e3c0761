"""What an index is made of: fields with their parameters, and the FT.CREATE that says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from memdb.cluster.client import Arg
from memdb.errors import BadInput

Metric = Literal["COSINE", "L2", "IP"]
VectorType = Literal["FLOAT32", "FLOAT64", "FLOAT16", "BFLOAT16"]
BYTES_PER_NUMBER: dict[str, int] = {
    "FLOAT32": 4,
    "FLOAT64": 8,
    "FLOAT16": 2,
    "BFLOAT16": 2,
    "INT8": 1,
    "UINT8": 1,
}


@dataclass(frozen=True, slots=True)
class TagField:
    """Exact values, several per document split by `separator`."""

    name: str
    separator: str = ","  # empty: the default, as FT.INFO tells it of JSON
    case_sensitive: bool = False
    path: str = ""  # the hash field or JSON path, where it is not the name

    def args(self) -> tuple[Arg, ...]:
        """Type and options as FT.CREATE takes them."""
        options: tuple[Arg, ...] = ("SEPARATOR", self.separator) if self.separator not in ("", ",") else ()
        return ("TAG", *options, *(("CASESENSITIVE",) if self.case_sensitive else ()))


@dataclass(frozen=True, slots=True)
class NumericField:
    """A number, filtered by range."""

    name: str
    path: str = ""

    def args(self) -> tuple[Arg, ...]:
        """Type as FT.CREATE takes it."""
        return ("NUMERIC",)


@dataclass(frozen=True, slots=True)
class TextField:
    """Full text. On MemoryDB only returned, never searched."""

    name: str
    path: str = ""

    def args(self) -> tuple[Arg, ...]:
        """Type as FT.CREATE takes it."""
        return ("TEXT",)


@dataclass(frozen=True, slots=True)
class HnswField:
    """An approximate vector index: a layered graph with M links a node (2·M on the lowest layer).

    Parameters left None are left out, so that the engine's default holds: M 16, EF_CONSTRUCTION 200,
    EF_RUNTIME 10, EPSILON 0.01.
    """

    name: str
    dim: int
    metric: Metric = "COSINE"
    type: VectorType = "FLOAT32"
    m: int | None = None
    ef_construction: int | None = None
    ef_runtime: int | None = None
    epsilon: float | None = None
    initial_cap: int | None = None
    path: str = ""

    def args(self) -> tuple[Arg, ...]:
        """Type and attributes as FT.CREATE takes them."""
        attributes = _vector_attributes(self.type, self.dim, self.metric) + _given(
            M=self.m,
            EF_CONSTRUCTION=self.ef_construction,
            EF_RUNTIME=self.ef_runtime,
            EPSILON=self.epsilon,
            INITIAL_CAP=self.initial_cap,
        )
        return ("VECTOR", "HNSW", len(attributes), *attributes)


@dataclass(frozen=True, slots=True)
class FlatField:
    """An exact vector index: every query looks at every vector."""

    name: str
    dim: int
    metric: Metric = "COSINE"
    type: VectorType = "FLOAT32"
    initial_cap: int | None = None
    block_size: int | None = None
    path: str = ""

    def args(self) -> tuple[Arg, ...]:
        """Type and attributes as FT.CREATE takes them."""
        attributes = _vector_attributes(self.type, self.dim, self.metric) + _given(
            INITIAL_CAP=self.initial_cap, BLOCK_SIZE=self.block_size
        )
        return ("VECTOR", "FLAT", len(attributes), *attributes)


FieldSpec = TagField | NumericField | TextField | HnswField | FlatField


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """An index to be created."""

    name: str
    fields: tuple[FieldSpec, ...]
    prefixes: tuple[str, ...] = ()
    on: Literal["HASH", "JSON"] = "HASH"

    def create_args(self) -> tuple[Arg, ...]:
        """The FT.CREATE command.

        Raises:
            BadInput: no name, no fields, or the same field twice.
        """
        if not self.name.strip():
            raise BadInput("The index has no name.", "Give it one, e.g. idx:embeddings.")
        if not self.fields:
            raise BadInput(f"Index '{self.name}' has no fields.", "Add at least one field.")
        names = [f.name for f in self.fields]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise BadInput(f"Index '{self.name}' names the field '{twice[0]}' twice.", "Name each once.")
        args: list[Arg] = ["FT.CREATE", self.name, "ON", self.on]
        if self.prefixes:
            args += ["PREFIX", len(self.prefixes), *self.prefixes]
        args.append("SCHEMA")
        for f in self.fields:
            args += [f.path, "AS", f.name] if f.path and f.path != f.name else [f.name]
            args += f.args()
        return tuple(args)


def _vector_attributes(kind: str, dim: int, metric: str) -> tuple[Arg, ...]:
    return ("TYPE", kind, "DIM", dim, "DISTANCE_METRIC", metric)


def _given(**options: float | None) -> tuple[Arg, ...]:
    return tuple(part for name, value in options.items() if value is not None for part in (name, value))
