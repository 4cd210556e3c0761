"""The command line without a server: help, options, errors as one line."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from memdb.cli import main, output
from memdb.cli.arguments import OnServer
from memdb.cli.entry import COMMANDS, command, parse
from memdb.cli.search import _block
from memdb.errors import BadInput
from memdb.vectors.search import Hit


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*name.split(), "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert f"memdb {name}" in out
    assert ("--url" in out) == issubclass(command(name), OnServer)


def test_a_line_becomes_a_value_of_the_command() -> None:
    class_of = command("search")
    made = parse(["search", "--index", "i", "--key", "k", "--ef", "1_000", "--return", "a,b"])
    assert made == class_of(index="i", key="k", ef=1000, returned="a,b", filter="*", field="", url="")
    assert class_of.__dataclass_params__.frozen


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "required: COMMAND"),
        (["dance"], "invalid choice (choose from 'demo'"),
        (["search", "--index", "i"], "--text --key --vector --questions is required"),
        (["search", "--index", "i", "--text", "a", "--key", "b"], "not allowed with"),
        (["search", "--index", "i", "--text", "a", "--k", "0"], "0 is too small"),
        (["search", "--index", "i", "--text", "a", "--ef", "ten"], "'ten' is not a whole number"),
        (["recall", "--index", "i", "--sample", "all"], "'all' is not a whole number; or say usual"),
        (["watch", "--index", "i", "--sample", "-7"], "-7 is too small; at least 0; or say usual"),
        (
            ["load", "--docs", 'it\'s "secret"'],
            "the value, not shown, as it may be a password, is not a whole",
        ),
        (["recall", "--index", "i", "--target", "secret1"], "password, is not a number"),
        (["recall", "--index", "i", "--target", "95%"], "'95%' is not a number"),
        (["map", "--index", "i", "--out", "m", "--dimensions", "secret"], "invalid int value, not shown"),
        (["size", "--type", "topsecret"], "invalid choice, not shown, as it may be a password (choose from"),
        (["size", "--type", "FLOAT23"], "'FLOAT23' (choose from"),
        (["demo", "--port", "70000"], "70000 is not a port"),
        (["load", "--docs", "-1"], "-1 is too small"),
        (["sessions", "show"], "needs the id of a session"),
        (["sessions"], "no local engine runs and MEMDB_URL is not set"),
        (["sessions", "--url", "http://me:secret@host"], "does not start with redis://"),
        (["load", "--url", "redis://127.0.0.1:1"], "read-only"),
        (["sessions", "--url", "redis://127.0.0.1:1"], "No answer from"),
        (["engine", "stop"], "no local engine"),
    ],
)
def test_an_error_is_one_line_and_status_2(
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert err.startswith("memdb: ")
    assert err.count("\n") == 1
    assert "secret" not in err
    assert out == ""


@pytest.mark.parametrize("wrong", ["banana", "geheim@h", "redis://:geheim@h", "not shown, geheim"])
def test_why_a_value_is_wrong_is_told_beside_an_address_too(wrong: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(["recall", "--url", "redis://:s3cret@h", "--sample", wrong])
    told = f"{caught.value} {caught.value.hint}"
    assert "is not a whole number; or say usual" in told
    assert not any(word in told for word in ("s3cret", "banana", "geheim", "redis://"))


@pytest.mark.parametrize(
    "words",
    [
        ["redis://ada:HIDDEN@h"],
        ["doctor", "redis://ada:HIDDEN@h"],
        ["doctor", "--url", "redis://ada:a", "HIDDEN@h"],
        ["doctor", "--url", "redis://ada:a", "HIDDEN", "b:c@h", "--json"],
        ["doctor", "--ur=redis://ada:HIDDEN@h", "--u=redis://ada:HIDDEN@h", "x"],
        ["doctor", "--json=redis://ada:HIDDEN@h"],
        ["size", "--url=redis://ada:HIDDEN@h"],
        ["load", "--docs", "redis://ada:HIDDEN@h"],
        ["load", "--docs", "HIDDEN", "--url", "redis://ada:a@h"],
        ["search", "--index", "i", "--ef", "redis://ada:HIDDEN@h", "--text", "x"],
        ["sessions", "ada:HIDDEN@h"],
        ["engine", "redis://ada:'HIDDEN: x'@h"],
        ["doctor", "--json", "--url", "redis://:ab/HIDDEN@h"],
        ["doctor", "--json", "--url=:HIDDEN@h"],
        ["sessions", "--json", "--url", "HIDDEN"],
        ["app", "--url", "redis://h:80/HIDDEN@h"],
        ["exporter", "--url", "redis://ada:12#HIDDEN@h"],
        ["size", "--url", "redis-cli -h h -a HIDDEN"],
        ["check", "--password", "HIDDEN"],
        ["recall", "--index", "i", "--pass=HIDDEN"],
        ["search", "--index", "i", "--text", "x", "--pasword", "HIDDEN"],
        ["-a", "HIDDEN", "doctor"],
        ["doctor", "h:6379:HIDDEN"],
        ["doctor", "-aHIDDEN"],
        ["memory", "--Auth", "HIDDEN", "--json"],
    ],
)
def test_no_complaint_repeats_a_password(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert err.startswith("memdb: ")
    assert "HIDDEN" not in out + err


def test_an_option_for_a_password_is_told_where_one_goes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--index", "i", "--password", "HIDDEN", "--text", "x"]) == 2
    assert "A password is no option: set MEMDB_PASSWORD" in capsys.readouterr().err
    assert main(["search", "--index", "i", "--password", "HIDDEN"]) == 2
    assert "--text --key --vector --questions is required" in capsys.readouterr().err


def test_a_complaint_beside_a_password_still_names_what_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["search", "--url", "redis://:HIDDEN@h"]) == 2
    assert "required: --index" in capsys.readouterr().err


def test_an_error_as_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    assert main(["sessions", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"error", "hint"}
    assert "memdb demo" in found["hint"]


def _least(name: str) -> list[str]:
    """A command with only what it must be given."""
    words = name.split()
    either = False
    for option, _ in command(name).options():
        if option.required and not (option.either and either):
            words += [option.name, "256" if option.metavar == "N" else "x.csv"]
            either = either or bool(option.either)
    return words


ON_SERVER = [name for name in COMMANDS if issubclass(command(name), OnServer)]


WITHOUT_JSON = {"app", "exporter", "tap"}  # they serve until they are ended


@pytest.mark.parametrize("name", ON_SERVER)
def test_every_command_on_a_server_words_its_errors_alike(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    words = [*_least(name), "--url", "gone://host\x1b[31m"]
    if name == "calibrate":
        words += ["--index", "i"]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("memdb: ")
    assert err.count("\n") == 1
    assert "\x1b" not in err
    with_json = (["--json"],) if "json" in command(name).__dataclass_fields__ else ()
    assert bool(with_json) is (name not in WITHOUT_JSON)
    for more in with_json:
        assert main([*words, *more]) == 2
        out, again = capsys.readouterr()
        assert again == err
        told = json.loads(out)
        assert set(told) == {"error", "hint"}
        assert told["error"] in err or "\x1b" in told["error"]


def test_tables_and_sentences_obey_nothing_that_was_stored(capsys: pytest.CaptureFixture[str]) -> None:
    odd = "a\x1b]0;title\x07b [red]c[/red] \u202ed"
    output.print_table(odd, (odd, "n"), [(odd, "1")])
    output.say(odd)
    output.note(odd)
    out, err = capsys.readouterr()
    for text in (out, err):
        assert not set("\x1b\x07\u202e") & set(text)
        assert "[red]c[/red]" in text


def test_bad_environment_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMDB_WRITABLE", "perhaps")
    assert main(["sessions"]) == 2
    assert "MEMDB_WRITABLE is 'perhaps'" in capsys.readouterr().err


def test_starting_imports_nothing_heavy() -> None:
    code = (
        "import sys, contextlib, io\n"
        "from memdb.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()): main(['engine', 'status'])\n"
        "import memdb.cli.demo\n"
        "heavy = {'numpy', 'pandas', 'streamlit', 'umap', 'boto3', 'botocore', 'plotly', 'wordllama'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize("start", ["recall --index i", "map --index i --out f", "search --index i --text t"])
@pytest.mark.parametrize(
    "expression", ["-@tag:{x}", "-(@tag:{a b} @n:[1 2])", "-@tag:{--json}", "--@a:{b}", "-1"]
)
def test_a_filter_may_begin_with_a_dash(start: str, expression: str) -> None:
    for words in (["--filter", expression], [f"--filter={expression}"], ["--filt", expression]):
        parsed = parse([*start.split(), *words, "--json"])
        assert (parsed.filter, parsed.json) == (expression, True)  # type: ignore[attr-defined]


def test_what_names_an_option_is_no_value() -> None:
    with pytest.raises(BadInput, match="--filter: expected one argument"):
        parse(["recall", "--index", "i", "--filter", "--json"])
    assert parse(["search", "--index", "-i", "--key", "-k:1"]).key == "-k:1"  # type: ignore[attr-defined]


NASTY = "doc:ram:x [bold]y[/bold] [link=http://h]z[/] :fire: \\[q] 0x1F 12:30"


def test_no_value_is_markup_or_an_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a command prints goes through these; test below: nothing else prints."""
    output.print_table(NASTY, (NASTY, "n"), [(NASTY, "1")] * 2, right=(1,))
    output.say(NASTY)
    output.note(NASTY)
    with output.ProgressBar() as bar:
        bar.report(NASTY, 1, 2)
        bar.say(NASTY)
    out, err = capsys.readouterr()
    # A table folds what is too long for its column.
    words = "".join(out.replace("│", "").replace("┃", "").split())
    assert words.count("".join(NASTY.split())) >= 2
    assert err.count(NASTY) == 2  # of the bar itself nothing is drawn where there is no terminal
    for text in (out, err):
        assert "\N{RAM}" not in text
        assert "\N{FIRE}" not in text


def test_on_a_terminal_a_value_is_no_markup_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "400")
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    output.print_table("", ("key",), [(NASTY,)])
    assert "\x1b[" in stream.getvalue()  # the head is bold
    assert NASTY in stream.getvalue()


def test_commands_print_through_output_alone() -> None:
    files = [file for file in Path(output.__file__).parent.glob("*.py") if file.name != "output.py"]
    assert len(files) > 20
    for file in files:
        nodes = list(ast.walk(ast.parse(file.read_text())))
        calls = [node.func for node in nodes if isinstance(node, ast.Call)]
        assert "print" not in {func.id for func in calls if isinstance(func, ast.Name)}, file.name
        modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
        assert not [module for module in modules if module.startswith("rich")], file.name


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_terminal_gets_sentences_wrapped_between_words_and_a_pipe_as_they_are(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "1,000,000 documents of 1,536 × FLOAT32 with 1,024 bytes of metadata, and a well-known " * 3
    command = "  " + "redis-cli FT.SEARCH idx:embeddings " * 6
    monkeypatch.setenv("COLUMNS", str(width))
    for stream, is_terminal in ((_Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stdout", stream)
        output.say(f"{sentence}\n{command}")
        *told, last = stream.getvalue().rstrip("\n").split("\n")
        assert last.rstrip() == command.rstrip()  # something to copy is never cut
        assert " ".join(told).split() == sentence.split()
        assert (max(map(len, told)) <= width) == is_terminal


def test_an_address_is_not_broken_within_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    address = "rediss://node-12.a.example.org:41117"
    output.print_table("", ["URL", "process", "data"], [[address, "12", "/var/lib/" + "long/" * 12]])
    assert address in capsys.readouterr().out


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_hit_is_a_block_that_fits_the_terminal(width: int) -> None:
    fields = {
        "title": "A title " * 30,
        "content": "A long\ntext. " * 50,
        "service": "s3",
        "year": "2006",
        "no": "",
    }
    lines = _block(7, Hit("doc:1", 0.25, fields), width, breaks_filter=True)
    assert lines[0] == "  7  0.2500  doc:1  breaks the filter"
    assert max(map(len, lines)) <= width
    assert len(lines) == 4
    assert lines[1].strip().startswith("A title A title")
    assert lines[2].strip() == "service: s3 · year: 2006"
    assert lines[3].strip().startswith("content: A long")
    assert _block(1, Hit("doc:1", float("nan"), {}), width, breaks_filter=False)[1:] == []
