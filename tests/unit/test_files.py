"""Damage, links, pipes and full disks under MEMDB_HOME: named, set aside, and the work goes on."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import sqlite3
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from memdb import array_files, files
from memdb.cluster.engine import runtime
from memdb.cluster.target import Target
from memdb.embedding.kept import KeptVectors
from memdb.errors import BadInput, DamagedFile, MemDBError, NotFound, NotKept
from memdb.operations import history
from memdb.operations.past import Past
from memdb.relevance import labels
from memdb.relevance import store as evaluations
from memdb.sessions import format_file
from memdb.settings import Settings
from memdb.sizing import prices, profiles
from memdb.sizing.catalogue import Price
from memdb.tap import store as taps
from memdb.tap.record import Recorder
from memdb.tuning import packing, store
from memdb.watch import series
from memdb.watch.series import Watch
from tests.unit.test_relevance import at_rank, evaluation
from tests.unit.tune_run import run as some_run

PRICE = Price(
    "memorydb/db.r7g.large/valkey", 0.2, "hour", "eu-central-1", "USD", "price list", "AWS", "2026-01-01"
)

DAMAGE: dict[str, Callable[[Path], object]] = {
    "nothing": lambda p: p.write_bytes(b""),
    "cut": lambda p: p.write_bytes(p.read_bytes()[:-7]),
    "zeros": lambda p: p.write_bytes(bytes(len(p.read_bytes()))),
    "noise": lambda p: p.write_bytes(os.urandom(500)),
    "lists in lists": lambda p: p.write_text("[" * 200_000),
    "objects in objects": lambda p: p.write_text('{"a":' * 100_000),
    "a number of 5,000 digits": lambda p: p.write_text("9" * 5_000),
    "another kind": lambda p: p.write_text('"text"'),
    "null": lambda p: p.write_text("null"),
    "a list of null": lambda p: p.write_text("[null]"),
    "an empty object": lambda p: p.write_text("{}"),
    "no UTF-8": lambda p: p.write_bytes(b'{"id": "\xff\xfe"}'),
    "huge": lambda p: os.truncate(p, files.MOST_BYTES + (4 << 30) + 1),
    "a pipe": lambda p: (p.unlink(), os.mkfifo(p)),
    "a link": lambda p: (p.rename(p.with_name("elsewhere")), p.symlink_to(p.with_name("elsewhere"))),
    "a dangling link": lambda p: (p.unlink(), p.symlink_to(p.with_name("nowhere"))),
    "a folder": lambda p: (p.unlink(), p.mkdir()),
}


@pytest.fixture(autouse=True)
def untold() -> None:
    files.NOTICES.clear()


def made_prices(home: Path) -> Path:
    return prices.save((PRICE,), home)


def made_profile(home: Path) -> Path:
    return profiles.save(replace(profiles.BUILT_IN["redisearch"], name="mine"), home)


def made_run(home: Path) -> Path:
    return store.save(some_run(), home)


def made_runtime(home: Path) -> Path:
    path = runtime.runtime_folder(home) / "1.json"
    runtime.write_runtime(path, pid=1, port=1, password="p", directory=home / "engine", cluster=False)
    return path


def made_history(home: Path) -> Path:
    path = history.path_of(home, Target())
    writer = history.Writer(path)
    writer.keep("x", [1])
    writer.close()
    return path


def made_watches(home: Path) -> Path:
    series.keep(home, Target(), [Watch("idx", "v", 10, 64, "*", 0.95, 0.95, 60.0)])
    return series.path_of(home, Target())


def made_evaluation(home: Path) -> Path:
    return evaluations.save(evaluation(at_rank([1, 2]), id="20260101-000000-abcdef"), home)


def made_labels(home: Path) -> Path:
    labels.judge(home, "restore", "d:1", 2)
    return labels.path(home)


def made_record(home: Path) -> Path:
    path = home / "taps" / "20260101-000000-here.parquet"
    with Recorder(path) as recorder:
        query = np.arange(4, dtype="<f4").tobytes()
        words = (b"FT.SEARCH", b"idx", b"*=>[KNN 3 @v $q]", b"PARAMS", b"2", b"q", query)
        recorder.offer(recorder.wanted() or 0.0, list(words), 1, 1.0)
    return path


def made_kept(home: Path) -> Path:
    kept = KeptVectors.under(home)
    kept.put({b"x" * 20: np.ones(4, np.float32)})
    return kept.path


READ: dict[str, tuple[Callable[[Path], Path], Callable[[Path], object]]] = {
    "prices": (made_prices, prices.usable),
    "profile": (made_profile, lambda home: profiles.load("mine", home)),
    "run": (made_run, lambda home: (store.listed(home), store.load(home, some_run().id))),
    "arrays of a run": (
        lambda home: made_run(home).with_suffix(".npz"),
        lambda home: store.load(home, some_run().id),
    ),
    "runtime file": (made_runtime, runtime.running_engines),
    "watches": (made_watches, lambda home: series.listed(home, Target())),
    "evaluation": (made_evaluation, evaluations.listed),
    "questions of an evaluation": (
        lambda home: made_evaluation(home).with_suffix(".run"),
        lambda home: evaluations.load(home, "20260101-000000-abcdef"),
    ),
    "labels": (made_labels, labels.load),
    "record of a tap": (made_record, taps.listed),
    "history": (made_history, lambda home: Past(history.path_of(home, Target())).kept("x")),
    "history, written": (made_history, lambda home: history.Writer(history.path_of(home, Target())).close()),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", READ)
def test_what_is_damaged_is_named_and_the_next_time_it_is_not_there(
    tmp_path: Path, kind: str, damage: str
) -> None:
    make, read = READ[kind]
    path = make(tmp_path)
    before = sorted(each.name for each in path.parent.iterdir())
    DAMAGE[damage](path)
    began = time.monotonic()
    said = ""
    try:
        read(tmp_path)
    except MemDBError as exc:
        said = exc.full()
    said += " ".join(notice.words for notice in files.NOTICES)
    # SQLite takes an empty file for a new one, and does not look at what lies behind its pages.
    unseen = kind.startswith("history") and damage in ("nothing", "cut", "huge")
    if not unseen:
        # An evaluation's two files go together, by the name of either.
        assert path.name in said or (path.suffix == ".run" and f"{path.stem}.json" in said)
        assert "set aside" in said
    # Now it is gone, and all goes on as if it had never been.
    for _ in range(2):
        files.NOTICES.clear()
        with suppress(NotFound, BadInput):
            read(tmp_path)
        assert not files.NOTICES
    assert time.monotonic() - began < 30
    assert before != []
    assert not list(path.parent.glob("*.part"))
    assert make(tmp_path) == path  # and it can be made again


def _mutated(value: object, with_: object) -> list[object]:
    """Copies of parsed JSON, each with one of its parts replaced."""
    if isinstance(value, dict):
        parts: list[object] = [{**value, name: with_} for name in value]
        parts += [{n: v for n, v in value.items() if n != name} for name in value]
        return parts + [{**value, n: inner} for n, v in value.items() for inner in _mutated(v, with_)]
    if isinstance(value, list) and value:
        return [[with_, *value[1:]]] + [[inner, *value[1:]] for inner in _mutated(value[0], with_)]
    return []


@pytest.mark.parametrize(
    "with_", [None, "text", -1, 1e308, True, [], {}, [[]], {"a": {"b": []}}, 10**400], ids=repr
)
@pytest.mark.parametrize(
    "kind",
    [
        "prices",
        "profile",
        "run",
        "runtime file",
        "watches",
        "evaluation",
        "questions of an evaluation",
        "labels",
    ],
)
def test_every_part_of_another_type_is_read_or_named(tmp_path: Path, kind: str, with_: object) -> None:
    make, read = READ[kind]
    path = make(tmp_path)
    whole = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    for each in _mutated(json.loads(whole[path]), with_):
        for file, content in whole.items():  # reading sets aside what is damaged
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        path.write_text(json.dumps(each))
        try:
            result = read(tmp_path)
        except MemDBError:
            continue
        repr(result)  # what was taken can be looked at
        if kind == "run":
            listed, loaded = result  # type: ignore[misc]
            for run in (loaded,):
                assert run.queries.words
                assert run.request.goal.words(run.request.k)
                repr([point.qps for point in run.points])
            assert all(f"{entry.k:,} {entry.queries:,}" for entry in listed)


def test_a_run_of_another_version_is_left_alone(tmp_path: Path) -> None:
    path = made_run(tmp_path)
    path.write_text(json.dumps({"format": 3, "anything": 1}))
    with pytest.raises(BadInput, match="another version"):
        store.load(tmp_path, some_run().id)
    assert store.listed(tmp_path) == ()
    assert path.is_file()
    assert not files.NOTICES


def test_rows_of_a_history_that_hold_other_things(tmp_path: Path) -> None:
    for table, change in (
        ("now", "UPDATE now SET facts = '[[['"),
        ("now", "UPDATE now SET facts = '{}'"),
        ("now", "UPDATE now SET facts = '" + "[" * 50_000 + "'"),
        ("samples", "UPDATE samples SET cpu = 'text'"),
        ("events", "UPDATE events SET kind = 'text'"),
        ("kept", "UPDATE kept SET facts = 'x'"),
    ):
        path = made_history(tmp_path)
        with sqlite3.connect(path) as db:
            db.execute("INSERT OR REPLACE INTO nodes VALUES (1, 'a:1')")
            db.execute("INSERT OR REPLACE INTO now VALUES (1, 1.0, '{}')")
            db.execute("INSERT OR REPLACE INTO samples (node, at) VALUES (1, 1.0)")
            db.execute("INSERT INTO events VALUES (1.0, 'a:1', 'alert', 'x', 'y')")
            db.execute(change)
        db.close()
        past = Past(path)
        ask: dict[str, Callable[[], object]] = {
            "now": past.nodes,
            "samples": partial(past.series, "a:1", 0.0, 9.0, ["cpu"]),
            "events": partial(past.events, 0.0, 9.0),
            "kept": partial(past.kept, "x"),
        }
        with pytest.raises(history.Damaged, match="set aside"):
            ask[table]()
        assert ask[table]() in (None, ()) or table == "samples"
        path.with_name(f"{path.name}.damaged").unlink()


def test_a_link_beside_a_history_is_not_followed(tmp_path: Path) -> None:
    path = history.path_of(tmp_path, Target())
    path.parent.mkdir()
    target = tmp_path / "precious"
    target.write_text("mine")
    path.with_name(f"{path.name}-wal").symlink_to(target)
    with pytest.raises(history.Damaged, match="link"):
        history.Writer(path)
    history.Writer(path).close()
    assert target.read_text() == "mine"


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "runs").symlink_to(elsewhere)
    with pytest.raises(NotKept, match="its folder is a link"):
        made_run(tmp_path)
    (elsewhere / "a.json").write_text("{}")
    assert store.listed(tmp_path) == ()
    assert any("link" in notice.words for notice in files.NOTICES)
    assert [each.name for each in elsewhere.iterdir()] == ["a.json"]


def test_settings_of_a_user_may_be_links_but_neither_pipes_nor_huge(tmp_path: Path) -> None:
    settings = Settings.from_env({"MEMDB_HOME": str(tmp_path)})
    path = format_file.file_path(settings)
    (tmp_path / "mine").write_text("")
    path.symlink_to(tmp_path / "mine")
    assert format_file.own_formats(settings) == ()
    path.unlink()
    for make in (
        lambda: os.mkfifo(path),
        lambda: path.write_text("a = " + "[" * 100_000),
        lambda: path.write_bytes(b"#" * (files.MOST_TEXT_BYTES + 1)),
        path.mkdir,
    ):
        make()
        with pytest.raises(MemDBError, match="cannot be read"):
            format_file.own_formats(settings)
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()


def test_parts_of_dead_writers_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    dead, alive, old = (
        folder / "a.json.4194305.1.part",
        folder / f"b.json.{os.getpid()}.1.part",
        folder / f"c.json.{os.getpid()}.2.part",
    )
    for part in (dead, alive, old):
        part.write_text("half")
    os.utime(old, (0, 0))
    files.tidy_home(tmp_path)
    assert [each.name for each in folder.iterdir()] == [alive.name]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_called_one(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert str(files.not_kept(tmp_path / "x", full)).endswith("the disk is full.")
    (tmp_path / "x.part").symlink_to("/dev/full")

    def fill(stream: io.BufferedIOBase) -> None:
        raise full

    with pytest.raises(NotKept, match="the disk is full") as caught:
        files.write(tmp_path / "x", fill)  # type: ignore[arg-type]
    assert "MEMDB_HOME" in caught.value.hint
    assert [each.name for each in tmp_path.iterdir()] == ["x.part"]


def _npz(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def _npy(head: str, content: bytes = b"") -> bytes:
    raw = head.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + content


@pytest.mark.parametrize(
    "content",
    [
        _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000,), }"),
        _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (100000, 100000), }", bytes(64)),
        _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"),
        _npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", bytes(8)),
        _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"),
        _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", bytes(400)),
        _npy("{'descr': 'nothing', 'fortran_order': False, 'shape': (1,), }", bytes(4)),
        _npy("__import__('os').abort()"),
        b"\x93NUMPY\x09\x00" + bytes(50),
        b"\x93NUMPY\x01\x00\xff\xff" + b"[" * 65_535,
    ],
)
def test_an_array_is_judged_by_its_head(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DamagedFile, match=r"a\.npy"):
        array_files.array(tmp_path / "a.npy")
    (tmp_path / "a.npz").write_bytes(_npz(x=content))
    with (
        pytest.raises(DamagedFile, match=r"a\.npz"),
        array_files.arrays(tmp_path / "a.npz") as arrays,
    ):
        arrays["x"]  # type: ignore[index]


def test_an_archive_that_unpacks_to_more_than_the_bound_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(_npz(x=bytes(3_000_000)))
    with (
        pytest.raises(DamagedFile, match="3,000,000"),
        array_files.arrays(tmp_path / "a.npz", most=1_000_000),
    ):
        pass


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    rows = np.random.default_rng(3).normal(size=(7, 5))
    every = {
        "a": rows,
        "f": np.asfortranarray(rows),
        "i": np.arange(3, dtype=np.int16),
        "s": np.array(4),
        "e": rows[:0],
    }
    files.write(tmp_path / "a.npz", lambda stream: np.savez_compressed(stream, **every))
    with array_files.arrays(tmp_path / "a.npz") as arrays:
        assert arrays is not None
        assert set(arrays) == set(every)
        for name, value in every.items():
            np.testing.assert_array_equal(arrays[name], value)
            assert arrays[name].dtype == value.dtype
    files.write(tmp_path / "a.npy", lambda stream: np.save(stream, rows))
    np.testing.assert_array_equal(array_files.array(tmp_path / "a.npy"), rows)
    with array_files.arrays(tmp_path / "none.npz") as none:
        assert none is None


def test_prices_come_back_as_they_were(tmp_path: Path) -> None:
    made_prices(tmp_path)
    assert [asdict(price) for price in prices.load(tmp_path)] == [asdict(PRICE)]


@pytest.mark.parametrize("damage", DAMAGE)
def test_embedded_texts_that_are_damaged_are_embedded_again(tmp_path: Path, damage: str) -> None:
    path = made_kept(tmp_path)
    DAMAGE[damage](path)
    kept, row = KeptVectors.under(tmp_path), {b"y" * 20: np.full(4, 2, np.float32)}
    assert kept.get([b"y" * 20]) == {}
    kept.put(row)
    np.testing.assert_array_equal(kept.get([b"y" * 20])[b"y" * 20], row[b"y" * 20])
    assert path.is_file()
    assert not path.is_symlink()


def test_every_folder_of_the_home_is_one_that_is_checked() -> None:
    """A folder that is a link is refused, and a killed writer's parts are removed, where the name is known."""
    package = Path(files.__file__).parent
    used = {
        name
        for path in package.rglob("*.py")
        for name in re.findall(r"\bhome(?:\(\))? / \"([a-z_]+)\"", path.read_text("utf-8"))
    }
    assert used
    assert used <= set(files.FOLDERS)
    assert set(files.CACHES) <= set(files.FOLDERS)


ARRAYS: dict[str, np.ndarray] = {
    "texts": np.array(["a", "b"]),
    "a number": np.array(7),
    "another length": np.arange(3, dtype=np.int64),
    "below any place": np.array([-5, -5], np.int64),
    "beyond any place": np.array([2**62, 2**62], np.int64),
    "fractions": np.array([0.5, 1.5]),
    "no numbers": np.array([np.nan, np.nan]),
    "a cube": np.zeros((2, 2, 2), np.float32),
    "nothing": np.empty((0, 0), np.float32),
    "truths": np.array([True, False]),
    "complex": np.array([1j, 2j]),
}


@pytest.mark.parametrize("wrong", ARRAYS)
def test_texts_of_other_arrays_are_damaged(wrong: str) -> None:
    arrays = packing.packed("keys", ["one", "three"])
    assert packing.unpacked("keys", arrays) == ["one", "three"]
    with pytest.raises(ValueError, match=r"shape|values|lengths"):
        packing.unpacked("keys", {**arrays, "keys_lengths": ARRAYS[wrong]})
