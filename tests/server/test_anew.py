"""An index that is created anew during a run, between two looks: what was measured then may be of a part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from memdb.cluster.client import Client
from memdb.relevance import evaluate
from memdb.relevance.run import EvaluationRequest, Setting
from memdb.tuning import queries
from memdb.tuning.run import Goal, Run, SweepRequest
from memdb.tuning.sweep import sweep
from memdb.vectors import index
from memdb.vectors.anew import replaced
from memdb.vectors.index import HnswField, IndexInfo, IndexSpec, TagField
from tests.server.test_relevance import judged, toy
from tests.server.test_sample import each  # noqa: F401  # a fixture
from tests.waiting import until

pytestmark = pytest.mark.any_engine
DIM, COUNT = 12, 300
ANEW, PERHAPS = "was created anew meanwhile", "was dropped and one created on this server meanwhile"


def load(client: Client, prefix: str) -> IndexInfo:
    rows = np.random.default_rng(4).normal(size=(COUNT, DIM)).astype("<f4")
    client.pipeline(
        [("HSET", f"{prefix}d:{i}", "tag", f"t{i % 3}", "v", row.tobytes()) for i, row in enumerate(rows)]
    )
    create(client, prefix)
    return index.index_info(client, prefix + "idx")


def create(client: Client, prefix: str, name: str = "idx") -> None:
    fields = (TagField("tag"), HnswField("v", DIM, "COSINE", m=8, ef_construction=40))
    index.create(client, IndexSpec(prefix + name, fields, (prefix + "d:",)))
    until(lambda: index.index_info(client, prefix + name).build.ready, "the index is built")


def anew(client: Client, prefix: str, name: str = "idx") -> None:
    index.drop(client, prefix + name)
    create(client, prefix, name)


def swept(client: Client, prefix: str, name: str) -> Run:
    """A run during which an index is dropped and created, and is built before the next look."""
    info = load(client, prefix)
    if name != "idx":
        create(client, prefix, name)
    asked = queries.random_documents(client, info, "v", 40, 0)
    request = SweepRequest(info.name, "v", 5, ef_min=5, ef_max=60, concurrency=(), goal=Goal(value=0.5))

    def keep(run: Run) -> None:
        if len(run.points) == 2:
            anew(client, prefix, name)

    return sweep(client, info, request, asked, keep=keep)


def test_a_build_that_is_over_before_the_next_look_is_told(each: Client, prefix: str) -> None:  # noqa: F811
    run = swept(each, prefix, "idx")
    assert not run.partial
    certain = each.server.dialect.name != "valkey-search"
    told = [note for note in run.notes if (ANEW if certain else PERHAPS) in note]
    assert len(told) == 1
    assert told[0].startswith(("During the run: ", "At the end of the run: "))
    assert run.recommendation is not None
    assert bool(run.unfinished) is certain
    assert run.recommendation.met is not certain  # at a target of 0.5 all else is met


def test_another_index_that_is_created_anew_is_not_this_one(each: Client, prefix: str) -> None:  # noqa: F811
    run = swept(each, prefix, "other")
    assert not any(ANEW in note for note in run.notes)
    assert any(PERHAPS in note for note in run.notes) is (each.server.dialect.name == "valkey-search")
    assert run.unfinished == ""
    assert run.recommendation is not None
    assert run.recommendation.met


def test_an_evaluation_tells_it_too(each: Client, prefix: str) -> None:  # noqa: F811
    load(each, prefix)
    done: list[int] = []

    def report(stage: str, count: int, total: int) -> None:
        if count and not done:
            done.append(count)
            anew(each, prefix)

    request = EvaluationRequest((Setting(prefix + "idx"),))
    run = evaluate.evaluate(each, request, judged(prefix), toy, report=report)
    assert [note for note in run.notes if ANEW in note or PERHAPS in note] == list(run.notes)
    assert len(run.notes) == 1


def test_writes_make_no_new_index(client: Client, prefix: str) -> None:
    """Neither of good documents, nor of those that cannot be indexed, nor when some are deleted."""
    before = load(client, prefix)
    for write in (
        ("HSET", f"{prefix}d:0", "v", np.ones(DIM, "<f4").tobytes()),
        ("HSET", f"{prefix}d:bad", "tag", "t", "v", b"short"),
        ("HSET", f"{prefix}d:new", "tag", "t", "v", np.ones(DIM, "<f4").tobytes()),
        ("DEL", f"{prefix}d:1"),
    ):
        client.execute(*write)
        now = index.index_info(client, before.name)
        assert not replaced(before, now), write
        before = now
    assert replaced(before, replace(before, born="another time"))
