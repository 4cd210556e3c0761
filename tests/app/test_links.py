"""Links to every page with every kind of wrong value in every one of its parameters: the page stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster.target import Target
from memdb.demo.app import app_folder, environment
from memdb.ui import frame
from tests.hostile import HOST, hostile
from tests.waiting import PATIENCE_S

ENTRY = app_folder() / "memdb" / "ui" / "entry.py"
WRONG: dict[str, str | list[str]] = {
    "all that a browser could read": hostile("link").replace("\u202e", ""),
    "endless": "inf",
    "a power": "1e999",
    "6,000 digits": "9" * 6_000,
    "64 bits": "18446744073709551616",
    "below 0": "-1",
    "nothing": "",
    "signs of control": "\x00\x1b[31m\r\n\t\u202e\u200b",
    "other digits": "²٣",
    "lists": ["1", "x", "2"],
    "JSON": '[[1, 2], {"a": 3}]',
    "a day that is none": "9999-99-99",
    "brackets": "[" * 8_000,
}
# What a page reads of its link besides the widgets that are bound to it.
READ = {
    "map": {"map.session"},
    "recall": {"recall.run"},
    "relevance": {"relevance.run"},
    "search": {"search.judge.at"},
    "sessions": {"sessions.open", "sessions.close"},
    "sizing": {"plan.take"},
    "compare": {"plan.take"},
}
PAGES = [page[3] for pages in frame.PAGES.values() for page in pages if page[3] != "present"]


def parameters(app: AppTest) -> Iterator[str]:
    """Names of what is bound to the link."""
    waiting = [app.main, app.sidebar]
    while waiting:
        block = waiting.pop()
        if name := getattr(getattr(block, "proto", None), "query_param_key", ""):
            yield str(name)
        waiting += getattr(block, "children", {}).values()


def opened(page: str, **query: str | list[str]) -> AppTest:
    app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page(str(frame.link(page)))
    return app.run()


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES)
def test_a_page_stands_whatever_its_link_says(
    demo_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    for name, value in environment(demo_target, home).items():
        monkeypatch.setenv(name, value)
    names = {*READ.get(page, ()), *parameters(opened(page))} - {"index"}
    for kind, value in WRONG.items():
        app = opened(page, **dict.fromkeys(sorted(names), value))
        assert not app.exception, kind
        assert app.title, kind
        shown = [str(each.value) for each in (*app.markdown, *app.caption, *app.error, *app.warning)]
        bare = [re.sub(r"(`+).*?\1", "", text) for text in shown]  # without code spans
        assert [
            text for text in bare if f"](http://{HOST}" in text or f"<img src=http://{HOST}" in text
        ] == []
        names |= set(parameters(app)) - {"index"}  # a value may have opened more
        if not names:  # each further link would be the same
            break


@pytest.mark.parametrize(
    "kind", ["all that a browser could read", "6,000 digits", "signs of control", "lists"]
)
def test_an_index_that_is_none_is_said(
    demo_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    for name, value in environment(demo_target, home).items():
        monkeypatch.setenv(name, value)
    app = opened("search", index=WRONG[kind])
    assert not app.exception
    assert any("is not on this server" in str(each.value) for each in app.warning)


@pytest.mark.parametrize("step", ["9" * 6_000, "²", "1e999", "-0", "[" * 8_000])
def test_a_presentation_begins_where_its_link_names_no_step(
    demo_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    for name, value in environment(demo_target, home).items():
        monkeypatch.setenv(name, value)
    app = opened("present", step=step)
    assert not app.exception
    assert app.header
