"""The sampler on real engines: one for all, through a crash, with alerts that are told."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.errors import BadSettings
from memdb.operations import alerts
from memdb.operations.past import Past
from memdb.operations.sampler import ALERTS, Sampler, keep_thresholds
from memdb.operations.thresholds import Thresholds
from memdb.operations.webhook import Webhook
from tests.waiting import until

ALWAYS = 4_000_000_000.0


def histograms(client: Client) -> int:
    """How often a sampler looked at the node: nothing else asks for LATENCY HISTOGRAM."""
    line = client.info("commandstats")["commandstats"]["cmdstat_latency|histogram"]
    return int(line.partition("calls=")[2].partition(",")[0])


@pytest.fixture
def received() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """An address that takes what is posted to it, and what it took."""
    bodies: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook?token=s3cret", bodies
    server.shutdown()
    server.server_close()


def texts(past: Past) -> list[str]:
    return [e.text for e in past.events(0, ALWAYS)]


def test_two_samplers_of_one_target_ask_once_and_the_second_takes_over(
    server_target: Target, tmp_path: Path
) -> None:
    first = Sampler(server_target, tmp_path, every_s=0.2)
    past = Past(first.path)
    until(lambda: past.nodes() != (), "the first sample")
    second = Sampler(server_target, tmp_path, every_s=0.2)
    until(lambda: second.status.state == "waiting", "the second one waits")
    with connect(server_target) as client:
        before, began = histograms(client), (past.span() or (0.0, 0.0))[1]
        until(lambda: (past.span() or (0.0, 0.0))[1] - began > 1.5, "some rounds")
        asked, rounds = (
            histograms(client) - before,
            len(past.series(past.nodes()[0].address, began, ALWAYS, ["cpu"]).times),
        )
    assert 0 < asked <= rounds + 1  # with two samplers it would be twice as often
    first.stop()
    assert first.status.state == "stopped"
    until(lambda: second.status.state == "sampling", "the second one takes over")
    before = past.span()
    until(lambda: past.span() != before, "it writes")
    second.stop()


def test_a_killed_engine_is_told_and_so_is_its_return(tmp_path: Path) -> None:
    with local_engine.start(tmp_path / "engine", password="p") as running:
        running.wait_ready()
        sampler = Sampler(running.target, tmp_path, every_s=0.2, split_s=0.5)
        past = Past(sampler.path)
        until(lambda: past.nodes() != (), "the first sample")
        address = past.nodes()[0].address
        until(lambda: past.last_split(address, ALWAYS) is not None, "the first split")
        first = past.last_split(address, ALWAYS)
        assert first is not None
        assert first[1].used
        until(lambda: (past.last_split(address, ALWAYS) or first)[0] > first[0], "the next one")
        with connect(running.target) as client:
            pid = int(client.info("server")["server"]["process_id"])
        os.kill(pid, signal.SIGKILL)
        until(lambda: bool(past.nodes()[0].problem), "its silence is told")
        standing = alerts.from_facts(past.kept(ALERTS))
        assert [a.name for a in standing.values() if a.stands and a.level == "critical"] == ["answers"]
    with local_engine.start(tmp_path / "engine", port=running.target.port, password="p") as again:
        again.wait_ready()
        assert again.target.port == running.target.port
        until(lambda: not past.nodes()[0].problem, "it is sampled again")
        until(lambda: "restarted" in texts(past), "the restart is told")
        assert any(t.startswith("stopped answering") for t in texts(past))
        series = past.series(past.nodes()[0].address, 0, ALWAYS, ["commands"])
        assert not (series.mean["commands"] < 0).any()  # never a negative rate
        sampler.stop()


def test_an_alert_is_raised_by_a_threshold_that_was_edited_and_the_webhook_is_told(
    server_target: Target, tmp_path: Path, received: tuple[str, list[dict[str, object]]]
) -> None:
    url, bodies = received
    sampler = Sampler(server_target, tmp_path, every_s=0.2, webhook=Webhook(url))
    past = Past(sampler.path)
    until(lambda: past.nodes() != (), "the first sample")
    assert not alerts.from_facts(past.kept(ALERTS))
    keep_thresholds(past.path, Thresholds(connections=0.0))
    until(lambda: len(bodies) == 1, "the receiver is told")
    sampler.stop()
    assert bodies[0]["state"] == "raised"
    assert "connections on 127.0.0.1" in str(bodies[0]["text"])
    assert any(t.startswith("raised: ") for t in texts(past))
    assert b"s3cret" not in past.path.read_bytes()


def test_a_webhook_that_is_not_there_becomes_an_event_without_its_secret(
    server_target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memdb.operations.webhook._WAIT_S", 0.01)
    sampler = Sampler(server_target, tmp_path, every_s=0.2, webhook=Webhook("http://127.0.0.1:1/s3cret"))
    past = Past(sampler.path)
    until(lambda: past.nodes() != (), "the first sample")
    keep_thresholds(past.path, Thresholds(connections=0.0))
    until(lambda: any("could not be notified" in t for t in texts(past)), "the failure is an event")
    sampler.stop()
    assert not any("s3cret" in t for t in texts(past))


@pytest.mark.parametrize(
    "url", ["ftp://h/x", "no address", "http://", "http://[s3cret/x", "http://h:s3cret/x"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadSettings, match="MEMDB_WEBHOOK") as caught:
        Webhook(url)
    assert "s3cret" not in caught.value.full()


def test_a_home_that_cannot_be_written_is_told(server_target: Target, tmp_path: Path) -> None:
    (tmp_path / "history").write_text("in the way")
    sampler = Sampler(server_target, tmp_path, every_s=0.2)
    until(lambda: "history" in sampler.status.problem, "the problem is told")
    sampler.stop(wait_s=0.0)
