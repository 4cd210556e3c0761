"""The map in WebGL: points as bytes in a component of their own, what changes often beside them.

The component is `webgl/built/map.js`, bundled from `webgl/src` with regl-scatterplot
(docs/decisions/0121-webgl-map.md). A lasso comes back as its polygon; which points lie inside is decided
here, by the rule and the numbers that the browser uses too.

Many points, and without a graphics card more than a thousand, are drawn by the processor
(`webgl/src/splat.js`): a random part of them while the map moves, all when it rests. WebGL keeps the camera
and the lasso.
"""

from __future__ import annotations

import functools
import hashlib
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.components.v2.component_manager import BidiComponentManager
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

from memdb.json_text import json_text
from memdb.ui.kit.charts import Palette, palette
from memdb.vectors.distance import Floats

Codes = NDArray[np.uint8]
Places = NDArray[np.intp]

HEIGHT = 620
MANY = 50_000  # points beyond which a coordinate has 16 bits
TITLED = 20_000  # points whose titles are sent with them; of more, the one under the pointer is asked for
HIDDEN = 255  # code of a point that a filter leaves out
SHADE = 256  # cells of the density along each side
_ROOT = Path(__file__).parent / "webgl"
_PACKAGE, _COMPONENT = "memdb-explorer", "map"
_WITHOUT = "map.without_webgl"  # of this tab
_MARGIN = 1.05
_BLUR = 2.0  # cells
_STEP = 2 / 65_535  # of a coordinate in 16 bits
WORDS = {
    "pan": "Pan",
    "lasso": "Lasso",
    "box": "Box",
    "nearer": "+",
    "farther": "−",
    "whole": "Whole map",
    "inView": "Select what is in view",
    "clear": "Clear",
    "selected": "{n} selected",
    "every": "All",
    "bars": "Bar: here. Line: on the whole map.",
    "part": "{n} of {all} points drawn while it moves",
}


@dataclass(frozen=True, slots=True)
class Category:
    """An entry of the legend: its place in the list is the code of its points."""

    text: str
    colour: str
    faint: bool = False  # drawn weakly, and not what the density takes its colour from


@dataclass(frozen=True, slots=True)
class ValueBar:
    """A value of a field: its share in the selection and on the whole map."""

    text: str
    here: float
    all: float
    words: str  # both, for who points at it


@dataclass(frozen=True, slots=True)
class Bars:
    """The values of a field beside the map."""

    key: str  # what a choice among them is told under
    title: str
    values: tuple[ValueBar, ...]
    chosen: tuple[int, ...]  # places of those that filter the points
    left: str = ""  # a word on those that are not among them


@dataclass(frozen=True, slots=True)
class Label:
    """A name on the map, at a place of the plane."""

    x: float
    y: float
    text: str
    level: int  # 0 is always written, 1 and 2 as one comes nearer


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """What the browser keeps of a map."""

    id: str
    plane: Floats  # (n, 2) as it is drawn, within [-1, 1]
    codes: Codes  # (n,) category, or HIDDEN
    data: bytes


@dataclass(frozen=True, slots=True, eq=False)
class CanvasState:
    """What came back from the browser."""

    selected: Places | None = None  # (m,) places of the points in the lasso or box
    hovered: int | None = None  # the point that it wants the title of
    drawn: bool = True  # False: it has no WebGL


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What turns places of a layout into the plane's, which lie in [-1, 1]; one scale for both axes."""

    middle: NDArray[np.float64]  # (2,)
    half: float

    @classmethod
    def of(cls, xy: Floats) -> Frame:
        """The frame around points (n, 2)."""
        low, high = xy.min(axis=0).astype(np.float64), xy.max(axis=0).astype(np.float64)
        return cls((low + high) / 2, max(float((high - low).max()) / 2 * _MARGIN, 1e-9))

    def plane(self, xy: Floats) -> Floats:
        """Places (n, 2) of the layout on the plane."""
        placed: Floats = ((xy - self.middle) / self.half).astype(np.float32)
        return placed


def packed(name: str, xy: Floats, codes: Codes, titles: Sequence[str] = ()) -> Points:
    """Points as the component takes them.

    Args:
        name: of the store in the browser that they go to.
        xy: (n, 2).
        codes: (n,) category of each point, HIDDEN for none.
        titles: (n,) for the hover; empty asks for the hovered one.
    """
    placed = Frame.of(xy).plane(xy)
    many = len(xy) > MANY
    axes = placed.T.astype("<f4")
    if many:
        steps = np.rint((placed.T.astype(np.float64) + 1) / _STEP).astype("<u2")
        axes, placed = steps, (steps.T * _STEP - 1).astype(np.float32)  # as the browser reads them
    shade, box = density(placed)
    body = b"".join((axes[0].tobytes(), axes[1].tobytes(), codes.tobytes(), shade))
    digest = hashlib.blake2b(body, digest_size=8)
    digest.update("\0".join(titles).encode("utf-8", "replace"))
    head: dict[str, Any] = {
        "name": name,
        "id": digest.hexdigest(),
        "n": len(xy),
        "bits": 16 if many else 32,
        "density": box,
        "filtered": bool((codes == HIDDEN).any()),
    }
    if len(titles):
        head["titles"] = list(titles)
    text = json_text(head).encode()
    text += b" " * (-len(text) % 4)
    return Points(head["id"], placed, codes, struct.pack("<I", len(text)) + text + body)


def density(placed: Floats) -> tuple[bytes, dict[str, float]]:
    """How dense points (n, 2) of a plane lie: SHADE² bytes from the upper left, and the box they fill."""
    from scipy.ndimage import gaussian_filter

    edges = np.linspace(-1, 1, SHADE + 1)
    counts, _, _ = np.histogram2d(placed[:, 1], placed[:, 0], bins=(edges, edges))
    blurred = np.sqrt(gaussian_filter(counts, _BLUR))[::-1]
    bright = np.minimum(255.0, 255.0 * blurred / max(float(np.quantile(blurred, 0.995)), 1e-12))
    box = {"size": SHADE, "x0": -1.0, "y0": -1.0, "x1": 1.0, "y1": 1.0}
    return bright.astype(np.uint8).tobytes(), box


def inside(polygon: Sequence[Sequence[float]], placed: Floats) -> NDArray[np.bool_]:
    """Which points (n, 2) lie in a polygon: where it winds around them, as regl-scatterplot decides it."""
    wide_x, wide_y = placed[:, 0].astype(np.float64), placed[:, 1].astype(np.float64)
    winding = np.zeros(len(placed), np.int32)
    for (x1, y1), (x2, y2) in zip(polygon, [polygon[-1], *polygon[:-1]], strict=True):
        side = (x2 - x1) * (wide_y - y1) - (wide_x - x1) * (y2 - y1)
        below, above = y1 <= wide_y, y2 > wide_y
        winding += below & above & (side > 0)
        winding -= ~below & ~above & (side < 0)
    around: NDArray[np.bool_] = winding != 0
    return around


def chosen(selection: object, points: Points) -> Places | None:
    """The places (m,) of the points that a selection means; None where nothing usable is selected."""
    if not isinstance(selection, dict):
        return None
    try:
        corners = np.asarray(selection.get("polygon"), dtype=np.float64)
    except (TypeError, ValueError):
        return None
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3 or not np.isfinite(corners).all():
        return None
    taken = inside(corners.tolist(), points.plane) & (points.codes != HIDDEN)
    isolated = selection.get("isolated")
    if isinstance(isolated, list) and selection.get("of") == points.id:
        taken &= np.isin(points.codes, [code for code in isolated if isinstance(code, int)])
    return np.flatnonzero(taken)


def possible() -> bool:
    """Whether this browser draws in WebGL, as far as it has told."""
    return not st.session_state.get(_WITHOUT, False)


def give_up() -> None:
    """It does not: from now on its maps are charts."""
    st.session_state[_WITHOUT] = True


def carry(points: Points, key: str) -> None:
    """Send points to the browser, outside of what is drawn anew often: they go over the wire each time."""
    _component(get_bidi_component_manager())(key=f"{key}.points", data=points.data, height=1)


def show(
    points: Points,
    categories: Sequence[Category],
    *,
    key: str,
    view: str,
    dark: bool,
    alt: str,
    labels: Sequence[Label] = (),
    query: dict[str, object] | None = None,
    path: dict[str, object] | None = None,
    users: Sequence[dict[str, object]] = (),
    hover: tuple[int, str] | None = None,
    height: int = HEIGHT,
) -> CanvasState:
    """Draw points that were carried under the same key's store, and what lies on them.

    Args:
        points: of `packed`.
        categories: by code.
        key: of the element.
        view: what the camera and the selection belong to: they stay as long as it does.
        dark: the theme.
        alt: what the picture is, for those who do not see it.
        labels: names on the map.
        query: its place and marks (`marks`).
        path: places and texts of a session's turns.
        users: place and text of each.
        hover: a point and its title, which the browser asked for.
        height: in pixels.
    """
    selection_key = f"{key}.kept"
    selected = st.session_state.get(selection_key)
    selection = selected[1] if selected is not None and selected[0] == view else None
    result = _component(get_bidi_component_manager())(
        key=key,
        data={
            "store": key,
            "points": points.id,
            "view": view,
            "height": height,
            "alt": alt,
            "words": WORDS,
            "colours": _colours(palette(dark)),
            "categories": [asdict(category) for category in categories],
            "labels": [asdict(label) for label in labels],
            "query": query,
            "path": path,
            "users": list(users),
            "selection": selection.get("polygon") if isinstance(selection, dict) else None,
            "hover": {"index": hover[0], "text": hover[1]} if hover is not None else None,
        },
        on_selection_change=_nothing,
        on_hovered_change=_nothing,
        on_webgl_change=_nothing,
    )
    # Streamlit forgets what a component said where it is not drawn, e.g. behind another view.
    new_selection = result.get("selection")
    if isinstance(new_selection, dict) and new_selection.get("view") == view:
        selection = new_selection
    st.session_state[selection_key] = (view, selection)
    hovered = result.get("hovered")
    index = hovered.get("index") if isinstance(hovered, dict) and hovered.get("of") == points.id else None
    fits = isinstance(index, int) and 0 <= index < len(points.plane)
    return CanvasState(chosen(selection, points), index if fits else None, result.get("webgl") is not False)


def bars(fields: Sequence[Bars], *, key: str, dark: bool) -> dict[str, list[int]]:
    """Draw bars; the places of the values that were chosen in them, by the key of the field."""
    result = _component(get_bidi_component_manager())(
        key=key,
        data={
            "bars": [asdict(field) for field in fields],
            "words": WORDS,
            "colours": _colours(palette(dark)),
        },
        on_chosen_change=_nothing,
    )
    bar = result.get("chosen")
    if not isinstance(bar, dict):
        return {}
    return {
        field.key: sorted({row for row in rows if isinstance(row, int) and 0 <= row < len(field.values)})
        for field in fields
        if isinstance(rows := bar.get(field.key), list)
    }


def _nothing() -> None:
    """The value is read from the result."""


def _colours(colours: Palette) -> dict[str, object]:
    hexed = colours.main.lstrip("#")  # grey is what lies between the groups
    return {
        "text": colours.text,
        "back": colours.back,
        "grid": colours.grid,
        "bar": colours.main,
        "found": colours.text,
        "missed": colours.alarm,
        "wrong": colours.mark,
        "user": colours.categories[3],
        "shade": [int(hexed[i : i + 2], 16) for i in (0, 2, 4)],
    }


@functools.lru_cache(maxsize=2)
def _component(manager: BidiComponentManager) -> Any:
    """The component, registered with a run of the app: its file is served by the app itself."""
    manifest = ComponentManifest(_PACKAGE, "", [ComponentConfig(_COMPONENT, "built")])
    manager.register_from_manifest(manifest, _ROOT)
    return st.components.v2.component(f"{_PACKAGE}.{_COMPONENT}", js="map.js")
