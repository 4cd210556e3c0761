"""The demo's documents, users and conversations: real, mixed, and the same on every run."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from itertools import islice

import numpy as np
import pytest

from memdb.demo import corpus, people
from memdb.embedding import local
from memdb.errors import BadInput

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("corpus_folder")]

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def documents() -> list[corpus.Document]:
    return corpus.documents()


def test_the_corpus_is_the_same_each_time_and_a_short_one_begins_it(documents: list[corpus.Document]) -> None:
    assert len(documents) > 19_000
    assert corpus.documents(count=300) == documents[:300]
    assert len({d.key for d in documents}) == len(documents)


def test_a_small_corpus_is_mixed(documents: list[corpus.Document]) -> None:
    first = documents[:2_000]
    services = Counter(d.service for d in first)
    assert len(services) > 200
    assert services["s3"] > 10
    assert services["dynamodb"] > 5
    assert {d.source for d in first} == {"aws_docs", "python_docs"}
    assert {"create", "describe", "list", "delete", "put"} <= {d.verb for d in first}


def test_documents_hold_plain_text_on_one_line(documents: list[corpus.Document]) -> None:
    for document in documents:
        assert document.content
        assert document.content == " ".join(document.content.split())
        assert len(document.content) <= corpus.LONGEST + 2
        assert document.key.startswith("doc:")
        assert (document.year is not None) == (document.source == "aws_docs")
    # A few texts speak of HTML and hold such signs as their own words.
    assert sum("<p>" in d.content or "&lt;" in d.content for d in documents) < 10
    assert {d.year for d in documents if d.service == "s3" and d.source == "aws_docs"} == {2006}


def test_up_to_sixty_thousand(documents: list[corpus.Document]) -> None:
    many = corpus.documents(count=60_000)
    assert len(many) == 60_000
    assert many[: len(documents)] == documents
    assert len({d.key for d in many}) == 60_000


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One &amp; two.</p><p>Three</p>", "One & two. Three"),
        ("<ul><li>a</li><li>b <code>c</code></li></ul>", "a b c"),
        ("plain\n text", "plain text"),
        ("<p>unclosed <b>bold", "unclosed bold"),
        ("", ""),
    ],
)
def test_html_becomes_text(html: str, text: str) -> None:
    assert corpus.plain_text(html) == text


def test_users_follow_from_the_seed() -> None:
    audience = people.users()
    assert audience == people.users()
    assert audience[:5] == people.users(5)
    assert audience != people.users(seed=1)
    assert len({u.id for u in audience}) == people.USERS
    assert len({u.primary_interest for u in audience}) == 8


def test_conversations_ask_about_the_corpus_and_answer_from_it(documents: list[corpus.Document]) -> None:
    audience = people.users()
    talks = list(people.conversations(300, audience, documents, now=NOW))
    assert talks[:10] == list(people.conversations(10, audience, documents, now=NOW))
    assert len({t.key for t in talks}) == 300
    by_key = {d.key: d for d in documents}
    for talk in talks:
        assert set(talk.fields) == {"user_id", "history", "context", "created_at"}
        assert talk.key.startswith("session:sess_user")
        assert talk.ttl_s is None or 120 <= talk.ttl_s <= people.LONGEST_TTL_S
        created = datetime.strptime(talk.fields["created_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        assert created <= NOW
        turns = json.loads(talk.fields["history"])
        assert [turn["role"] for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
        said, _, source = turns[1]["content"].rpartition("\n\nSource: ")
        document = by_key[source.rpartition("(")[2].rstrip(")")]
        assert document.content.startswith(said.removesuffix(" …")[:200])
    assert min(t.ttl_s for t in talks if t.ttl_s is not None) < 300
    assert max(t.ttl_s for t in talks if t.ttl_s is not None) > 40_000
    assert len({t.fields["history"] for t in talks}) > 290


def test_a_million_conversations_are_made_one_by_one(documents: list[corpus.Document]) -> None:
    stream = people.conversations(1_000_000, people.users(), documents[:100], now=NOW)
    assert len(list(islice(stream, 3))) == 3


def test_embeddings() -> None:
    vectors = local.embed(["restore a table", "restore a database table", "paint the fence"])
    assert vectors.shape == (3, local.DIMENSION)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3
    np.testing.assert_array_equal(local.embed(["restore a table"])[0], vectors[0])
    assert local.embed([]).shape == (0, local.DIMENSION)
    with pytest.raises(BadInput, match="Text 2 of 2 is blank"):
        local.embed(["x", " \n"])
