"""Sessions as people's libraries write them, recognised and browsed. The writers are the real ones."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from memdb.cluster.client import Client
from memdb.errors import BadInput, NotFound
from memdb.sessions import bulk, indexed, known, listing
from memdb.sessions.bulk import Action
from memdb.sessions.detect import Detected, detect
from memdb.sessions.filters import SessionFilter
from memdb.sessions.mapping import Format
from memdb.sessions.strategy import Budget
from memdb.vectors import index
from tests.waiting import until


@pytest.fixture
def quiet() -> Iterator[None]:
    """Other people's warnings about their own future are not ours to fail on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def only(found: Detected, name: str) -> Format:
    (one,) = [f.format for f in found.formats if f.format.name == name]
    return one


def turns(client: Client, format_: Format, id_: str) -> list[tuple[str, str]]:
    return [(t.role, t.content) for t in listing.open_session(client, format_, id_).session.turns]


def listed(client: Client, format_: Format) -> dict[str, Any]:
    found = listing.page(client, format_)
    assert found.complete
    return {s.key.removeprefix(format_.prefix): s for s in found.sessions}


@pytest.mark.usefixtures("quiet")
def test_langchain(server: Client) -> None:
    from langchain_community.chat_message_histories import RedisChatMessageHistory
    from langchain_core.messages import AIMessage, ToolMessage

    for i in range(3):
        history = RedisChatMessageHistory(f"s{i}", url=server.target.url, ttl=600)
        history.add_user_message(f"Hi {i}")
        history.add_ai_message("Hello")
    found = detect(server)
    format_ = only(found, "langchain")
    assert (format_.prefix, found.formats[0].keys, found.whole) == ("message_store:", 3, True)
    shown = listed(server, format_)
    assert sorted(shown) == ["s0", "s1", "s2"]
    assert (shown["s1"].opening, shown["s1"].turns) == ("Hi 1", 2)
    assert 590 < shown["s1"].ttl_s <= 600
    assert turns(server, format_, "s2") == [("human", "Hi 2"), ("ai", "Hello")]
    history.add_message(AIMessage("", tool_calls=[{"name": "f", "args": {"x": 1}, "id": "c1"}]))
    history.add_message(ToolMessage("bad", tool_call_id="c1", status="error"))
    opened = listing.open_session(server, format_, "s2").session
    assert [turn.line for turn in opened.turns[2:]] == ['[calls f({"x": 1}) c1]', "[error c1: bad]"]


@pytest.mark.usefixtures("quiet")
def test_redisvl(server: Client) -> None:
    from redisvl.extensions.message_history import MessageHistory

    history = MessageHistory(name="talk", session_tag="s:1", redis_url=server.target.url)
    history.add_messages([{"role": "user", "content": "Hi"}, {"role": "llm", "content": "Hello"}])
    history.store("Again?", "Yes.", session_tag="s2")
    format_ = only(detect(server), "redisvl")
    assert format_.prefix == "talk:"
    shown = listed(server, format_)
    assert {name: s.turns for name, s in shown.items()} == {"s:1": 2, "s2": 2}
    assert shown["s2"].opening == "Again?"
    assert turns(server, format_, "s:1") == [("user", "Hi"), ("llm", "Hello")]
    assert listing.open_session(server, format_, "s2").session.created is not None


@pytest.mark.usefixtures("quiet")
def test_langgraph_on_redis_and_valkey(server: Client) -> None:
    import valkey
    from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
    from langgraph.checkpoint.base import empty_checkpoint
    from langgraph.checkpoint.redis import RedisSaver
    from langgraph_checkpoint_aws import ValkeySaver

    def write(saver: Any, thread: str) -> None:
        config: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
        messages: list[Any] = []
        for step in range(3):
            messages += [HumanMessage(f"Question {step}"), AIMessage(f"Answer {step}")]
            if step == 2:
                call = {"name": "weather", "args": {"city": "Oslo"}, "id": "c1"}
                messages += [AIMessage("", tool_calls=[call]), ToolMessage("4", tool_call_id="c1")]
            state = empty_checkpoint()
            state["channel_values"] = {"messages": list(messages)}
            state["channel_versions"] = {"messages": str(step)}
            config = saver.put(
                config, state, {"source": "loop", "step": step, "user_id": "ann"}, state["channel_versions"]
            )

    whole = [
        (who, f"{what} {i}") for i in range(3) for who, what in (("human", "Question"), ("ai", "Answer"))
    ]
    whole += [("ai", ""), ("tool", "")]
    tools = ['[calls weather({"city": "Oslo"}) c1]', "[result c1: 4]"]
    with RedisSaver.from_conn_string(server.target.url) as saver:
        saver.setup()
        write(saver, "t1")
    format_ = only(detect(server), "langgraph")
    (session,) = listed(server, format_).values()
    assert (session.turns, session.user_id, session.opening) == (8, "ann", "Question 0")
    assert turns(server, format_, "t1") == whole
    assert [t.line for t in listing.open_session(server, format_, "t1").session.turns[-2:]] == tools

    url = server.target.url.replace("redis://", "valkey://")
    with valkey.Valkey.from_url(url) as wire:
        write(ValkeySaver(wire, ttl=600), "t2")
    format_ = only(detect(server), "langgraph-valkey")
    assert turns(server, format_, "t2") == whole
    assert [t.line for t in listing.open_session(server, format_, "t2").session.turns[-2:]] == tools
    assert listing.open_session(server, format_, "t2").session.user_id == "ann"


def test_json_documents_and_messages(server: Client) -> None:
    """As langchain-redis 0.2 writes a message (recorded: it does not install beside the app), and plain ones."""
    for i, (kind, text) in enumerate((("human", "Hi"), ("ai", "Hello"))):
        message = {
            "type": kind,
            "message_id": f"01{i}",
            "data": {"content": text, "type": kind},
            "session_id": "s1",
            "timestamp": 1795455646.9 + i,
        }
        server.execute("JSON.SET", f"lc:s1:01{i}", "$", json.dumps(message))
    plain = {
        "user": "ann",
        "created_at": "2026-07-14T10:30:00Z",
        "messages": [{"role": "user", "content": "Hey"}],
    }
    server.execute("JSON.SET", "doc:1", "$", json.dumps(plain))
    server.execute("SET", "txt:1", json.dumps(plain["messages"]))
    found = detect(server)
    assert {f.format.name for f in found.formats} == {"message-json", "json", "text-list"}
    assert turns(server, only(found, "message-json"), "s1") == [("human", "Hi"), ("ai", "Hello")]
    assert turns(server, only(found, "text-list"), "1") == [("user", "Hey")]
    session = listing.open_session(server, only(found, "json"), "1").session
    assert (session.user_id, session.created_at) == ("ann", "2026-07-14T10:30:00+00:00")


def test_a_mapping_of_ones_own(server: Client) -> None:
    mine = Format(
        "mine",
        "Mine",
        "m/",
        "hash",
        "message",
        role=("meta.who",),
        text=("body",),
        time=("at",),
        session=("meta.conv",),
        user=("meta.by",),
        own=True,
    ).checked()
    for i, who in enumerate(("user", "wizard")):
        server.execute(
            "HSET",
            f"m/{i}",
            "body",
            f"text {i}",
            "at",
            1_795_455_646 + i,
            "meta",
            json.dumps({"who": who, "conv": "c7", "by": "ann"}),
        )
    found = detect(server, (mine,))
    assert (found.formats[0].format, found.formats[0].keys) == (mine, 2)
    session = listing.open_session(server, mine, "c7").session
    assert [(t.role, t.content) for t in session.turns] == [("user", "text 0"), ("wizard", "text 1")]
    assert session.user_id == "ann"
    assert any("'wizard'" in problem for problem in session.problems)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{", "not JSON"),
        ("7", "no messages"),
        ('{"messages": "hello"}', "is a text, not a list"),
        ('{"messages": {"a": 1}}', "is an object"),
        ("{}", "no messages"),
        ("[" * 100_000, "Nested too deeply"),
        (b"\xff\xfe{", "UTF-8"),
        ('{"messages": [1, null, {"role": "user"}]}', "Message 2 is null, not a message"),
        (json.dumps({"messages": [{"role": "user", "content": "x" * 9_000_000}]}), "was not read"),
    ],
)
def test_what_is_damaged_is_named(server: Client, value: str | bytes, said: str) -> None:
    server.execute("SET", "txt:1", value)
    format_ = Format("text", "t", "txt:", "string", messages=("messages",))
    shown = listed(server, format_)["1"]
    opened = listing.open_session(server, format_, "1").session
    for problems in (shown.problems, opened.problems):
        assert any(said in problem for problem in problems), problems


def test_a_long_list_gives_its_newest_entries(server: Client) -> None:
    server.pipeline(
        [("RPUSH", "chat:long", json.dumps({"role": "user", "content": f"n{i}"})) for i in range(700)]
    )
    large = json.dumps({"role": "user", "content": "x" * 2**20})
    server.pipeline([("RPUSH", "chat:large", large) for _ in range(20)])
    server.execute("RPUSH", "chat:huge", json.dumps({"role": "user", "content": "x" * 9_000_000}))
    opened = listing.open_session(server, known.MESSAGE_LIST, "long").session
    assert (len(opened.turns), opened.turns[-1].content) == (500, "n699")
    assert (opened.earlier, opened.total, opened.problems) == (200, 700, ())
    opened = listing.open_session(server, known.MESSAGE_LIST, "large").session
    assert 1 <= len(opened.turns) <= 8
    assert opened.total == 20
    opened = listing.open_session(server, known.MESSAGE_LIST, "huge").session
    assert any("was not read" in problem for problem in opened.problems)
    rows = listed(server, known.MESSAGE_LIST)
    assert {name: (row.turns, row.opening[:2]) for name, row in rows.items()} == {
        "long": (700, "n0"),
        "large": (20, ""),
        "huge": (1, ""),
    }


def test_gone_keys_other_types_and_bad_cursors(server: Client) -> None:
    server.execute("SET", "chat:1", "x")
    server.execute("SET", "other", "y")
    with pytest.raises(NotFound):
        listing.open_session(server, known.TEXT, "none")
    assert listing.strategy_of(known.TEXT).summaries(server, known.TEXT, {"chat:gone": ""}) == []
    assert listing.page(server, known.LANGCHAIN).sessions == ()
    for cursor in ("x", "-1", "9" * 30):
        with pytest.raises(BadInput, match="no cursor"):
            listing.page(server, known.TEXT, cursor=cursor)
    found = detect(server)
    assert (found.formats, found.other, found.sampled) == ((), 2, 2)


def test_pages_reach_every_session_within_the_budget(server: Client) -> None:
    entry = json.dumps({"role": "user", "content": "Hi"})
    server.pipeline([("RPUSH", f"chat:{i}", entry) for i in range(3_000)])
    server.pipeline([("SET", f"noise:{i}", "x") for i in range(3_000)])
    seen: set[str] = set()
    cursor, pages = "", 0
    while True:
        found = listing.page(server, known.MESSAGE_LIST, cursor=cursor, size=100, budget=Budget(keys=1_000))
        assert found.scanned <= 1_100
        seen |= {s.key for s in found.sessions}
        cursor, pages = found.next_cursor, pages + 1
        if found.complete:
            break
    assert len(seen) == 3_000
    assert pages > 5
    sampled = detect(server, sample=1_000)
    assert not sampled.whole
    assert 2_400 < sampled.formats[0].keys < 3_600


# ---- one listing for every format ------------------------------------------------------------------------

SESSIONS = 60
FORMATS = {
    "list": Format("list", "t", "f:", "list"),
    "string": Format("string", "t", "f:", "string", messages=("messages",)),
    "json": Format("json", "t", "f:", "json", messages=("messages",)),
    "hash": Format("hash", "t", "f:", "hash", messages=("messages",)),
    "article": replace(known.ARTICLE, prefix="f:"),
    "message": Format("message", "t", "f:", "hash", "message", session=("session_id",)),
    "state": replace(known.LANGGRAPH, prefix="f:"),
}


def written(client: Client, format_: Format) -> None:
    """60 sessions: user i % 5, begun on day 1 + i % 20, every third lives 1,000 + i s, words by i."""
    for i in range(SESSIONS):
        key, at, user = f"f:{i}", f"2026-07-{1 + i % 20:02d}T10:00:00Z", f"Ann{i % 5}"
        entries = [
            {"role": "user", "content": f"Question-{i} about S3", "timestamp": at, "user_id": user},
            {"role": "assistant", "content": f"Answer {i % 4}"},
        ]
        whole = {"messages": entries, "user_id": user, "created_at": at}
        keys = [key]
        if format_.strategy == "article":
            client.execute(
                "HSET", key, "user_id", user, "context", "c", "created_at", at, "history", json.dumps(entries)
            )
        elif format_.holds == "message":
            keys = [f"{key}:{n}" for n in range(2)]
            for name, entry in zip(keys, entries, strict=True):
                client.execute(
                    "HSET",
                    name,
                    "session_id",
                    str(i),
                    "role",
                    entry["role"],
                    "content",
                    entry["content"],
                    "timestamp",
                    at,
                    "user_id",
                    user,
                )
        elif format_.holds == "state":
            state = {
                "thread_id": str(i),
                "checkpoint_id": "1",
                "metadata": {"user_id": user},
                "checkpoint": {"ts": at, "channel_values": {"messages": entries}},
            }
            client.execute("JSON.SET", key, "$", json.dumps(state))
        elif format_.stored == "list":
            client.execute("RPUSH", key, *map(json.dumps, entries))
        elif format_.stored == "json":
            client.execute("JSON.SET", key, "$", json.dumps(whole))
        elif format_.stored == "hash":
            client.execute("HSET", key, "user_id", user, "created_at", at, "messages", json.dumps(entries))
        else:
            client.execute("SET", key, json.dumps(whole))
        if i % 3 == 0:
            client.pipeline([("EXPIRE", name, 1_000 + i) for name in keys])
    client.pipeline([("SET", f"noise:{i}", "x") for i in range(200)])


EVERY = range(SESSIONS)
WANTED = {
    "everything": (SessionFilter(), EVERY),
    "user": (SessionFilter(user="Ann2"), [i for i in EVERY if i % 5 == 2]),
    "other case": (SessionFilter(user="ann2"), []),
    "part of user": (SessionFilter(user="NN2", partial=True), [i for i in EVERY if i % 5 == 2]),
    "words": (SessionFilter(words=("QUESTION", "answer 3")), [i for i in EVERY if i % 4 == 3]),
    "never": (SessionFilter(expires=False), [i for i in EVERY if i % 3]),
    "TTL": (SessionFilter(ttl_to_s=2_000), [i for i in EVERY if i % 3 == 0]),
    "day": (
        SessionFilter(created_from=datetime(2026, 7, 3, tzinfo=UTC), created_to=datetime(2026, 7, 4)),
        [i for i in EVERY if i % 20 == 2],
    ),
    "id": (SessionFilter(id_part="7"), [i for i in EVERY if "7" in str(i)]),
    "all at once": (
        SessionFilter(user="Ann0", words=("s3",), expires=True, id_part="5"),
        [i for i in EVERY if i % 15 == 0 and "5" in str(i)],
    ),
}


@pytest.mark.parametrize("size", [7, 50])
@pytest.mark.parametrize("name", list(FORMATS))
def test_one_listing_filters_every_format(server: Client, name: str, size: int) -> None:
    format_ = FORMATS[name]
    written(server, format_)
    for what, (wanted, expected) in WANTED.items():
        seen: list[str] = []
        cursor = ""
        while True:
            page = listing.page(server, format_, wanted, cursor, size=size)
            seen += [s.id for s in page.sessions]
            cursor = page.next_cursor
            if page.complete:
                break
        if format_.holds != "message":  # of which a page shows what lay on its part, so that one comes twice
            assert len(seen) == len(set(seen)), what
            assert sorted(seen) == sorted(map(str, expected)), what
        elif what not in ("words", "all at once"):
            assert set(seen) == set(map(str, expected)), what
        found = listing.search(server, format_, wanted, limit=1_000)
        assert found.complete
        if format_.holds != "message" or not wanted.words:
            assert sorted(s.id for s in found.sessions) == sorted(map(str, expected)), what
            assert {s.turns for s in found.sessions} <= {2}, what  # the messages of all pages


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_filter_that_a_format_cannot_answer_is_refused(server: Client, name: str) -> None:
    format_ = FORMATS[name]
    if listing.powers(format_).context:
        assert listing.page(server, format_, SessionFilter(context="c")).sessions == ()
    else:
        with pytest.raises(BadInput, match="cannot be filtered by context"):
            listing.page(server, format_, SessionFilter(context="c"))
    timeless = replace(format_, strategy="values", time=(), user=())
    for wanted in (SessionFilter(user="x"), SessionFilter(created_from=datetime(2026, 1, 1))):
        with pytest.raises(BadInput, match="cannot be filtered"):
            listing.page(server, timeless, wanted)


def test_an_empty_server_has_nothing_to_change_in_any_format(server: Client) -> None:
    for format_ in FORMATS.values():
        assert bulk.plan(server, SessionFilter(), Action("delete"), format_).sessions == ()


def test_what_is_too_large_to_search_passes_with_a_note(server: Client) -> None:
    format_ = FORMATS["string"]
    for i, size in enumerate((10, 400_000)):
        server.execute("SET", f"f:{i}", json.dumps({"messages": [{"role": "user", "content": "x" * size}]}))
    wanted = SessionFilter(words=("needle",))
    (large,) = listing.page(server, format_, wanted).sessions
    assert large.id == "1"
    assert "Not searched as a whole" in large.problems[0]
    texts = ["oldest", *(f"n{i}" for i in range(700))]
    server.pipeline([("RPUSH", "chat:1", json.dumps({"role": "user", "content": t})) for t in texts])
    (row,) = listing.page(server, known.MESSAGE_LIST, SessionFilter(words=("n699",))).sessions
    assert not any("Not searched" in problem for problem in row.problems)
    (row,) = listing.page(server, known.MESSAGE_LIST, SessionFilter(words=("oldest",))).sessions
    assert "Of 701 entries the newest" in row.problems[0]  # not among those that were read
    assert listing.page(server, FORMATS["list"], SessionFilter(words=("oldest",))).sessions == ()


@pytest.mark.parametrize("name", list(FORMATS))
def test_an_open_session_tells_its_life_and_that_it_changed(server: Client, name: str) -> None:
    format_ = FORMATS[name]
    written(server, format_)
    opened = listing.open_session(server, format_, "3")
    now = listing.pulse(server, format_, opened)
    assert now is not None
    assert now.size == opened.size
    assert 900 < (now.ttl_s or 0) <= 1_003
    if name in ("list", "string", "article"):
        more = {
            "list": ("RPUSH", "f:3", "{}"),
            "string": ("SET", "f:3", "{}"),
            "article": ("HSET", "f:3", "history", "[]"),
        }[name]
        server.execute(*more)
        grown = listing.pulse(server, format_, opened)
        assert grown is not None
        assert grown.size != opened.size
    server.execute("DEL", *opened.keys)
    with pytest.raises(NotFound):
        listing.pulse(server, format_, opened)


def test_the_articles_sessions_behind_another_prefix(server: Client) -> None:
    format_ = FORMATS["article"]
    written(server, format_)
    assert only(detect(server), "article") == format_
    planned = bulk.plan(server, SessionFilter(user="Ann1"), Action("delete"), format_)
    assert len(planned.keys) == 12
    assert bulk.apply(server, planned).changed == 12
    assert listing.open_session(server, format_, "0").session.id == "0"
    assert indexed.find(server, format_) is None
    spec = replace(indexed.spec(format_.prefix), name="idx:f")
    index.create(server, spec)
    until(lambda: (i := indexed.find(server, format_)) is not None and i.build.ready, "the index is built")
    info = indexed.find(server, format_)
    assert indexed.find(server) is None  # over the usual prefix
    first = listing.page(server, format_, SessionFilter(user="Ann2"), size=5, index=info)
    assert (first.index, first.keys, len(first.sessions)) == ("idx:f", 12, 5)
    rest = listing.search(
        server, format_, SessionFilter(user="Ann2"), limit=50, cursor=first.next_cursor, index=info
    )
    ids = [s.id for s in (*first.sessions, *rest.sessions)]
    assert sorted(ids) == sorted(str(i) for i in EVERY if i % 5 == 2)
    scanned = listing.page(server, format_, SessionFilter(user="Ann2", partial=True), index=info)
    assert scanned.index == ""
    with pytest.raises(BadInput, match="no cursor"):  # the index is gone meanwhile
        listing.page(server, format_, SessionFilter(user="Ann2"), first.next_cursor)
