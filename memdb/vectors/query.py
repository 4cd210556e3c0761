"""Requests and the commands they become. Pure: nothing here talks to a server."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from memdb.cluster.client import Arg
from memdb.cluster.dialects import Dialect
from memdb.cluster.target import Target
from memdb.errors import OutOfRange
from memdb.vectors import distance
from memdb.vectors.distance import Floats, Vectors
from memdb.vectors.filters import EVERYTHING, Condition, Rendered, attribute, render
from memdb.vectors.index import IndexInfo, VectorParams

EF_RUNTIME = 64  # where nobody chose one: the article's starting point


@dataclass(frozen=True, slots=True)
class KnnRequest:
    """The k nearest documents to a vector, under a filter. Hashable, small: a cache key.

    `vector` holds dim numbers, or is their float32 bytes as `vector_param` gives them.
    `field` may stay empty where the index has one vector field.
    `ef_runtime` None leaves the engine's or the index's own setting.
    `return_fields` empty returns keys and distances only.
    """

    index: str
    vector: tuple[float, ...] | bytes
    field: str = ""
    k: int = 10
    ef_runtime: int | None = None
    filter: Condition | str = EVERYTHING
    return_fields: tuple[str, ...] = ()


class Template(NamedTuple):
    """A KNN command without its vector, and how to read what comes back."""

    before: tuple[Arg, ...]
    after: tuple[Arg, ...]
    params: VectorParams
    where: str  # field and index, for messages
    alias: str  # what the distance is called in a hit
    matches: bool  # fields of a hit come as JSON lists of all that their path matches


@dataclass(frozen=True, slots=True)
class Command:
    """A command as sent, and as people can repeat it."""

    args: tuple[Arg, ...]

    @property
    def vector(self) -> bytes | None:
        """The query vector among the arguments."""
        blobs = [arg for arg in self.args if isinstance(arg, bytes)]
        return blobs[0] if blobs else None

    def redis_cli(self, target: Target | None = None) -> str:
        """A line for a shell that sends this very command. The vector comes from a file through
        `redis-cli -X` (7.0 and newer).

        Where an argument holds what no shell line can carry (control characters, bytes that are not UTF-8),
        all are written as redis-cli's own quoted strings, which `--quoted-input` reads.
        """
        start = ["redis-cli"]
        if target is not None:
            if target.scheme == "unix":
                start += ["-s", target.path]
            else:
                start += ["-h", target.host, "-p", str(target.port)]
                start += _tls_words(target) if target.scheme == "rediss" else []
            start += ["-n", str(target.db)] if target.db else []
            start += ["--user", target.username] if target.username else []
        tag = self._placeholder()
        words = [tag if isinstance(arg, bytes) else str(arg) for arg in self.args]
        if any(_UNSHELLED.search(word) for word in words):
            start.append("--quoted-input")
            words = [_quoted(word) for word in words]
        blob = self.vector is not None
        start += ["-X", tag] if blob else []
        return shlex.join([*start, *words]) + (" < vector.bin" if blob else "")

    def _placeholder(self) -> str:
        """A word for the vector that no other argument is: redis-cli fills in the first that equals it."""
        tag, taken = "VECTOR", {arg for arg in self.args if isinstance(arg, str)}
        while tag in taken:
            tag += "_"
        return tag

    def python(self, target: Target | None = None) -> str:
        """The same command through bare redis-py. No password: it is read from the environment."""
        where = target.address if target else "redis://localhost:6379"
        user = f", username={target.username!r}" if target and target.username else ""
        lines = [
            "import os",
            "import redis",
            "",
            f"client = redis.Redis.from_url({where!r}{user},",
            '    password=os.environ.get("MEMDB_PASSWORD"), protocol=2)',
        ]
        if self.vector is not None:
            lines += ['vector = open("vector.bin", "rb").read()']
        lines += ["reply = client.execute_command("]
        words = ["vector" if isinstance(arg, bytes) else _literal(arg) for arg in self.args]
        line = "    "
        for word in words:
            if len(line) + len(word) > 90 and line.strip():
                lines.append(line.rstrip())
                line = "    "
            line += word + ", "
        return "\n".join([*lines, line.rstrip(), ")", ""])


_PLAIN = re.compile(r"[A-Za-z0-9_.:,/+=@-]+")
_UNSHELLED = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def _quoted(word: str) -> str:
    """An argument as redis-cli's `--quoted-input` reads it: plain words as they are, others as double-quoted
    strings with \\xNN for each byte beyond printable ASCII."""
    if _PLAIN.fullmatch(word):
        return word
    raw = word.encode("utf-8", "surrogateescape")
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in raw) + '"'


def _literal(arg: Arg) -> str:
    """An argument in Python; text that is not UTF-8 as bytes."""
    if isinstance(arg, str) and _UNSHELLED.search(arg):
        return repr(arg.encode("utf-8", "surrogateescape"))
    return repr(arg)


def _tls_words(target: Target) -> list[str]:
    tls = target.tls
    options = (("--cacert", tls.ca), ("--cert", tls.cert), ("--key", tls.key), ("--sni", tls.hostname))
    words = ["--tls", *(word for pair in options if pair[1] for word in pair)]
    return words if tls.verify else [*words, "--insecure"]


def knn_command(request: KnnRequest, info: IndexInfo, dialect: Dialect) -> Command:
    """FT.SEARCH with a KNN clause, as this engine takes it.

    Integers go inline and the vector is the only parameter (a tag value that cannot be escaped is the one
    exception); `LIMIT 0 k` is always sent, without it 10 come back whatever k is.

    Raises:
        UnknownField: no such vector field, or a field to return or filter that the index does not have.
        BadVector: the vector does not fit the field.
        OutOfRange: K or EF_RUNTIME outside what the engine takes.
        BadFilter: the filter does not parse.
    """
    return filled(template(request, info, dialect), request)


def template(request: KnnRequest, info: IndexInfo, dialect: Dialect) -> Template:
    """All of the command but the vector; raises as `knn_command`."""
    return _template(
        info, dialect, request.field, request.k, request.ef_runtime, request.filter, request.return_fields
    )


def filled(shape: Template, request: KnnRequest) -> Command:
    """The command with the request's vector.

    Raises:
        BadVector: the vector does not fit the field, or has no direction under COSINE.
    """
    asked_vector = request.vector
    if (
        isinstance(asked_vector, bytes)
        and shape.params.type == "FLOAT32"
        and len(asked_vector) == shape.params.bytes
    ):
        sent = np.frombuffer(asked_vector, dtype="<f4")
        # Finite only if all numbers are, and 0 for zero; else each is looked at below.
        with np.errstate(over="ignore"):
            square = sent @ sent
        if math.isfinite(square) and square > 0:
            return Command((*shape.before, asked_vector, *shape.after))
    vector = distance.checked(numbers(asked_vector), shape.params.dim, shape.where, shape.params.type)
    vector = distance.directed(vector, shape.params.metric)
    return Command((*shape.before, distance.to_bytes(vector, shape.params.type), *shape.after))


@lru_cache(maxsize=128)
def _template(
    info: IndexInfo,
    dialect: Dialect,
    field: str,
    k: int,
    ef_runtime: int | None,
    condition: Condition | str,
    return_fields: tuple[str, ...],
) -> Template:
    """Kept, since all queries of a sweep or a chat share one."""
    vector_field, params = info.vector_field(field)
    distance.need(params.type)
    rendered = render(condition, dialect, info)
    check_range("K", k, 1, dialect.limits.k, dialect.title)
    clause = f"KNN {k} {attribute(vector_field.name, dialect, in_clause=True)} $vec"
    if ef_runtime is not None and params.has_ef:
        check_range("EF_RUNTIME", ef_runtime, 1, dialect.limits.ef_runtime, dialect.title)
        clause += f" EF_RUNTIME {ef_runtime}"
    alias = distance_alias(info)
    before: list[Arg] = ["FT.SEARCH", info.name, f"{rendered.query}=>[{clause} AS {alias}]"]
    bound = [part for pair in rendered.params for part in pair]
    before += ["PARAMS", 2 + len(bound), "vec"]
    for name in return_fields:
        info.field(name)
    # A field that is called AS goes first: behind another it would rename that one.
    loaded = return_fields if dialect.loads else ()
    returned = sorted((alias, *loaded), key=lambda name: name.upper() != "AS")
    after: list[Arg] = [*bound, "RETURN", len(returned), *returned]
    if dialect.needs_sortby:
        after += ["SORTBY", alias, "ASC"]
    # Under DIALECT 2 RediSearch returns the first value only of a path that matches several.
    spoken = dialect.json_dialect if info.on == "JSON" and loaded else 2
    after += ["LIMIT", 0, k, "TIMEOUT", dialect.limits.timeout_ms, "DIALECT", spoken, *dialect.every_shard]
    where = f"'{vector_field.name}' of '{info.name}'"
    return Template(tuple(before), tuple(after), params, where, alias, spoken > 2)


def count_command(info: IndexInfo, rendered: Rendered, dialect: Dialect) -> Command:
    """How many documents a filter lets through, without any of them."""
    args: list[Arg] = ["FT.SEARCH", info.name, rendered.query]
    bound = [part for pair in rendered.params for part in pair]
    if bound:
        args += ["PARAMS", len(bound), *bound]
    return Command((*args, "LIMIT", 0, 0, "DIALECT", 2, *dialect.every_shard))


def of_some_shards(command: Command, dialect: Dialect) -> Command:
    """The same search, of the shards that answer: what was said of all of them stands last."""
    return Command((*command.args[: -len(dialect.every_shard)], *dialect.some_shards))


def distance_alias(info: IndexInfo) -> str:
    """A name for the distance that no field of the index has."""
    name, taken = "distance", {f.name for f in info.fields} | {f.identifier for f in info.fields}
    while name in taken:
        name += "_"
    return name


def returnable(info: IndexInfo) -> tuple[str, ...]:
    """Fields worth returning with a hit: all but vectors."""
    return tuple(f.name for f in info.fields if f.kind != "VECTOR")


def vector_param(vector: Vectors) -> tuple[float, ...] | bytes:
    """A vector (d,) as a request holds it, hashable: bytes, or numbers where float32 does not hold them."""
    with np.errstate(over="ignore"):
        single = vector.astype("<f4")
    return single.tobytes() if np.array_equal(single, vector, equal_nan=True) else tuple(vector.tolist())


def received(request: KnnRequest, params: VectorParams) -> Vectors:
    """The query (1, d) as the index receives it, which is what its answer is to."""
    as_array = np.asarray(numbers(request.vector))
    return distance.as_sent(as_array.reshape(1, -1), params.type)


def numbers(vector: tuple[float, ...] | bytes) -> Floats | tuple[float, ...]:
    """The other way: what a request holds, as (d,) numbers.

    Raises:
        BadVector: the bytes are no whole float32 numbers.
    """
    return distance.from_bytes(vector, "FLOAT32") if isinstance(vector, bytes) else vector


def check_range(name: str, value: int, low: int, high: int, where: str) -> None:
    """Whether an engine takes a number.

    Raises:
        OutOfRange: it does not.
    """
    if not low <= value <= high:
        raise OutOfRange(name, value, low, high, where)
