"""The tap: a call through it against a direct one, and how many commands pass on one core.

    python benchmarks/tap.py [--docs 20000] [--calls 3000] [--commands 100000]

Calls of one client alternate between both ways, so that both meet the same noise; medians and their ratio
count. The goal is a ratio of 1.25 at most for a KNN call (k 10, EF_RUNTIME 64, three returned fields).
Commands a second are those of the tap's own CPU time, i.e. what one core gives, beside what passed on this
machine; the goal is 20,000.
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from memdb.cluster import engine
from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.demo import loader
from memdb.embedding.local import embed
from memdb.tap.record import load
from memdb.vectors.index import index_info
from memdb.vectors.query import KnnRequest, knn_command, vector_param

QUESTIONS = (
    "restore a table to a point in time",
    "who may read the objects in my bucket",
    "rotate a secret",
    "add members to a sorted set",
    "read a csv file",
)
GOAL, GOAL_RATE = 1.25, 20_000


@contextmanager
def tapped(target: Target, out: Path) -> Iterator[tuple[int, int]]:
    """A tap in a process of its own: its port and process id."""
    command = [sys.executable, "-m", "memdb", "tap", "--listen", "127.0.0.1:0", "--out", str(out)]
    environment = {**os.environ, "MEMDB_URL": target.url, "MEMDB_HOME": str(out.parent)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as tap:
        try:
            assert tap.stdout is not None
            yield int(tap.stdout.readline().rsplit(":", 1)[1]), tap.pid
        finally:
            tap.terminate()
            told = tap.communicate()[1]
    print(told.strip().splitlines()[-1])


def alternately(calls: int, *ways: Callable[[int], object]) -> list[list[float]]:
    """Milliseconds of each call of each way; they take turns in going first."""
    times: list[list[float]] = [[] for _ in ways]
    for n in range(calls):
        for shift in range(len(ways)):
            kind = (n + shift) % len(ways)
            began = time.perf_counter()
            ways[kind](n)
            times[kind].append((time.perf_counter() - began) * 1000)
    return times


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pushed(port: int, password: str, clients: int, depth: int, commands: int) -> float:
    """Seconds for so many GETs from clients that each have `depth` of them on their way."""
    command = b"*2\r\n$3\r\nGET\r\n$5\r\nbench\r\n" * depth
    size = len(b"$5\r\nvalue\r\n") * depth
    selector = selectors.DefaultSelector()
    socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(clients)]
    try:
        for sock in socks:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if password:
                sock.sendall(b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n" % (len(password), password.encode()))
                assert sock.recv(100) == b"+OK\r\n"
            selector.register(sock, selectors.EVENT_READ)
        began, sent, done = time.perf_counter(), 0, 0
        waiting = dict.fromkeys(socks, 0)
        for sock in socks:
            sock.sendall(command)
            sent += depth
        while done < sent:
            for key, _ in selector.select():
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                waiting[sock] += len(sock.recv(1 << 16))
                if waiting[sock] == size:
                    waiting[sock] = 0
                    done += depth
                    if sent < commands:
                        sock.sendall(command)
                        sent += depth
        return time.perf_counter() - began
    finally:
        selector.close()
        for sock in socks:
            sock.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--docs", type=int, default=20_000)
    options.add_argument("--calls", type=int, default=3_000)
    options.add_argument("--commands", type=int, default=100_000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder), log=False) as running:
        running.wait_ready()
        target = running.target
        out = Path(folder) / "tap.parquet"
        with connect(target) as client:
            loader.load(client, home=Path(folder), docs=given.docs, users=1, sessions=0)
            client.execute("SET", "bench", "value")
            info = index_info(client, "idx:embeddings")
            requests = [
                KnnRequest(info.name, vector_param(v), "embedding", 10, 64, "*", ("title", "service", "year"))
                for v in embed(QUESTIONS)
            ]
            commands = [knn_command(r, info, client.server.dialect).args for r in requests]
        with tapped(target, out) as (port, pid):
            direct, through = (
                redis.Redis(port=p, password=target.password, protocol=2) for p in (target.port, port)
            )
            print(
                f"One client, {given.calls:,} calls of each kind, alternating; {info.documents:,} documents"
            )
            for name, calls in (("KNN", commands), ("GET", [("GET", "bench")])):
                ways = [
                    lambda n, c=c, calls=calls: c.execute_command(*calls[n % len(calls)])
                    for c in (direct, through)
                ]
                alternately(100, *ways)
                times = alternately(given.calls, *ways)
                there, here = map(statistics.median, times)
                tail = [statistics.quantiles(t, n=100)[98] for t in times]
                goal = f"; goal {GOAL}" if name == "KNN" else ""
                print(
                    f"  {name}: direct median {there:.3f} ms, p99 {tail[0]:.3f} ms; through the tap "
                    f"{here:.3f} ms, p99 {tail[1]:.3f} ms; ratio {here / there:.3f}{goal}"
                )
            direct.close()
            through.close()
            print(f"{given.commands:,} GETs through the tap (goal {GOAL_RATE:,} a second of one core)")
            for clients, depth in ((1, 1), (16, 1), (16, 16)):
                before = cpu_s(pid)
                took = pushed(port, target.password, clients, depth, given.commands)
                used = cpu_s(pid) - before
                print(
                    f"  {clients:>2} clients, {depth:>2} at once: "
                    f"{given.commands / used:,.0f}/s of one core; {given.commands / took:,.0f}/s passed here"
                )
        record = load(out.name, out.read_bytes())
        assert record is not None
        print(f"{record.seen:,} searches seen, {len(record.searches):,} in {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
