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
    """Exact values, several per document split by `separator`.

    `separator` empty: the engine's default, which is "," for hashes and none for JSON.
    """

    name: str
    separator: str = ""
    case_sensitive: bool = False
    path: str = ""  # the hash field or JSON path, where it is not the name
    index_empty: bool = False  # the empty value can be filtered by
    index_missing: bool = False  # ismissing(@field) can be asked

    def args(self) -> tuple[Arg, ...]:
        """Type and options as FT.CREATE takes them."""
        options: tuple[Arg, ...] = ("SEPARATOR", self.separator) if self.separator else ()
        options += _flags(
            CASESENSITIVE=self.case_sensitive,
            INDEXEMPTY=self.index_empty,
            INDEXMISSING=self.index_missing,
        )
        return ("TAG", *options)


@dataclass(frozen=True, slots=True)
class NumericField:
    """A number, filtered by range."""

    name: str
    path: str = ""
    index_missing: bool = False

    def args(self) -> tuple[Arg, ...]:
        """Type and options as FT.CREATE takes them."""
        return ("NUMERIC", *_flags(INDEXMISSING=self.index_missing))


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
    index_missing: bool = False

    def args(self) -> tuple[Arg, ...]:
        """Type and attributes as FT.CREATE takes them."""
        attributes = _vector_attributes(self.type, self.dim, self.metric) + _given(
            M=self.m,
            EF_CONSTRUCTION=self.ef_construction,
            EF_RUNTIME=self.ef_runtime,
            EPSILON=self.epsilon,
            INITIAL_CAP=self.initial_cap,
        )
        return ("VECTOR", "HNSW", len(attributes), *attributes, *_flags(INDEXMISSING=self.index_missing))


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
    index_missing: bool = False

    def args(self) -> tuple[Arg, ...]:
        """Type and attributes as FT.CREATE takes them."""
        attributes = _vector_attributes(self.type, self.dim, self.metric) + _given(
            INITIAL_CAP=self.initial_cap, BLOCK_SIZE=self.block_size
        )
        return ("VECTOR", "FLAT", len(attributes), *attributes, *_flags(INDEXMISSING=self.index_missing))


FieldSpec = TagField | NumericField | TextField | HnswField | FlatField


@dataclass(frozen=True, slots=True)
class Rules:
    """Which documents under the prefixes an index takes, and how it reads their words. RediSearch's options;
    empty where nothing is said, so that the engine's default holds."""

    filter: str = ""  # FILTER: an expression over the document's fields
    language: str = ""
    language_field: str = ""  # the document's field that names its own language
    score: str = ""  # 0 to 1, as the engine words it
    score_field: str = ""
    payload_field: str = ""
    stop_words: tuple[str, ...] | None = None  # None: the engine's own list; (): every word is indexed
    punctuation: str | None = None  # valkey-search: signs that part words; None: its own

    def args(self) -> tuple[Arg, ...]:
        """The options as FT.CREATE takes them, between PREFIX and SCHEMA."""
        args = _given(
            FILTER=self.filter or None,
            LANGUAGE=self.language or None,
            LANGUAGE_FIELD=self.language_field or None,
            SCORE=self.score or None,
            SCORE_FIELD=self.score_field or None,
            PAYLOAD_FIELD=self.payload_field or None,
        )
        if self.stop_words is not None:
            args += ("STOPWORDS", len(self.stop_words), *self.stop_words)
        return args + _given(PUNCTUATION=self.punctuation)


NO_RULES = Rules()


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """An index to be created."""

    name: str
    fields: tuple[FieldSpec, ...]
    prefixes: tuple[str, ...] = ()
    on: Literal["HASH", "JSON"] = "HASH"
    rules: Rules = NO_RULES

    def create_args(self) -> tuple[Arg, ...]:
        """The FT.CREATE command.

        Raises:
            BadInput: no name, no fields, or the same field twice.
        """
        if not self.name.strip():
            raise BadInput("The index has no name.", "Give it one, e.g. idx:embeddings.")
        if not self.fields:
            raise BadInput(f"Index '{self.name}' has no fields.", "Add at least one field.")
        names = [field.name for field in self.fields]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise BadInput(f"Index '{self.name}' names the field '{twice[0]}' twice.", "Name each once.")
        args: list[Arg] = ["FT.CREATE", self.name, "ON", self.on]
        if self.prefixes:
            args += ["PREFIX", len(self.prefixes), *self.prefixes]
        args += self.rules.args()
        args.append("SCHEMA")
        for field in self.fields:
            args += (
                [field.path, "AS", field.name] if field.path and field.path != field.name else [field.name]
            )
            args += field.args()
        return tuple(args)


def _vector_attributes(kind: str, dim: int, metric: str) -> tuple[Arg, ...]:
    return ("TYPE", kind, "DIM", dim, "DISTANCE_METRIC", metric)


def _flags(**options: bool) -> tuple[Arg, ...]:
    return tuple(name for name, is_set in options.items() if is_set)


def _given(**options: float | str | None) -> tuple[Arg, ...]:
    return tuple(part for name, value in options.items() if value is not None for part in (name, value))
