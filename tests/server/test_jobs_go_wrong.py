"""Long work on an engine that is killed or stopped, homes that two share or that are full, clocks that go back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdb import files
from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine
from memdb.cluster.target import Target
from memdb.errors import NotKept, Unreachable
from memdb.maps import run as maps_run
from memdb.maps.request import MapRequest
from memdb.operations import history
from memdb.operations.past import Past
from memdb.operations.rates import Rates
from memdb.operations.samples import Sample
from memdb.sizing import prices
from memdb.tuning import store, vectors
from memdb.tuning.ask import run_saved
from memdb.tuning.run import Run, SweepRequest
from memdb.tuning.source import Documents
from memdb.vectors.index import index_info
from tests.unit.tune_run import run as some_run

DIM, DOCUMENTS = 8, 2_000
ENDS = {"killed": signal.SIGKILL, "stopped": signal.SIGSTOP}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with local_engine.start(tmp_path / "engine", log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            kind = ("TYPE", "FLOAT32", "DIM", DIM, "DISTANCE_METRIC", "L2")
            client.execute(
                "FT.CREATE",
                "docs",
                "ON",
                "HASH",
                "PREFIX",
                1,
                "d:",
                "SCHEMA",
                "v",
                "VECTOR",
                "HNSW",
                6,
                *kind,
            )
            rows = np.random.default_rng(2).normal(size=(DOCUMENTS, DIM)).astype(np.float32)
            client.pipeline([("HSET", f"d:{i}", "v", row.tobytes()) for i, row in enumerate(rows)])
        vectors.forget()
        yield running


def impatient(engine: Engine) -> Client:
    return connect(replace(engine.target, timeout_s=1.0))


@pytest.mark.parametrize("end", ENDS)
def test_a_sweep_keeps_what_was_measured_and_says_why_it_ended(
    engine: Engine, tmp_path: Path, end: str
) -> None:
    home = tmp_path / "home"
    request = SweepRequest(
        "docs", "v", 5, ef_min=10, ef_max=400, concurrency=(), source=Documents(60, 1, extend=False)
    )
    ended = threading.Event()

    def after_two(run: Run) -> None:
        if len(run.points) >= 2 and not ended.is_set():
            ended.set()
            os.kill(engine.pid, ENDS[end])

    try:
        with impatient(engine) as client:
            run = run_saved(client, index_info(client, "docs"), request, home, keep=after_two)
    finally:
        os.kill(engine.pid, signal.SIGCONT) if end == "stopped" else None
    assert ended.is_set()
    assert run.partial
    assert len(run.points) >= 2
    assert any("answer" in note.lower() for note in run.notes), run.notes
    (listed,) = store.listed(home)
    assert listed.partial
    loaded = store.load(home, run.id)
    assert [point.recall for point in loaded.points] == [point.recall for point in run.points]
    assert not list(home.rglob("*.part"))


@pytest.mark.parametrize("end", ENDS)
def test_a_map_of_a_server_that_goes_away_leaves_nothing_half_written(
    engine: Engine, tmp_path: Path, end: str
) -> None:
    home = tmp_path / "home"
    began = threading.Event()

    def report(stage: str, done: int, total: int) -> None:
        if done and not began.is_set():
            began.set()
            os.kill(engine.pid, ENDS[end])

    try:
        with impatient(engine) as client:
            info = index_info(client, "docs")
            with suppress(Unreachable):  # no other error: what had been read may be enough for a map
                maps_run.make(client, info, MapRequest("docs", "v"), home=home, report=report)
    finally:
        os.kill(engine.pid, signal.SIGCONT) if end == "stopped" else None
    assert began.is_set()
    assert not list(home.rglob("*.part"))


def test_a_client_goes_on_after_a_server_that_was_stopped(engine: Engine) -> None:
    with impatient(engine) as client:
        assert client.execute("GET", "none") is None
        os.kill(engine.pid, signal.SIGSTOP)
        for _ in range(3):
            with pytest.raises(Unreachable, match="within 1 s"):
                client.execute("SET", "k", "late")
        os.kill(engine.pid, signal.SIGCONT)
        # Answers that came too late belong to no later command.
        assert client.execute("GET", "none") is None
        assert client.pipeline([("PING",), ("GET", "none"), ("EXISTS", "none")]) == [b"PONG", None, 0]


WRITER = """
import json, sys
from dataclasses import replace
from pathlib import Path
from memdb.sizing import prices
from memdb.tuning import store
from tests.unit.test_files import PRICE
from tests.unit.tune_run import run
home, name = Path(sys.argv[1]), sys.argv[2]
for i in range(15):
    store.save(replace(run(), id=f"2026010{i % 10}-{i:06d}-{name}"), home)
    prices.save((replace(PRICE, region=name),), home)
    store.listed(home); prices.load(home)
from memdb import files
print(json.dumps([notice.words for notice in files.NOTICES]))
"""


def test_two_programs_on_one_home_do_not_damage_each_others_files(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), name],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for name in ("aaaaaa", "bbbbbb")
    ]
    told = [writer.communicate(timeout=120)[0] for writer in writers]
    assert [json.loads(said) for said in told] == [[], []]
    assert len(store.listed(tmp_path)) == 30
    assert prices.load(tmp_path)
    assert not list(tmp_path.rglob("*.part"))
    assert not list(tmp_path.rglob("*.damaged"))


def test_a_clock_that_goes_back_an_hour_loses_no_sample(tmp_path: Path) -> None:
    path = history.path_of(tmp_path, Target())
    writer = history.Writer(path)
    first = 1_800_000_000.0
    times = [first + i for i in range(30)] + [first - 3_600 + i for i in range(30)]
    for at in times:
        writer.add(at, [(Sample("a:1", "primary", at), Rates(1.0))])
    writer.close()
    past = Past(path)
    assert past.span() == (first - 3_600, first + 29)
    shown = past.series("a:1", first - 7_200, first + 7_200, ["took_ms"]).times
    assert sorted(set(times)) == sorted(set(shown) & set(times))
    assert past.nodes()[0].at == times[-1]


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A disk of 600 KB with nothing left, where this machine lets us mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        home = place / "home"
        home.mkdir()
        fill = os.open(place / "fill", os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(fill, bytes(4_096))
        except OSError:
            os.close(fill)
        yield home
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_called_one_by_everything_that_writes(full: Path) -> None:
    from tests.unit import test_files as kinds

    for make in (
        lambda: store.save(some_run(), full),
        lambda: kinds.made_prices(full),
        lambda: kinds.made_profile(full),
    ):
        with pytest.raises(NotKept, match="the disk is full") as caught:
            make()
        assert "MEMDB_HOME" in caught.value.hint
    with pytest.raises(history.Damaged, match="the disk is full"):
        kinds.made_history(full)
    for _ in range(2):  # the second time too: nothing of the first is left running
        with pytest.raises(NotKept, match="full"):
            local_engine.start(full)
    assert not list(full.rglob("*.part"))
    assert not list(full.rglob("*.damaged"))
    (full.parent / "fill").unlink()
    kinds.made_prices(full)
    assert len(prices.load(full)) == 1
    assert not files.NOTICES
