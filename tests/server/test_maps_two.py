"""Two on one map on a real engine: two indexes, a moment before and now, on every engine and by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from memdb.cli import main
from memdb.cluster.client import Client
from memdb.cluster.target import Target
from memdb.errors import BadInput
from memdb.maps import run, two
from memdb.maps.request import MapRequest
from memdb.vectors.index import HnswField, IndexInfo, IndexSpec, TextField, create, index_info
from tests.waiting import until

pytestmark = pytest.mark.any_engine

DIM = 16


def filled(client: Client, prefix: str, name: str, vectors: np.ndarray, metric: str = "COSINE") -> IndexInfo:
    field = HnswField("v", vectors.shape[1], metric)
    create(client, IndexSpec(f"{prefix}{name}", (TextField("title"), field), (f"{prefix}{name}:",)))
    client.pipeline(
        [
            ("HSET", f"{prefix}{name}:{i}", "title", f"document {i}", "v", row.astype("<f4").tobytes())
            for i, row in enumerate(vectors)
        ]
    )
    return indexed(client, f"{prefix}{name}", len(vectors))


def indexed(client: Client, name: str, documents: int) -> IndexInfo:
    def ready() -> bool:
        info = index_info(client, name)
        return info.build.ready and info.documents == documents

    until(ready, "the index is built")
    return index_info(client, name)


def groups(count: int, seed: int, centres: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    middle = np.random.default_rng(7).normal(size=(5, DIM)) * 4
    return middle[np.array(centres)[np.arange(count) % len(centres)]] + rng.normal(size=(count, DIM))


@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
def test_two_indexes_on_one_map(client: Client, prefix: str, metric: str) -> None:
    first = filled(client, prefix, "a", groups(240, 1), metric)
    like = filled(client, prefix, "b", groups(150, 2), metric)
    unlike = filled(client, prefix, "c", groups(200, 3, (0, 1, 3)), metric)
    before = two.read(client, first, MapRequest(first.name, "v", by="all"), first.name)
    told = []
    for other in (like, unlike):
        request = MapRequest(other.name, "v", by="all")
        made = two.lay(client, other, request, before, two.read(client, other, request, other.name))
        assert len(made.keys) == len(made.xy) == 240 + other.documents
        assert (int(made.before.sum()), int(made.after.sum())) == (240, other.documents)
        assert not (made.before & made.after).any()
        assert made.difference is not None
        told.append(made)
    assert told[0].difference is not None
    assert not told[0].difference.beyond_chance
    assert "No difference beyond chance was measured" in told[0].words
    assert {region.verdict for region in told[0].regions} <= {"as before"}
    assert told[1].difference is not None
    assert told[1].difference.beyond_chance
    assert "more than chance" in told[1].words
    verdicts = [region.verdict for region in told[1].regions]
    assert "new" in verdicts
    assert "emptied" in verdicts


def test_an_index_before_and_now(client: Client, prefix: str, tmp_path: Path) -> None:
    vectors = groups(240, 1)
    info = filled(client, prefix, "a", vectors)
    request = MapRequest(info.name, "v", by="all")
    with pytest.raises(BadInput, match="0 are kept"):
        two.earlier(client, tmp_path, request)
    run.make(client, info, request, home=tmp_path)
    for i in range(60):  # gone, moved and added
        client.execute("DEL", f"{prefix}a:{3 * i}")
    moved = groups(20, 5)
    added = groups(60, 6, (4,))
    for i, row in enumerate(moved):
        client.execute("HSET", f"{prefix}a:{3 * i + 1}", "v", row.astype("<f4").tobytes())
    for i, row in enumerate(added):
        client.execute("HSET", f"{prefix}a:new{i}", "v", row.astype("<f4").tobytes())
    info = indexed(client, info.name, 240)
    before = two.earlier(client, tmp_path, request)
    assert before.name.startswith(f"{info.name} as of ")
    made = two.lay(client, info, request, before, two.read(client, info, request, "now"))
    assert (int(made.before.sum()), int(made.after.sum()), made.moved) == (240, 240, 20)
    assert int((made.before & made.after).sum()) == 240 - 60 - 20
    assert made.difference is not None
    assert made.difference.beyond_chance
    assert "new" in {region.verdict for region in made.regions}
    with pytest.raises(BadInput, match="number 2"):
        two.earlier(client, tmp_path, request, 2)


def test_other_dimensions_or_metrics_are_refused(client: Client, prefix: str) -> None:
    sides = [
        two.read(client, info, MapRequest(info.name, "v", by="all"), info.name)
        for info in (
            filled(client, prefix, "a", groups(40, 1)),
            filled(client, prefix, "b", groups(40, 1)[:, :8]),
            filled(client, prefix, "c", groups(40, 1), "L2"),
        )
    ]
    info = index_info(client, f"{prefix}a")
    for other in sides[1:]:
        with pytest.raises(BadInput, match="one layout cannot place both"):
            two.lay(client, info, MapRequest(info.name, "v"), sides[0], other)


@pytest.mark.parametrize("kind", ["equal", "few"])
def test_little_to_compare(client: Client, prefix: str, kind: str) -> None:
    count = 40 if kind == "equal" else 6
    rows = np.ones((count, DIM)) if kind == "equal" else groups(count, 1)
    infos = [filled(client, prefix, name, rows) for name in "ab"]
    requests = [MapRequest(info.name, "v", by="all") for info in infos]
    sides = [two.read(client, i, r, i.name) for i, r in zip(infos, requests, strict=True)]
    made = two.lay(client, infos[1], requests[1], *sides)
    assert np.isfinite(made.xy).all()
    if kind == "few":
        assert made.difference is None
        assert "Too few vectors" in made.words
    else:
        assert made.difference is not None
        assert not made.difference.beyond_chance


def test_by_the_command_line(
    server_target: Target,
    client: Client,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    monkeypatch.setenv("MEMDB_PASSWORD", server_target.password or "")
    filled(client, prefix, "a", groups(200, 1))
    filled(client, prefix, "b", groups(120, 2, (0, 1, 3)))
    user = f"{server_target.username}@" if server_target.username else ""
    url = f"redis://{user}{server_target.host}:{server_target.port}"
    out = tmp_path / "two.csv"
    words = ["map", "--index", f"{prefix}a", "--sample", "all", "--url", url, "--out", str(out)]
    assert main([*words, "--against", f"{prefix}b", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["beyond_chance"] is True
    assert said["points"] == {"before": 200, "after": 120, "same": 0, "other_vector": 0}
    rows = pd.read_csv(out)
    assert rows["side"].value_counts().to_dict() == {"before": 200, "after": 120}
    assert {"key", "x", "y", "region"} <= set(rows)
    assert main([*words, "--against", f"{prefix}b"]) == 0
    assert "The two differ by more than chance" in capsys.readouterr().out
    assert main([*words, "--since", "1"]) == 2
    assert "0 are kept" in capsys.readouterr().err
    assert main(words) == 0
    capsys.readouterr()
    assert main([*words, "--since", "1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["beyond_chance"] is False
    assert said["points"] == {"before": 200, "after": 200, "same": 200, "other_vector": 0}
    assert main([*words, "--since", "1", "--against", f"{prefix}b"]) == 2
    assert "Both" in capsys.readouterr().err
    assert main([*words, "--since", "1", "--dimensions", "3"]) == 2
