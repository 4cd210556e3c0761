"""People and their sessions: times that fit, complete answers. Determinism is in test_demo.py."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from memdb.demo import people
from memdb.demo.corpus import Document

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _document(name: str, content: str, service: str = "s3") -> Document:
    return Document(f"doc:{service}:{name}", f"S3: {name}", content, service, "get", "aws_docs", 2006)


@pytest.fixture
def corpus() -> list[Document]:
    return [_document(f"GetThing{i}", f"Gets thing number {i}", f"service-{i % 7}") for i in range(70)]


def _turns(talk: people.Conversation) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(talk.fields["history"])
    return found


def test_some_lives_end_soon_most_last_the_day_and_a_few_never_end(corpus: list[Document]) -> None:
    day, week, ttls = 86_400, 7 * 86_400, []
    for talk in people.conversations(2_000, people.users(), corpus, now=NOW):
        created = datetime.strptime(talk.fields["created_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        span = week if talk.ttl_s is None or talk.ttl_s >= day else day
        assert timedelta(0) <= NOW - created <= timedelta(seconds=span - (talk.ttl_s or 0))
        ttls.append(talk.ttl_s)
    assert 0.02 < sum(t is None for t in ttls) / 2_000 < 0.08
    assert 0.02 < sum(t is not None and t < 3_600 for t in ttls) / 2_000 < 0.08
    assert sum(t is not None and t > day for t in ttls) > 500
    # Of a thousand at first sight nearly all are there an hour later.
    assert sum(t is None or t > 3_600 for t in ttls) / 2_000 > 0.9


def test_a_short_document_is_quoted_whole(corpus: list[Document]) -> None:
    for talk in people.conversations(50, people.users(), corpus, now=NOW):
        for turn in _turns(talk)[1::2]:
            assert turn["content"].startswith("Gets thing number ")
            assert "…" not in turn["content"]


def test_a_long_document_is_quoted_to_the_end_of_a_sentence() -> None:
    found = [_document("GetThing", "It gets things of all kinds. " * 100)]
    (talk,) = people.conversations(1, people.users(), found, now=NOW)
    said = _turns(talk)[1]["content"].partition("\n\nSource: ")[0]
    assert said.endswith("kinds.")
    assert len(said) <= 420


def test_nobody_asks_the_same_twice_in_a_conversation(corpus: list[Document]) -> None:
    lengths = set()
    for talk in people.conversations(500, people.users(), corpus, now=NOW):
        answers = [turn["content"] for turn in _turns(talk)[1::2]]
        assert len(answers) == len(set(answers))
        lengths.add(len(answers))
    assert min(lengths) == 1
    assert max(lengths) == 8


def test_seeds_differ_and_a_service_with_one_document_is_enough() -> None:
    one = [_document("GetThing", "Gets a thing.")]
    first, other = (
        list(people.conversations(20, people.users(), one, now=NOW, seed=seed)) for seed in (0, 1)
    )
    assert {len(_turns(talk)) for talk in first} == {2}
    assert [talk.key for talk in first] != [talk.key for talk in other]


def test_a_stream_of_sessions_takes_no_memory(corpus: list[Document]) -> None:
    stream = people.conversations(1_000_000, people.users(), corpus, now=NOW)
    next(stream)
    tracemalloc.start()
    for _ in islice(stream, 3_000):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e6


def test_preferences_are_sentences() -> None:
    for user in people.users(200):
        assert user.preference.startswith("Works on ")
        assert user.preference.endswith(".")
        assert " a enterprise" not in user.preference
        assert user.company_size in {"startup", "small_business", "mid_size", "enterprise"}
