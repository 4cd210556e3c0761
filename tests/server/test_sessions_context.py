"""The article's get_personalized_context on the real engine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from memdb.cluster.client import Client
from memdb.embedding.local import DIMENSION, embed
from memdb.errors import NotFound, UnknownIndex
from memdb.sessions import formats
from memdb.sessions.context import get_personalized_context, leaning
from memdb.vectors.index import create, index_info
from memdb.vectors.schema import HnswField, IndexSpec, TextField
from tests.waiting import until

pytestmark = pytest.mark.any_engine

TEXTS = {
    "lambda": "Run code without servers: a function is invoked by an event and billed by the millisecond",
    "ec2": "Launch a virtual machine with an operating system, disks and a network interface",
    "s3": "Store an object in a bucket",
    "dynamodb": "Serverless tables: pay for each request, nothing to run",
    "iam": "Attach a policy to a role",
    "rds": "A relational database on an instance of a chosen size",
}


@pytest.fixture
def index(client: Client, prefix: str) -> Iterator[str]:
    """Six documents, a user who prefers serverless things, and a session of hers."""
    name = f"{prefix}docs"
    vectors = embed(list(TEXTS.values()))
    for (key, text), vector in zip(TEXTS.items(), vectors, strict=True):
        client.execute("HSET", f"{prefix}doc:{key}", "content", text, "embedding", vector.tobytes())
    spec = IndexSpec(
        name, (TextField("content"), HnswField("embedding", DIMENSION, metric="COSINE")), (f"{prefix}doc:",)
    )
    create(client, spec)
    until(lambda: index_info(client, name).build.ready, "the index is built")
    user, session = formats.user_key(f"{prefix}ann"), formats.session_key(f"{prefix}s1")
    preference = embed(["serverless functions billed by use, nothing to run"])[0]
    client.execute("HSET", user, "company_size", "startup", "embedding", preference.tobytes())
    client.execute(
        "HSET", session, "user_id", f"{prefix}ann", "history", '[{"role": "user", "content": "hi"}]'
    )
    yield name
    client.execute("DEL", user, session)


def test_history_and_documents_come_together(client: Client, prefix: str, index: str) -> None:
    question = "where should my web application run"
    history, hits = get_personalized_context(
        client, f"{prefix}ann", f"{prefix}s1", question, index=index, k=3
    )
    assert [turn.content for turn in history] == ["hi"]
    assert len(hits) == 3
    assert hits[0].fields["content"] in TEXTS.values()
    _, unbiased = get_personalized_context(client, f"{prefix}x", f"{prefix}s1", question, index=index, k=6)
    liked = {f"{prefix}doc:lambda", f"{prefix}doc:dynamodb"}
    plain_ranks = [i for i, hit in enumerate(unbiased) if hit.key in liked]
    _, biased = get_personalized_context(client, f"{prefix}ann", f"{prefix}s1", question, index=index, k=6)
    ranks = [i for i, hit in enumerate(biased) if hit.key in liked]
    assert sum(ranks) <= sum(plain_ranks)
    assert sum(h.distance for h in biased if h.key in liked) < sum(
        h.distance for h in unbiased if h.key in liked
    )


def test_what_is_not_there_is_told(client: Client, prefix: str, index: str) -> None:
    with pytest.raises(NotFound):
        get_personalized_context(client, "u", f"{prefix}none", "why", index=index)
    with pytest.raises(UnknownIndex):
        get_personalized_context(client, "u", f"{prefix}s1", "why", index=f"{prefix}none")


def test_a_preference_of_another_model_is_left_aside() -> None:
    question = np.array([1, 0], dtype=np.float32)
    assert leaning(question, np.ones(3, np.float32)) is question
    assert leaning(question, None) is question
    turned = leaning(question, np.array([0, 5], dtype=np.float32), 0.5)
    assert turned == pytest.approx([2**-0.5, 2**-0.5])
