"""A widget that a link carries stays in its place while others change.

The browser knows such a widget by its place among blocks: where a block moves down, since something is drawn
above it, its widgets are made anew, and the address no longer follows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster.target import Target
from memdb.ui import frame
from memdb.ui.frame import app_folder
from tests.app.test_search_page import started

OPTIONS = 3  # of a widget that are tried at most
STATES: dict[str, dict[str, str]] = {  # pages that show more once something was asked
    "explore/search.py": {"search.q": "restore a table"},
    "tune/relevance.py": {"relevance.settings": "2"},
}
PAGES = [page[0] for pages in frame.PAGES.values() for page in pages]


def bound(node: Any, blocks: tuple[int, ...] = ()) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Widgets that a link carries, each with the places of the blocks it lies in, outermost first."""
    for place, child in getattr(node, "children", {}).items():
        yield from bound(child, (*blocks, place))
        if key := getattr(getattr(child, "proto", None), "query_param_key", ""):
            yield key, blocks


def changes(app: AppTest) -> Iterator[tuple[str, str, str, Any]]:
    """One for each value that a widget may be given: its kind, its key, the call, and what the call takes."""
    for group in app.get("segmented_control"):
        yield from (("segmented_control", group.key, "set_value", name) for name in group.options[:OPTIONS])
    for box in app.main.selectbox:
        if box.value is None or box.value in box.options:  # AppTest knows others by their labels alone
            yield from (("selectbox", box.key, "select_index", i) for i in range(len(box.options[:OPTIONS])))
    for kind in ("toggle", "checkbox"):
        yield from ((kind, each.key, "set_value", not each.value) for each in getattr(app.main, kind))
    yield from (("text_input", text.key, "set_value", "a table") for text in app.main.text_input)
    for number in app.main.number_input:
        if isinstance(number.value, int | float):
            yield "number_input", number.key, "increment", None
    for several in app.main.multiselect:
        if several.options:
            yield "multiselect", several.key, "set_value", [several.options[0]]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_link_carries_stays_where_it_is(
    demo_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    app = started(demo_target, home, monkeypatch)
    for name, value in STATES.get(page, {}).items():
        app.query_params[name] = value
    app.switch_page(str(app_folder() / "pages" / page)).run()
    moved = []
    for kind, key, call, value in list(changes(app)):
        try:
            widget = getattr(app, kind)(key=key)
        except KeyError:  # an earlier change took it away
            continue
        before = dict(bound(app._tree))
        getattr(widget, call)(*([] if value is None else [value])).run()
        after = dict(bound(app._tree))
        moved += [
            f"{key} {call} {value!r}: {name} from {before[name]} to {after[name]}"
            for name in before.keys() & after.keys()
            if before[name] != after[name]
        ]
    assert moved == [], "\n".join(moved)
