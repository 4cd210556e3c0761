"""MemoryDB over the real local engine: valkey-search's language, narrowed to what its documentation says.

What it refuses, and the shapes of FT.INFO, FT.PROFILE and INFO SEARCH, are from the AWS guide and from replies
in public clients. Its own error wordings are not published: those here are its relative's, or made up in its
manner.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from memdb.cluster.target import Target
from tests.standins.documents import Document
from tests.standins.grammar import Options, Query, Rules, read_query
from tests.standins.resp import Refusal
from tests.standins.schema import Field, Index, read_create
from tests.standins.server import Session, running, unknown_command
from tests.standins.valkey import ValkeySearch

_COMMANDS = frozenset(
    "FT.CREATE FT.DROPINDEX FT._LIST FT.INFO FT.SEARCH FT.AGGREGATE FT.PROFILE FT.EXPLAIN FT.EXPLAINCLI "
    "FT.ALIASADD FT.ALIASDEL FT.ALIASUPDATE FT._ALIASLIST".split(" ")
)
_BLOCKED = frozenset("CONFIG MODULE DEBUG SHUTDOWN BGSAVE SAVE BGREWRITEAOF REPLICAOF SLAVEOF".split(" "))
_REFUSED = frozenset(
    "SORTBY NOCONTENT WITHSCORES WITHSORTKEYS INKEYS INFIELDS HIGHLIGHT SUMMARIZE VERBATIM INORDER SLOP "
    "LOCALONLY ALLSHARDS SOMESHARDS CONSISTENT INCONSISTENT".split(" ")
)
_RULES = Rules(
    star=True, words=False, negation=False, escaped_names=True, tag_prefixes=False, inline_numbers=True
)
_MAX = {"m": 512, "ef_construction": 4096, "ef_runtime": 4096}
_MAX_INDEXES, _MAX_FIELDS, _MAX_EF, _MAX_TIMEOUT = 10, 50, 4096, 10_000


class MemoryDB(ValkeySearch):
    """MemoryDB with search switched on."""

    commands: ClassVar[frozenset[str]] = _COMMANDS
    json: bool = True

    def answer(self, session: Session) -> Any:
        words = session.words
        name = words[0].decode("latin-1").upper()
        if name in _BLOCKED:
            raise unknown_command(words)
        if name == "FT._ALIASLIST":
            return []
        if name == "FT.PROFILE":
            return self.profiled(session)
        if name in {"FT.EXPLAIN", "FT.EXPLAINCLI"}:
            index = self.index(words[1].decode("latin-1"))
            return [repr(self.read(words[2].decode("latin-1"), index, Options()).filter)]
        if name in {"FT.ALIASADD", "FT.ALIASDEL", "FT.ALIASUPDATE"}:
            return session.relayed()
        return super().answer(session)

    def created(self, session: Session) -> Any:
        index = read_create(session.words[1:], json=True)
        if len(self.own.ask("FT._LIST")) >= _MAX_INDEXES:
            raise Refusal(f"ERR the number of indexes cannot exceed {_MAX_INDEXES}")
        if len(index.fields) > _MAX_FIELDS:
            raise Refusal(f"ERR the number of fields cannot exceed {_MAX_FIELDS}")
        for known in index.fields:
            for name, most in _MAX.items():
                if known.kind == "VECTOR" and getattr(known, name) > most:
                    raise Refusal(f"ERR {name.upper()} cannot exceed {most}")
        return super().created(session)

    def profiled(self, session: Session) -> Any:
        """FT.PROFILE idx SEARCH|AGGREGATE [LIMITED] QUERY …: the result, and how long its parts took."""
        name, kind, *rest = session.words[1:]
        if rest and rest[0].upper() == b"LIMITED":
            rest = rest[1:]
        if not rest or rest[0].upper() != b"QUERY":
            raise Refusal("ERR syntax error: QUERY is expected")
        self.allowed(session, "FT.PROFILE", name, "SEARCH", "QUERY", "*", "LIMIT", 0, 0)
        index = self.index(name.decode("latin-1"), there=True)
        reply = (self.hits if kind.upper() == b"SEARCH" else self.rows)(index, rest[1:])
        return [reply, [[b"all.count", reply[0]], [b"parse.time", b"0.02"], [b"query.time", b"0.3"]]]

    def hits(self, index: Index, words: list[bytes]) -> list[Any]:
        upper = self._checked(words)
        for word in sorted(_REFUSED.intersection(upper)):
            raise Refusal(f"ERR unexpected argument '{word}'")
        if "KNN" in words[0].decode("latin-1").upper() and "LIMIT" not in upper:
            raise Refusal("ERR this stand-in wants LIMIT: ten answers come without it")
        return super().hits(index, words)

    def rows(self, index: Index, words: list[bytes]) -> list[Any]:
        self._checked(words)
        return super().rows(index, words)

    def _checked(self, words: list[bytes]) -> list[str]:
        if self.building:
            raise Refusal("ERR Index is not available: backfill in progress")
        upper = [word.decode("latin-1").upper() for word in words[1:]]
        if "DIALECT" not in upper or upper[upper.index("DIALECT") + 1 :][:1] != ["2"]:
            raise Refusal("ERR only DIALECT 2 is supported")
        if "TIMEOUT" in upper and int(upper[upper.index("TIMEOUT") + 1]) > _MAX_TIMEOUT:
            raise Refusal(f"ERR TIMEOUT cannot exceed {_MAX_TIMEOUT}")
        return upper

    def read(self, text: str, index: Index, options: Options) -> Query:
        query = read_query(text, index, options, _RULES)
        if query.knn and query.knn.ef and query.knn.ef > _MAX_EF:
            raise Refusal(f"ERR EF_RUNTIME cannot exceed {_MAX_EF}")
        return query

    def described_index(self, index: Index) -> list[Any]:
        documents = self.documents(index)
        building = self.building
        vectors = [known for known in index.fields if known.kind == "VECTOR"]
        held = [documents.holding(known) for known in vectors]
        size = sum(
            len(holding) * (4 * known.dimensions + 8 * known.m + 60)
            for known, holding in zip(vectors, held, strict=True)
        )
        told: list[Any] = [
            "index_name",
            index.name,
            "creation_timestamp",
            1728348101728771 + self.made_us(index),
        ]
        told += ["key_type", index.key_type, "key_prefixes", list(index.prefixes)]
        told += ["fields", [_about(known, documents.holding(known)) for known in index.fields]]
        told += ["space_usage", size + 653_471, "fulltext_space_usage", 0, "vector_space_usage", size]
        told += ["num_docs", len(documents.all), "num_indexed_vectors", sum(map(len, held)), "current_lag", 0]
        told += ["index_status", "BACKFILLING" if building else "AVAILABLE"]
        return [*told, "index_degradation_percentage", 0]

    def described(self, session: Session, word: bytes) -> Any:
        name = word.decode("latin-1").upper()
        if name in _BLOCKED:
            return None
        if name in self.commands:
            return [name, -1, ["readonly"], 0, 0, 0, ["@search"], [], [], []]
        return super().described(session, word)

    def told(self, session: Session) -> Any:
        if session.words[1:2] and session.words[1].upper() == b"SEARCH":
            return self.sections().encode()
        text = self.counted(session.upstream.ask(*session.words).decode("latin-1"))
        return re.sub(r"# Modules\r\n(?:module:.*\r\n)*", "", text).encode("latin-1")

    def sections(self) -> str:
        indexes = self.indexes()
        lines = [
            "# search_memory",
            "search_used_memory_bytes:653471",
            "# search_index_stats",
            f"search_number_of_indexes:{len(indexes)}",
            "# search_ingestion",
            f"search_background_indexing_status:{'IN_PROGRESS' if self.building else 'NO_ACTIVITY'}",
            "# search_backfill",
            f"search_num_active_backfills:{int(self.building)}",
        ]
        if self.building:
            lines.append("search_current_backfill_progress_percentage:42")
        return "\r\n".join(lines) + "\r\n"


def _about(known: Field, holding: list[Document]) -> list[Any]:
    told: list[Any] = ["identifier", known.identifier, "field_name", known.alias, "type", known.kind]
    told += ["option", ""]
    if known.kind != "VECTOR":
        return told
    params: list[Any] = ["algorithm", known.algorithm, "data_type", "FLOAT32", "dimension", known.dimensions]
    params += ["distance_metric", known.metric, "initial_capacity", 1000]
    params += ["current_capacity", max(1000, len(holding))]
    if known.algorithm == "HNSW":
        params += ["maximum_edges", known.m, "ef_construction", known.ef_construction]
        params += ["ef_runtime", known.ef_runtime, "epsilon", "0.01"]
    else:
        params += ["block_size", known.block_size]
    return [*told, "vector_params", params]


def memorydb(engine: Target) -> AbstractContextManager[MemoryDB]:
    """Serve MemoryDB's dialect in front of an engine."""
    return running(MemoryDB, engine)
