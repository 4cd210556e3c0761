"""`memdb exporter` on a real engine, scraped over HTTP, and killed between scrapes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from memdb.cli import main
from memdb.cluster import engine as local_engine
from memdb.cluster.target import Target
from tests.waiting import PATIENCE_S, until

ACCEPT = {"Accept": "application/openmetrics-text; version=1.0.0"}


def scrape(url: str) -> dict[str, float]:
    reply = urllib3.request("GET", url, headers=ACCEPT, timeout=PATIENCE_S)
    assert "openmetrics-text" in reply.headers["Content-Type"]
    text = reply.data.decode()
    return {s.name: s.value for f in text_string_to_metric_families(text) for s in f.samples}


def test_scrapes_go_on_when_the_engine_is_killed_and_it_ends_without_a_traceback(tmp_path: Path) -> None:
    with local_engine.start(tmp_path, log=False) as running:
        running.wait_ready()
        command = [sys.executable, "-m", "memdb", "exporter", "--port", "0", "--url", running.target.url]
        env = {**os.environ, "MEMDB_PASSWORD": running.target.password}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stderr is not None
                url = process.stdout.readline().strip()
                found = scrape(url)
                assert found["memdb_up"] == 1
                assert found["memdb_memory_used_bytes"] > 0
                assert found["memdb_commands_total"] > 0
                os.kill(running.pid, signal.SIGKILL)
                until(lambda: scrape(url) == {"memdb_up": 0.0}, "it is told as down")
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(PATIENCE_S)
            assert process.returncode == 130
            assert "Traceback" not in process.stderr.read()


def test_once_prints_and_ends_and_a_taken_port_is_one_sentence(
    server_target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["exporter", "--once", "--url", server_target.url]) == 0
    out = capsys.readouterr().out
    assert out.endswith("# EOF\n")
    assert "memdb_up" in out
    assert main(["exporter", "--port", str(server_target.port), "--url", server_target.url]) == 2
    assert "Choose another --port" in capsys.readouterr().err
