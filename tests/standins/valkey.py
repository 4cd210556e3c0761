"""valkey-search 1.2.1 on Valkey 9.1.2, as its recordings show it, over the real local engine.

Filters, counts, aggregates and exact neighbours are computed here, from the documents; the engine behind is
asked for the neighbours that its graph leads to, and for everything that is no search.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any, ClassVar

import numpy as np

from memdb.cluster.target import Target
from tests.standins.aggregate import read_aggregate, shown
from tests.standins.documents import Document, Documents, numeric
from tests.standins.grammar import Both, Either, Knn, Node, Options, Query, Without, read_query
from tests.standins.resp import Refusal
from tests.standins.schema import BLOCK, Field, Index, read_create, told_to_engine
from tests.standins.server import OK, Session, Standin, running, unknown_command

_COMMANDS = frozenset("FT.CREATE FT.DROPINDEX FT._LIST FT.INFO FT.SEARCH FT.AGGREGATE FT._DEBUG".split(" "))
_ABOUT = {
    "FT.CREATE": ("write denyoom module", "@write @fast @search"),
    "FT.DROPINDEX": ("write module", "@write @fast @search"),
    "FT._LIST": ("readonly module admin", "@read @admin @slow @search"),
    "FT._DEBUG": ("readonly module admin", "@read @admin @slow @search"),
    "FT.INFO": ("readonly module fast", "@read @fast @search"),
    "FT.SEARCH": ("readonly denyoom module", "@read @slow @search"),
    "FT.AGGREGATE": ("readonly denyoom module", "@read @slow @search"),
}
_SETTINGS = dict(
    line.split(" ", 1)
    for line in resources.files("tests.standins").joinpath("settings.txt").read_text().splitlines()
)
VERSION = 0x010201
MAX_QUERY, MAX_TIMEOUT, PREFILTER = 10_240, 60_000, 0.001
# Of FT.SEARCH: each sets one thing, and of two that contradict each other the last holds.
_REACH: dict[str, dict[str, bool]] = {
    "LOCALONLY": {"local": True},
    "ALLSHARDS": {"partial": False},
    "SOMESHARDS": {"partial": True},
    "CONSISTENT": {"consistent": True},
    "INCONSISTENT": {"consistent": False},
}
Hits = list[tuple[Document, float | None]]


@dataclass(frozen=True)
class Reach:
    """Which shards must answer a query: by its settings search.enable-partial-results and the like."""

    local: bool = False
    partial: bool = True
    consistent: bool = False


@dataclass
class Search:
    """The words of FT.SEARCH."""

    options: Options = field(default_factory=Options)
    start: int = 0
    count: int = 10
    content: bool = True
    returned: list[tuple[str, str]] | None = None  # (what, under which name)
    sort: tuple[str, bool] | None = None  # (field, descending)
    dialect: int = 2
    reach: Reach = field(default_factory=Reach)


class ValkeySearch(Standin):
    """valkey-search 1.2.1. `faulty`: words beside a condition are ignored while the graph is walked."""

    commands: ClassVar[frozenset[str]] = _COMMANDS
    faulty: bool = True

    def answer(self, session: Session) -> Any:
        name = session.words[0].decode("latin-1").upper()
        if name.startswith("FT.") and name not in self.commands:
            raise unknown_command(session.words)
        if name.startswith("FT."):
            return self.searched(session, name)
        second = session.words[1].upper() if len(session.words) > 1 else b""
        if name == "COMMAND" and second == b"INFO":
            session.upstream.ask("COMMAND", "INFO")  # whether this user may
            return [self.described(session, word) for word in session.words[2:]]
        if name == "MODULE" and second == b"LIST":
            lua = [b"name", b"lua", b"ver", 1, b"path", b"lua", b"args", []]
            path = b"/usr/lib/modules/libsearch.so"
            return [[b"name", b"search", b"ver", VERSION, b"path", path, b"args", []], lua]
        if name == "CONFIG" and second == b"GET":
            return self.settings(session)
        if name == "INFO":
            return self.told(session)
        return session.relayed()

    def searched(self, session: Session, name: str) -> Any:
        """The reply to a command of search."""
        words = session.words
        if name == "FT._LIST":
            return [self.outside(own.decode("latin-1")) for own in session.upstream.ask(*words)]
        if name == "FT.CREATE":
            return self.created(session)
        if len(words) < 2 or (name == "FT.DROPINDEX" and len(words) != 2):
            raise Refusal(f"ERR wrong number of arguments for '{name}' command")
        wanted = words[1].decode("latin-1")
        if name == "FT.DROPINDEX":
            self.dropped(session, self.index(wanted))
            return OK
        inside = self.inside(wanted).encode("latin-1")
        if name == "FT.INFO":
            index = self.index(wanted)
            session.upstream.ask(words[0], inside)
            return self.informed(index, [word.decode("latin-1") for word in words[2:]])
        if len(words) < 3:
            raise Refusal(f"ERR wrong number of arguments for '{name}' command")
        self.allowed(session, words[0], inside, "*", "LIMIT", 0, 0)
        index = self.index(wanted, there=True)
        try:
            reply = self.hits(index, words[2:]) if name == "FT.SEARCH" else self.rows(index, words[2:])
        except Refusal:
            self.count("failure")
            raise
        self.count("successful")
        return reply

    def allowed(self, session: Session, *words: bytes | str | int) -> None:
        """Whether the index is there, and this user may ask it.

        Raises:
            Refusal: It is not, or they may not.
        """
        try:
            session.upstream.ask(*words)
        except Refusal as exc:
            if re.search(r"no such index|unknown index", str(exc), re.IGNORECASE):
                raise self.unknown(session.words[1].decode("latin-1")) from None
            raise

    def created(self, session: Session) -> Any:
        """FT.CREATE: read here, made in the engine behind with what that one knows."""
        if len(session.words) < 3:
            raise Refusal("ERR wrong number of arguments for 'FT.CREATE' command")
        index = read_create(session.words[1:], json=self.json)
        if self.inside(index.name).encode("latin-1") in self.own.ask("FT._LIST"):
            raise Refusal(f"Index {index.name} in database 0 already exists.")
        self.make(session, index)
        return OK

    def make(self, session: Session, index: Index) -> None:
        """Create an index."""
        session.upstream.ask(*self.engines(index))
        self.keep(index)

    def engines(self, index: Index) -> list[Any]:
        """How the engine behind is told to create an index."""
        return list(told_to_engine(replace(index, name=self.inside(index.name))))

    def dropped(self, session: Session, index: Index) -> None:
        """Drop an index."""
        session.upstream.ask("FT.DROPINDEX", self.inside(index.name).encode("latin-1"))
        self.forget(index.name)

    def informed(self, index: Index, options: list[str]) -> list[Any]:
        """FT.INFO, outside a cluster."""
        if options and options[0].upper() != "LOCAL":
            raise Refusal(f"ERR {options[0].upper()} option is not valid in this configuration")
        return self.described_index(index)

    # Searching.

    def hits(self, index: Index, words: list[bytes]) -> list[Any]:
        """FT.SEARCH, from its query on."""
        text, *rest = (word.decode("latin-1") for word in words)
        if len(text) > MAX_QUERY:
            raise Refusal(f"Query string is too long: max length can't exceed {MAX_QUERY}")
        asked = self.read_search(rest, index)
        query = self.read(text, index, asked.options)
        rows = None if asked.sort else asked.start + asked.count
        total, taken = self.matching(index, query, asked.options, asked.reach, rows)
        if asked.sort and asked.content:
            known = index.field(asked.sort[0])
            assert known
            taken = _sorted(taken, known, descending=asked.sort[1])
        page = taken[asked.start : asked.start + asked.count]
        if not asked.content:
            return [total, *(document.key for document, _ in page)]
        score = query.knn.score if query.knn else ""
        return [total, *self.contents(index, page, asked, score)]

    def matching(
        self, index: Index, query: Query, options: Options, reach: Reach, rows: int | None
    ) -> tuple[int, Hits]:
        """How many documents a query takes, and those of them that are needed: `rows`, or all."""
        documents = self.documents(index)
        if query.knn is not None:
            nearest: Hits = list(self.nearest(query, query.knn, documents))
            return len(nearest), nearest
        self.count("nonvector")
        taken = documents.taken(query.text, query.filter, verbatim=options.verbatim)
        return len(taken), [(document, None) for document in taken]

    def read(self, text: str, index: Index, options: Options) -> Query:
        """A query, in this engine's grammar."""
        return read_query(text, index, options)

    def read_search(self, words: list[str], index: Index) -> Search:
        """What follows the query of FT.SEARCH."""
        asked = Search()
        left = list(words)

        def number(name: str) -> int:
            what = f"Error parsing value for the parameter `{name}` - "
            if not left:
                raise Refusal(f"{what}Missing argument")
            word = left.pop(0)
            if not (word.isascii() and word.isdigit()):
                raise Refusal(f"{what}`{word}` is not a valid numeric value")
            return int(word)

        while left:
            word = left.pop(0)
            name = word.upper()
            if name == "NOCONTENT":
                asked.content = False
            elif name == "LIMIT":
                asked.start, asked.count = number(name), number(name)
            elif name == "RETURN":
                asked.returned = _returned(left, number(name))
                asked.content = asked.content and bool(asked.returned)
            elif name == "PARAMS":
                count = number(name)
                if count % 2:
                    raise Refusal(
                        "Error parsing value for the parameter `PARAMS` - Parameter count must be an even number."
                    )
                if count > len(left):
                    raise Refusal(f"Error parsing value for the parameter `{name}` - Missing argument")
                for key, value in zip(left[:count:2], left[1:count:2], strict=True):
                    if key in asked.options.params:
                        raise Refusal(
                            "Error parsing value for the parameter `PARAMS` - "
                            f"Parameter {key} is already defined."
                        )
                    asked.options.params[key] = value.encode("latin-1")
                del left[:count]
            elif name == "SORTBY":
                if not left:
                    raise Refusal(f"Error parsing value for the parameter `{name}` - Missing argument")
                asked.sort = left.pop(0), False
                if left and left[0].upper() in {"ASC", "DESC"}:
                    asked.sort = asked.sort[0], left.pop(0).upper() == "DESC"
                if index.field(asked.sort[0]) is None:
                    raise Refusal(f"Index field `{asked.sort[0]}` does not exist")
            elif name == "DIALECT":
                asked.dialect = number(name)
                if not 2 <= asked.dialect <= 4:
                    raise Refusal("DIALECT requires a non negative integer >=2 and <= 4")
            elif name == "TIMEOUT":
                if not 1 <= number(name) <= MAX_TIMEOUT:
                    raise Refusal(
                        f"TIMEOUT must be a positive integer greater than 0 and cannot exceed {MAX_TIMEOUT}."
                    )
            elif name == "SLOP":
                asked.options.slop = number(name)
            elif name in {"VERBATIM", "INORDER"}:
                setattr(asked.options, name.lower(), True)
            elif name in _REACH:
                asked.reach = replace(asked.reach, **_REACH[name])
            elif name != "WITHSORTKEYS":
                raise Refusal(f"Unexpected argument `{word}`")
        return asked

    def contents(
        self, index: Index, page: list[tuple[Document, float | None]], asked: Search, score: str
    ) -> Iterator[Any]:
        """Keys and fields of hits, read from the engine as they are now."""
        get = ("HGETALL",) if index.key_type == "HASH" else ("JSON.GET",)
        keys = [document.key for document, _ in page]
        for (document, gap), (_, reply) in zip(
            page, self.pipelined([(*get, key) for key in keys], keys), strict=True
        ):
            if isinstance(reply, Exception) or not reply:
                continue
            if index.key_type == "HASH":
                held = {reply[at].decode("latin-1"): reply[at + 1] for at in range(0, len(reply), 2)}
            else:
                held = {"$": reply}
            flat: list[Any] = []
            if asked.returned is None:
                if score:
                    flat += [score, f"{gap:.12g}"]
                for name, value in held.items():
                    flat += [name, value]
            else:
                for what, under in asked.returned:
                    if what == score and score:
                        flat += [score, f"{gap:.12g}"]
                    elif (value := _value(index, document, held, what, asked.dialect)) is not None:
                        flat += [under, value]
            yield document.key
            yield flat

    def nearest(self, query: Query, knn: Knn, documents: Documents) -> list[tuple[Document, float]]:
        """The hits of a vector clause, by distance: exact where few documents are taken, or without a graph."""
        self.count("vector", *(["hybrid"] if query.filter else []))
        text, node = query.text, query.filter
        if knn.field.algorithm == "FLAT":
            self.count(*(["prefiltering"] if node else []))
            return documents.nearest(knn, documents.allowed(text, node) if node else None)[: knn.k]
        if node is None:
            return self.walked(knn, documents, None)
        if self._expected(text, node, documents) <= PREFILTER * len(documents.rows.get(knn.field.alias, ())):
            self.count("prefiltering")
            return documents.nearest(knn, documents.allowed(text, node))[: knn.k]
        self.count("inline_filtering")
        return self.walked(knn, documents, documents.allowed(text, node, graph=self.faulty))

    def walked(
        self, knn: Knn, documents: Documents, allowed: Set[bytes] | None
    ) -> list[tuple[Document, float]]:
        """What the engine's graph leads to: the walk goes on until as many documents as EF are taken."""
        keys = documents.rows.get(knn.field.alias, {})
        taken = keys.keys() if allowed is None else keys.keys() & allowed
        if np.isnan(np.frombuffer(knn.blob, "<f4")).any():
            return documents.nearest(knn, taken)[: knn.k]
        wanted = max(knn.k, knn.ef or knn.field.ef_runtime)
        effort = wanted
        while True:
            hits = [key for key in self._graph(documents.index, knn, effort) if key in taken]
            if len(hits) >= wanted or effort >= len(documents.vectors[knn.field.alias][0]):
                break
            effort *= 4
        hits += [key for key in documents.odd[knn.field.alias] if key in taken]
        return documents.nearest(knn, hits)[: knn.k]

    def _expected(self, text: str, node: Node, documents: Documents) -> int:
        """How many documents the engine expects a filter to take."""
        name = ("expected", text)
        if name not in documents.notes:
            documents.notes[name] = _estimate(node, documents)
        return documents.notes[name]

    def _graph(self, index: Index, knn: Knn, effort: int) -> list[bytes]:
        alias = re.sub(r"([^\w])", r"\\\1", knn.field.alias.encode("latin-1").decode("utf-8"), flags=re.ASCII)
        if not alias.isascii():
            alias = knn.field.alias.encode("latin-1").decode("utf-8")
        clause = f"*=>[KNN $k @{alias} $b EF_RUNTIME $e AS __distance]"
        params = ("PARAMS", 6, "k", effort, "b", knn.blob, "e", effort)
        tail = (
            "SORTBY",
            "__distance",
            "ASC",
            "NOCONTENT",
            "LIMIT",
            0,
            effort,
            "TIMEOUT",
            60_000,
            "DIALECT",
            2,
        )
        name = self.inside(index.name).encode("latin-1")
        return list(self.own.ask("FT.SEARCH", name, clause, *params, *tail)[1:])

    # Aggregates.

    def rows(self, index: Index, words: list[bytes]) -> list[Any]:
        """FT.AGGREGATE, from its query on."""
        text, *rest = (word.decode("latin-1") for word in words)
        options = Options()
        clause = re.search(r"=>\s*\[.*?(?:\s[Aa][Ss]\s+(\S+?))?\s*\]\s*$", text, re.DOTALL)
        score = ""
        if clause:
            vector = re.search(r"@(\S+)", clause.group())
            score = clause.group(1) or (f"__{vector.group(1)}_score" if vector else "")
        asked = read_aggregate(rest, index, options, score)
        query = self.read(text, index, options)
        _, taken = self.matching(index, query, options, Reach(), None)
        rows = []
        for document, gap in taken[: asked.first_limit]:
            row: dict[str, Any] = {}
            if "__key" in asked.loads:
                row["__key"] = document.key.decode("latin-1")
            if score:
                row[score] = gap
            for name in asked.loads:
                known = index.field(name)
                if known and (value := document.text(known)) is not None:
                    row[name] = numeric(value) if known.kind == "NUMERIC" else value
            rows.append(row)
        if asked.load_all:
            found = self.pipelined([("HGETALL", d.key) for d, _ in taken[: asked.first_limit]], rows)
            for row, reply in found:
                row |= {
                    reply[at].decode("latin-1"): reply[at + 1].decode("latin-1")
                    for at in range(0, len(reply), 2)
                }
        for stage in asked.stages:
            rows = stage(rows)
        return [
            len(rows),
            *(
                [part for name, value in row.items() if value is not None for part in (name, shown(value))]
                for row in rows
            ),
        ]

    # What it tells of itself.

    def described_index(self, index: Index) -> list[Any]:
        """FT.INFO."""
        documents = self.documents(index)
        building = self.fresh(index.name)
        attributes, records, terms, occurrences = [], 0, set(), 0
        for known in sorted(index.fields, key=lambda known: known.identifier):
            holding = documents.holding(known)
            records += len(holding)
            if known.kind == "TEXT":
                read = [word for at in range(len(documents.all)) for word in documents.words(at, known)]
                terms |= set(read)
                occurrences += len(read)
            attributes.append(_attribute(known, holding))
        told: list[Any] = ["index_name", index.name, "index_definition"]
        told += [["key_type", index.key_type, "prefixes", list(index.prefixes), "default_score", "1"]]
        told += ["attributes", attributes, "num_docs", len(documents.all), "num_records", records]
        told += [
            "total_term_occurrences",
            occurrences,
            "num_terms",
            len(terms),
            "hash_indexing_failures",
            "0",
        ]
        told += ["backfill_in_progress", str(int(building))]
        told += ["backfill_complete_percent", "0.000000" if building else "1.000000"]
        told += ["mutation_queue_size", "0", "recent_mutations_queue_delay", "0 sec"]
        told += ["state", "backfill_in_progress" if building else "ready"]
        if any(known.kind == "TEXT" for known in index.fields):
            told += ["punctuation", index.punctuation, "stop_words", list(index.stop_words)]
            told += ["with_offsets", str(int(index.offsets)), "min_stem_size", index.min_stem]
        return [*told, "language", index.language]

    def described(self, session: Session, word: bytes) -> Any:
        """One entry of COMMAND INFO."""
        name = word.decode("latin-1").upper()
        if name.startswith("FT."):
            if name not in self.commands:
                return None
            flags, groups = _ABOUT[name]
            return [name, -1, flags.split(" "), 0, 0, 0, groups.split(" "), [], [], []]
        return session.upstream.ask("COMMAND", "INFO", word)[0]

    def settings(self, session: Session) -> Any:
        """CONFIG GET, with the module's own settings."""
        patterns = [word.decode("latin-1") for word in session.words[2:]]
        own = [
            part
            for name, value in _SETTINGS.items()
            for part in (f"search.{name}", value)
            if any(_matches(pattern, f"search.{name}") for pattern in patterns)
        ]
        return [*session.upstream.ask(*session.words), *own]

    def told(self, session: Session) -> Any:
        """INFO, with Valkey's name and the module's sections."""
        sections = {word.decode("latin-1").lower() for word in session.words[1:]}
        own = sections & {"search", "modules", "everything", "all"} or {
            s for s in sections if s.startswith("search")
        }
        text = (
            ""
            if sections and sections <= {"search", "modules"}
            else self.counted(_plain(session.upstream.ask(*session.words)))
        )
        if sections & {"modules", "everything"}:
            text += (
                f"# Modules\r\nmodule:name=search,ver={VERSION},api=1,filters=0,usedby=[],using=[],"
                "options=[handle-io-errors|handle-repl-async-load|no-implicit-signal-modified]\r\n\r\n"
            )
        return (text + self.sections() if own else text).encode("latin-1")

    def sections(self) -> str:
        """The module's sections of INFO."""
        indexes = self.indexes()
        counts = self.counts
        used = sum(_memory(known, self.documents(index)) for index in indexes for known in index.fields)
        building = any(self.fresh(index.name) for index in indexes)
        sections: dict[str, dict[str, Any]] = {
            "hnswlib": {
                f"hnsw_{name}_exceptions_count": 0 for name in ("add", "create", "modify", "remove", "search")
            },
            "index_stats": {
                "number_of_attributes": sum(len(index.fields) for index in indexes),
                "number_of_indexes": len(indexes),
                "total_active_write_threads": 2,
                "total_indexed_documents": sum(len(self.documents(index).all) for index in indexes),
            },
            "indexing": {"background_indexing_status": "IN_PROGRESS" if building else "NO_ACTIVITY"},
            "memory": {
                "index_reclaimable_memory": 0,
                "used_memory_bytes": used,
                "used_memory_human": f"{used / 2**20:.2f}MiB",
            },
            "query": {
                f"{name}_requests_count": counts.get(name, 0)
                for name in (
                    "failure",
                    "hybrid",
                    "inline_filtering",
                    "nonvector",
                    "prefiltering",
                    "successful",
                    "vector",
                )
            },
            "thread-pool": {"query_queue_size": 0, "writer_queue_size": 0, "worker_pool_suspend_cnt": 0},
        }
        return "\r\n".join(
            f"# search_{title}\r\n" + "".join(f"search_{name}:{value}\r\n" for name, value in lines.items())
            for title, lines in sections.items()
        )


def _returned(left: list[str], count: int) -> list[tuple[str, str]]:
    if count > len(left):
        raise Refusal("Error parsing value for the parameter `RETURN` - Missing argument")
    words, left[:count] = left[:count], []
    returned = []
    while words:
        what = under = words.pop(0)
        if words and words[0].upper() == "AS":
            if len(words) < 2:
                raise Refusal("Error parsing value for the parameter `RETURN` - Unexpected parameter `AS` ")
            under = words[1]
            del words[:2]
        returned.append((what, under))
    return returned


def _value(index: Index, document: Document, held: dict[str, bytes], what: str, dialect: int) -> Any:
    known = index.field(what)
    if index.key_type == "HASH":
        return held.get(known.identifier if known else what)
    if what == "$":
        return held["$"]
    value = document.values.get(what)
    if value is None:
        return None
    if dialect > 2:
        return json_text(value)
    first = value[0]
    return first if isinstance(first, str) or first is None else json_text(first)


def _sorted(
    taken: list[tuple[Document, float | None]], known: Field, *, descending: bool
) -> list[tuple[Document, float | None]]:
    """By a field's value; those without one last."""

    def value(entry: tuple[Document, float | None]) -> Any:
        if known.kind == "NUMERIC":
            return next(iter(entry[0].numbers(known)), None)
        return entry[0].text(known)

    there = [entry for entry in taken if value(entry) is not None]
    return sorted(there, key=value, reverse=descending) + [e for e in taken if value(e) is None]


def _estimate(node: Node, documents: Documents) -> int:
    """How many documents the engine expects a filter to take."""
    if isinstance(node, Both):
        return min(_estimate(part, documents) for part in node.parts)
    if isinstance(node, Either):
        return sum(_estimate(part, documents) for part in node.parts)
    if isinstance(node, Without):
        return len(documents.all) - _estimate(node.part, documents)
    return len(documents.taken(repr(node), node))


def _memory(known: Field, documents: Documents) -> int:
    """Roughly what a field takes; slots of a graph are there before its vectors are."""
    holding = documents.holding(known)
    if known.kind != "VECTOR":
        return 96 * len(holding)
    slots = max(known.capacity, -(-len(holding) // BLOCK) * BLOCK)
    slot = 8 * known.m + 332 if known.algorithm == "HNSW" else 24
    return slots * slot + len(holding) * (4 * known.dimensions + 200)


def _attribute(known: Field, holding: list[Document]) -> list[Any]:
    size = sum(len(document.text(known) or "") for document in holding)
    told: list[Any] = ["identifier", known.identifier, "attribute", known.alias]
    told += ["user_indexed_memory", size, "type", known.kind]
    if known.kind == "TAG":
        flag = str(int(known.case_sensitive))
        return [*told, "SEPARATOR", known.separator, "CASESENSITIVE", flag, "size", str(len(holding))]
    if known.kind == "NUMERIC":
        return [*told, "size", str(len(holding))]
    if known.kind == "TEXT":
        flags = str(int(known.suffixes)), str(int(not known.stems))
        return [*told, "WITH_SUFFIX_TRIE", flags[0], "NO_STEM", flags[1], "WEIGHT", "1"]
    capacity = max(known.capacity, -(-len(holding) // BLOCK) * BLOCK)
    algorithm: list[Any] = ["name", known.algorithm]
    if known.algorithm == "HNSW":
        algorithm += ["m", known.m, "ef_construction", known.ef_construction, "ef_runtime", known.ef_runtime]
    else:
        algorithm += ["block_size", known.block_size]
    about = ["capacity", capacity, "dimensions", known.dimensions, "distance_metric", known.metric]
    about += ["size", str(len(holding)), "data_type", "FLOAT32", "algorithm", algorithm]
    return [*told, "index", about]


def _matches(pattern: str, name: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), name) is not None


def _plain(text: bytes) -> str:
    """INFO of the engine behind, as a Valkey without modules tells it."""
    told = text.decode("latin-1")
    told = re.sub(r"# Modules\r\n(?:module:.*\r\n)*(?:\r\n)?", "", told)
    told = re.sub(r"# search_[\w-]+\r\n(?:search_.*\r\n)*(?:\r\n)?", "", told)
    return re.sub(
        r"redis_version:.*\r\n", "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\n", told
    )


def json_text(value: Any) -> str:
    """A value as JSON without blanks."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def valkey_search(engine: Target) -> AbstractContextManager[ValkeySearch]:
    """Serve valkey-search's language in front of an engine."""
    return running(ValkeySearch, engine)
