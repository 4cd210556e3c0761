"""Sessions on the real engine: every session once, whatever is stored, whatever happens meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Arg, Client, connect
from memdb.errors import BadInput, Cancelled, EngineError, NotFound, ReadOnlyTarget, Unreachable
from memdb.sessions import formats, listing, store
from memdb.sessions.cursor import LEFT_KEYS, Cursor
from memdb.sessions.filters import SessionFilter
from memdb.sessions.hashes import VALUE_BYTES
from memdb.sessions.known import ARTICLE
from memdb.sessions.strategy import LARGEST_STEP, Budget, SessionPage
from memdb.sessions.summaries import HISTORY_BYTES, SessionSummary
from memdb.sessions.users import user_record

pytestmark = pytest.mark.any_engine

SESSIONS = 3_000


def hset(client: Client, key: str, **fields: Arg) -> None:
    """Store a session as the article does, with some fields changed."""
    values: dict[str, Arg] = {
        "user_id": "u1",
        "history": "[]",
        "context": "c",
        "created_at": "2026-07-14T10:30:00Z",
        **fields,
    }
    client.execute("HSET", key, *[part for pair in values.items() for part in pair])


def pages(
    client: Client, wanted: SessionFilter, prefix: str = "", **options: object
) -> Iterator[SessionPage]:
    """All pages of a listing of the article's sessions behind a prefix; fails if one makes no progress."""
    format_ = replace(ARTICLE, prefix=f"{prefix}session:")
    cursor = ""
    while True:
        found = listing.page(client, format_, wanted, cursor, **options)  # type: ignore[arg-type]
        yield found
        if found.complete:
            assert found.next_cursor == ""
            return
        assert found.next_cursor != cursor, "no progress"
        assert len(found.next_cursor) < 20_000
        cursor = found.next_cursor


def keys(client: Client, wanted: SessionFilter, prefix: str = "", **options: object) -> list[str]:
    return [s.key for found in pages(client, wanted, prefix, **options) for s in found.sessions]


@pytest.fixture(scope="module", params=["standalone", "cluster"])
def many(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """3,000 sessions among 3,000 other keys, on a server of their own: alone, and as a cluster's shard.

    Session i: user i % 50, context i % 7, every third without TTL, else 1,000 (100 + i) s, so that a slow
    machine takes none of them away; its history asks about bucket i.
    """
    folder = tmp_path_factory.mktemp("many")
    with (
        local_engine.start(folder, log=False, cluster=request.param == "cluster") as running,
        connect(running.target) as client,
    ):
        running.wait_ready()
        commands: list[list[Arg]] = []
        for i in range(SESSIONS):
            history = [{"role": "user", "content": f"Restore bucket-{i} please"}] * (1 + i % 3)
            commands.append(
                [
                    "HSET",
                    f"session:{i}",
                    "user_id",
                    f"user{i % 50}",
                    "context",
                    f"ctx{i % 7}",
                    "created_at",
                    f"2026-07-{1 + i % 28:02d}T10:30:00Z",
                    "history",
                    json.dumps(history),
                ]
            )
            if i % 3:
                commands.append(["EXPIRE", f"session:{i}", 1_000 * (100 + i)])
        commands += [["HSET", f"doc:{i}", "title", "x"] for i in range(2_500)]
        commands += [["SET", f"session:text:{i}", "x"] for i in range(500)]
        for start in range(0, len(commands), 2_000):
            client.pipeline(commands[start : start + 2_000])
        yield client


EVERY = range(SESSIONS)
FILTERS = {
    "everything": (SessionFilter(), EVERY),
    "user": (SessionFilter(user="user7"), [i for i in EVERY if i % 50 == 7]),
    "part of user, any case": (
        SessionFilter(user="USER1", partial=True),
        [i for i in EVERY if i % 50 == 1 or 10 <= i % 50 < 20],
    ),
    "user and context": (
        SessionFilter(user="user7", context="ctx3"),
        [i for i in EVERY if i % 50 == 7 and i % 7 == 3],
    ),
    "never expires": (SessionFilter(expires=False), [i for i in EVERY if i % 3 == 0]),
    "TTL": (
        SessionFilter(ttl_from_s=2_000_000, ttl_to_s=3_000_000),
        # Seconds pass between loading and reading; the bounds fall on sessions that never expire.
        [i for i in EVERY if i % 3 and i - i % 3 >= 1_900 and i <= 2_900],
    ),
    "words": (SessionFilter(words=("RESTORE", "bucket-12")), [i for i in EVERY if str(i).startswith("12")]),
    "words of few": (SessionFilter(words=("bucket-2999",)), [2_999]),
    "day": (
        SessionFilter(created_from=datetime(2026, 7, 3, tzinfo=UTC), created_to=datetime(2026, 7, 4)),
        [i for i in EVERY if i % 28 == 2],
    ),
    "id": (SessionFilter(id_part="99"), [i for i in EVERY if "99" in str(i)]),
    "nothing": (SessionFilter(user="nobody"), []),
}


@pytest.mark.parametrize("size", [7, 50, 333])
@pytest.mark.parametrize("name", list(FILTERS))
def test_every_session_comes_exactly_once(many: Client, name: str, size: int) -> None:
    wanted, expected = FILTERS[name]
    found = list(pages(many, wanted, size=size))
    assert all(len(one.sessions) <= size for one in found)
    listed = [s.key for one in found for s in one.sessions]
    if name == "TTL":
        # Which sessions lie within the range moves with the clock: those in the middle of it are certain.
        middle = {f"session:{i}" for i in expected if 2_100 <= i <= 2_800}
        assert middle <= set(listed)
        # The sieve reads the TTL, the row reads it again a moment later.
        assert all(1_990_000 <= s.ttl_s <= 3_000_000 for one in found for s in one.sessions if s.ttl_s)
    else:
        assert sorted(listed) == sorted(f"session:{i}" for i in expected)
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize(
    "budget",
    [Budget(keys=1), Budget(keys=37), Budget(keys=500), Budget(history_bytes=1), Budget(history_bytes=5_000)],
)
def test_a_budget_ends_a_page_and_loses_nothing(many: Client, budget: Budget) -> None:
    wanted = SessionFilter(words=("restore",), user="user7")
    listed = keys(many, wanted, budget=budget)
    assert sorted(listed) == sorted(f"session:{i}" for i in EVERY if i % 50 == 7)


def test_a_page_says_how_far_it_looked(many: Client) -> None:
    first = listing.page(many, ARTICLE, SessionFilter(user="nobody"), budget=Budget(keys=1_000))
    assert first.sessions == ()
    assert not first.complete
    assert 1_000 <= first.scanned <= 1_000 + LARGEST_STEP
    assert first.keys == SESSIONS + 3_000
    assert first.took_ms > 0


def test_cursors_stay_small(many: Client) -> None:
    """A hundred keys at most travel with the cursor."""
    for found in pages(many, SessionFilter(user="user1", partial=True), size=3):
        assert len(Cursor.parse(found.next_cursor).left) <= LEFT_KEYS


def test_deleting_while_paging_skips_only_what_is_gone(many: Client) -> None:
    gone = [f"session:d{i}" for i in range(400)]
    wanted = SessionFilter(id_part="d")
    for key in gone:
        hset(many, key)
    listed: list[str] = []
    for found in pages(many, wanted, size=20):
        listed += [s.key for s in found.sessions]
        if len(listed) == 20:
            # Everything not yet listed goes, also the keys that the cursor carries; one changes its type.
            left = sorted(set(gone) - set(listed))
            many.pipeline([("DEL", key) for key in left])
            many.execute("SET", left[0], "x")
    assert len(listed) == 20
    many.pipeline([("DEL", key) for key in gone])


def test_inserting_while_paging_loses_none_of_the_first(many: Client) -> None:
    """The table grows between the pages; what was there from the start is listed."""
    listed: set[str] = set()
    added: list[str] = []
    for n, found in enumerate(pages(many, SessionFilter(user="user3"), size=5)):
        listed |= {s.key for s in found.sessions}
        new = [f"session:new{n}.{i}" for i in range(200 if n < 20 else 0)]
        many.pipeline([("HSET", key, "user_id", "someone") for key in new])
        added += new
    many.pipeline([("DEL", key) for key in added])
    assert listed == {f"session:{i}" for i in EVERY if i % 50 == 3}


def test_a_list_shows_what_a_session_holds(many: Client) -> None:
    (one,) = keys_and(many, SessionFilter(words=("bucket-2999",)), "")
    assert (one.user_id, one.context, one.turns) == ("user49", "ctx3", 3)
    assert one.opening == "Restore bucket-2999 please"
    assert one.created == datetime(2026, 7, 4, 10, 30, tzinfo=UTC)
    assert one.ttl_s is not None
    assert 3_090_000 < one.ttl_s <= 3_099_000
    assert one.size_bytes is not None
    assert one.size_bytes > one.history_bytes > 50
    assert one.problems == ()


def keys_and(client: Client, wanted: SessionFilter, prefix: str) -> list[SessionSummary]:
    return [s for found in pages(client, wanted, prefix) for s in found.sessions]


def test_search_goes_on_over_pages_until_its_limit(many: Client) -> None:
    found = listing.search(many, ARTICLE, SessionFilter(user="user7"), limit=40)
    assert len(found.sessions) == 40
    assert not found.complete
    rest = listing.search(many, ARTICLE, SessionFilter(user="user7"), limit=1_000, cursor=found.next_cursor)
    assert rest.complete
    assert len({s.key for s in (*found.sessions, *rest.sessions)}) == 60


def test_search_keeps_to_its_budget_and_can_be_ended(many: Client) -> None:
    found = listing.search(many, ARTICLE, SessionFilter(user="nobody"), budget=Budget(keys=2_500))
    assert 2_500 <= found.scanned <= 2_500 + LARGEST_STEP
    assert not found.complete

    def stop(stage: str, done: int, total: int) -> None:
        raise Cancelled

    kept: list[SessionPage] = []
    with pytest.raises(Cancelled):
        listing.search(many, ARTICLE, SessionFilter(user="user7"), limit=500, report=stop, keep=kept.append)
    assert kept[0].sessions  # what was found before the end is there


def test_counting(many: Client) -> None:
    exact = store.count(many)
    assert (exact.value, exact.exact) == (SESSIONS, True)
    assert (exact.low, exact.high) == (SESSIONS, SESSIONS)
    estimate = store.count(many, budget_keys=1_500)
    assert not estimate.exact
    # 500 texts bear a session's name; an estimate cannot tell them apart.
    assert estimate.low - 300 <= SESSIONS + 500 <= estimate.high + 300
    assert "Estimated from" in estimate.how


def test_a_cursor_of_another_filter_does_no_harm(many: Client) -> None:
    first = listing.page(many, ARTICLE, SessionFilter(), size=3)
    again = keys(many, SessionFilter(user="user7"), size=3)
    assert set(again) == {f"session:{i}" for i in EVERY if i % 50 == 7}
    found = listing.page(many, ARTICLE, SessionFilter(user="user7"), first.next_cursor)
    assert all(s.user_id == "user7" for s in found.sessions)


@pytest.mark.parametrize("size", [0, -3])
def test_a_page_of_no_size_is_refused(client: Client, size: int) -> None:
    with pytest.raises(BadInput):
        listing.page(client, size=size)


# ---- bad values ------------------------------------------------------------------------------------------

BAD: dict[str, tuple[dict[str, Arg], str]] = {
    "no JSON": ({"history": "not JSON"}, "The history is not JSON"),
    "other JSON": ({"history": '{"a": 1}'}, "not a list of turns"),
    "not UTF-8": ({"history": b'[{"role":"user","content":"\xff"}]'}, "The history is not all UTF-8"),
    "user not UTF-8": ({"user_id": b"\xff\xfe"}, "'user_id' is not UTF-8"),
    "no time": ({"created_at": "soon"}, "which is no time"),
    "5 MB history": ({"history": json.dumps([{"role": "user", "content": "x" * 5 * 2**20}])}, ""),
    "5 MB context": ({"context": "x" * 5 * 2**20}, ""),
    "9 MB context": ({"context": "x" * 9 * 2**20}, "has 9.0 MiB and was not read"),
    "HTML and ANSI": ({"context": "<script>alert(1)</script> **x** \x1b[31m"}, ""),
    "deep JSON": ({"history": "[" * 100_000}, "Nested too deeply, and damaged at character 1 of"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_whatever_is_stored_is_listed_and_read(client: Client, prefix: str, name: str) -> None:
    fields, sentence = BAD[name]
    key = f"{prefix}session:bad"
    hset(client, key, **fields)
    session = store.read(client, key)
    if sentence:
        assert any(sentence in problem for problem in session.problems)
    else:
        assert session.problems == ()
    assert {f.name for f in session.fields} == set(formats.FIELDS)
    json.loads(formats.to_json(session))
    (listed,) = keys_and(client, SessionFilter(), prefix)
    assert listed.key == key
    if sentence:
        assert listed.problems


def test_large_values_are_not_read_into_a_list(client: Client, prefix: str) -> None:
    hset(client, f"{prefix}session:big", history="x" * (HISTORY_BYTES + 1), context="y" * 5_000)
    (listed,) = keys_and(client, SessionFilter(), prefix)
    assert listed.turns is None
    assert listed.history_bytes == HISTORY_BYTES + 1
    assert listed.context == ""
    assert any("'history' has 256.0 KiB" in problem for problem in listed.problems)
    assert any("'context' has 4.9 KiB" in problem for problem in listed.problems)


def test_a_history_too_large_to_search_is_listed_and_said_so(client: Client, prefix: str) -> None:
    hset(client, f"{prefix}session:big", history="needle " * HISTORY_BYTES)
    hset(client, f"{prefix}session:hit", history="a needle")
    hset(client, f"{prefix}session:miss", history="hay")
    found = {s.key: s for s in keys_and(client, SessionFilter(words=("needle",)), prefix)}
    assert set(found) == {f"{prefix}session:big", f"{prefix}session:hit"}
    assert found[f"{prefix}session:big"].problems[0] == "The history was not searched: 1.8 MiB."


def test_missing_fields_and_another_hash_are_shown_raw(client: Client, prefix: str) -> None:
    key = f"{prefix}session:other"
    client.execute("HSET", key, "title", "A document")
    session = store.read(client, key)
    assert [p for p in session.problems if "missing" in p] == [
        f"The field '{name}' is missing." for name in formats.FIELDS
    ]
    assert [(f.name, f.value) for f in session.fields] == [("title", b"A document")]


def test_a_hash_of_very_many_fields_is_read_in_part(client: Client, prefix: str) -> None:
    key = f"{prefix}session:wide"
    hset(client, key)
    client.execute("HSET", key, *[part for i in range(5_000) for part in (f"f{i}", "x")])
    session = store.read(client, key)
    assert {f.name for f in session.fields} == set(formats.FIELDS)
    assert session.problems == ("5,000 more fields of this hash were not read.",)


@pytest.mark.parametrize(
    "id_", ["a*b", "[x]", "a?c", "back\\slash", "^", "new\nline", "{tag}", "\udcff\udc80"]
)
def test_signs_of_a_pattern_are_only_signs(client: Client, prefix: str, id_: str) -> None:
    wanted = f"{prefix}session:{id_}"
    hset(client, wanted)
    for other in ("ab", "axb", "x", "abc", "backslash"):
        hset(client, f"{prefix}session:{other}")
    found = keys(client, SessionFilter(id_part=id_), prefix)
    assert found == [wanted]
    assert store.read(client, wanted).key == wanted
    all_of_them = keys(client, SessionFilter(), prefix, size=1)
    assert wanted in all_of_them  # also when it travels in a cursor


def test_a_user_whose_id_is_not_utf8(client: Client, prefix: str) -> None:
    key = f"{prefix}session:bytes"
    hset(client, key, user_id=prefix.encode() + b"\xff\x00")
    session = store.read(client, key)
    assert keys(client, SessionFilter(user=session.user_id), prefix) == [key]
    record = f"user:{session.user_id}"
    vector = np.array([1, 2, 3], dtype="<f4")
    client.execute("HSET", record, "company_size", "startup", "embedding", vector.tobytes())
    try:
        found = user_record(client, session.user_id)
        assert found.key == record
        assert found.vector is not None
        assert found.vector.tolist() == [1, 2, 3]
    finally:
        client.execute("DEL", record)


def test_a_user_that_is_not_there(client: Client, prefix: str) -> None:
    with pytest.raises(NotFound, match="no user record"):
        user_record(client, f"{prefix}nobody")


def test_reading_what_is_no_session(client: Client, prefix: str) -> None:
    with pytest.raises(NotFound, match="There is no session"):
        store.read(client, f"{prefix}session:gone")
    client.execute("RPUSH", f"{prefix}session:list", "x")
    with pytest.raises(EngineError, match="holds a list, not a hash"):
        store.read(client, f"{prefix}session:list")
    assert keys(client, SessionFilter(), prefix) == []


# ---- writes ----------------------------------------------------------------------------------------------


def test_extending_a_ttl_adds_to_it(client: Client, prefix: str) -> None:
    key = f"{prefix}session:a"
    hset(client, key)
    client.execute("EXPIRE", key, 100)
    change = store.extend_ttl(client, key, 3_600)
    assert change.ttl_before_s == pytest.approx(100, abs=5)
    assert change.ttl_after_s == pytest.approx(3_700, abs=5)
    assert store.read(client, key).ttl_s == pytest.approx(3_700, abs=5)


def test_persisting_takes_the_ttl_away(client: Client, prefix: str) -> None:
    key = f"{prefix}session:a"
    hset(client, key)
    client.execute("EXPIRE", key, 100)
    change = store.persist(client, key)
    assert change.ttl_before_s == pytest.approx(100, abs=5)
    assert change.ttl_after_s is None
    assert store.read(client, key).ttl_s is None
    assert store.persist(client, key).ttl_before_s is None  # nothing left to change
    with pytest.raises(BadInput, match="never expires"):
        store.extend_ttl(client, key, 60)


def test_deleting(client: Client, prefix: str) -> None:
    key = f"{prefix}session:a"
    hset(client, key)
    assert store.delete(client, key).deleted
    assert client.execute("EXISTS", key) == 0


@pytest.mark.parametrize("write", [store.persist, store.delete, lambda c, k: store.extend_ttl(c, k, 60)])
def test_writing_what_is_gone_or_no_session(client: Client, prefix: str, write: object) -> None:
    assert callable(write)
    with pytest.raises(NotFound):
        write(client, f"{prefix}session:gone")
    client.execute("SET", f"{prefix}session:text", "x")
    with pytest.raises(BadInput, match="holds a string"):
        write(client, f"{prefix}session:text")
    assert client.execute("GET", f"{prefix}session:text") == b"x"


@pytest.mark.parametrize("by_s", [0, -5, 1e12, float("nan"), float("inf")])
def test_a_ttl_cannot_grow_by_nonsense(client: Client, prefix: str, by_s: float) -> None:
    with pytest.raises(BadInput, match="cannot grow"):
        store.extend_ttl(client, f"{prefix}session:a", by_s)


@pytest.mark.parametrize("write", [store.persist, store.delete, lambda c, k: store.extend_ttl(c, k, 60)])
def test_a_read_only_target_is_not_written(client: Client, prefix: str, write: object) -> None:
    assert callable(write)
    key = f"{prefix}session:a"
    hset(client, key)
    client.execute("EXPIRE", key, 100)
    with connect(client.target.read_only()) as reader, pytest.raises(ReadOnlyTarget):
        write(reader, key)
    assert 90 < client.execute("TTL", key) <= 100


def test_a_value_is_read_up_to_its_bound(client: Client, prefix: str) -> None:
    key = f"{prefix}session:edge"
    hset(client, key, context="x" * VALUE_BYTES)
    assert len(store.read(client, key).context) == VALUE_BYTES


def test_an_engine_that_went_away(tmp_path: Path) -> None:
    with local_engine.start(tmp_path, log=False) as running:
        running.wait_ready()
        target = running.target
    with connect(target) as client, pytest.raises(Unreachable):
        listing.page(client)
