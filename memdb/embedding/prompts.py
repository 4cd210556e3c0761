"""What a model wants to stand before a question or a document, by the family its name tells.

Source: the model cards. Cohere's input types are a parameter of the call and stand in `bedrock`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from memdb.embedding.answers import Side

_BGE = "Represent this sentence for searching relevant passages: "
_TASK = "Given a web search query, retrieve relevant passages that answer the query"
_INSTRUCT = f"Instruct: {_TASK}\nQuery: "
# The first pattern that the model's name holds counts.
_FAMILIES: tuple[tuple[str, str, str], ...] = (
    (r"e5-mistral|multilingual-e5-large-instruct", _INSTRUCT, ""),
    (r"(^|[^a-z0-9])(multilingual-)?e5-", "query: ", "passage: "),
    (r"bge-(small|base|large)-en", _BGE, ""),
    (r"mxbai-embed-large", _BGE, ""),
    (r"arctic-embed.*v2", "query: ", ""),
    (r"arctic-embed", _BGE, ""),
    (r"nomic-embed-text", "search_query: ", "search_document: "),
    (r"qwen3-embedding", f"Instruct: {_TASK}\nQuery:", ""),
    (r"embeddinggemma", "task: search result | query: ", "title: none | text: "),
)


@dataclass(frozen=True, slots=True)
class Prompts:
    """Texts that are put before a question and before a document."""

    query: str = ""
    document: str = ""

    def of(self, side: Side) -> str:
        """The one for this side."""
        return self.query if side == "query" else self.document

    @property
    def words(self) -> str:
        """For people, of questions; empty where nothing is put before them."""
        return f"'{self.query.strip()}' is put before each question." if self.query else ""


def by_name(name: str) -> Prompts:
    """What a model of this name wants; nothing where no family is known."""
    low = name.lower()
    for pattern, query, document in _FAMILIES:
        if re.search(pattern, low):
            return Prompts(query, document)
    return Prompts()
