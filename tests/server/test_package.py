"""The wheel carries the app: in a fresh environment, outside a clone, `memdb demo` works.

It needs a package index, or uv's cache.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest
from uv import find_uv_bin

from memdb.cluster.client import connect
from memdb.cluster.engine import running_engines
from memdb.ports import free_port, port_is_free
from memdb.sessions import store
from tests.waiting import PATIENCE_S, gone, until

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment with `wheel[local]`."""
    folder = tmp_path_factory.mktemp("venv")
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(folder / "bin/python"), f"{wheel}[local]"]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "bin"


def test_wheel_holds_the_app_as_the_checkout_has_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    pages = {f"memdb/_app/{p.relative_to(ROOT)}" for p in (ROOT / "pages").rglob("*.py")}
    assert pages
    assert pages <= set(names)
    assert "memdb/_app/streamlit_app.py" in names
    assert "memdb/_app/.streamlit/config.toml" in names
    assert "memdb/warden.py" in names
    assert [n for n in names if "__pycache__" in n or n.startswith(("tests/", "docs/"))] == []


def test_demo_in_a_fresh_environment_outside_a_clone(fresh: Path, tmp_path: Path) -> None:
    home, port = tmp_path / "home", free_port()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MEMDB_", "PYTHON", "VIRTUAL_ENV"))}
    env |= {"MEMDB_HOME": str(home), "PATH": f"{fresh}{os.pathsep}{os.environ['PATH']}"}
    log = tmp_path / "demo.log"

    def memdb(*words: str) -> dict[str, object]:
        done = subprocess.run(
            [str(fresh / "memdb"), *words, "--json"],
            capture_output=True,
            text=True,
            env=env,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout)
        return found

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as out:
            return subprocess.Popen(
                [
                    str(fresh / "memdb"),
                    "demo",
                    "--port",
                    str(port),
                    "--no-browser",
                    "--docs",
                    "300",
                    "--users",
                    "10",
                    "--sessions",
                    "20",
                ],
                stdout=out,
                stderr=out,
                env=env,
                cwd=tmp_path,
            )

    def serves() -> bool:
        assert demo.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"http://localhost:{port}/", timeout=2) as page:
                return page.status == 200 and b"<title>" in page.read()
        except OSError:
            return False

    def loaded() -> bool:
        with connect(engine.target) as client:
            return store.count(client).value == 20

    for _turn in ("first", "second"):
        demo = start()
        try:
            until(serves, "the app serves its page")
            (engine,) = running_engines(home)
            until(loaded, "the demo is loaded")
            assert len(memdb("sessions", "--limit", "50")["sessions"]) == 20  # type: ignore[arg-type]
            hits = memdb("search", "--index", "idx:embeddings", "--text", "create a bucket", "--k", "5")[
                "hits"
            ]
            assert len(hits) == 5  # type: ignore[arg-type]
        finally:
            demo.send_signal(signal.SIGTERM)
            status = demo.wait(PATIENCE_S)
        assert status == 0, log.read_text()
        assert gone(engine.pid)
        assert port_is_free(port)
        assert running_engines(home) == []
    assert "Traceback" not in log.read_text()
    assert "Traceback" not in (home / "logs/app.log").read_text()
