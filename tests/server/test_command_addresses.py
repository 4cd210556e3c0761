"""Every command, given an address that cannot be read or stands in a wrong place: no part of a password shows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from memdb.cli import main
from memdb.cli.arguments import OnServer
from memdb.cli.entry import COMMANDS, command
from memdb.cluster.client import Client
from tests.unit.test_target import LEAKY

# What each command needs besides an address. A new command has to be added.
WORDS: dict[str, tuple[str, ...]] = dict.fromkeys(COMMANDS, ()) | {
    "deploy": ("--cluster", "c"),
    "exporter": ("--once",),
    "aws card": ("--cluster", "c"),
    "aws alarms": ("--cluster", "c"),
    "aws snapshots": ("--cluster", "c"),
    "search": ("--index", "i", "--key", "d:3"),
    "recall": ("--index", "i", "--queries", "5", "--clients", "0"),
    "labels import": ("--qrels", "nowhere.tsv"),
    "watch": ("--index", "i", "--once"),
    "reembed": ("--index", "i"),
    "map": ("--index", "i"),
    "calibrate": ("--index", "i"),
}
STARTING = {
    "demo",
    "serve",
    "drill",
    "engine start",
    "engine stop",
}  # they open no address and would start something
SERVING = {"app", "tap", "exporter"}  # where their words are right, they go on
SECRET = re.compile("HID|DEN|PART")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for name in ("MEMDB_URL", "MEMDB_TARGET", "MEMDB_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_shows_nothing_of_an_address_that_does_not_parse(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opens = issubclass(command(name), OnServer)
    ways = ["--url", "--url=", "behind the command"]
    ways += [] if name in STARTING else ["MEMDB_URL", "MEMDB_TARGET"]
    # Each spelling comes one way here; all ways come with all spellings in the walk over the commands.
    offset = list(COMMANDS).index(name)
    for number, address in enumerate(LEAKY if opens else LEAKY[offset % 4 :: 4]):
        way = ways[(number + offset) % len(ways)]
        if way == "behind the command" and address == "HIDDEN":
            continue  # nothing tells such a word from any other
        words = [*name.split(), *WORDS[name]]
        if way.startswith("MEMDB"):
            monkeypatch.setenv(way, address)
        else:
            words += {"--url": ["--url", address], "--url=": [f"--url={address}"]}.get(way, [address])
        status = main(words)
        out, err = capsys.readouterr()
        assert not SECRET.search(out + err), (way, address)
        assert "Traceback" not in err
        unread = way.startswith("MEMDB") and not opens
        assert unread or (status, err[:7]) == (2, "memdb: "), (way, address, out, err)
        for variable in ("MEMDB_URL", "MEMDB_TARGET"):
            monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_words_that_no_option_takes_are_counted_and_not_repeated(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [option for option, _ in command(name).options()]
    taken = [str((option.choices or ["x"])[0]) for option in options if not option.name.startswith("-")]
    needed = [o.name for o in options if o.required and not o.either and o.name not in WORDS[name]]
    start = [*name.split(), *WORDS[name], *(word for each in needed for word in (each, "7")), *taken]
    refused: list[tuple[list[str], int, list[str]]] = [
        (["HIDDEN"], 1, []),
        (["HIDDEN", "two words PART", ""], 3, []),
        (["--no-such", "HIDDEN"], 2, ["--no-such"]),
        (["--no-such=HIDDEN", "-x", "-xHIDDEN"], 3, ["--no-such", "-x"]),
        (["--HIDDEN", "--hunter2HIDDEN", "---", "-HID-DEN"], 4, []),
        (["--", "HIDDEN", "--no-such"], 2, ["--no-such"]),
        (["--jsonx", "HIDDEN", "--tex=PART"], 3, ["--jsonx", "--tex"]),
    ]
    known = [option.name for option in options]
    if any(each.startswith("--tex") for each in known):
        refused.pop()  # a command with --text reads it as that
    for as_json in ([], ["--json"] if "--json" in known else []):
        for words, count, names in refused:
            assert main([*start, *as_json, *words]) == 2
            out, err = capsys.readouterr()
            assert not SECRET.search(out + err), words
            are = "1 word is" if count == 1 else f"{count} words are"
            assert err.startswith(f"memdb: {are} not understood"), (words, err)
            assert all(each in err for each in names), (words, err)
            assert f"See `memdb {name} --help`." in err
            assert out == "" if not as_json else json.loads(out)["error"] in err


@pytest.mark.parametrize("name", COMMANDS)
def test_a_value_of_an_option_that_takes_none_or_is_cut_short_is_not_repeated(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = command(name).options()
    switches = [option.name for option, field in options if field.type in (bool, "bool")]
    for switch in ["--help", *switches]:
        for word in (f"{switch}=HIDDEN", f"{switch[:-1]}=a: 'HIDDEN' could match PART"):
            assert main([*name.split(), *WORDS[name], word]) == 2, word
            out, err = capsys.readouterr()
            assert not SECRET.search(out + err), word
            assert "takes no value" in err or "Ambiguous option" in err or "not understood" in err, err
    assert main(["HIDDEN", *name.split()]) == 2
    assert not SECRET.search("".join(capsys.readouterr()))


@pytest.mark.parametrize("name", ["sessions", "engine", "labels", "aws"])
def test_a_word_in_the_place_of_an_action_is_not_repeated(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "HIDDEN"]) == 2
    out, err = capsys.readouterr()
    assert "invalid choice (choose from" in err
    assert not SECRET.search(out + err)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in STARTING | SERVING])
def test_an_address_in_the_place_of_another_value_is_not_repeated(
    name: str, server: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = ("t", "TEXT", "v", "VECTOR", "FLAT", 6, "TYPE", "FLOAT32", "DIM", 1, "DISTANCE_METRIC", "L2")
    server.execute("FT.CREATE", "i", "PREFIX", 1, "d:", "SCHEMA", *schema)
    server.pipeline([("HSET", f"d:{i}", "t", "word", "v", b"\x00\x00\x80?") for i in range(12)])
    for option, field in command(name).options():
        if option.choices or field.type in (bool, "bool"):
            continue
        for address in ("redis://ada:HIDDEN@127.0.0.1:1", "rediss://ada:12/HIDDEN@h", "//ada:HIDDEN@h/3"):
            words = [*WORDS[name]]
            if option.name in words:
                place = words.index(option.name)
                del words[place : place + 2]
            if issubclass(command(name), OnServer) and option.name != "--url":
                words += ["--url", server.target.url]
            words += [option.name, address] if option.name.startswith("-") else [address]
            status = main([*name.split(), *words])
            out, err = capsys.readouterr()
            assert not SECRET.search(out + err), (option.name, address)
            assert status in (0, 1, 2)


def test_an_address_that_holds_no_login_is_told(server: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--index", "redis://h", "--key", "k", "--url", server.target.url]) == 2
    assert "There is no index 'redis://h'" in capsys.readouterr().err
    assert main(["search", "--index", "user:ada@example.com", "--key", "k", "--url", server.target.url]) == 2
    assert "There is no index 'user:ada@example.com'" in capsys.readouterr().err
    assert main(["doctor", "--url", "redis://ada:x@127.0.0.1:1", "--json"]) == 1
    assert "redis://127.0.0.1:1" in capsys.readouterr().out
