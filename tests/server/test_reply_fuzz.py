"""Whatever a server answers, what leaves the library is a result or an error of ours."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from memdb.cluster import doctor, guard
from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.overview import overview
from memdb.cluster.target import Target
from memdb.errors import MemDBError
from memdb.operations import keyspace, memory, samples, slowlog
from memdb.sessions import append, detect, listing, store, survey, users
from memdb.sessions.known import ARTICLE
from memdb.sessions.turns import Text, Turn
from memdb.sizing import live_shape
from memdb.tuning import plan, queries, sweep
from memdb.tuning.run import SweepRequest
from memdb.vectors import counts, index, nodes, read, search, stored, tags, titles
from memdb.vectors.query import KnnRequest, vector_param
from tests.mutations import front

DIM, DOCUMENTS = 4, 40
VECTOR = np.arange(DIM, dtype=np.float32) + 1


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with local_engine.start(tmp_path_factory.mktemp("fuzz"), log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            fields = ("v", "VECTOR", "HNSW", 6, "TYPE", "FLOAT32", "DIM", DIM, "DISTANCE_METRIC", "L2")
            more = ("t", "TAG", "n", "NUMERIC", "title", "TEXT")
            client.execute("FT.CREATE", "docs", "ON", "HASH", "PREFIX", 1, "d:", "SCHEMA", *fields, *more)
            rows = np.random.default_rng(1).normal(size=(DOCUMENTS, DIM)).astype(np.float32)
            for i, row in enumerate(rows):
                client.execute(
                    "HSET", f"d:{i}", "v", row.tobytes(), "t", f"a,b{i % 3}", "n", i, "title", f"word {i}"
                )
            for i in range(5):
                key = append.create(client, f"s{i}", "u")
                append.append(client, key, [Turn("user", (Text(f"hello {i}"),))])
            users.create(client, "u", "short answers")
            client.execute("RPUSH", "message_store:a", '{"type": "human", "data": {"content": "x"}}')
            client.execute("SET", "other", "x")
        with redis.Redis(port=running.target.port, password=running.target.password) as bare:
            bare.xadd("chat:stream", {"message": '{"role": "user", "content": "é"}'})
            bare.zadd("chat:sorted", {'{"role": "user", "content": "x"}': 1_700_000_000})
            bare.hset("chat:hash", mapping={"data": b"\xff\xfe{\x00}\x00", "messages": "[]"})
        yield running.target


def operations(info: index.IndexInfo) -> dict[str, Callable[[Client], Any]]:
    request = KnnRequest("docs", vector_param(VECTOR), "v", 5, 20, "*", ("title", "t", "n"))
    filtered = KnnRequest("docs", vector_param(VECTOR), "v", 5, 20, "@n:[1 30]", ("title",))
    key = "d:1"

    def node(client: Client) -> Any:
        return client.nodes()[0]

    return {
        "server": lambda c: c.server.title,
        "nodes": lambda c: c.nodes(),
        "info": lambda c: c.info(),
        "may": lambda c: c.may("FT.SEARCH"),
        "overview": overview,
        "index names": index.index_names,
        "index info": lambda c: index.index_info(c, "docs"),
        "knn": lambda c: [(h.key, h.distance, h.fields) for h in search.knn(c, request).hits],
        "knn, filtered": lambda c: search.knn(c, filtered, info).keys,
        "a document": lambda c: search.document(c, key),
        "its vector": lambda c: search.document_vector(c, info, "v", key),
        "its facts": lambda c: search.facts(c, key),
        "a random key": lambda c: search.random_key(c, info),
        "count": lambda c: counts.count(c, info, "@n:[1 30]"),
        "tag values": lambda c: counts.tag_values(c, info, "t"),
        "bounds": lambda c: counts.numeric_bounds(c, info, "n"),
        "infinite": lambda c: counts.infinite(c, info, "n"),
        "blocks": lambda c: [block.keys for block in read.blocks(c, info, "v")],
        "blocks, filtered": lambda c: [block.keys for block in read.blocks(c, info, "v", "@n:[1 30]")],
        "vectors of": lambda c: read.vectors_of(c, info, "v", [key, "d:2"]),
        "times to live": lambda c: stored.times_to_live(c, [key, "other"]),
        "tags held": lambda c: tags.held(c, info, info.of_kind("TAG")[0], [key]),
        "titles": lambda c: titles.titles_of(c, info, [key]),
        "node views": lambda c: nodes.node_views(c, "docs"),
        "plan": lambda c: plan.plan(c, filtered, info),
        "samples": samples.sample_all,
        "memory": lambda c: memory.split(c, node(c), samples.sample(c, node(c))),
        "keyspace": lambda c: keyspace.draw(c, (info,), ttls=True),
        "slow log": lambda c: slowlog.slow_commands(c, node(c)),
        "shape": lambda c: live_shape.without_metadata(c, info),
        "sessions": listing.page,
        "a session": lambda c: listing.open_session(c, ARTICLE, "s1"),
        "survey": lambda c: survey.survey(c, ARTICLE),
        "formats": detect.detect,
        "session count": store.count,
        "session read": lambda c: store.read(c, "session:s1"),
        "session ttl": lambda c: store.extend_ttl(c, "session:s1", 10.0),
        "append": lambda c: append.append(c, "session:s1", [Turn("user", (Text("x"),))]),
        "a user": lambda c: users.user_record(c, "u"),
        "sweep": lambda c: sweep.sweep(
            c,
            info,
            SweepRequest("docs", "v", 3, ef_min=10, ef_max=20, concurrency=()),
            queries.random_documents(c, info, "v", 5, 1),
        ),
        "doctor": lambda c: doctor.diagnose(c.target).sentence,
    }


NAMES = tuple(operations(None))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def info(filled: Target) -> index.IndexInfo:
    with connect(filled) as client:
        return index.index_info(client, "docs")


@pytest.mark.usefixtures("briefly")
@pytest.mark.parametrize("name", NAMES)
def test_what_leaves_is_a_result_or_an_error_of_ours(
    filled: Target, info: index.IndexInfo, name: str
) -> None:
    run = operations(info)[name]
    with front(filled, -1, 0) as told, connect(told.target) as client:
        run(client)  # unchanged, all goes well
    places = told.replies
    assert places
    rng = random.Random(name)
    escaped = []
    for place, seed in itertools.product(rng.sample(range(places), min(places, 12)), range(8)):
        # Some replies never end: a call waits for the rest of them as long as it may.
        with front(filled, place, seed, limit_s=0.4) as told, connect(told.target) as client:
            try:
                run(client)
            except MemDBError:
                pass
            except Exception as exc:  # what is looked for  # noqa: BLE001
                escaped.append(f"{place}/{seed}: {type(exc).__name__}: {exc} at {_where(exc)}")
    assert not escaped, "\n".join(escaped)


def _where(exc: BaseException) -> str:
    trace, here = exc.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if "memdb" in code.co_filename and "tests" not in code.co_filename:
            here = f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}"
        trace = trace.tb_next
    return here


def test_the_operations_send_what_the_package_sends(filled: Target, info: index.IndexInfo) -> None:
    commands: set[str] = set()
    for run in operations(info).values():
        with front(filled, -1, 0) as told, connect(told.target) as client:
            run(client)
        commands |= set(told.commands)
    # What is left: session formats that are not there, JSON, and what only people ask for.
    assert len(commands & (set(guard.READS) | set(guard.WRITES))) > 30, sorted(commands)
