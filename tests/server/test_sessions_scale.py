"""Sessions in bulk: surveyed, found through an index, changed by filter; on the real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine
from memdb.errors import BadInput, Cancelled, ReadOnlyTarget, UnsupportedFeature
from memdb.sessions import bulk, indexed, known
from memdb.sessions.bulk import Action
from memdb.sessions.filters import SessionFilter
from memdb.sessions.survey import survey
from memdb.vectors import index
from tests.waiting import until

COUNT = 600


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with local_engine.start(tmp_path_factory.mktemp("scale"), log=False) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def server(own_engine: Engine) -> Iterator[Client]:
    """600 sessions of 6 users and 3 contexts; every second one expires in ten minutes. And other keys."""
    with connect(own_engine.target) as client:
        for i in range(COUNT):
            history = [{"role": "user", "content": f"word{i % 2} {'x' * i}"}]
            client.execute(
                "HSET",
                f"session:{i}",
                "user_id",
                f"User, {i % 6}",
                "context",
                f"c{i % 3}",
                "history",
                json.dumps(history),
                "created_at",
                f"2026-07-{1 + i % 20:02d}T10:00:00Z",
            )
            if i % 2:
                client.execute("EXPIRE", f"session:{i}", 600)
        client.pipeline([("SET", f"other:{i}", "x") for i in range(200)])
        yield client
        for name in index.index_names(client):
            index.drop(client, name)
        for start in range(0, COUNT, 200):
            client.execute("DEL", *(f"session:{i}" for i in range(start, start + 200)))


def test_a_survey_of_all_and_of_a_sample(server: Client) -> None:
    found = survey(server)
    assert (found.whole, len(found.seen), found.factor) == (True, COUNT, 1.0)
    bins = {b.name: b for b in found.ttl_bins()}
    assert (bins["15 min"].sessions, bins["never"].sessions) == (300, 300)
    assert bins["never"].freed_bytes == bins["later"].freed_bytes == bins["15 min"].bytes
    assert sum(b.bytes for b in bins.values()) == int(found.sizes().sum())
    never = sum(s.size_bytes for s in found.seen if s.ttl_s is None)
    assert (found.beyond(3_600), found.beyond(1)) == (never, int(found.sizes().sum()))
    assert found.largest(1)[0].size_bytes == int(found.sizes().max())
    assert {user: n for user, n, _ in found.users()} == {f"User, {i}": 100 for i in range(6)}
    assert sum(n for _, n in found.activity()) == COUNT
    assert all(s.ttl_s is not None and s.ttl_s <= 600 for s in found.soon())
    kept = []
    half = survey(server, sample=1, keep=kept.append)
    assert kept[-1] == half
    assert survey(server, known.LANGCHAIN).seen == ()
    assert survey(server, known.LANGCHAIN).activity() == ()


def test_a_users_sessions_through_an_index(server: Client) -> None:
    assert indexed.find(server) is None
    assert indexed.cost(server).sessions == COUNT
    indexed.create(server)
    until(lambda: (found := indexed.find(server)) is not None and found.build.ready, "the index is built")
    info = indexed.find(server)
    assert info is not None
    wanted = SessionFilter(user="User, 4", context="c1")
    seen: list[str] = []
    cursor = ""
    while True:
        found = indexed.page(server, info, wanted, cursor, size=30)
        seen += [s.key for s in found.sessions]
        cursor = found.next_cursor
        if found.complete:
            break
    assert sorted(seen) == sorted(f"session:{i}" for i in range(COUNT) if i % 6 == 4)
    assert indexed.page(server, info, SessionFilter(user="user, 4")).sessions == ()
    for refused in (
        SessionFilter(),
        SessionFilter(user="x", partial=True),
        SessionFilter(user="x", words=("y",)),
    ):
        with pytest.raises(UnsupportedFeature):
            indexed.page(server, info, refused)
    with pytest.raises(BadInput, match="no cursor"):
        indexed.page(server, info, wanted, "x")


def test_a_bulk_change_is_planned_and_done(server: Client) -> None:
    wanted = SessionFilter(user="User, 1", words=("word1",))
    planned = bulk.plan(server, wanted, Action("delete"))
    assert (len(planned.keys), planned.complete, planned.phrase) == (100, True, "delete 100")
    assert len(planned.sample) == bulk.SHOWN
    assert planned.bytes > 0
    assert server.execute("EXISTS", *planned.keys) == 100  # nothing was written
    gone, changed, other = planned.keys[:3]
    server.execute("DEL", gone)
    server.execute("HSET", changed, "user_id", "another")
    server.execute("DEL", other)
    server.execute("SET", other, "a text now")
    done = bulk.apply(server, planned)
    assert (done.changed, done.skipped) == (97, 3)
    assert server.execute("EXISTS", *planned.keys) == 2
    assert len(survey(server).seen) == COUNT - 99
    assert "97 of 100" in done.words


def test_ttls_in_bulk_and_a_cancel_in_between(server: Client) -> None:
    planned = bulk.plan(server, SessionFilter(context="c0", expires=False), Action("expire", 900))
    assert len(planned.keys) == 100
    assert bulk.apply(server, planned).changed == 100
    assert all(890 < server.execute("TTL", key) <= 900 for key in planned.keys)
    planned = bulk.plan(server, SessionFilter(expires=True), Action("persist"))
    assert len(planned.keys) == 400
    kept: list[bulk.Done] = []

    def cancelled(stage: str, done: int, total: int) -> None:
        if done >= bulk.STEP:
            raise Cancelled

    with pytest.raises(Cancelled):
        bulk.apply(server, planned, report=cancelled, keep=kept.append)
    assert kept[-1].changed == bulk.STEP
    assert len(bulk.plan(server, SessionFilter(expires=True), Action("persist")).keys) == 400 - bulk.STEP


def test_bulk_refuses_what_cannot_be(server: Client, own_engine: Engine) -> None:
    for ttl in (0, -5, float("nan"), 1e12):
        with pytest.raises(BadInput):
            Action("expire", ttl)
    limited = bulk.plan(server, SessionFilter(), Action("delete"), limit=7)
    assert (len(limited.keys), limited.complete) == (7, False)
    with connect(own_engine.target.read_only()) as reader, pytest.raises(ReadOnlyTarget):
        bulk.apply(reader, limited)
    assert server.execute("EXISTS", *limited.keys) == 7
