"""How the engine says it ran a filtered KNN, on the real engine; other engines from their recorded words."""

from __future__ import annotations

import numpy as np
import pytest

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.errors import BadVector, UnknownIndex
from memdb.tuning.plan import COUNTERS, QueryPlan, plan, read_counters, read_profile
from memdb.vectors import index, search
from memdb.vectors.index import FlatField, HnswField, IndexInfo, IndexSpec, NumericField
from memdb.vectors.query import KnnRequest, knn_command, vector_param
from tests.unit import recorded
from tests.waiting import until

pytestmark = pytest.mark.any_engine
DIM, COUNT = 8, 600


def _load(client: Client, prefix: str, *, flat: bool = False) -> IndexInfo:
    field = FlatField("v", DIM) if flat else HnswField("v", DIM)
    index.create(client, IndexSpec(prefix + "idx", (NumericField("n"), field), (prefix + "d:",)))
    vectors = np.random.default_rng(5).normal(size=(COUNT, DIM)).astype("<f4")
    client.pipeline([("HSET", f"{prefix}d:{i}", "n", i, "v", v.tobytes()) for i, v in enumerate(vectors)])
    until(lambda: index.index_info(client, prefix + "idx").documents == COUNT, "all are in the index")
    return index.index_info(client, prefix + "idx")


def _request(info: IndexInfo, filter_: str = "*") -> KnnRequest:
    vector = np.random.default_rng(6).normal(size=DIM).astype(np.float32)
    return KnnRequest(info.name, vector_param(vector), k=5, ef_runtime=50, filter=filter_)


@pytest.mark.needs("told_plans")
def test_without_a_filter_the_graph_is_walked(client: Client, prefix: str) -> None:
    found = plan(client, _request(_load(client, prefix)))
    assert (found.mode, found.exact, found.source) == ("STANDARD_KNN", False, "FT.PROFILE")
    assert "EF_RUNTIME decides" in found.words


@pytest.mark.needs("told_plans")
def test_a_filter_on_a_small_index_is_brute_force(client: Client, prefix: str) -> None:
    found = plan(client, _request(_load(client, prefix), "@n:[0 20]"))
    assert (found.mode, found.exact) == ("HYBRID_ADHOC_BF", True)
    assert "EF_RUNTIME changes nothing" in found.words
    # The engine counts what it reads, entries of documents that are gone among them.
    assert 21 <= int(dict(found.details)["read from the filter"]) < 100


@pytest.mark.needs("told_plans")
def test_batches_are_told_from_brute_force(client: Client, prefix: str) -> None:
    info = _load(client, prefix)
    command = knn_command(_request(info, "@n:[0 500]"), info, client.server.dialect)
    query = str(command.args[2]).replace("$vec EF_RUNTIME 50", "$vec HYBRID_POLICY BATCHES")
    reply = client.execute("FT.PROFILE", info.name, "SEARCH", "QUERY", query, *command.args[3:])
    found = read_profile(reply, filtered=True)
    assert (found.mode, found.exact) == ("HYBRID_BATCHES", False)
    assert int(dict(found.details)["batches"]) >= 1


@pytest.mark.needs("told_plans")
def test_a_filter_that_matches_nothing(client: Client, prefix: str) -> None:
    found = plan(client, _request(_load(client, prefix), "@n:[9000 9001]"))
    assert found.exact
    assert "No document" in found.words or "every document" in found.words


@pytest.mark.parametrize("matching", [1, 6, 60, 590])
def test_what_is_said_to_be_exact_is(client: Client, prefix: str, matching: int) -> None:
    """However an engine tells it, or does not: a way that compares all finds the nearest of all."""
    info = _load(client, prefix)
    request = _request(info, f"@n:[0 {matching - 1}]")
    told = plan(client, request, info)
    vectors = np.random.default_rng(5).normal(size=(COUNT, DIM)).astype("<f4").astype(np.float64)
    asked = np.frombuffer(request.vector, "<f4").astype(np.float64)
    far = 1 - vectors @ asked / np.linalg.norm(vectors, axis=1) / np.linalg.norm(asked)
    nearest = [f"{prefix}d:{i}" for i in np.argsort(far[:matching])[:5]]
    keys = search.knn(client, request, info).keys
    assert len(set(keys) & set(nearest)) >= min(5, matching) - 1  # any engine finds them, at this EF_RUNTIME
    assert list(keys) == nearest or not told.exact
    assert told.exact is not False or "EF_RUNTIME decides" in told.words


def test_a_flat_index_is_exact_without_asking(client: Client, prefix: str) -> None:
    info = _load(client, prefix, flat=True)
    found = plan(client, _request(info))
    assert (found.mode, found.exact, found.source) == ("FLAT", True, "the index definition")


def test_wrong_requests_are_refused_as_everywhere(client: Client, prefix: str) -> None:
    with pytest.raises(UnknownIndex):
        plan(client, KnnRequest(prefix + "none", (1.0,)))
    info = _load(client, prefix)
    with pytest.raises(BadVector):
        plan(client, KnnRequest(info.name, (1.0, 2.0)), info)


def test_memorydbs_open_map_is_shown_and_leaves_the_way_untold() -> None:
    # Shape and names as GLIDE's tests hold them (fact sheet §2).
    reply = [[1, b"d:1", []], [[b"all.count", 4], [b"query.time", b"0.15"], [b"result.count", 1]]]
    found = read_profile(reply, filtered=True)
    assert (found.mode, found.exact) == ("", None)
    assert ("query.time", "0.15") in found.details
    assert "not known" in found.words
    assert read_profile(reply, filtered=False).exact is False


def test_a_mode_named_by_a_later_version_is_read() -> None:
    reply = [
        [0],
        [[b"Iterators profile", [b"Type", b"VECTOR", b"Vector search mode", b"HYBRID_BATCHES_TO_ADHOC_BF"]]],
    ]
    found = read_profile(reply, filtered=True)
    assert (found.mode, found.exact) == ("HYBRID_BATCHES_TO_ADHOC_BF", True)
    assert read_profile([0, [b"Vector search mode", b"NEW"]], filtered=True).exact is None


def _counters(file: str) -> dict[str, int]:
    """The counters in the recorded INFO SEARCH of a real valkey-search."""
    texts = [
        entry["reply"]
        for entry in recorded.replies(file)
        if b"prefiltering_requests_count" in bytes(str(entry["reply"]), "utf8")
    ]
    facts = {k: v for section in replies.info(texts[-1]).values() for k, v in section.items()}
    return {name: int(facts[name]) for name in COUNTERS if name in facts}


def test_valkey_searchs_counters() -> None:
    before = _counters("valkey-search-1.2.1-resp2.json")
    assert before == {"search_prefiltering_requests_count": 8, "search_inline_filtering_requests_count": 34}
    pre = read_counters(before, before | {"search_prefiltering_requests_count": 9})
    inline = read_counters(before, before | {"search_inline_filtering_requests_count": 35})
    both = read_counters(before, {name: count + 1 for name, count in before.items()})
    assert (pre.mode, pre.exact) == ("prefiltering", True)
    assert (inline.mode, inline.exact) == ("inline filtering", False)
    assert both.exact is None
    assert "other queries" in both.words
    assert "did not move" in read_counters(before, before).words
    assert "no counters" in read_counters({}, {}).words
    old = read_counters({}, {"search_query_prefiltering_requests_cnt": 1})
    assert isinstance(old, QueryPlan)
    assert old.exact
