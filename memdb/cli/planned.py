"""Options about documents and sessions that need not be there yet. Their defaults are the library's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from memdb.cli.arguments import amount, count
from memdb.cli.options import Command, option
from memdb.sizing.shape import Algorithm, KeyType, SessionKind, Sessions, Shape
from memdb.vectors.schema import VectorType

_SHAPE, _SESSIONS = Shape(1, 1), Sessions()


@dataclass(frozen=True, kw_only=True)
class ShapeOptions(Command):
    """Commands about documents that need not be there yet."""

    dim: int | None = option("--dim", type=count(1), metavar="N", help="dimension")
    type: VectorType = option("--type", default=_SHAPE.type, choices=get_args(VectorType))
    m: int = option("--m", default=_SHAPE.m, type=count(1), metavar="N", help="links of a node")
    algorithm: Algorithm = option("--algorithm", default=_SHAPE.algorithm, choices=get_args(Algorithm))
    on: KeyType = option("--on", default=_SHAPE.key_type, choices=get_args(KeyType))
    metadata_bytes: int = option(
        "--metadata-bytes", default=_SHAPE.metadata_bytes, type=count(0), metavar="N", help="stored only"
    )
    text_bytes: int = option(
        "--text-bytes", default=_SHAPE.text_bytes, type=count(0), metavar="N", help="indexed as words"
    )
    text_words: int = option(
        "--text-words",
        default=_SHAPE.text_words,
        type=count(0),
        metavar="N",
        help="indexed words of one text (default: 0, estimated from its bytes)",
    )
    text_vocabulary: int = option(
        "--text-vocabulary",
        default=_SHAPE.text_vocabulary,
        type=count(0),
        metavar="N",
        help="different words of all texts, as FT.INFO's num_terms (default: 0, estimated)",
    )
    tags: int = option("--tags", default=_SHAPE.tags, type=count(0), metavar="N", help="TAG fields")
    tag_values: int = option(
        "--tag-values",
        default=_SHAPE.tag_values,
        type=count(1),
        metavar="N",
        help="different values of each TAG field; as many as documents if unique",
    )
    tag_bytes: int = option(
        "--tag-bytes", default=_SHAPE.tag_bytes, type=count(1), metavar="N", help="of a tag's value"
    )
    numbers: int = option(
        "--numbers", default=_SHAPE.numbers, type=count(0), metavar="N", help="NUMERIC fields"
    )
    key_bytes: int = option(
        "--key-bytes", default=_SHAPE.key_bytes, type=count(1), metavar="N", help="of a key with its prefix"
    )
    random_keys: bool = option(
        "--random-keys", default=_SHAPE.random_keys, help="keys are UUIDs or hashes, not counters"
    )

    def shape(self, vectors: int) -> Shape:
        """That many such documents.

        Raises:
            BadInput: a number makes no sense.
        """
        return Shape(
            vectors=vectors,
            dim=self.dim or 0,
            type=self.type,
            m=self.m,
            algorithm=self.algorithm,
            key_type=self.on,
            metadata_bytes=self.metadata_bytes,
            text_bytes=self.text_bytes,
            text_words=self.text_words,
            text_vocabulary=self.text_vocabulary,
            tags=self.tags,
            tag_values=self.tag_values,
            tag_bytes=self.tag_bytes,
            numbers=self.numbers,
            key_bytes=self.key_bytes,
            random_keys=self.random_keys,
        )


@dataclass(frozen=True, kw_only=True)
class SessionOptions(Command):
    """Commands about sessions that need not be there yet."""

    sessions_per_second: float = option(
        "--sessions-per-second",
        default=_SESSIONS.per_second,
        type=amount,
        metavar="R",
        help="that begin; rate × TTL are there at any time",
    )
    session_ttl: float = option(
        "--session-ttl", default=_SESSIONS.ttl_s, type=amount, metavar="S", help="time to live, seconds"
    )
    sessions_kept: int = option(
        "--sessions-kept",
        default=_SESSIONS.kept,
        type=count(0),
        metavar="N",
        help="sessions without a time to live",
    )
    session_bytes: int = option(
        "--session-bytes",
        default=_SESSIONS.bytes,
        type=count(1),
        metavar="N",
        help="all data of one session: its key, the names and values of its fields",
    )
    session_spread: float = option(
        "--session-spread",
        default=_SESSIONS.spread,
        type=amount,
        metavar="S",
        help="how far lengths lie from it: 0.5 for 50 % less to 50 % more",
    )
    session_kind: SessionKind = option(
        "--session-kind", default=_SESSIONS.kind, choices=get_args(SessionKind)
    )
    session_key_bytes: int = option(
        "--session-key-bytes",
        default=_SESSIONS.key_bytes,
        type=count(1),
        metavar="N",
        help="of the bytes: the key with its prefix",
    )
    session_fields: int = option(
        "--session-fields", default=_SESSIONS.fields, type=count(1), metavar="N", help="of a hash"
    )
    session_other_bytes: int = option(
        "--session-other-bytes",
        default=_SESSIONS.other_bytes,
        type=count(0),
        metavar="N",
        help="of the bytes: names and values of all fields but the history",
    )

    def sessions(self) -> Sessions:
        """These sessions.

        Raises:
            BadInput: a number makes no sense, or the parts are more than the whole.
        """
        return Sessions(
            per_second=self.sessions_per_second,
            bytes=self.session_bytes,
            ttl_s=self.session_ttl,
            kept=self.sessions_kept,
            kind=self.session_kind,
            key_bytes=self.session_key_bytes,
            fields=self.session_fields,
            other_bytes=self.session_other_bytes,
            spread=self.session_spread,
        )
