"""What the map's colours, names and marks are, for the component that draws them. Knows no Streamlit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memdb.display import line
from memdb.maps import clusters
from memdb.maps.overlay import Overlay
from memdb.maps.request import Map
from memdb.ui.kit.charts import Palette, palette
from memdb.ui.map.canvas import Category, Codes, Frame, Label
from memdb.ui.map.figures import MEANING, OTHER, QUIET, Colouring, top_categories
from memdb.vectors.distance import Floats

_STEPS = ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725")  # Viridis
_NAMED = clusters.MOST + 1  # groups that have an entry of their own in the legend: and what lies between them


@dataclass(frozen=True, slots=True, eq=False)
class Shades:
    """The colour of each point, and what it says."""

    codes: Codes  # (n,) place in `categories`
    categories: tuple[Category, ...]


def painted(colouring: Colouring, *, dark: bool) -> Shades:
    """Codes and legend of a colouring; numbers are told as eight ranges of about as many points each."""
    colours = palette(dark)
    if colouring.numbers is not None:
        return _ranges(colouring.numbers, colours)
    values = colouring.categories
    if len(set(values)) > _NAMED or colouring.title != "clusters":
        values = top_categories(values)
    sizes = Counter(values)
    order = sorted(sizes, key=lambda name: (name in QUIET, -sizes[name], name))
    code = {name: place for place, name in enumerate(order)}
    tones = colours.categories[:-1]  # the last one is grey: what is named has a colour
    categories = tuple(
        Category(
            f"{line(name or '(none)', 40)} ({sizes[name]:,})",
            colours.second_quiet
            if name == OTHER
            else colours.quiet
            if name in QUIET
            else tones[i % len(tones)],
            name in QUIET and name != OTHER,
        )
        for i, name in enumerate(order)
    )
    return Shades(np.array([code[value] for value in values], np.uint8), categories)


def _ranges(numbers: NDArray[np.float64], colours: Palette) -> Shades:
    finite = np.isfinite(numbers)
    codes = np.zeros(len(numbers), np.uint8)
    categories: list[Category] = []
    if finite.any():
        edges = np.unique(np.quantile(numbers[finite], np.linspace(0, 1, len(_STEPS) + 1)))
        parts = max(1, len(edges) - 1)
        codes[finite] = np.clip(np.searchsorted(edges, numbers[finite], side="right") - 1, 0, parts - 1)
        counts = np.bincount(codes[finite], minlength=parts)
        tones = np.linspace(0, len(_STEPS) - 1, parts).round().astype(int)
        for part, (count, tone) in enumerate(zip(counts.tolist(), tones.tolist(), strict=True)):
            low, high = edges[part], edges[min(part + 1, len(edges) - 1)]
            words = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            categories.append(Category(f"{words} ({count:,})", _STEPS[tone]))
    if not finite.all():
        codes[~finite] = len(categories)
        categories.append(Category(f"no value ({int((~finite).sum()):,})", colours.quiet, faint=True))
    return Shades(codes, tuple(categories))


def labels(plane: Floats, map_: Map) -> list[Label]:
    """The names of the clusters and of finer ones, each where its points (of the plane, (n, 2)) lie densest.

    A finer one that is called like one before it is left out: it would say the same twice.
    """
    named: list[Label] = []
    for level, (places, names) in enumerate(
        ((map_.labels, map_.names), *((fine.labels, fine.names) for fine in map_.finer))
    ):
        before = {label.text for label in named}
        order = np.argsort(places, kind="stable")
        begins = np.searchsorted(places[order], np.arange(len(names) + 1))
        for cluster, name in enumerate(names):
            text = line(name, 60)
            where = plane[order[begins[cluster] : begins[cluster + 1]]]
            if len(where) and text not in before:
                x, y = densest(where)
                named.append(Label(x, y, text, level))
    return named


def densest(places: Floats) -> tuple[float, float]:
    """Where most of some places (m, 2) lie: the middle of the fullest of 12 x 12 cells and its neighbours."""
    low, high = places.min(axis=0), places.max(axis=0)
    cell = np.maximum((high - low) / 12, 1e-9)
    at = np.minimum((places - low) / cell, 11).astype(np.intp)
    counts = np.zeros((14, 14))
    np.add.at(counts, (at[:, 0] + 1, at[:, 1] + 1), 1)
    around = sum(counts[1 + dx : 13 + dx, 1 + dy : 13 + dy] for dx in (-1, 0, 1) for dy in (-1, 0, 1))
    best = np.array(np.unravel_index(int(np.argmax(around)), (12, 12)))
    near = places[(np.abs(at - best) <= 1).all(axis=1)]
    middle = near.mean(axis=0) if len(near) else places.mean(axis=0)
    return float(middle[0]), float(middle[1])


class Upon:
    """What lies on a map, as the component takes it: places of the layout turned into the plane's."""

    def __init__(self, xy: Floats) -> None:
        self._frame = Frame.of(xy)

    def place(self, spot: Sequence[float] | Floats) -> list[float]:
        """A place (2,) of the layout on the plane."""
        placed: list[float] = self._frame.plane(np.asarray(spot, np.float32)).tolist()
        return placed

    def query(self, laid: Overlay, titles: Mapping[str, str]) -> dict[str, object]:
        """A query with its neighbours."""
        return {
            "place": self.place(laid.place),
            "text": "the query",
            "marks": [
                {
                    "place": self.place(mark.place),
                    "kind": mark.kind,
                    "text": f"{line(titles.get(mark.key, mark.key), 80)}\n{line(mark.key, 80)}\n"
                    f"{MEANING[mark.kind]}\ndistance {mark.distance:.4f}"
                    + ("" if mark.on_map else "\nnot in the sample: placed"),
                }
                for mark in laid.marks
            ],
        }

    def path(self, places: Floats, texts: Sequence[str]) -> dict[str, object]:
        """A session's turns, at (m, 2) places."""
        return {
            "places": [self.place(spot) for spot in places],
            "texts": [f"{i}. {line(text, 160)}" for i, text in enumerate(texts, 1)],
        }

    def users(self, places: Floats, names: Sequence[str]) -> list[dict[str, object]]:
        """Preferences of users, at (m, 2) places."""
        return [
            {"place": self.place(spot), "text": f"preference of {line(name, 60)}"}
            for spot, name in zip(places, names, strict=True)
        ]
