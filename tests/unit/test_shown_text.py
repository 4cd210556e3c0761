"""Every text that Streamlit shows is ours or went through memdb.display; and one that does not is seen."""

from __future__ import annotations

import pytest

from tests.unit.shown_text import ROOT, SHOWN, unescaped

UI = ROOT / "memdb" / "ui"
HEAD = """
from functools import partial
import streamlit as st
from memdb.display import Markdown, code, labels, line, markdown, plain
from memdb.ui.kit import parts
from memdb.vectors.index import IndexInfo
OURS = {"a": "One", "b": "Two"}
"""


def judged(body: str) -> list[str]:
    """What the walk says of a page of the Search family with this in a function."""
    lines = "\n".join(f"    {part}" for part in body.splitlines())
    page = UI / "search" / "planted.py"
    return [
        str(told)
        for told in unescaped(page, f"{HEAD}def draw(info: IndexInfo, text: str, k: int):\n{lines}\n")
    ]


def test_no_text_is_shown_as_it_came() -> None:
    files = [*UI.rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
    assert len(files) > 100
    assert [str(told) for path in sorted(files) for told in unescaped(path)] == []


@pytest.mark.parametrize(
    "body",
    [
        "st.caption(info.name)",
        "st.caption(f'index {info.name}')",
        "st.caption(f'index {line(info.name)}')",  # escapes no Markdown
        "st.text_input(info.name, key='x')",
        "st.text_input('Name', help=text)",
        "st.text_input('Name', placeholder=text)",
        "st.metric('Engine', info.name)",
        "st.metric('Engine', 1, delta=text)",
        "st.metric(label='Engine', value='1', help=f'of {text}')",
        "st.page_link('x', label='in ' + text)",
        "st.expander(f'{text}')",
        "st.tabs(['a', text])",
        "st.tabs([f.name for f in info.fields])",
        "st.segmented_control('x', [f.name for f in info.fields])",
        "st.selectbox('x', [f.name for f in info.fields])",
        "st.selectbox('x', ['a'], format_func=lambda name: name + text)",
        "st.toast(text)",
        "st.error('x', title=text)",
        "st.progress(0.5, text=text)",
        "st.download_button('x', b'', file_name=text)",
        "st.code(text)",
        "st.json({'a': text})",
        "st.badge(text)",
        "st.spinner(text)",
        "st.sidebar.caption(text)",
        "left, right = st.columns(2)\nleft.caption(text)",
        "words = 'a'\nif k:\n    words = text\nst.caption(words)",
        "for name in [f.name for f in info.fields]:\n    st.caption(name)",
        "st.caption(' · '.join([code(text), text]))",
        "st.caption(text.strip())",
        "st.caption(str(text))",
        "st.caption(st.session_state.get('x', ''))",
        "st.caption(OURS.get(text, text))",
        "words = {'a': text}\nst.selectbox('x', list(words), format_func=words.__getitem__)",
        "st.caption('{}'.join(text))",
        "st.caption('a %s' % text)",
        "st.column_config.TextColumn(text)",
        "st.column_config.TextColumn('a', help=text)",
        "parts.empty('Nothing', text)",
        "parts.empty(title=text, what_next='x')",
        "try:\n    pass\nexcept ValueError as exc:\n    st.error(str(exc))",
        "st.plotly_chart(None, alt=text)",
        "shown = partial(st.caption)\nst.caption((lambda: text)())",
    ],
)
def test_a_text_as_it_came_is_seen(body: str) -> None:
    assert judged(body)


@pytest.mark.parametrize(
    "body",
    [
        "st.caption('ours')",
        "st.caption(f'{k} of {len(info.fields):,}, {markdown(info.name)} {code(text)}')",
        "st.text(plain(text))",
        "st.selectbox('x', [f.name for f in info.fields], format_func=labels(f.name for f in info.fields))",
        "st.selectbox('x', list(OURS), format_func=OURS.__getitem__)",
        "words = {'a': 'One'}\nst.selectbox('x', list(words), format_func=words.__getitem__)",
        "st.segmented_control('x', [f.name for f in info.fields], format_func=partial(markdown, limit=9))",
        "words = [f'{k}']\nst.caption(words[0])",
        "st.caption(', '.join(markdown(f.name) for f in info.fields))",
        "parts.empty('Nothing', f'in {markdown(text)}')",
        "st.metric('x', '–' if k is None else f'{k:,}')",
        "said = markdown(text)\nsaid += ' ours'\nst.caption(said)",
        "st.caption(OURS['a'] + OURS.get(text, 'ours'))",
    ],
)
def test_what_went_through_display_passes(body: str) -> None:
    assert judged(body) == []


def test_every_element_of_streamlit_that_we_use_is_judged() -> None:
    """A new element must be added to SHOWN, or here where it shows no text of its own."""
    import re

    used = {
        name
        for path in UI.rglob("*.py")
        for name in re.findall(r"\bst(?:\.sidebar|\.column_config)?\.([A-Za-z]\w*)\(", path.read_text())
    }
    quiet = {
        *(
            "columns",
            "container",
            "empty",
            "form",
            "divider",
            "space",
            "logo",
            "dataframe",
            "data_editor",
            "table",
            "html",  # of one style sheet of ours, which test_architecture.py holds
        ),
        *(
            "line_chart",
            "vega_lite_chart",
            "navigation",
            "fragment",
            "cache_data",
            "cache_resource",
            "rerun",
            "switch_page",
            "stop",
            "get_option",
        ),
    }
    assert used - set(SHOWN) == quiet & used
    assert quiet <= used
