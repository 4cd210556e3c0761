"""The WebGL map's side in Python: what is packed, what a lasso means, colours, names, and the built file."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from memdb.maps.overlay import Mark, Overlay
from memdb.ui.map import canvas, painting
from memdb.ui.map.figures import Colouring
from memdb.vectors.search import KnnResult

WEBGL = Path(canvas.__file__).parent / "webgl"


def spread(n: int = 500, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, 2)) * (30, 4) + (100, -7)).astype(np.float32)


def unpacked(points: canvas.Points) -> tuple[dict[str, object], list[np.ndarray]]:
    length = struct.unpack("<I", points.data[:4])[0]
    head = json.loads(points.data[4 : 4 + length])
    n, at = head["n"], 4 + length
    assert at % 4 == 0
    x, y = (np.frombuffer(points.data, "<f4", n, at + 4 * n * i) for i in (0, 1))
    codes = np.frombuffer(points.data, np.uint8, n, at + 8 * n)
    shade = np.frombuffer(points.data, np.uint8, -1, at + 9 * n)
    return head, [x, y, codes, shade]


def test_points_are_packed_as_the_browser_reads_them() -> None:
    xy = spread()
    codes = (np.arange(500) % 7).astype(np.uint8)
    titles = [f"título {i}" for i in range(500)]
    points = canvas.packed("store", xy, codes, titles)
    head, (x, y, packed_codes, shade) = unpacked(points)
    assert (head["name"], head["n"], head["titles"], head["filtered"]) == ("store", 500, titles, False)
    np.testing.assert_array_equal(packed_codes, codes)
    assert len(shade) == canvas.SHADE**2
    # One scale for both axes, in [-1, 1].
    shown = np.stack([x, y], axis=1).astype(float)
    assert np.abs(shown).max() == pytest.approx(1 / 1.05, abs=1e-6)
    middle = (xy.max(axis=0).astype(float) + xy.min(axis=0)) / 2
    ratio = (xy - middle)[np.abs(shown) > 0.05] / shown[np.abs(shown) > 0.05]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    np.testing.assert_array_equal(points.plane, np.stack([x, y], axis=1))
    codes[3] = canvas.HIDDEN
    other = canvas.packed("store", xy, codes, titles)
    assert other.id != points.id
    assert unpacked(other)[0]["filtered"] is True


def test_of_many_points_a_coordinate_has_16_bits() -> None:
    """Browser and lasso use the same places; none is moved by more than half a step."""
    n = canvas.MANY + 1
    xy = np.random.default_rng(3).normal(size=(n, 2)).astype(np.float32) * 7 + 100
    codes = (np.arange(n) % 5).astype(np.uint8)
    points = canvas.packed("s", xy, codes)
    (length,) = struct.unpack("<I", points.data[:4])
    head = json.loads(points.data[4 : 4 + length])
    at = 4 + length
    steps = np.frombuffer(points.data, "<u2", 2 * n, at).reshape(2, n)
    assert (head["bits"], head["n"]) == (16, n)
    np.testing.assert_array_equal(np.frombuffer(points.data, np.uint8, n, at + 4 * n), codes)
    assert len(points.data) == at + 5 * n + canvas.SHADE**2
    np.testing.assert_array_equal(points.plane, (steps.T * (2 / 65_535) - 1).astype(np.float32))
    exact = canvas.Frame.of(xy).plane(xy)
    assert np.abs(points.plane.astype(float) - exact).max() <= 1 / 65_535 + 1e-6


def test_the_density_lies_under_its_points() -> None:
    crowd = np.random.default_rng(0).normal((0.6, -0.3), 0.02, size=(300, 2))
    placed = np.concatenate([crowd, [[-0.9, 0.9], [0.9, -0.9]]]).astype(np.float32)
    shade, box = canvas.density(placed)
    grid = np.frombuffer(shade, np.uint8).reshape(canvas.SHADE, canvas.SHADE)
    assert box == {"size": canvas.SHADE, "x0": -1.0, "y0": -1.0, "x1": 1.0, "y1": 1.0}
    rows, columns = np.nonzero(grid == grid.max())  # rows from above, columns from the left
    cell = 2 / canvas.SHADE
    assert -1 + (columns.mean() + 0.5) * cell == pytest.approx(0.6, abs=0.05)
    assert 1 - (rows.mean() + 0.5) * cell == pytest.approx(-0.3, abs=0.05)
    assert grid[128, 20] == 0


@pytest.mark.parametrize("kind", ["equal", "one line", "two"])
def test_points_that_coincide_have_a_place(kind: str) -> None:
    xy = {
        "equal": np.zeros((50, 2)),
        "one line": np.column_stack([np.arange(50), np.zeros(50)]),
        "two": np.array([[0, 0], [1, 1]]),
    }[kind].astype(np.float32)
    points = canvas.packed("s", xy, np.zeros(len(xy), np.uint8))
    assert np.isfinite(points.plane).all()
    assert (np.abs(points.plane) <= 1).all()


@pytest.mark.parametrize("seed", range(4))
def test_a_lasso_holds_what_it_winds_around(seed: int) -> None:
    rng = np.random.default_rng(seed)
    placed = rng.uniform(-1, 1, size=(3_000, 2)).astype(np.float32)
    polygon = (rng.uniform(-0.9, 0.9, size=(3 + 4 * seed, 2))).tolist()  # crosses itself
    corners = np.array(polygon)
    seen = corners[None, :, :] - placed[:, None, :].astype(float)
    angles = np.arctan2(seen[..., 1], seen[..., 0])
    turned = np.diff(np.concatenate([angles, angles[:, :1]], axis=1), axis=1)
    around = ((turned + np.pi) % (2 * np.pi) - np.pi).sum(axis=1) / (2 * np.pi)
    expected = np.abs(around) > 0.5
    assert 10 < expected.sum() < 2_990
    np.testing.assert_array_equal(canvas.inside(polygon, placed), expected)


def test_a_selection_is_the_lasso_without_what_is_hidden() -> None:
    xy = spread(200)
    codes = (np.arange(200) % 3).astype(np.uint8)
    codes[::10] = canvas.HIDDEN
    points = canvas.packed("s", xy, codes)
    whole = [[-1, -1], [1, -1], [1, 1], [-1, 1]]
    chosen = canvas.chosen({"polygon": whole}, points)
    assert chosen is not None
    assert chosen.tolist() == [i for i in range(200) if i % 10]
    isolated = canvas.chosen({"polygon": whole, "isolated": [1], "of": points.id}, points)
    assert isolated is not None
    assert isolated.tolist() == [i for i in range(200) if i % 10 and i % 3 == 1]
    # Of other colours: the codes mean something else.
    stale = canvas.chosen({"polygon": whole, "isolated": [1], "of": "another"}, points)
    assert stale is not None
    assert len(stale) == len(chosen)


@pytest.mark.parametrize(
    "selection",
    [
        None,
        "x",
        {},
        {"polygon": None},
        {"polygon": [[0, 0], [1, 1]]},
        {"polygon": [[0, 0, 0]] * 3},
        {"polygon": [["a", "b"]] * 3},
        {"polygon": [[float("nan"), 0]] * 3},
        {"polygon": [[0], [1, 2], [3]]},
    ],
)
def test_a_selection_that_is_none(selection: object) -> None:
    assert canvas.chosen(selection, canvas.packed("s", spread(), np.zeros(500, np.uint8))) is None


def test_colours_say_what_the_legend_says() -> None:
    values = ["a"] * 5 + ["b"] * 9 + ["between clusters"] * 20
    shades = painting.painted(Colouring("clusters", values), dark=False)
    assert [category.text for category in shades.categories] == ["b (9)", "a (5)", "between clusters (20)"]
    assert [shades.categories[code].text.split(" (")[0] for code in shades.codes.tolist()] == values
    assert [category.faint for category in shades.categories] == [False, False, True]
    numbers = np.concatenate([np.arange(80.0), [np.nan] * 7])
    ranges = painting.painted(Colouring("year", numbers=numbers), dark=True)
    assert ranges.categories[-1].text == "no value (7)"
    for code, category in enumerate(ranges.categories[:-1]):
        low, high = (float(part) for part in category.text.split(" (")[0].split(" to "))
        held = numbers[ranges.codes == code]
        assert (held >= low).all()
        assert (held <= high).all()
        assert f"({len(held)})" in category.text
    assert painting.painted(Colouring("n", numbers=np.full(5, 3.0)), dark=True).categories[0].text == "3 (5)"
    assert painting.painted(Colouring("n", numbers=np.full(5, np.nan)), dark=True).codes.tolist() == [0] * 5


def test_a_value_that_is_called_other_is_not_the_rest() -> None:
    values = ["other"] * 30 + [f"v{i}" for i in range(20) for _ in range(i + 1)]
    shades = painting.painted(Colouring("tag", values), dark=False)
    assert shades.categories[0].text == "other (30)"
    counted = [int(category.text.rpartition("(")[2].rstrip(")")) for category in shades.categories]
    assert counted == np.bincount(shades.codes).tolist()
    assert sum(counted) == len(values)


def test_a_name_stands_where_its_points_are_densest() -> None:
    rng = np.random.default_rng(0)
    places = np.concatenate([rng.normal((5, 5), 0.1, (400, 2)), rng.uniform(-10, 10, (100, 2))]).astype(
        np.float32
    )
    x, y = painting.densest(places)
    assert abs(x - 5) < 1.5
    assert abs(y - 5) < 1.5
    assert painting.densest(np.zeros((3, 2), np.float32)) == (0.0, 0.0)


def test_what_lies_upon_the_map_has_the_plane_s_places() -> None:
    xy = spread()
    points = canvas.packed("s", xy, np.zeros(500, np.uint8))
    upon = painting.Upon(xy)
    marks = (Mark("k:1", "missed", 0.25, tuple(map(float, xy[7])), False),)
    laid = Overlay(tuple(map(float, xy[3])), marks, KnnResult((), np.empty(0), (), "d", "L2", 0.0, ()), 0.5)
    query = upon.query(laid, {"k:1": "A <b>title</b>"})
    np.testing.assert_allclose(query["place"], points.plane[3], atol=1e-6)
    mark = query["marks"][0]  # type: ignore[index]
    np.testing.assert_allclose(mark["place"], points.plane[7], atol=1e-6)
    assert "A <b>title</b>" in mark["text"]
    assert "not in the sample" in mark["text"]


def test_the_built_file_is_of_these_sources() -> None:
    """`npm ci && npm run build` in memdb/ui/map/webgl writes it anew."""
    built = json.loads((WEBGL / "built" / "built.json").read_text())
    sources = {f"src/{file.name}" for file in (WEBGL / "src").glob("*.js") if file.name != "digests.js"}
    assert set(built) == sources | {"package.json", "package-lock.json", "built/map.js"}
    for name, digest in built.items():
        assert hashlib.sha256((WEBGL / name).read_bytes()).hexdigest() == digest, (
            f"{name} changed: build again"
        )
    lock = json.loads((WEBGL / "package-lock.json").read_text())["packages"]
    wanted = json.loads((WEBGL / "package.json").read_text())
    for name, version in {**wanted["dependencies"], **wanted["devDependencies"]}.items():
        assert lock[f"node_modules/{name}"]["version"] == version
    # Each package is held by its digest.
    assert all("integrity" in package for name, package in lock.items() if name)
    text = (WEBGL / "built" / "map.js").read_text()
    assert "export{" in text or "export default" in text
