"""Round trips and time of connecting and probing, and of the doctor's walk, on the loopback address.

    python benchmarks/connect.py

A proxy before a real engine counts the connections and the times the direction turns from asking to
answering: that many round trips a distant server would cost. Time is taken without the proxy; the median of
20 runs. Goals: at most 10 round trips and 1 s.
"""

from __future__ import annotations

import json
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from memdb.cluster import engine
from memdb.cluster.client import connect
from memdb.cluster.doctor import diagnose
from memdb.cluster.target import Target

ROUNDS = 20


class Counter:
    """Forwards to the engine and counts: a connection costs one round trip, a turn of direction another."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self.trips = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            sock, _ = self._server.accept()
            self.trips += 1
            behind = socket.create_connection(("127.0.0.1", self._behind))
            asking = threading.Event()
            threading.Thread(target=self._pump, args=(sock, behind, asking, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(behind, sock, asking, False), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, asking: threading.Event, asks: bool) -> None:
        try:
            while data := source.recv(65536):
                if asks:
                    asking.set()
                elif asking.is_set():
                    asking.clear()
                    self.trips += 1
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def probe(target: Target) -> None:
    with connect(target) as client:
        assert client.server.version


def walk(target: Target) -> None:
    assert diagnose(target).ok


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder), log=False) as running:
        running.wait_ready()
        found = {
            "connect and probe": measured(running.target, probe),
            "doctor": measured(running.target, walk),
        }
    print(json.dumps(found, indent=1))
    good = all(one["round_trips"] <= 10 and one["ms"] <= 1000 for one in found.values())
    print("goal met" if good else "GOAL MISSED (10 round trips, 1 s)")
    return 0 if good else 1


def measured(target: Target, work: Callable[[Target], None]) -> dict[str, float]:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work(target)
        times.append((time.perf_counter() - began) * 1e3)
    counter = Counter(target.port)
    work(replace(target, port=counter.port))
    return {
        "round_trips": counter.trips,
        "ms": round(statistics.median(times), 2),
        "worst_ms": round(max(times), 2),
    }


if __name__ == "__main__":
    sys.exit(main())
