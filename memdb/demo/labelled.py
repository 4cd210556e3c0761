"""The demo's labelled set: questions whose right document is known without anybody's judgement.

Each question is the first sentence of an operation's documentation. Its document holds the rest of it alone,
so that the sentence is in nothing that is indexed, and is the only one that counts as relevant. That is
honest about which document is meant and unfair to others that answer as well: the measures are low, and only
their differences tell something. docs/relevance.md says so too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from memdb.cluster import replies
from memdb.cluster.client import Client, Command
from memdb.demo import corpus, kept
from memdb.demo.corpus import Document
from memdb.embedding import local
from memdb.errors import EngineError
from memdb.jobs import Report, silent
from memdb.relevance.labels import Judgements
from memdb.vectors import index
from memdb.vectors.distance import Floats
from memdb.vectors.index import HnswField, IndexSpec, TagField, TextField
from memdb.vectors.read import matching_keys

COUNT = 1_000
PREFIX = "labelled:"
QUESTION = "question"  # the field that holds it; no field of the index
GRADE = 1
INDEX = IndexSpec(
    "idx:labelled",
    (
        TextField("content"),
        TagField("service"),
        HnswField("embedding", local.DIMENSION, "COSINE", m=16, ef_construction=200),
    ),
    (PREFIX,),
)
NOTE = (
    "Labelled without human judgement: each question is the first sentence of a document, which is left out "
    "of what is indexed, and that document is the only relevant one. Others may answer as well: compare "
    "settings, and take no measure by itself."
)
_REST = 200  # characters that a document keeps at least
_FIRST = re.compile(r"(.{20,240}?[.!?])\s+(?=[A-Z(\"“])")
_AT_ONCE = 250


@dataclass(frozen=True, slots=True)
class Item:
    """A question and the document that answers it."""

    key: str
    question: str
    content: str  # without the question
    service: str


def items(documents: Sequence[Document], count: int = COUNT) -> list[Item]:
    """Questions with their documents, in the order of the corpus; no question twice."""
    sampled: dict[str, Item] = {}
    for document in documents:
        match = _FIRST.match(document.content) if document.source == "aws_docs" else None
        if match is None or document.verb == "type" or len(sampled) >= count:
            continue
        question, rest = match[1], document.content[match.end() :]
        if len(rest) >= _REST and question not in rest and question not in sampled:
            key = document.key.replace("doc:", PREFIX, 1)
            sampled[question] = Item(key, question, rest, document.service)
    return list(sampled.values())


def load(client: Client, *, home: Path, docs: int | None = None, report: Report = silent) -> str:
    """Write the set beside the demo's documents; what happened, as a sentence, empty where it was there.

    Args:
        client: of a writable target.
        home: MEMDB_HOME; embeddings are kept below it.
        docs: of how many of the demo's documents it is made; None: of all.
        report: told how far it is; may raise Cancelled, what is written stays.

    Raises:
        ReadOnlyTarget: the target is read-only.
        EngineError: another index has its name.
        NotKept: `home` cannot be written.
    """
    chosen = items(corpus.documents(count=docs, home=home, report=report))
    if not chosen:
        return ""
    if not index.exists(client, INDEX.name):
        index.create(client, INDEX)
    elif index.index_info(client, INDEX.name).prefixes != INDEX.prefixes:
        raise EngineError(
            f"The server has another index named '{INDEX.name}'.", "Rename it, or load the demo elsewhere."
        )
    there = client.pipeline([("EXISTS", item.key) for item in chosen])
    rows = [row for row, exists in enumerate(there) if not exists]
    texts = [item.content for item in chosen]
    vectors, _ = kept.embeddings(texts, rows, home=home, stage="Embedding the labelled set", report=report)
    commands = list(_commands([chosen[row] for row in rows], vectors))
    for start in range(0, len(commands), _AT_ONCE):
        report("Loading the labelled set", start, len(commands))
        client.pipeline(commands[start : start + _AT_ONCE])
    return f"A labelled set of {len(chosen):,} questions was loaded." if rows else ""


def judgements(client: Client) -> Judgements:
    """The questions and their documents, read from the server that holds them.

    Raises:
        UnknownIndex: the server has no such set.
        MemDBError: it does not answer.
    """
    info = index.index_info(client, INDEX.name)
    texts: dict[str, str] = {}
    for keys in matching_keys(client, info):
        answers = client.pipeline([("HGET", key, QUESTION) for key in keys])
        texts |= {key: replies.text(a) for key, a in zip(keys, answers, strict=True) if a is not None}
    ordered = dict(sorted(texts.items()))
    return Judgements(ordered, {key: {key: GRADE} for key in ordered}, "the demo's labelled set", (NOTE,))


def _commands(chosen: Sequence[Item], vectors: Floats) -> Iterator[Command]:
    for item, vector in zip(chosen, vectors, strict=True):
        fields = {"content": item.content, "service": item.service, QUESTION: item.question}
        pairs = [part for pair in fields.items() for part in pair]
        yield ("HSET", item.key, *pairs, "embedding", vector.tobytes())
