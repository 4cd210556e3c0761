"""Map in AppTest: drawn by a job, kept, a query over it, every view and colour, wrong input, hostile texts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster.client import connect
from memdb.cluster.target import Budget, Target
from memdb.demo.app import app_folder, environment
from memdb.jobs import Job
from memdb.maps import memory, region
from memdb.maps.request import MapRequest
from memdb.tap.record import Recorder
from memdb.ui.kit import cached
from memdb.ui.map import application, canvas
from memdb.ui.map import figures as figures_map
from memdb.ui.map.figures import Colouring
from memdb.ui.sessions import cached as sessions_cached
from memdb.vectors import index, search
from memdb.vectors.index import HnswField, IndexSpec, TagField
from tests.waiting import PATIENCE_S, until

ENTRY = app_folder() / "memdb" / "ui" / "entry.py"
PAGE = app_folder() / "pages" / "explore" / "map.py"
HOSTILE = "<script>alert(1)</script> ![x](http://evil.example/x.png)"

Open = Callable[..., AppTest]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("maps")


@pytest.fixture
def opened(demo_target: Target, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    def opener(target: Target = demo_target, **query: str) -> AppTest:
        for name, value in environment(target, folder).items():
            monkeypatch.setenv(name, value)
        app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
        if "index" in query:
            app.query_params["index"] = query["index"]
        for key, value in query.items():
            app.query_params[key.replace("__", ".")] = value
        app.switch_page(str(PAGE)).run()
        assert not app.exception
        return app

    return opener


def test_an_index_without_documents_is_no_error(opened: Open, server_target: Target, prefix: str) -> None:
    with connect(server_target) as client:
        index.create(client, IndexSpec(f"{prefix}none", (HnswField("v", 8),), (f"{prefix}n:",)))
        app = opened(server_target, index=f"{prefix}none")
        index.drop(client, f"{prefix}none")
    assert not app.error
    assert any("This index holds no documents" in each.value for each in app.markdown)
    assert "map.draw" not in {button.key for button in app.button}


def drawn(app: AppTest) -> AppTest:
    """Press the button and wait for the job."""
    app.button(key="map.draw").click().run()
    known = app.session_state["map.job"]
    job: Job[object] | None = cached.jobs().get(known.id)
    assert job is not None
    assert job.wait(PATIENCE_S).status == "done", job.error
    return app.run()


def said(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.error, *app.warning, *app.info, *app.code]
    titles = [part.proto.title for part in (*app.error, *app.warning)]
    return "\n".join([*(str(part.value) for part in parts), *titles]).replace("\\", "")


def test_a_map_is_drawn_and_there_at_once_the_next_time(opened: Open) -> None:
    app = opened(map__n="600")
    assert "No map of this yet" in said(app)
    drawn(app)
    assert not app.exception
    assert "Showing 600 of 2,000, random, seed 0" in said(app)
    assert "trustworthiness" in said(app)
    assert re.search(r"Documents that lie together here are (mostly |often not )?alike", said(app))
    again = opened(map__n="600")
    assert "Showing 600 of 2,000" in said(again)
    assert "The map drawn last" not in said(again)
    assert "No map of this yet" in said(opened(map__n="601"))  # what somebody asks for is not replaced
    first = opened()
    assert "The map drawn last" in said(first)
    assert "Showing 600 of 2,000" in said(first)
    for view, expected in (
        ("Quality", "What this map can show."),
        ("Compare", "Draw the second map"),
        ("Files", "MapRequest(index="),
        ("Map", "Nothing is selected"),
    ):
        again.segmented_control(key="map.view").set_value(view).run()
        assert not again.exception
        assert expected in said(again) + " ".join(b.label for b in again.button)
    assert again.multiselect(key="map.facets").value
    bars = [t for t in again.dataframe if "on the map" in t.value.columns]
    assert len(bars) == len(again.multiselect(key="map.facets").value)
    assert all((table.value["here"] == table.value["on the map"]).all() for table in bars)
    for colour in again.selectbox(key="map.colour").options:
        again.selectbox(key="map.colour").select(colour).run()
        assert not again.exception


def test_a_query_lies_on_the_map_and_ef_moves_its_neighbours(opened: Open, demo_target: Target) -> None:
    with connect(demo_target) as client:
        key = search.random_key(client, index.index_info(client, "idx:embeddings"))
    app = opened(map__n="600")
    if "No map of this yet" in said(app):
        drawn(app)
    app.text_input(key="map.q").set_value("restore a table from a backup").run()
    assert not app.exception
    assert "10 found · 0 missed" in said(app) or "missed" in said(app)
    app.number_input(key="map.ef").set_value(1).run()
    assert not app.exception
    assert "recall@10" in said(app)
    app.text_input(key="map.q").set_value(key).run()
    assert not app.exception
    assert "recall@10" in said(app)
    app.text_input(key="map.q").set_value("doc:no:such").run()
    assert not app.exception
    assert app.error


def test_drawing_keeps_to_the_target_s_budget(opened: Open, demo_target: Target) -> None:
    app = opened(replace(demo_target, budget=Budget(keys_scanned=500)), map__n="601")
    app.button(key="map.draw").click().run()
    job = cached.jobs().get(app.session_state["map.job"].id)
    assert job is not None
    assert job.wait(PATIENCE_S).status == "failed"
    app.run()
    assert not app.exception
    assert "500" in said(app)


def test_what_does_not_fit_is_said_before_it_starts(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: memory.needed(1_000, 256, 15))
    app = opened(map__n="1999")
    assert "1,999 × 256 needs about" in said(app)
    assert app.button(key="map.draw").disabled
    app.number_input(key="map.n").set_value(1_000).run()
    assert not app.error
    assert not app.button(key="map.draw").disabled


def test_a_browser_without_webgl_gets_charts(opened: Open) -> None:
    app = opened(map__n="600")
    if "No map of this yet" in said(app):
        drawn(app)
    assert "no WebGL" not in said(app)
    app.session_state["map.without_webgl"] = True
    app.run()
    assert not app.exception
    assert "no WebGL" in said(app)
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    kinds = {trace["type"] for trace in figure["data"]}
    assert kinds == {"scatter"}
    assert sum(len(trace["customdata"]["bdata"]) > 0 for trace in figure["data"]) == len(figure["data"])


def test_another_layout_beside_it(opened: Open) -> None:
    app = opened(map__n="600", map__view="Compare")
    if "No map of this yet" in said(app):
        drawn(app)
        app.segmented_control(key="map.view").set_value("Compare").run()
    app.button(key="map2.draw").click().run()
    job = cached.jobs().get(app.session_state["map.job"].id)
    assert job is not None
    assert job.wait(PATIENCE_S).status == "done"
    app.run()
    assert not app.exception
    assert "nearest on one map are its nearest on the other (600 documents on both)" in said(app)


def test_two_on_one_map(opened: Open) -> None:
    """The index as it was when a map of it was kept, against now: nothing changed, and that is said."""
    app = opened(map__n="600", map__view="Compare")
    if "No map of this yet" in said(app):
        drawn(app)
        app.segmented_control(key="map.view").set_value("Compare").run()
    app.segmented_control(key="map.compare").set_value("Two on one map").run()
    assert not app.exception
    app.segmented_control(key="map.two.kind").set_value("This index, earlier").run()
    assert not app.exception
    assert "idx:embeddings as of 20" in app.selectbox(key="map.two.age").options[0]
    app.button(key="map.two.draw").click().run()
    job = cached.jobs().get(app.session_state["map.two.job"].id)
    assert job is not None
    assert job.wait(PATIENCE_S).status == "done", job.error
    app.run()
    assert not app.exception
    assert "No difference beyond chance was measured" in said(app)
    assert "600 are the same, 0 have another vector" in said(app)
    assert "memdb map --index idx:embeddings --since 1" in said(app)
    assert any("what happened" in table.value.columns for table in app.dataframe)
    app.session_state["map.without_webgl"] = True
    app.run()
    assert not app.exception
    assert app.get("plotly_chart")


@pytest.fixture
def small(server_target: Target, prefix: str) -> Iterator[str]:
    """Hostile keys and tags; equal, missing and mixed vectors."""
    with connect(server_target) as client:
        index.create(
            client, IndexSpec(prefix + "idx", (TagField("tag"), HnswField("v", 8)), (prefix + "d:",))
        )
        vectors = np.random.default_rng(1).normal(size=(120, 8)).astype("<f4")
        vectors[:30] = vectors[0]
        client.pipeline(
            [
                (
                    "HSET",
                    f"{prefix}d:{HOSTILE}{i}",
                    "tag",
                    HOSTILE if i % 2 else "b",
                    "title",
                    HOSTILE,
                    "v",
                    v.tobytes(),
                )
                for i, v in enumerate(vectors)
            ]
            + [("HSET", f"{prefix}d:none", "tag", "b"), ("HSET", f"{prefix}d:short", "v", b"abcd")]
        )
        index.create(client, IndexSpec(prefix + "few", (HnswField("v", 8),), (prefix + "few:",)))
        client.execute("HSET", prefix + "few:1", "v", vectors[0].tobytes())
        yield prefix
        for name in (prefix + "idx", prefix + "few"):
            index.drop(client, name)


def test_hostile_and_coinciding_documents(opened: Open, server_target: Target, small: str) -> None:
    app = opened(server_target, index=small + "idx")
    drawn(app)
    assert not app.exception
    assert "Showing all 120" in said(app)
    assert "the same vector as another one" in said(app)
    assert "<script>" not in "".join(str(m.value) for m in app.markdown)
    app.selectbox(key="map.colour").select("tag").run()
    assert not app.exception


def test_too_few_documents_are_told(opened: Open, server_target: Target, small: str) -> None:
    app = opened(server_target, index=small + "few")
    app.button(key="map.draw").click().run()
    job = cached.jobs().get(app.session_state["map.job"].id)
    assert job is not None
    job.wait(PATIENCE_S)
    app.run()
    assert not app.exception
    assert "a map needs at least 4" in said(app)


def test_what_was_drawn_of_a_dropped_index_stays(opened: Open, server_target: Target, prefix: str) -> None:
    name = prefix + "gone"
    with connect(server_target) as client:
        index.create(client, IndexSpec(name, (HnswField("v", 8),), (prefix + "g:",)))
        rows = np.random.default_rng(3).normal(size=(50, 8)).astype("<f4")
        client.pipeline([("HSET", f"{prefix}g:{i}", "v", row.tobytes()) for i, row in enumerate(rows)])
        until(lambda: index.index_info(client, name).documents == 50, "the index is built")
        app = opened(server_target, index=name)
        drawn(app)
        assert "Showing all 50" in said(app)
        index.drop(client, name)
    cached.index_info.clear()  # else what is known of it lasts three seconds
    app.run()
    assert not app.exception
    assert "is not there any more. This is what was drawn of it." in said(app)


def test_a_tab_closed_meanwhile_leaves_the_map(opened: Open) -> None:
    app = opened(map__n="603")
    app.button(key="map.draw").click().run()
    job = cached.jobs().get(app.session_state["map.job"].id)
    assert job is not None
    del app  # nobody looks until it is done
    assert job.wait(PATIENCE_S).status == "done", job.error
    assert "Showing 603 of 2,000" in said(opened(map__n="603"))


def test_links_with_nonsense_open_the_page(opened: Open) -> None:
    for query in (
        {"map__n": "-5"},
        {"map__by": "x"},
        {"map__q": HOSTILE},
        {"map__session": HOSTILE},
        {"map__dims": "9"},
    ):
        opened(**query)


def test_payload_of_fifty_thousand_points() -> None:
    rng = np.random.default_rng(0)
    xy = rng.normal(size=(50_000, 2)).astype(np.float32)
    labels = [f"Service Number {i}: SomeOperationOfSomeKind" for i in range(50_000)]
    figure = figures_map.points(xy, Colouring("c", [f"c{i % 9}" for i in range(50_000)]), labels, dark=False)
    assert len(figure.to_json()) < 5_000_000
    assert len(figures_map.density(np.tile(xy, (4, 1)), dark=True).to_json()) < 1_000_000


def test_what_sets_a_region_apart() -> None:
    tags = {"service": [("s3",)] * 30 + [("ec2", "vpc")] * 70}
    numbers = {"year": ["2006"] * 30 + ["2020"] * 70}
    texts = ["bucket policy"] * 30 + ["instance start"] * 70
    found = region.traits(tags, numbers, texts, np.arange(28))
    best = {(t.field, t.value) for t in found}
    assert ("service", "s3") in best
    assert ("word", "bucket") in best
    assert any(field == "year" for field, _ in best)
    assert ("service", "ec2") not in best
    assert region.traits({}, {}, [""] * 10, np.arange(3)) == ()


def test_a_lasso_takes_what_lies_inside() -> None:
    xy = np.array([[0.5, 0.5], [2, 2], [0.9, 0.1], [-1, 0.5]])
    square = [[0, 0], [1, 0], [1, 1], [0, 1]]
    assert canvas.inside(square, xy).tolist() == [True, False, True, False]
    assert canvas.inside(square[::-1], xy).tolist() == [True, False, True, False]


def test_a_request_is_its_own_name() -> None:
    assert repr(MapRequest("idx")) == repr(MapRequest("idx"))


def test_what_the_application_asks_is_laid_over_the_map(opened: Open, folder: Path) -> None:
    """Searches far from all documents are told to be; those at documents lie where these do."""
    with Recorder(folder / "taps" / "20260101-000000-here.parquet") as recorder:
        for n in range(20):
            vector = np.random.default_rng(n).normal(size=256).astype("<f4").tobytes()
            words = ("FT.SEARCH", "idx:embeddings", "*=>[KNN 5 @embedding $q]", "PARAMS", "2", "q")
            recorder.offer(recorder.wanted() or 0.0, [*map(str.encode, words), vector], n, 1.0)
    app = opened(map__n="600")
    if any(button.key == "map.draw" for button in app.button):
        drawn(app)
    app.session_state["map.asked"] = True
    app.run()
    assert not app.exception
    assert app.selectbox(key="map.tap").value == "20260101-000000-here.parquet"
    assert "Half of these 20 searches lie within" in said(app)
    assert "100% of the searches lie farther out than 95 % of the documents" in said(app)


def test_how_searches_lie_among_documents() -> None:
    draws = np.random.default_rng(1)
    points = draws.normal(size=(300, 6)).astype(np.float32)
    places = draws.normal(size=(300, 2)).astype(np.float32)
    near, far = points[:40] + 1e-4, points[:40] + 50
    told = application.laid(near, points, places, "L2")
    lengths = np.linalg.norm(points[:, None].astype(float) - points[None].astype(float), axis=2) ** 2
    np.fill_diagonal(lengths, np.inf)
    assert np.sort(told.of_points) == pytest.approx(np.sort(lengths.min(axis=1)), rel=1e-3)
    assert told.nearest.max() < 1e-3  # of float32: at lengths of some ten
    assert "0% of the searches lie farther out" in told.words
    assert "100% of the searches lie farther out" in application.laid(far, points, places, "L2").words
    assert told.places.shape == (40, 2)


def test_a_session_of_any_format_is_a_path(opened: Open, demo_target: Target) -> None:
    key = "pathtalk:p1"
    messages = [json.dumps({"role": "user", "content": text}) for text in ("restore a table", "lambda costs")]
    with connect(replace(demo_target, writable=True)) as client:
        client.execute("RPUSH", key, *messages)
        sessions_cached.detected.clear()  # what an earlier page of this process has seen
        try:
            app = opened(map__n="600")
            if "No map of this yet" in said(app):
                drawn(app)
            (token,) = (t for t in app.selectbox(key="map.session.format").options if "pathtalk:" in t)
            app.selectbox(key="map.session.format").select(token).run()
            app.selectbox(key="map.session").select("p1").run()
            assert not app.exception
            assert not app.error
            assert "holds nothing that a user said" not in said(app)
        finally:
            client.execute("DEL", key)
            sessions_cached.detected.clear()
