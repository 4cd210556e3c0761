"""Long jobs while the engine is killed, stopped or fails over, or the program is killed; then once more.

    python -m benchmarks.jobs_under_fire [--jobs sweep map …] [--fires engine-killed …] [--stop 20]

Each job runs in a process of its own, as the app would run it, and is hit while it is under way. Then it is
started again on what is there now. Held at the end of each pair, outside of the job's own code: an end in
words and no traceback, no half-written file, what was done before the hit is there, and the second run makes
it whole. A failover puts a promoted replica behind the same address, as a cluster's endpoint does.
Exit 1 if anything fails.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import redis

from memdb.cluster import engine
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.demo import loader
from memdb.embedding import named
from memdb.errors import MemDBError
from memdb.maps import run as maps
from memdb.maps import store as kept_maps
from memdb.maps.request import MapRequest
from memdb.reembedding import work
from memdb.reembedding.plan import ReembedRequest, plan
from memdb.sessions import bulk
from memdb.sessions.bulk import Action
from memdb.sessions.filters import SessionFilter
from memdb.settings import Settings
from memdb.tuning import ask, candidates, shadow, store
from memdb.tuning.run import Run, SweepRequest
from memdb.tuning.shadow import Variant
from memdb.tuning.source import Documents
from memdb.vectors.index import index_info

DIM, DOCUMENTS, SESSIONS = 16, 4_000, 3_000
FIRES = ("engine-killed", "engine-stopped", "failover", "app-killed")
UNDER_WAY = "under way"
TTL_S = 3_600.0
LOADED = {"docs": 200, "users": 10, "sessions": 400}
PATIENCE_S = 120.0

Report = Callable[[str, int, int], None]
Keep = Callable[[object], None]


# ---- the jobs, in a process of their own -----------------------------------------------------------------


def sweep(client: Client, home: Path, report: Report, keep: Keep) -> str:
    """A sweep of recall; kept in the home."""
    request = SweepRequest(
        "docs", "v", 5, ef_min=10, ef_max=400, concurrency=(), source=Documents(60, 1, extend=False)
    )
    run = ask.run_saved(client, index_info(client, "docs"), request, home, report=report, keep=keep)
    return " ".join(run.notes) if run.partial else ""


def layout(client: Client, home: Path, report: Report, keep: Keep) -> str:
    """A map of all documents."""
    request = MapRequest("docs", "v", count=DOCUMENTS)
    maps.make(client, index_info(client, "docs"), request, home=home, report=report, keep=keep)
    return ""


def build(client: Client, home: Path, report: Report, keep: Keep) -> str:
    """Two shadow indexes."""
    base = index_info(client, "docs")
    candidates.build_all(client, base, "v", (Variant(m=24), Variant(m=48)), home, report=report)
    return ""


def change(client: Client, home: Path, report: Report, keep: Keep) -> str:
    """A time to live for every session."""
    planned = bulk.plan(client, SessionFilter(expires=False), Action("expire", TTL_S))
    done = bulk.apply(client, planned, report=report, keep=keep)
    return "" if done.changed == done.planned else done.words


def load(client: Client, home: Path, report: Report, keep: Keep) -> str:
    """The demo, small."""
    loader.load(client, home=home, report=report, **LOADED)
    return ""


def reembed(client: Client, home: Path, report: Report, keep: Keep) -> str:
    """A second vector for every document, by the local model."""
    embedder = named("local", replace(Settings.from_env(), home=home))
    made = plan(client, index_info(client, "docs"), ReembedRequest("docs", "v2", ("title",)), embedder)
    return work.reembed(client, made, embedder, typed="docs", report=report).ended


JOBS = {"sweep": sweep, "map": layout, "shadow": build, "bulk": change, "load": load, "reembed": reembed}
# Progress of this stage is what is waited for before the hit; of a sweep, two points.
HIT = {
    "map": "",
    "shadow": "Building",
    "bulk": "Changing",
    "load": "",
    "reembed": "Emb",
}


def child(job: str, home: Path, hit: bool) -> int:
    """Run the job; say when it is under way, and how it ended."""
    told = False

    def under_way() -> None:
        nonlocal told
        if hit and not told:
            told = True
            print(UNDER_WAY, flush=True)

    def report(stage: str, done: int, total: int) -> None:
        if job in HIT and (done or job == "shadow") and stage.startswith(HIT[job]):
            under_way()
        time.sleep(0.05 if told else 0)

    def keep(state: object) -> None:
        if isinstance(state, Run) and len(state.points) > 1:
            under_way()

    target = replace(Target.parse(os.environ["MEMDB_URL"]), writable=True)
    try:
        with connect(target) as client:
            ended = JOBS[job](client, home, report, keep)
    except MemDBError as exc:
        ended = exc.full()
    print(json.dumps({"ended": ended}), flush=True)
    return 0


# ---- what is hit -----------------------------------------------------------------------------------------


class Front:
    """One address, behind which another server may come to stand: bytes are passed on as they are."""

    def __init__(self, port: int) -> None:
        self.behind = port
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._socket.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self.behind))
                except OSError:
                    near.close()
                    continue
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(source, sink), daemon=True).start()

    def close(self) -> None:
        """End it with its connections."""
        self._socket.close()
        for each in self._open:
            each.close()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@dataclass
class Scene:
    """An engine that is full, a home, and the address that the job is given."""

    running: engine.Engine
    front: Front
    home: Path
    stop_s: float

    @property
    def target(self) -> Target:
        """By the front."""
        return replace(self.running.target, port=self.front.port, writable=True)

    def fire(self, kind: str, app: subprocess.Popen[str]) -> None:
        """Hit it, and bring it back."""
        if kind == "app-killed":
            app.kill()
        elif kind == "engine-stopped":
            os.kill(self.running.pid, signal.SIGSTOP)
            time.sleep(self.stop_s)
            os.kill(self.running.pid, signal.SIGCONT)
        else:
            os.kill(self.running.pid, signal.SIGKILL)
            while self.running.alive():
                time.sleep(0.01)
            if kind == "failover":
                (replica,) = self.running.replica_targets
                with redis.Redis(port=replica.port, password=replica.password) as there:
                    there.execute_command("REPLICAOF", "NO", "ONE")
                self.front.behind = replica.port
            else:
                self.running.restart()
                self.running.wait_ready()


@contextmanager
def scene(folder: Path, kind: str, stop_s: float) -> Iterator[Scene]:
    """An engine of its own for one pair of runs; durable, or with a replica for a failover."""
    replicas = int(kind == "failover")
    with engine.start(folder / "engine", log=not replicas, replicas=replicas) as running:
        running.wait_ready()
        with connect(running.target) as client:
            fill(client)
            if replicas:
                client.execute("WAIT", 1, 10_000)
        front = Front(running.target.port)
        home = folder / "home"
        home.mkdir()
        try:
            yield Scene(running, front, home, stop_s)
        finally:
            with suppress(ProcessLookupError):
                os.kill(running.pid, signal.SIGCONT)
            front.close()


def fill(client: Client) -> None:
    """Documents with an index, and sessions of the article's form."""
    client.execute(
        *("FT.CREATE", "docs", "ON", "HASH", "PREFIX", 1, "d:", "SCHEMA", "title", "TEXT", "v", "VECTOR"),
        *("HNSW", 6, "TYPE", "FLOAT32", "DIM", DIM, "DISTANCE_METRIC", "COSINE"),
    )
    rows = np.random.default_rng(2).normal(size=(DOCUMENTS, DIM)).astype("<f4")
    client.pipeline(
        [("HSET", f"d:{i}", "title", f"word{i % 97} {i}", "v", row.tobytes()) for i, row in enumerate(rows)]
    )
    turns = json.dumps([{"role": "user", "content": "hello"}])
    client.pipeline(
        [
            (
                "HSET",
                f"session:s{i}",
                "user_id",
                f"u{i % 50}",
                "history",
                turns,
                "created_at",
                f"{1_800_000_000 + i}",
            )
            for i in range(SESSIONS)
        ]
    )


# ---- what is held afterwards -----------------------------------------------------------------------------


def kept(job: str, client: Client, home: Path) -> int:
    """What is there of the job's work, counted without its own code where there is a way."""
    if job == "sweep":
        return sum(len(store.load(home, entry.id).points) for entry in store.listed(home))
    if job == "map":
        return sum(made.total for made in kept_maps.listed(home, client.target))
    if job == "shadow":
        return len(shadow.shadows_of(client, "docs"))
    if job == "bulk":
        ages = client.pipeline([("PTTL", f"session:s{i}") for i in range(SESSIONS)])
        return sum(int(str(age)) > 0 for age in ages)
    if job == "load":
        return int(str(client.execute("DBSIZE"))) - DOCUMENTS - SESSIONS
    have = client.pipeline([("HEXISTS", f"d:{i}", "v2") for i in range(DOCUMENTS)])
    return sum(int(str(each)) for each in have)


def missing(job: str, client: Client, home: Path, whole: int) -> str:
    """What the second run left undone; empty where it is whole."""
    there = kept(job, client, home)
    if job == "sweep":
        newest = store.load(home, store.listed(home)[0].id)
        return "the newest run is partial" if newest.partial else ""
    if job == "shadow":
        short = []
        for made in shadow.shadows_of(client, "docs"):
            until = time.monotonic() + PATIENCE_S
            while (info := index_info(client, made.name)).documents < DOCUMENTS and time.monotonic() < until:
                time.sleep(0.1)
            short += [made.name] if info.documents != DOCUMENTS else []
        return f"{there} of 2 shadow indexes" if there != 2 else " ".join(short)
    if job == "map":
        return "" if there >= DOCUMENTS else f"a map of {there} points"
    return "" if there == whole else f"{there:,} of {whole:,}"


WHOLE = {"bulk": SESSIONS, "reembed": DOCUMENTS}


def run(job: str, scene: Scene, *, hit: str = "") -> tuple[str, str]:
    """Run the job once, hit or not; how it ended in its words, and what is wrong."""
    words = [sys.executable, "-m", "benchmarks.jobs_under_fire", "--child", job, "--home", str(scene.home)]
    env = {**os.environ, "MEMDB_URL": scene.target.url, "MEMDB_HOME": str(scene.home)}
    with subprocess.Popen(
        [*words, *(["--hit"] if hit else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    ) as app:
        assert app.stdout is not None
        last = app.stdout.readline()
        if hit and last.strip() != UNDER_WAY:
            _, err = app.communicate()
            return "", f"never under way: {last.strip()} {err[-300:]}"
        if hit:
            scene.fire(hit, app)
        out, err = app.communicate(timeout=PATIENCE_S)
    if hit == "app-killed":
        return "killed", ""
    if "Traceback" in err or app.returncode:
        return "", f"no words but: {err[-300:]}"
    return str(json.loads((last + out).strip().splitlines()[-1])["ended"]), ""


def pair(job: str, fire: str, stop_s: float) -> tuple[str, str]:
    """Hit once, run again; a line of what happened, and what is wrong."""
    with tempfile.TemporaryDirectory(prefix="memdb-") as folder, scene(Path(folder), fire, stop_s) as there:
        ended, wrong = run(job, there, hit=fire)
        if wrong:
            return "", wrong
        with connect(there.target) as client:
            before = kept(job, client, there.home)
        parts = [] if fire == "app-killed" else list(there.home.rglob("*.part"))
        again, wrong = run(job, there)
        with connect(there.target) as client:
            whole = WHOLE.get(job) or loaded_whole(job)
            left = wrong or again or missing(job, client, there.home, whole)
            after = kept(job, client, there.home)
        damaged = list(there.home.rglob("*.damaged"))
    said = (
        f"{before:,} kept, {after:,} after the second run; ended: {' '.join(ended.split())[:90] or 'whole'}"
    )
    if fire != "failover" and after < before:
        left = left or "less than before"
    if job == "sweep" and not before:
        left = left or "no measured point was kept"
    return said, left or " ".join(str(path.name) for path in (*parts, *damaged))


def loaded_whole(job: str) -> int:
    """Keys of a load that nobody disturbed."""
    if job != "load":
        return 0
    if "load" not in WHOLE:
        with tempfile.TemporaryDirectory(prefix="memdb-") as folder, scene(Path(folder), "", 0) as there:
            _, wrong = run(job, there)
            assert not wrong, wrong
            with connect(there.target) as client:
                WHOLE["load"] = kept(job, client, there.home)
    return WHOLE["load"]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    options.add_argument("--fires", nargs="+", choices=FIRES, default=list(FIRES))
    options.add_argument(
        "--stop", type=float, default=20.0, help="seconds that a stopped engine stays stopped"
    )
    options.add_argument("--child", choices=JOBS, help=argparse.SUPPRESS)
    options.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--hit", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.child:
        return child(given.child, given.home, given.hit)
    failed = 0
    for job in given.jobs:
        for fire in given.fires:
            said, wrong = pair(job, fire, given.stop)
            failed += bool(wrong)
            print(f"{job:<8} {fire:<15} {'WRONG: ' + wrong if wrong else 'good'}   {said}", flush=True)
    print(f"{failed} of {len(given.jobs) * len(given.fires)} pairs wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
