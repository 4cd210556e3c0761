"""The command line on a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from memdb.cli import main
from memdb.cli.output import ProgressBar
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import running_engines
from memdb.cluster.target import Target
from memdb.tuning import store
from tests import embedders
from tests.waiting import PATIENCE_S, gone, until

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def memdb(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, server_target: Target) -> Run:
    """Runs a command on the engine; returns status, output and errors."""
    monkeypatch.setenv("MEMDB_URL", server_target.address)
    monkeypatch.setenv("MEMDB_PASSWORD", server_target.password)

    def run(*words: str) -> tuple[int, str, str]:
        status = main(words)
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def index(client: Client, prefix: str) -> str:
    """Four documents on a line, one of them with odd contents."""
    client.execute(
        "FT.CREATE",
        f"{prefix}idx",
        "ON",
        "HASH",
        "PREFIX",
        1,
        f"{prefix}doc:",
        "SCHEMA",
        "title",
        "TEXT",
        "service",
        "TAG",
        "v",
        "VECTOR",
        "HNSW",
        6,
        "TYPE",
        "FLOAT32",
        "DIM",
        2,
        "DISTANCE_METRIC",
        "L2",
    )
    for i in range(4):
        title = "plain" if i else b"\x1b[31mred\xff"
        vector = np.array([i, 0], np.float32).tobytes()
        client.execute(
            "HSET", f"{prefix}doc:{i}", "title", title, "service", "s3" if i < 3 else "ec2", "v", vector
        )
    return f"{prefix}idx"


def test_search_contract(memdb: Run, index: str, prefix: str, tmp_path: Path) -> None:
    (tmp_path / "v.json").write_text("[1.9, 0]")
    status, out, err = memdb(
        "search",
        "--index",
        index,
        "--vector",
        str(tmp_path / "v.json"),
        "--k",
        "2",
        "--ef",
        "64",
        "--filter",
        "@service:{s3}",
        "--json",
    )
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert set(found) == {"hits", "took_ms", "command"}
    assert [hit["key"] for hit in found["hits"]] == [f"{prefix}doc:2", f"{prefix}doc:1"]
    assert found["hits"][0]["distance"] == pytest.approx(0.01, abs=1e-4)
    assert found["hits"][0]["fields"] == {"title": "plain", "service": "s3"}
    assert found["took_ms"] > 0
    assert found["command"].startswith("redis-cli")
    assert "EF_RUNTIME 64" in found["command"]


def test_search_by_key_as_a_table_with_the_exact_answer(memdb: Run, index: str, prefix: str) -> None:
    status, out, _ = memdb("search", "--index", index, "--key", f"{prefix}doc:0", "--k", "4", "--exact")
    assert status == 0
    assert "4 hits" in out
    assert "Recall 1.000 against all 4 vectors" in out
    assert "\x1b[31m" not in out


def test_the_ef_runtime_that_is_sent(memdb: Run, client: Client, index: str, prefix: str) -> None:
    client.execute(
        "FT.CREATE",
        f"{prefix}flat",
        "ON",
        "HASH",
        "PREFIX",
        1,
        f"{prefix}doc:",
        "SCHEMA",
        "v",
        "VECTOR",
        "FLAT",
        6,
        "TYPE",
        "FLOAT32",
        "DIM",
        2,
        "DISTANCE_METRIC",
        "L2",
    )
    for name, options, sent in (
        (index, [], "EF_RUNTIME 64"),
        (index, ["--ef", "7"], "EF_RUNTIME 7"),
        (index, ["--ef", "0"], ""),
        (f"{prefix}flat", [], ""),
    ):
        status, out, _ = memdb("search", "--index", name, "--key", f"{prefix}doc:0", *options, "--json")
        assert status == 0
        command = json.loads(out)["command"]
        assert sent in command if sent else "EF_RUNTIME" not in command


def test_search_json_with_the_exact_answer_and_odd_bytes(memdb: Run, index: str, prefix: str) -> None:
    status, out, _ = memdb(
        "search",
        "--index",
        index,
        "--key",
        f"{prefix}doc:0",
        "--k",
        "1",
        "--exact",
        "--return",
        "title",
        "--json",
    )
    found = json.loads(out)
    assert status == 0
    assert found["exact"]["recall"] == 1
    assert found["exact"]["hits"] == [{"key": f"{prefix}doc:0", "distance": 0.0, "found": True}]
    assert list(found["hits"][0]["fields"]) == ["title"]
    out.encode()  # whatever was stored, the output is UTF-8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--key", "nothing"], "no document"),
        (["--vector", "/nowhere/v.npy"], "cannot be read"),
        (["--key", "{p}doc:0", "--filter", "@service:{{s3"], "filter"),
        (["--key", "{p}doc:0", "--k", "999999"], "K is 999,999"),
        (["--key", "{p}doc:0", "--field", "title"], "no field 'title'"),
        (["--key", "{p}doc:0", "--return", "nope"], "no field 'nope'"),
        (["--text", " "], "empty"),
        (["--text", "words"], "which model made the vectors of 2 numbers"),
    ],
)
def test_search_errors_are_one_line(memdb: Run, index: str, prefix: str, words: list[str], said: str) -> None:
    status, out, err = memdb("search", "--index", index, *(w.format(p=prefix) for w in words))
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_unknown_index_as_json(memdb: Run) -> None:
    status, out, _ = memdb("search", "--index", "gone", "--key", "k", "--json")
    assert status == 2
    assert "no index 'gone'" in json.loads(out)["error"]


def test_the_formats_of_sessions(memdb: Run, client: Client, prefix: str) -> None:
    client.execute("RPUSH", f"{prefix}1", json.dumps({"role": "user", "content": "Hi"}))
    status, out, _ = memdb("sessions", "formats", "--json")
    found = json.loads(out)
    assert status == 0
    assert [f["keys"] for f in found["formats"] if f["prefix"] == prefix] == [1]
    status, out, _ = memdb("sessions", "formats")
    assert status == 0
    assert prefix in out


def test_sessions_page_by_page_and_one(memdb: Run, client: Client) -> None:
    keys = [f"session:cli-{i}" for i in range(5)]
    history = json.dumps([{"role": "user", "content": "how do buckets work"}])
    try:
        for i, key in enumerate(keys):
            client.execute(
                "HSET", key, "user_id", f"cli{i % 2}", "history", history, "context", "c", "created_at", ""
            )
        found: list[str] = []
        cursor: list[str] = []
        while True:
            status, out, _ = memdb(
                "sessions", "--user", "cli0", "--words", "BUCKETS work", "--limit", "2", "--json", *cursor
            )
            assert status == 0
            page = json.loads(out)
            found += [s["key"] for s in page["sessions"]]
            if page["complete"]:
                break
            cursor = ["--cursor", page["next_cursor"]]
        assert sorted(found) == [keys[0], keys[2], keys[4]]
        status, out, _ = memdb("sessions", "--user", "cli1")
        assert "cli-1" in out
        assert "how do buckets work" in out
        status, out, _ = memdb("sessions", "show", "cli-3", "--json")
        said = {"role": "user", "content": "how do buckets work"}
        parts = [{"kind": "text", "text": "how do buckets work"}]
        assert json.loads(out)["history"] == [{**said, "parts": parts}]
        assert memdb("sessions", "show", keys[3])[0] == 0
        status, out, _ = memdb("sessions", "show", "cli-3", "--csv")
        assert out.splitlines()[1].split(",")[:3] == ["1", "", "user"]
        status, out, _ = memdb("sessions", "usage", "--user", "cli0", "--json")
        usage = json.loads(out)
        assert (usage["sessions"], usage["tools"], len(usage["by_session"])) == (3, [], 3)
        assert usage["of_last_turns"]["turns"] == 20
        assert usage["tokens_about"] == sum(row["tokens_about"] for row in usage["by_session"]) > 0
        status, out, _ = memdb("sessions", "near", "object storage", "--user", "cli1", "--json")
        near = json.loads(out)
        assert near["how"] == "Of 2 sessions, embedded here by the local model."
        assert sorted((row["session"], row["turn"]) for row in near["turns"]) == [
            ("cli-1", 1),
            ("cli-3", 1),
        ]
        assert memdb("sessions", "near", "x", "--vectors", "stored", "--prefix", "none:")[0] == 2
        client.execute("HSET", keys[3], "user_id", "ann@example.com")
        assert "ann@example.com" not in memdb("sessions", "show", "cli-3", "--hide")[1]
        assert memdb("sessions", "near")[0] == 2
    finally:
        client.execute("DEL", *keys)
    status, out, err = memdb("sessions", "show", "cli-3")
    assert (status, out) == (2, "")
    assert "no session 'session:cli-3'" in err


def test_sessions_of_another_format(
    memdb: Run, client: Client, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(4):
        client.execute("RPUSH", f"{prefix}{i}", json.dumps({"role": "user", "content": f"Question {i}"}))
    client.execute("EXPIRE", f"{prefix}2", 100)
    layout = ("--format", "list", "--prefix", prefix)

    def ids(*options: str) -> list[str]:
        status, out, _ = memdb("sessions", *layout, "--json", *options)
        assert status == 0
        return sorted(s["id"] for s in json.loads(out)["sessions"])

    assert ids() == ["0", "1", "2", "3"]
    assert ids("--words", "question 3") == ["3"]
    assert ids("--ttl-to", "200") == ["2"]
    assert ids("--never-expires", "--id-part", "1") == ["1"]
    status, out, _ = memdb("sessions", "show", "1", *layout)
    assert (status, "user: Question 1" in out) == (0, True)
    status, out, _ = memdb("sessions", "export", *layout, "--words", "question")
    said = [json.loads(row)["history"][0]["content"] for row in out.splitlines()]
    assert sorted(said) == [f"Question {i}" for i in range(4)]
    status, out, _ = memdb("sessions", "expire", *layout, "--in", "500", "--id-part", "3")
    assert (status, "--confirm 'expire 1'" in out) == (0, True)
    assert client.execute("TTL", f"{prefix}3") == -1  # a dry run
    confirmed = ("sessions", "expire", *layout, "--in", "500", "--id-part", "3", "--confirm")
    assert memdb(*confirmed, "expire 2")[0] == 1
    assert memdb(*confirmed, "expire 1")[0] != 0  # a target that is not said to be writable
    assert client.execute("TTL", f"{prefix}3") == -1
    monkeypatch.setenv("MEMDB_WRITABLE", "1")
    status, out, _ = memdb(*confirmed, "expire 1", "--json")
    assert (status, json.loads(out)["changed"]) == (0, 1)
    assert 490 < client.execute("TTL", f"{prefix}3") <= 500
    client.execute("PERSIST", f"{prefix}3")
    monkeypatch.delenv("MEMDB_WRITABLE")
    for options, said in (
        (("--context", "c"), "cannot be filtered by context"),
        (("--format", "nonsense"), "no session format 'nonsense'"),
        (("--since", "soon"), "is no time"),
    ):
        status, _, err = memdb("sessions", *layout, *options)
        assert (status, said in err) == (2, True), err


def test_load_is_refused_where_writes_are_not_allowed(memdb: Run) -> None:
    status, _, err = memdb("load", "--docs", "10", "--sessions", "1")
    assert status == 2
    assert "MEMDB_WRITABLE=1" in err


def test_engine_in_the_foreground(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prints its URL, is found by other commands, survives a kill -9, ends on SIGTERM."""
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    data = tmp_path / "data"
    with subprocess.Popen(
        [sys.executable, "-m", "memdb", "engine", "start", "--dir", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        (entry,) = running_engines(tmp_path)
        assert url == entry.target.url  # into a pipe with the password, so that it can be used
        assert main(["engine", "status", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["engines"][0]["url"] == f"redis://127.0.0.1:{entry.port}"
        assert main(["sessions", "--url", url, "--json"]) == 0
        capsys.readouterr()

        os.kill(entry.pid, signal.SIGKILL)
        until(lambda: any(e.pid != entry.pid for e in running_engines(tmp_path)), "it starts again")
        (again,) = running_engines(tmp_path)
        assert again.target == entry.target
        with connect(again.target) as client:
            until(lambda: client.execute("PING") == b"PONG", "it answers")

        child.send_signal(signal.SIGTERM)
        assert child.wait(PATIENCE_S) == 0
        assert gone(again.pid)
    assert running_engines(tmp_path) == []


def test_engine_stop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-m", "memdb", "engine", "start", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        until(lambda: bool(running_engines(tmp_path)), "it runs")
        (entry,) = running_engines(tmp_path)
        assert main(["engine", "stop", "--port", "1"]) == 2
        assert main(["engine", "stop"]) == 0
        out, _ = child.communicate(timeout=PATIENCE_S)
        assert child.returncode == 0
        assert json.loads(out)["url"] == entry.target.url
    assert "Stopped" in capsys.readouterr().out
    assert main(["engine", "stop"]) == 2


@pytest.mark.parametrize("zero", [0, 12])
def test_recall_of_nothing_is_none(
    memdb: Run, client: Client, prefix: str, zero: int, tmp_path: Path
) -> None:
    client.execute(
        "FT.CREATE", f"{prefix}no", "PREFIX", 1, f"{prefix}n:", "SCHEMA",
        "v", "VECTOR", "FLAT", 6, "TYPE", "FLOAT32", "DIM", 2, "DISTANCE_METRIC", "COSINE",
    )  # fmt: skip  # a clause and its arguments side by side
    for i in range(zero):
        client.execute("HSET", f"{prefix}n:{i}", "v", bytes(8))
    (tmp_path / "v.json").write_text("[1, 0]")
    asked = ("search", "--index", f"{prefix}no", "--vector", str(tmp_path / "v.json"), "--exact")
    status, out, _ = memdb(*asked, "--json")
    assert status == 0
    assert json.loads(out)["exact"] | {"notes": []} == {
        "hits": [], "recall": None, "looked_at": 0, "notes": [],
    }  # fmt: skip  # one answer
    assert "there is no recall" in memdb(*asked)[1]


def test_ctrl_c_keeps_what_a_recall_run_has_measured(
    memdb: Run, client: Client, prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    client.execute(
        "FT.CREATE",
        f"{prefix}idx",
        "ON",
        "HASH",
        "PREFIX",
        1,
        f"{prefix}d:",
        "SCHEMA",
        "v",
        "VECTOR",
        "HNSW",
        6,
        "TYPE",
        "FLOAT32",
        "DIM",
        8,
        "DISTANCE_METRIC",
        "COSINE",
    )
    for i, vector in enumerate(rng.normal(size=(300, 8)).astype(np.float32)):
        client.execute("HSET", f"{prefix}d:{i}", "v", vector.tobytes())
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    shown = ProgressBar.report
    pressed: list[int] = []

    def report(bar: ProgressBar, stage: str, done: int, total: int) -> None:
        shown(bar, stage, done, total)
        if stage == "Measuring" and done > 60 and not pressed:  # one setting is measured, the next has begun
            pressed.append(done)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(ProgressBar, "report", report)
    before = signal.getsignal(signal.SIGINT)
    status, out, err = memdb("recall", "--index", f"{prefix}idx", "--queries", "50", "--clients", "0")
    assert (status, out) == (130, "")
    assert pressed
    (kept,) = store.listed(tmp_path)
    assert f"kept as run {kept.id}" in err
    run = store.load(tmp_path, kept.id)
    assert run.partial
    assert run.points
    assert all(point.recalls.shape == (50,) for point in run.points)
    assert signal.getsignal(signal.SIGINT) is before


def test_texts_are_asked_by_the_model_of_the_index(
    memdb: Run, client: Client, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`search --text`, and `recall` with texts, one a line of a file."""
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    info = embedders.indexed(client, prefix, 24)
    status, out, told = memdb("search", "--index", info.name, "--text", "a table")
    assert (status, out) == (2, "")
    assert "Nothing says which model made the vectors of 24 numbers" in told
    with embedders.endpoint() as endpoint:
        monkeypatch.setenv("MEMDB_EMBEDDER_URL", endpoint.url)
        monkeypatch.setenv("MEMDB_EMBEDDER_KEY", "s3cret")
        words = ("--index", info.name, "--embedder", "openai:any-24")
        status, out, told = memdb("search", *words, "--text", "rotate password", "--json")
        reply = json.loads(out)
        assert (status, reply["hits"][0]["fields"]["title"]) == (0, "rotate a password")
        assert (reply["embedding"]["texts"], reply["embedding"]["tokens"]) == (1, 2)
        assert told.startswith("Texts are sent to 127.0.0.1")
        questions = tmp_path / "questions.csv"
        questions.write_text("text\nrotate password\ncount the visitors\n")
        status, out, told = memdb("recall", *words, "--queries", str(questions), "--k", "2", "--json")
        run = store.load(tmp_path, json.loads(out)["run"])
        assert run.queries.words.startswith("2 rows of questions.csv, embedded by openai:any-24")
        own = np.array([embedders.vector_of(text, 24) for text in ("rotate password", "count the visitors")])
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        np.testing.assert_allclose(run.queries.vectors, own, atol=1e-6)
        endpoint.statuses = [401]
        status, out, told = memdb("search", *words, "--text", "another")
        assert status == 2
        assert "refused the key (HTTP 401)" in told
        assert "s3cret" not in out + told
