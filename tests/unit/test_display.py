"""Stored values become text that nothing obeys."""

from __future__ import annotations

import pandas as pd
import pytest

from memdb import display, export


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("plain ünï 漢字\nnext\tcell", "plain ünï 漢字\nnext\tcell"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil\x07link\x1b]8;;\x07", "link"),
        ("bell\x07 nul\x00", "bell\\x07 nul\\x00"),
        ("byte \udcff", "byte \\xff"),
        ("evil \u202etxt.exe", "evil \\u202etxt.exe"),
        ("a\r\nb", "a\nb"),
    ],
)
def test_plain(stored: str, shown: str) -> None:
    assert display.plain(stored) == shown
    display.plain(stored).encode("utf-8")


def test_long_values_are_cut_and_say_so() -> None:
    cut = display.plain("x" * 5_000_000, 100)
    assert cut == "x" * 100 + "… (4,999,900 more characters)"
    assert len(display.plain("\x01" * 5_000_000, 100)) < 200


def test_markdown_means_nothing() -> None:
    assert display.markdown("![x](http://e) <b> $y$ :red[z] `c`") == (
        r"\!\[x\]\(http\:\/\/e\) \<b\> \$y\$ \:red\[z\] \`c\`"
    )


def test_figure_text_holds_no_tag() -> None:
    assert display.figure_text("<a href='x'>&</a>") == "&lt;a href='x'&gt;&amp;&lt;/a&gt;"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (89, "89 s"),
        (300, "5 min"),
        (7200, "2 h"),
        (7260, "2 h 1 min"),
        (190000, "2 d 5 h"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert display.duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(None, "–"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 2**40, "5.0 TiB")]
)
def test_bytes(size: float | None, text: str) -> None:
    assert display.bytes_text(size) == text


def test_a_spreadsheet_runs_no_cell_of_ours() -> None:
    frame = pd.DataFrame({"n": [-1.5, 2], "t": ["=HYPERLINK(1)", "fine"], "u": ["+1", "@x"]})
    assert export.to_csv(frame).decode() == "n,t,u\n-1.5,'=HYPERLINK(1),'+1\n2.0,fine,'@x\n"


def test_json_and_parquet_carry_the_settings() -> None:
    import json
    from io import BytesIO

    import pyarrow.parquet as pq

    frame = pd.DataFrame({"key": ["a", "b"], "d": [0.5, 1.0]})
    assert json.loads(export.to_json(frame, {"k": 2})) == {
        "about": {"k": 2},
        "rows": [{"key": "a", "d": 0.5}, {"key": "b", "d": 1.0}],
    }
    table = pq.read_table(BytesIO(export.to_parquet(frame, {"k": 2})))
    assert table.to_pandas().equals(frame)
    assert json.loads(table.schema.metadata[b"memdb"]) == {"k": 2}
