"""Stored values become text that nothing obeys."""

from __future__ import annotations

import csv
import io

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
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("isolate \u2067x\u2069 \u061c", "isolate \\u2067x\\u2069 \\u061c"),
        ("word\u2060joiner soft\xadhyphen", "word\\u2060joiner soft\\xadhyphen"),
        ("tag \U000e0041\U000e007f filler \u3164", "tag \\U000e0041\\U000e007f filler \\u3164"),
        ("a\u200db c\u200cd x\ufe0f", "a\\u200db c\\u200cd x\\ufe0f"),
        # joiners where a script or a picture needs them
        (
            "\u0645\u06cc\u200c\u062e \u0915\u094d\u200d\u0937 \U0001f469\u200d\U0001f4bb \u2764\ufe0f 1\ufe0f\u20e3",
            "\u0645\u06cc\u200c\u062e \u0915\u094d\u200d\u0937 \U0001f469\u200d\U0001f4bb \u2764\ufe0f 1\ufe0f\u20e3",
        ),
    ],
)
def test_plain(stored: str, shown: str) -> None:
    assert display.plain(stored) == shown
    display.plain(stored).encode("utf-8")


def test_long_values_are_cut_and_say_so() -> None:
    cut = display.plain("x" * 5_000_000, 300)
    assert cut == "x" * 300 + "… (4,999,700 more characters)"
    assert display.plain("x" * 45, 40) == "x" * 40 + "…", "a name's place is for the name"
    assert len(display.plain("\x01" * 5_000_000, 100)) < 200


def test_markdown_means_nothing() -> None:
    assert display.markdown("![x](http://e) <b> $y$ :red[z] `c`") == (
        r"\!\[x\]\(http\:\/\/e\) \<b\> \$y\$ \:red\[z\] \`c\`"
    )


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("see http://e.example/x now", "see `http://e.example/x` now"),
        ("HTTPS://127.0.0.1/p.png", "`HTTPS://127.0.0.1/p.png`"),
        ("www.e.example", "`www.e.example`"),
        ("ada@e.example", "`ada@e.example`"),
        (":smile: 10:30:45 :material_home:", r"`:smile:` 10\:30\:45 `:material_home:`"),
        (":material/home:", r"\:material\/home\:"),
        (":material/http://e.example", r"\:material\/`http://e.example`"),
        ("a -- b -> c", "a `--` b `->` c"),
        ("[x](http://e.example)|y", r"\[x\]`(http://e.example)`\|y"),
        ("`http://e.example", "`` `http://e.example ``"),
        ("user:key:7", "`user:key:7`"),
    ],
)
def test_what_markdown_reads_behind_backslashes_is_code(stored: str, shown: str) -> None:
    assert display.markdown(stored) == shown


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("a`b``c", "```a`b``c```"),
        ("`", "`` ` ``"),
        ("", ""),
        ("x:material/home:", r"`x`\:material\/`home:`"),
    ],
)
def test_code(stored: str, shown: str) -> None:
    assert display.code(stored) == shown


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


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 3.5e6, 2**30 - 1, 2**30, 7e12, 2.0**60])
def test_an_axis_has_the_unit_of_the_figures_beside_it(size: float) -> None:
    divisor, unit = display.byte_unit(size)
    assert display.bytes_text(size) == (f"{size:.0f} B" if unit == "B" else f"{size / divisor:.1f} {unit}")


def test_a_spreadsheet_runs_no_cell_of_ours() -> None:
    frame = pd.DataFrame({"n": [-1.5, 2], "t": ["=HYPERLINK(1)", "fine"], "u": ["+1", "@x"]})
    assert export.to_csv(frame).decode() == "n,t,u\n-1.5,'=HYPERLINK(1),'+1\n2.0,fine,'@x\n"


@pytest.mark.parametrize(
    "text",
    [
        *("=1", "+1", "-1", "@x", "＝1", "＋1", "－1", "＠x", "﹦1", "\u22121"),
        *("\t1", "\r1", "\n1", "\n=1", " =1", "\u200b=1", "\xa0＝1", "\r\n@x", "\x00+1", "\ufeff=1"),
        *("\u034f=1", "\u2800+1", "\u115f@x", "\u3164-1", "\u180b=1", "\uffa0=1", "\u061c\u2066=1"),
    ],
)
def test_a_formula_is_text_wherever_it_begins(text: str) -> None:
    shown = text.replace("\r\n", "\n").replace("\r", "\n")
    for made in (pd.DataFrame({"t": [text]}), pd.DataFrame({"t": pd.Categorical([text])})):
        rows = list(csv.reader(io.StringIO(export.to_csv(made).decode(), newline="")))
        assert rows == [["t"], ["'" + shown]]
    headed = export.to_csv(pd.DataFrame([["a", "b"]], columns=[text, text]))
    assert next(csv.reader(io.StringIO(headed.decode(), newline=""))) == ["'" + shown] * 2


def test_a_cell_ends_no_row() -> None:
    made = pd.DataFrame({"t": ["x\r=1", 'a"b,c', "two\nlines"]})
    rows = list(csv.reader(io.StringIO(export.to_csv(made).decode(), newline="")))
    assert rows == [["t"], ["x\n=1"], ['a"b,c'], ["two\nlines"]]


def test_what_is_no_formula_stays() -> None:
    made = pd.DataFrame({"t": ["a=b", "x", "", "1-2", None], "n": [-1.0, float("inf"), 2, 3, 4]})
    rows = list(csv.reader(io.StringIO(export.to_csv(made).decode())))
    assert rows == [["t", "n"], ["a=b", "-1.0"], ["x", ""], ["", "2.0"], ["1-2", "3.0"], ["", "4.0"]]


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


KEY = "sk-Secret/Key_1234567890"


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {KEY}.",
        KEY.upper(),
        " ".join(KEY),
        f"{KEY[:11]}\n{KEY[11:]}",
        "sk-Secret%2FKey%5F1234567890",
        "c2stU2VjcmV0L0tleV8xMjM0NTY3ODkw",
        KEY.encode().hex(),
        f"...{KEY[5:]}",
        "\u200b".join(KEY),
    ],
)
def test_a_secret_is_seen_however_it_is_spelled(text: str) -> None:
    assert display.repeats(text, KEY)


@pytest.mark.parametrize("text", ["", "Incorrect API key: sk-Sec***7890", "key", "secret key", "1234567890"])
def test_what_holds_no_more_than_a_word_of_it_is_no_secret(text: str) -> None:
    assert not display.repeats(text, KEY)


def test_of_a_secret_of_three_signs_nothing_can_be_told() -> None:
    assert not display.repeats("abc", "abc")
    assert display.repeats("the word is abcd", "abcd")


def test_shares_have_the_digits_that_count_and_no_exponent() -> None:
    told = {0.0: "0 %", 1.0: "100 %", 0.02: "2 %", 0.0035: "0.35 %", 0.999: "99.9 %", 1e-5: "0.001 %"}
    assert {share: display.percent(share) for share in told} == told
    for share in (4.9e-6, 1e-7, 1.1e-16):
        assert display.percent(share) == "less than 0.001 %"
