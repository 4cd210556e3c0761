"""The tap between real clients and a real server: what it passes, what it keeps, what happens when one ends."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, Signals

import hiredis
import numpy as np
import pytest
import redis
import redis.asyncio

from memdb.cli.entry import main
from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target, Tls
from memdb.errors import BadInput, BadSettings, Unreachable
from memdb.tap import recording
from memdb.tap.proxy import Proxy
from memdb.tap.record import Record, Recorder, load
from tests.asynchronous import result_of
from tests.fronts import Authority, listening, socket_front, tls_front
from tests.waiting import PATIENCE_S, until

DIM = 8
DOCUMENTS = 200


def vector(seed: int) -> bytes:
    return np.random.default_rng(seed).normal(size=DIM).astype("<f4").tobytes()


@pytest.fixture
def documents(server: Client) -> Client:
    """An index of hashes with a tag."""
    server.execute(
        "FT.CREATE", "idx", "PREFIX", 1, "doc:", "SCHEMA", "tag", "TAG",
        "v", "VECTOR", "HNSW", 6, "DIM", DIM, "TYPE", "FLOAT32", "DISTANCE_METRIC", "L2",
    )  # fmt: skip
    server.pipeline([("HSET", f"doc:{n}", "v", vector(n), "tag", "ab"[n % 2]) for n in range(DOCUMENTS)])
    return server


def knn(seed: int, *, k: int = 5, ef: int = 40, query: str = "*") -> tuple[str | int | bytes, ...]:
    clause = f"{query}=>[KNN {k} @v $b EF_RUNTIME {ef}]"
    return ("FT.SEARCH", "idx", clause, "PARAMS", 2, "b", vector(seed), "NOCONTENT", "DIALECT", 2)


@contextlib.contextmanager
def running(proxy: Proxy) -> Iterator[Proxy]:
    thread = threading.Thread(target=proxy.run)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with Recorder(tmp_path / "tap.parquet") as opened:
        yield opened


def kept(recorder: Recorder) -> Record:
    recorder.close()
    record = load("tap.parquet", recorder.path.read_bytes())
    assert record is not None
    return record


def opened(port: int, target: Target) -> socket.socket:
    """A connection that has logged in."""
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    if target.password:
        sock.sendall(hiredis.pack_command(("AUTH", target.password)))
        assert sock.recv(100) == b"+OK\r\n"
    return sock


def mixed(count: int) -> list[bytes]:
    """Commands of many kinds whose replies depend on nothing but what went before, as they are sent."""
    draw = random.Random(5)
    # Not FLUSHDB, by which RediSearch drops its indexes too. Their number depends on the run before.
    used = [f"{kind}k{n}" for kind in ("", "n", "h", "l", "z") for n in range(300)]
    commands: list[Sequence[str | int | bytes]] = [("SELECT", 1), ("UNLINK", "large", *used)]
    commands += [("MGET", "large", *used)]
    while len(commands) < count:
        key = f"k{draw.randrange(300)}"
        blob = draw.randbytes(draw.choice((0, 1, 30, 1_000)))
        kind = draw.randrange(16)
        if kind == 0:
            commands += [("CONFIG", "GET", "maxmemory-policy"), ("HMGET", f"h{key}", "f", "none")]
        elif kind == 1:
            commands += [("MULTI",), ("SET", key, "in"), ("NOSUCH", key), ("EXEC",), ("EXEC",)]
        elif kind == 2:
            commands += [("MULTI",), ("INCR", f"n{key}"), ("HGETALL", f"h{key}"), ("EXEC",)]
        elif kind == 3:
            commands += [
                ("SELECT", 0),
                knn(draw.randrange(50), query=draw.choice(("*", "@tag:{a}"))),
                ("SELECT", 1),
            ]
        elif kind == 4:
            commands += [
                ("SELECT", 0),
                ("FT.SEARCH", "gone", "*"),
                ("FT.SEARCH", "idx", "@tag:{b}", "LIMIT", 0, 3),
            ]
            commands += [("SELECT", 1)]
        elif kind == 5:
            commands += [("RPUSH", f"l{key}", blob, "x"), ("LRANGE", f"l{key}", -5, -1)]
        elif kind == 6:
            commands += (
                [("BLPOP", f"l{key}", f"l{key}", 1)] if draw.random() < 0.01 else [("LPOP", f"l{key}")]
            )
        elif kind == 7:
            commands += [("HSET", f"h{key}", "f", blob, b"g\r\n", "2"), ("HGETALL", f"h{key}")]
        elif kind == 8:
            commands += [("ZADD", f"z{key}", "1.5", blob[:20]), ("ZRANGE", f"z{key}", 0, -1, "WITHSCORES")]
        elif kind == 9:
            commands += [("INCR", key), ("ECHO", b"\r\n$5\r\n" + blob)]
        else:
            commands += [("SET", key, blob), ("GET", key), ("GET", "none"), ("STRLEN", key)]
    raw = [hiredis.pack_command(tuple(command)) for command in commands[:count]]
    raw += [hiredis.pack_command(("SET", "large", b"x" * 5_000_000)), hiredis.pack_command(("GET", "large"))]
    return [*raw, b"*1\r\n$7\r\nDISCARD\r\n", b"PING typed\r\n", hiredis.pack_command(("ECHO", "the end"))]


def replies(port: int, target: Target, commands: list[bytes], protocol: int = 2) -> bytes:
    """All that the server answers to commands which are sent in pieces cut anywhere."""
    draw, stream, came = random.Random(7), b"".join(commands), bytearray()
    with opened(port, target) as sock:
        if protocol == 3:  # its reply tells the number of the connection
            sock.sendall(b"HELLO 3\r\nPING\r\n")
            while not came.endswith(b"+PONG\r\n"):
                came += sock.recv(100)
            came.clear()

        def send() -> None:
            place = 0
            while place < len(stream):
                size = draw.choice((1, 7, 300, 5_000, 60_000, 500_000))
                sock.sendall(stream[place : place + size])
                place += size

        sender = threading.Thread(target=send)
        sender.start()
        while not came.endswith(b"$7\r\nthe end\r\n"):
            piece = sock.recv(1 << 16)
            assert piece, "closed before the end"
            came += piece
        sender.join(PATIENCE_S)
    return bytes(came)


def test_100_000_commands_get_the_same_bytes_as_directly(documents: Client, recorder: Recorder) -> None:
    target = documents.target
    commands = mixed(50_000)
    replies(target.port, target, commands)  # so that all runs begin with what one leaves
    direct = [replies(target.port, target, commands, protocol) for protocol in (2, 3)]
    with running(Proxy(target, recorder, port=0)) as proxy:
        through = [replies(proxy.port, target, commands, protocol) for protocol in (2, 3)]
    assert b"*" in direct[0]
    assert direct[1].count(b"%") > direct[0].count(b"%")  # maps
    assert through[0] == direct[0]
    assert through[1] == direct[1]
    passed = proxy.passed
    assert passed.commands == 2 * (len(commands) + bool(target.password)) + 2
    assert passed.searches == 2 * sum(b"KNN" in command for command in commands)
    assert passed.unfollowed == 0
    record = kept(recorder)
    assert record.seen == passed.searches
    calls = [search.call for search in record.searches]
    assert {(call.index, call.field, call.filter, call.k, call.ef_runtime) for call in calls} == {
        ("idx", "v", "*", 5, 40),
        ("idx", "v", "@tag:{a}", 5, 40),
    }
    assert {call.vector for call in calls} == {vector(seed) for seed in range(50)}


@pytest.mark.parametrize("busy", [False, True])
def test_a_search_is_recorded_soon_whether_or_not_others_rest(
    documents: Client, recorder: Recorder, busy: bool
) -> None:
    """What went on is read later: in the first quiet moment, or where none comes beside what passes."""
    target, done = documents.target, threading.Event()

    def ask(sock: socket.socket) -> None:
        while not done.is_set():
            sock.sendall(b"PING\r\n")
            assert sock.recv(100)

    with (
        running(Proxy(target, recorder, port=0)) as proxy,
        opened(proxy.port, target) as other,
        opened(proxy.port, target) as sock,
    ):
        beside = threading.Thread(target=ask, args=(other,))
        if busy:
            beside.start()
        try:
            sock.sendall(hiredis.pack_command(knn(1)))
            assert sock.recv(1 << 16)
            until(lambda: len(recorder) == 1, "the search is recorded")
        finally:
            done.set()
            if busy:
                beside.join(PATIENCE_S)
        assert recorder.seen == 1
        assert proxy.passed.searches == 1


def test_nothing_but_searches_is_kept(documents: Client, recorder: Recorder) -> None:
    target = documents.target
    with running(Proxy(target, recorder, port=0)) as proxy, opened(proxy.port, target) as sock:
        for command in (
            ("SET", "key-of-mine", "value-of-mine"),
            ("FT.SEARCH", "idx", "@tag:{words-of-mine}"),
            ("FT.SEARCH", "idx", "*=>[KNN 2 @v $b]", "PARAMS", 4, "b", vector(1), "other", "parameter-of-mine",
             "RETURN", 1, "field-of-mine", "DIALECT", 2),
        ):  # fmt: skip
            sock.sendall(hiredis.pack_command(command))
            assert sock.recv(1 << 16)
    assert len(kept(recorder).searches) == 1
    raw = recorder.path.read_bytes()
    assert vector(1) in raw
    assert b"of-mine" not in raw
    assert (target.password or "value-of-mine").encode() not in raw


@pytest.mark.parametrize("protocol", [2, 3])
def test_real_clients_work_through_it(documents: Client, recorder: Recorder, protocol: int) -> None:
    target = documents.target
    with running(Proxy(target, recorder, port=0)) as proxy:
        client = redis.Redis(port=proxy.port, password=target.password or None, protocol=protocol)
        try:
            with pytest.raises(redis.ResponseError, match=r"no such index|Unknown index|not found"):
                client.execute_command("FT.SEARCH", "gone", "*")
            client.execute_command(*knn(3, k=7))
            with client.pipeline(transaction=True) as pipe:
                pipe.execute_command(*knn(4, k=6))
                pipe.execute_command(*knn(5, k=4))
                assert len(pipe.execute()) == 2
            waiting = threading.Thread(target=lambda: client.rpush("later", "x"))
            listener = client.pubsub()
            listener.subscribe("news")
            until(lambda: client.publish("news", "hello") == 1, "the subscription")
            said = (listener.get_message(timeout=PATIENCE_S) for _ in range(9))
            assert next(m["data"] for m in said if m and m["type"] == "message") == b"hello"
            waiting.start()
            assert client.blpop("later", PATIENCE_S)[1] == b"x"
            waiting.join(PATIENCE_S)
            listener.close()
        finally:
            client.close()
    record = kept(recorder)
    assert [search.call.k for search in record.searches] == [7, 6, 4]
    assert record.searches[0].took_ms is not None
    assert [search.took_ms for search in record.searches[1:]] == [None, None]


def test_tls_to_the_server(documents: Client, recorder: Recorder, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    target, commands = documents.target, mixed(5_000)
    for _ in range(2):
        direct = replies(target.port, target, commands)
    with tls_front(target.port, authority.issue("here", "127.0.0.1")) as front:
        secure = replace(target, scheme="rediss", port=front, tls=Tls(ca=authority.file))
        with running(Proxy(secure, recorder, port=0)) as proxy:
            assert replies(proxy.port, target, commands) == direct
        with pytest.raises(Unreachable, match="is not signed by this system's authorities"):
            Proxy(replace(secure, tls=Tls()), recorder, port=0)
        with pytest.raises(BadSettings, match="no CA file"):
            Proxy(replace(secure, tls=Tls(ca="/gone.pem")), recorder, port=0)


def test_a_unix_socket(documents: Client, recorder: Recorder, tmp_path: Path) -> None:
    target, commands = documents.target, mixed(500)
    for _ in range(2):
        direct = replies(target.port, target, commands)
    with socket_front(target, tmp_path / "s") as front, running(Proxy(front, recorder, port=0)) as proxy:
        assert replies(proxy.port, target, commands) == direct


def test_a_slow_reader_gets_all_of_a_large_reply_and_delays_nobody(
    documents: Client, recorder: Recorder
) -> None:
    target = documents.target
    size = 40_000_000
    documents.execute("SET", "large", b"y" * size)
    with running(Proxy(target, recorder, port=0)) as proxy, opened(proxy.port, target) as slow:
        slow.sendall(hiredis.pack_command(("GET", "large")))
        with opened(proxy.port, target) as other:
            for _ in range(50):
                other.sendall(b"PING\r\n")
                assert other.recv(100) == b"+PONG\r\n"
        with slow.makefile("rb") as came:
            assert came.readline() == b"$%d\r\n" % size
            assert came.read(size) == b"y" * size
            assert came.readline() == b"\r\n"


def test_what_a_client_sent_before_it_ended_its_side_is_answered(
    documents: Client, recorder: Recorder
) -> None:
    target = documents.target
    with running(Proxy(target, recorder, port=0)) as proxy, opened(proxy.port, target) as sock:
        sock.sendall(b"PING\r\n" * 3 + b"QUIT\r\n")
        sock.shutdown(socket.SHUT_WR)
        with sock.makefile("rb") as came:
            assert came.read() == b"+PONG\r\n" * 3 + b"+OK\r\n"


def test_a_server_that_dies_in_a_reply(recorder: Recorder) -> None:
    """The client gets what came and then the end, as it would directly."""
    half = b"$1000\r\n" + b"x" * 400

    def dying(sock: socket.socket) -> None:
        if sock.recv(100):
            sock.sendall(half)

    with listening(dying) as port:
        target = Target.parse(f"redis://127.0.0.1:{port}")
        with (
            running(Proxy(target, recorder, port=0)) as proxy,
            socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S) as sock,
        ):
            sock.sendall(b"PING\r\n")
            with sock.makefile("rb") as came:
                assert came.read() == half


def test_a_server_that_is_gone_closes_clients_and_is_found_again(recorder: Recorder) -> None:
    said: list[str] = []

    def pong(sock: socket.socket) -> None:
        while sock.recv(100):
            sock.sendall(b"+PONG\r\n")

    def asked(port: int) -> bytes:
        sock = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        with sock, contextlib.suppress(ConnectionError):
            sock.sendall(b"PING\r\n")
            return sock.recv(100)
        return b""

    with listening(pong) as port:
        proxy = Proxy(Target.parse(f"redis://127.0.0.1:{port}"), recorder, port=0, say=said.append)
        opening = running(proxy)
        opening.__enter__()
        assert asked(proxy.port) == b"+PONG\r\n"
    try:
        assert asked(proxy.port) == b""
        assert asked(proxy.port) == b""
        assert len(said) == 1  # once, not for each client
        assert said[0].startswith(f"redis://127.0.0.1:{port} does not answer: Connection refused.")
        assert "Clients are closed until it answers." in said[0]
        assert proxy.passed.refused == 2
    finally:
        opening.__exit__(None, None, None)


def test_where_it_cannot_listen(documents: Client, recorder: Recorder) -> None:
    target = documents.target
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(BadInput, match=f"127.0.0.1:{taken}: Address already in use"):
            Proxy(target, recorder, port=taken)
    everywhere = "0.0.0.0"  # noqa: S104
    for host in (everywhere, "::", "example.com", "192.0.2.1"):
        with pytest.raises(BadInput, match="Other machines could reach"):
            Proxy(target, recorder, host=host, port=0)
    with running(Proxy(target, recorder, host=everywhere, port=0, remote=True)) as proxy:
        assert opened(proxy.port, target).close() is None
    with pytest.raises(Unreachable, match="does not answer: Connection refused"):
        Proxy(replace(target, port=taken), recorder, port=0)


def command(*words: str, home: Path, url: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "MEMDB_HOME": str(home), "MEMDB_URL": url}
    return subprocess.Popen(
        [sys.executable, "-m", "memdb", "tap", "--listen", "127.0.0.1:0", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("end", [SIGTERM, SIGINT, SIGKILL])
def test_the_command_and_its_file_when_it_ends(documents: Client, tmp_path: Path, end: Signals) -> None:
    target, out = documents.target, tmp_path / "tap.parquet"

    def seen() -> int:
        record = load("", out.read_bytes())
        assert record is not None  # at every moment it can be read
        return len(record.searches)

    with command("--out", str(out), home=tmp_path, url=target.url) as tap:
        try:
            assert tap.stdout is not None
            port = int(tap.stdout.readline().rsplit(":", 1)[1])
            client = redis.Redis(port=port, password=target.password or None)
            for n in range(30):
                client.execute_command(*knn(n))
            if end == SIGKILL:  # what passed a second ago is in the file; here: as soon as it is written
                until(lambda: seen() == 30, "the record")
            client.execute_command(*knn(99))
            tap.send_signal(end)
            told = tap.communicate(timeout=PATIENCE_S)[1]
            with contextlib.suppress(redis.ConnectionError):
                client.close()
        finally:
            tap.kill()
    assert seen() >= 30
    if end != SIGKILL:
        assert tap.returncode == 0
        assert seen() == 31
        assert "31 of them searches for nearest neighbours; 31 are in" in told


def test_the_command_says_what_is_wrong(
    documents: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEMDB_URL", documents.target.url)
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    (tmp_path / "mine.parquet").write_text("mine")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        for words, part in (
            (("--listen", "6390"), "'6390' is no address to listen on."),
            (("--listen", "0.0.0.0:0"), "Other machines could reach 0.0.0.0"),
            (("--listen", taken), f"Nothing can listen on {taken}: Address already in use"),
            (("--out", str(tmp_path / "mine.parquet")), "is no record of a tap"),
            (
                ("--listen", "127.0.0.1:0", "--url", "redis://127.0.0.1:1"),
                "redis://127.0.0.1:1 does not answer",
            ),
        ):
            assert main(["tap", *words]) == 2
            assert part in capsys.readouterr().err
    assert (tmp_path / "mine.parquet").read_text() == "mine"


def test_recording_a_client(documents: Client, tmp_path: Path) -> None:
    target, path = documents.target, tmp_path / "tap.parquet"
    with redis.Redis(port=target.port, password=target.password or None) as client:
        with recording(client, path) as recorder:
            first = client.execute_command(*knn(1, k=3))
            client.set("a", "b")
            with client.pipeline() as pipe:
                pipe.get("a")
                pipe.execute_command(*knn(2, k=4, query="@tag:{b}"))
                assert pipe.execute()[0] == b"b"
            with pytest.raises(redis.ResponseError):
                client.execute_command(
                    "FT.SEARCH", "gone", "*=>[KNN 1 @v $b]", "PARAMS", 2, "b", b"", "DIALECT", 2
                )
            assert recorder.seen == 3
        assert client.execute_command(*knn(1, k=3)) == first  # no longer recorded
        assert "execute_command" not in vars(client)
    record = load("", path.read_bytes())
    assert record is not None
    assert [(s.call.k, s.call.filter, s.took_ms is None) for s in record.searches] == [
        (3, "*", False),
        (4, "@tag:{b}", True),
    ]
    assert record.searches[0].call.vector == vector(1)


def asked(tmp_path: Path) -> list[tuple[int, bool]]:
    """K of each search in the record, and whether its time is known."""
    record = load("", (tmp_path / "tap.parquet").read_bytes())
    assert record is not None
    return [(search.call.k, search.took_ms is not None) for search in record.searches]


def test_pipelines_of_every_kind_are_recorded_as_they_end(documents: Client, tmp_path: Path) -> None:
    target = documents.target
    refused = ("FT.SEARCH", "gone", *knn(1)[2:])
    with redis.Redis(port=target.port, password=target.password or None) as client:
        with recording(client, tmp_path / "tap.parquet"):
            client.execute_command(b"ft.search", *knn(1, k=1)[1:])
            with client.pipeline() as pipe:
                pipe.watch("a")
                pipe.execute_command(*knn(1, k=2))  # asked at once
                pipe.multi()
                pipe.execute_command(*knn(1, k=3))
                pipe.execute()
            with client.pipeline(transaction=False) as pipe:
                pipe.execute_command(*knn(1, k=4))
                pipe.execute_command(*refused)
                pipe.execute_command(*knn(1, k=5))
                with pytest.raises(redis.ResponseError, match="Command # 2"):
                    pipe.execute()
                pipe.execute_command(*knn(1, k=6))
                pipe.reset()  # never sent
                pipe.execute_command(*knn(1, k=7))
                assert len(pipe.execute()) == 1
            client.transaction(lambda p: p.execute_command(*knn(1, k=8)))
        assert not {"execute_command", "pipeline"} & set(vars(client))
    assert asked(tmp_path) == [
        (1, True),
        (2, True),
        (3, False),
        (4, False),
        (5, False),
        (7, False),
        (8, False),
    ]


def test_recording_clients_of_a_cluster(tmp_path: Path) -> None:
    with local_engine.start(tmp_path / "home", log=False, cluster=True, password="") as running:
        running.wait_ready()
        port = running.target.port
        with connect(running.target) as server:
            server.execute(
                "FT.CREATE", "idx", "SCHEMA", "v",
                "VECTOR", "HNSW", 6, "DIM", DIM, "TYPE", "FLOAT32", "DISTANCE_METRIC", "L2",
            )  # fmt: skip
        with (
            redis.RedisCluster(host="127.0.0.1", port=port) as client,
            recording(client, tmp_path / "tap.parquet"),
        ):
            client.execute_command(*knn(1, k=1))
            pipe = client.pipeline()
            pipe.set("a", "1").execute_command(*knn(1, k=2))
            assert pipe.execute()[0] is True

        async def work() -> None:
            async with redis.asyncio.RedisCluster(host="127.0.0.1", port=port) as client:
                with recording(client, tmp_path / "tap.parquet"):
                    await client.execute_command(*knn(1, k=3))
                    pipe = client.pipeline()
                    pipe.execute_command(*knn(1, k=4))
                    assert len(await pipe.set("a", "2").execute()) == 2

        result_of(work())
    assert asked(tmp_path) == [(1, True), (2, False), (3, True), (4, False)]


def test_recording_an_asyncio_client(documents: Client, tmp_path: Path) -> None:
    target, path = documents.target, tmp_path / "tap.parquet"

    async def work() -> None:
        client = redis.asyncio.Redis(port=target.port, password=target.password or None)
        with recording(client, path):
            await client.execute_command(*knn(1, k=3))
            async with client.pipeline() as pipe:
                pipe.execute_command(*knn(2, k=4))
                await pipe.execute()
                await pipe.watch("a")
                await pipe.execute_command(*knn(2, k=5))
        await client.aclose()

    result_of(work())
    record = load("", path.read_bytes())
    assert record is not None
    assert [(s.call.k, s.took_ms is None) for s in record.searches] == [(3, False), (4, True), (5, False)]
