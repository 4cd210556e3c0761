"""The local engine serves JSON documents on wish, and the demo shows an index over some of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from memdb.cluster import engine
from memdb.cluster.client import Client, connect
from memdb.cluster.engine.binaries import packaged_json
from memdb.cluster.target import Target
from memdb.demo import corpus, loader, services
from memdb.embedding import local
from memdb.vectors import exact, index, read, search
from memdb.vectors.query import KnnRequest, vector_param
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.skipif(packaged_json() is None, reason="the engine has no JSON module here")
DOCS = 900


def _modules(client: Client) -> set[str]:
    return {name.lower() for name, _ in client.server.modules}


def test_the_command_line_starts_it_and_the_folder_remembers(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "memdb", "engine", "start", "--dir", str(tmp_path / "data"), "--json"]
    env = {k: v for k, v in os.environ.items() if not k.startswith("MEMDB_")} | {"MEMDB_HOME": str(tmp_path)}
    for more in (["--json-documents"], []):  # without it the log of the first could not be read
        with subprocess.Popen([*words, *more], stdout=subprocess.PIPE, env=env, text=True) as running:
            assert running.stdout is not None
            told = json.loads("".join(iter(running.stdout.readline, "}\n")) + "}")
            with connect(Target.parse(told["url"], writable=True)) as client:
                if more:
                    client.execute("JSON.SET", "d:1", "$", '{"v": [1, 2]}')
                assert client.execute("JSON.GET", "d:1", "$.v[1]") == b"[2]"
            running.send_signal(signal.SIGTERM)
            assert running.wait(PATIENCE_S) == 0


def test_json_is_not_served_unless_asked_for(tmp_path: Path) -> None:
    with engine.start(tmp_path / "one", log=False) as plain, connect(plain.target) as client:
        plain.wait_ready()
        assert not plain.loads_json
        assert not any("json" in name for name in _modules(client))
        assert not services.served(client)


@pytest.mark.usefixtures("corpus_folder")
def test_the_demo_has_one_index_over_json_documents(tmp_path: Path) -> None:
    with engine.start(tmp_path / "data", log=False, json=True) as running, connect(running.target) as client:
        running.wait_ready()
        assert running.loads_json
        first = loader.load(client, home=tmp_path, docs=DOCS, users=2, sessions=2)
        found = corpus.documents(client, count=DOCS, home=tmp_path)
        names = {document.service for document in found}
        assert (first.services_written, first.services_there) == (len(names), 0)
        info = index.index_info(client, "idx:services")
        assert info.on == "JSON"
        assert info.documents == len(names)
        second = loader.load(client, home=tmp_path, docs=DOCS, users=2, sessions=2)
        assert (second.services_written, second.services_there) == (0, len(names))
        assert second.embedded == 0

        # The nearest of a service's first operations counts, computed here from the texts.
        rows: dict[str, list[int]] = {}
        for row, document in enumerate(found):
            rows.setdefault(document.service, []).append(row)
        whole = local.embed([document.text for document in found]).astype(np.float64)
        whole /= np.linalg.norm(whole, axis=1, keepdims=True)
        (query,) = local.embed(["stop a running instance"])
        near = {
            f"service:{name}": float((1 - whole[own[: services.OPERATIONS]] @ query).min())
            for name, own in rows.items()
        }
        right = sorted(near, key=near.__getitem__)[:10]
        result = search.knn(client, KnnRequest(info.name, vector_param(query), k=10, ef_runtime=500), info)
        truth = exact.nearest(read.blocks(client, info), query[None], 10, "COSINE")
        assert list(truth.keys[0]) == right
        np.testing.assert_allclose(truth.distances[0], [near[key] for key in right], atol=1e-5)
        assert list(result.keys) == right
        assert truth.several
