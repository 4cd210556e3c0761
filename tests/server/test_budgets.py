"""Budgets hold in every command that reads much, counted by the server; the jobs of pages go the same way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdb.cli import main
from memdb.cluster import engine as local_engine
from memdb.cluster.budget import PRODUCTION
from memdb.cluster.client import Client, connect, open_for_work
from memdb.cluster.find import find_target
from memdb.cluster.target import Budget, Target
from memdb.errors import BudgetSpent
from memdb.settings import Settings
from memdb.tuning import vectors

DOCUMENTS, DIM, BOUND = 3_000, 8, 400
ON = ("--index", "docs")
COMMANDS = {
    "recall": ("recall", *ON, "--queries", "20", "--clients", "0"),
    "map": ("map", *ON),
    "exact": ("search", *ON, "--key", "d:1", "--exact"),
    "sessions": ("sessions", "--user", "nobody", "--limit", "5000"),
    "formats": ("sessions", "formats"),
    "calibrate": ("calibrate", *ON),
    "memory": ("memory", "--exact"),
}
# A call of these looks at one key each; of an aggregation, the rows of a batch.
ONE_KEY = ("hget", "hmget", "hgetall", "hstrlen", "type", "memory|usage", "object|encoding", "pttl", "exists")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with local_engine.start(tmp_path_factory.mktemp("budgets"), log=False) as running:
        running.wait_ready()
        rows = np.random.default_rng(5).normal(size=(DOCUMENTS, DIM)).astype(np.float32)
        with connect(running.target) as admin:
            schema = (
                "SCHEMA",
                "v",
                "VECTOR",
                "HNSW",
                6,
                "TYPE",
                "FLOAT32",
                "DIM",
                DIM,
                "DISTANCE_METRIC",
                "L2",
            )
            admin.execute("FT.CREATE", "docs", "ON", "HASH", "PREFIX", 1, "d:", *schema)
            admin.pipeline([("HSET", f"d:{i}", "v", row.tobytes()) for i, row in enumerate(rows)])
            admin.pipeline(
                [("HSET", f"session:{i}", "user_id", "u", "history", "[]") for i in range(DOCUMENTS)]
            )
            # Several prefixes: keys of an index are then sampled, and counted where that is asked for.
            admin.execute(
                "FT.CREATE", "two", "ON", "HASH", "PREFIX", 2, "d:1", "session:", "SCHEMA", "u", "TAG"
            )
        yield running.target


def calls(client: Client) -> dict[str, int]:
    """Calls of each command since the start, as the server counts them."""
    told = client.info("commandstats").get("commandstats", {})
    return {
        name.removeprefix("cmdstat_").lower(): int(facts.split(",")[0].removeprefix("calls="))
        for name, facts in told.items()
    }


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("way", ["variables", "settings file"])
def test_a_command_keeps_the_bound_of_keys(
    filled: Target,
    name: str,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    if way == "variables":
        monkeypatch.setenv("MEMDB_BUDGET_KEYS", str(BOUND))
        url = filled.url
    else:
        monkeypatch.setenv("C3A_TEST_PASSWORD", filled.password)
        (tmp_path / "targets.toml").write_text(
            f'[targets.here]\nurl = "{filled.address}"\npassword_env = "C3A_TEST_PASSWORD"\n'
            f"budget = {{ keys_scanned = {BOUND} }}\n"
        )
        url = "here"
    words = [*COMMANDS[name], "--json", "--url", url]
    words += ["--out", str(tmp_path / "m.csv")] if name == "map" else []
    vectors.forget()
    with connect(filled) as admin:
        before = calls(admin)
        main(words)
        after = calls(admin)
    out, err = capsys.readouterr()
    assert f"budget of {BOUND} keys is spent" in (out + err).replace(",", ""), (out, err)
    sent = {one: after.get(one, 0) - before.get(one, 0) for one in after}
    assert max((sent.get(one, 0) for one in ONE_KEY), default=0) <= BOUND
    # The first batch of rows passes the bound; no other is read: the cursor is tried, and ended.
    assert sent.get("ft.cursor", 0) <= 2
    assert sent.get("ft.aggregate", 0) <= 2
    monkeypatch.delenv("MEMDB_BUDGET_KEYS", raising=False)
    assert json.loads(out)


def test_which_budget_holds(filled: Target, tmp_path: Path) -> None:
    """The choice for this work, the target's own, production's default; the same function for pages."""

    def bound(target: Target, chosen: Budget | None = None) -> Budget | None:
        with open_for_work(target, chosen) as client:
            return client.meter.budget if client.meter else None

    own = Budget(keys_scanned=7)
    production = replace(filled, kind="production")
    assert bound(filled) is None
    assert bound(replace(filled, budget=own)) == own
    assert bound(production) == PRODUCTION
    assert bound(replace(production, budget=own)) == own
    assert bound(replace(production, budget=own), Budget(queries_per_s=1)) == Budget(queries_per_s=1)
    env = {"MEMDB_HOME": str(tmp_path), "MEMDB_BUDGET_QUERIES": "5", "MEMDB_BUDGET_SLOW": "3"}
    assert bound(find_target(Settings.from_env(env), filled.url)) == Budget(5.0, 0, 3.0)
    assert bound(find_target(Settings.from_env({**env, "MEMDB_URL": filled.url}))) == Budget(5.0, 0, 3.0)


def test_the_nodes_of_a_client_share_its_budget(filled: Target) -> None:
    with open_for_work(replace(filled, budget=Budget(keys_scanned=50))) as client:
        (node,) = client.nodes()
        assert len(client.on(node).pipeline([("HGET", f"d:{i}", "v") for i in range(40)])) == 40
        with pytest.raises(BudgetSpent, match="50 keys"):
            client.execute("SCAN", 0, "COUNT", 20)
        assert client.execute("PING") == b"PONG"  # what reads no keys goes on, e.g. a cursor's end


def test_a_key_counts_once_in_a_batch(filled: Target) -> None:
    with open_for_work(replace(filled, budget=Budget(keys_scanned=100))) as client:
        for number in range(3):
            keys = [f"d:{number}{i}" for i in range(10)]
            client.pipeline([(word, key) for key in keys for word in ("TYPE", "PTTL", "HGETALL")])
        assert client.meter is not None
        assert client.meter.keys == 30
