"""`memdb serve` and `streamlit run` in real processes: refused beyond this machine, ready, ended in order."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from benchmarks import browsers
from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.demo.app import app_folder, environment
from memdb.ports import free_port, port_is_free
from memdb.vectors import index
from memdb.vectors.schema import HnswField, IndexSpec, TextField
from tests.asynchronous import result_of
from tests.conftest import clean
from tests.waiting import PATIENCE_S, until

SERVE = [sys.executable, "-m", "memdb", "serve"]
STREAMLIT = [sys.executable, "-m", "streamlit", "run", str(app_folder() / "streamlit_app.py")]


@pytest.mark.parametrize(
    "words",
    [[*SERVE, "--address", "0.0.0.0", "--port"], [*STREAMLIT, "--server.address", "::", "--server.port"]],  # noqa: S104
)
def test_it_does_not_start_beyond_this_machine(words: list[str], tmp_path: Path) -> None:
    port = free_port()
    env = {**os.environ, "MEMDB_HOME": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(app_folder())}
    done = subprocess.run(
        [*words, str(port)], capture_output=True, text=True, env=env, cwd=tmp_path, check=False, timeout=300
    )
    assert done.returncode == 1
    assert "without a login" in done.stderr
    assert "MEMDB_SERVE_WITHOUT_LOGIN=1" in done.stderr
    assert "Traceback" not in done.stderr
    assert port_is_free(port)


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code
    except OSError:
        return 0


def test_the_end_comes_with_browsers_connected_and_jobs_running(
    server_target: Target, prefix: str, tmp_path: Path
) -> None:
    """Three tabs are open, one of them has begun a job by opening Present, when SIGTERM comes."""
    with connect(server_target) as client:
        spec = IndexSpec(f"{prefix}idx", (TextField("title"), HnswField("v", 64)), (f"{prefix}d:",))
        index.create(client, spec)
        rows = np.random.default_rng(1).normal(size=(4_000, 64)).astype("<f4")
        client.pipeline([("HSET", f"{prefix}d:{i}", "v", row.tobytes()) for i, row in enumerate(rows)])
    port, log = free_port(), tmp_path / "log"
    env = {**os.environ, **environment(server_target, tmp_path), "MEMDB_LOG": "json", "HOME": str(tmp_path)}
    env["PYTHONPATH"] = str(app_folder())
    words = [*SERVE, "--port", str(port)]
    with (
        log.open("wb") as out,
        subprocess.Popen(words, stdout=out, stderr=out, env=env, cwd=tmp_path) as process,
    ):
        try:
            until(lambda: process.poll() is not None or not port_is_free(port), "it listens")
            result_of(_told_to_end(port, process, f"{prefix}idx"))
        finally:
            process.kill()
    with connect(server_target) as client:
        clean(client, prefix)
    told = log.read_text()
    assert process.returncode in (0, -signal.SIGTERM), told  # the web server ends by the signal it was sent
    assert "Traceback" not in told
    lines = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    (end,) = (line for line in lines if line["message"] == "The app ends.")
    assert (end["jobs"], end["jobs_that_did_not_end"]) == (1, 0)
    assert not list(tmp_path.rglob("*.part"))


async def _told_to_end(port: int, process: subprocess.Popen[bytes], name: str) -> None:
    async with browsers.tabs(port, 3) as opened:
        await opened[0].open("metrics")
        await opened[1].open("search", f"index={quote(name)}")
        await opened[2].open("present", f"index={quote(name)}")
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, PATIENCE_S)


def test_it_is_ready_under_its_prefix_and_ends_in_order(server_target: Target, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    env = {**os.environ, **environment(server_target, tmp_path), "MEMDB_LOG": "json", "HOME": str(tmp_path)}
    env["PYTHONPATH"] = str(app_folder())
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [*SERVE, "--port", str(port), "--path", "/explorer/"],
            stdout=out,
            stderr=out,
            env=env,
            cwd=tmp_path,
        ) as process,
    ):
        try:
            base = f"http://localhost:{port}/explorer/_stcore"
            until(lambda: process.poll() is not None or status(f"{base}/health") == 200, "it answers health")
            assert process.poll() is None, log.read_text()
            assert status(f"{base}/ready") == 200
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    said = [line["message"] for line in lines]
    assert (
        said.index("The app starts.") < said.index("The target can be opened.") < said.index("The app ends.")
    )
    assert server_target.password not in log.read_text()
