"""Embedding models behind one interface: the local one, Bedrock's, OpenAI-compatible endpoints, folders.

embedder = embedder_for(client, info, settings)     # the one that belongs to the index, checked against it
embedded = embedder.ask(["restore a table"])        # vectors, what was cut, what it cost
documents = embedder.embed(texts, "document")
"""

from __future__ import annotations

from memdb.embedding.answers import Side
from memdb.embedding.choice import (
    EXAMPLES,
    LOCAL,
    Choice,
    choice,
    embedder_for,
    fits,
    held,
    lengths_of,
    named,
    of_choice,
    offered,
    silent,
    unsaid,
)
from memdb.embedding.embedder import Embedded, Embedder, Patience, Spent
from memdb.embedding.lengths import Lengths

__all__ = [
    "EXAMPLES",
    "LOCAL",
    "Choice",
    "Embedded",
    "Embedder",
    "Lengths",
    "Patience",
    "Side",
    "Spent",
    "choice",
    "embedder_for",
    "fits",
    "held",
    "lengths_of",
    "named",
    "of_choice",
    "offered",
    "silent",
    "unsaid",
]
