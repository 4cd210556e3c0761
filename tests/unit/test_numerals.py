"""What says a number and is none that Python takes: hundreds of digits, ², endless ones; and what is nested deeply.

A server, a file, a link or AWS may say any of them, and `int`, `float` and `json` fail of them in ways of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from memdb import files
from memdb.cli.tap import _address
from memdb.cluster import replies, targets, topology
from memdb.cluster.doctor import _numbers
from memdb.cluster.guard import check
from memdb.display import number_text
from memdb.errors import BadInput, BadSettings, OutOfRange
from memdb.numerals import whole_number
from memdb.operations.aws_snapshots import size_bytes
from memdb.sessions import entries, times
from memdb.sessions.cursor import Cursor
from memdb.settings import Settings
from memdb.sizing import shape
from memdb.vectors import stored

DIGITS = "9" * 400
MANY = "9" * 5_000  # more than int() takes
NO_NUMBERS = (
    "²",
    "٣",
    "1²",
    "-1",
    "+1",
    "1.0",
    "1e3",
    "1_000",
    " 1",
    "",
    "inf",
    "nan",
    MANY,
    DIGITS,
    "9" * 19,
)
DEEP = "[" * 20_000


def name(value: object) -> str:
    """Pytest would write a number of 5,000 digits out."""
    return number_text(value) if isinstance(value, int | float) else str(value)[:12]


@pytest.mark.parametrize("told", NO_NUMBERS, ids=name)
def test_what_is_no_number_of_digits_is_none(told: str) -> None:
    assert whole_number(told) is None
    assert whole_number(told.encode()) is None


def test_digits_are_a_number() -> None:
    assert [whole_number(told) for told in ("0", "007", b"42", "9" * 18)] == [0, 7, 42, 10**18 - 1]
    assert whole_number("18446744073709551615", most_digits=20) == 2**64 - 1


@pytest.mark.parametrize(
    "told", [10**400, -(10**400), 10**5000, float("inf"), float("nan"), 1e308, DIGITS, MANY], ids=name
)
def test_no_time_is_read_from_a_number_that_is_none(told: object) -> None:
    assert times.moment(told) is None
    turns, _ = entries.conversation([{"role": "user", "content": "hello", "timestamp": told}])
    assert turns[0].at is None
    assert times.moment(1_700_000_000) is not None


@pytest.mark.parametrize("told", ["²", MANY, "-5", "x"], ids=name)
def test_a_server_that_says_no_numbers_is_read(told: str) -> None:
    facts = {"role": "slave", "master_host": "far", "master_port": told}
    assert topology.replication_nodes(facts, host="here", port=1)[0].port == 0
    facts = {"role": "master", "slave0": f"ip=far,port={told},state=online", f"slave{told}": "ip=x"}
    assert [node.port for node in topology.replication_nodes(facts, host="here", port=1)] == [1, 0]
    nodes = topology.cluster_nodes(f"id a:{told}@1 master - 0 0 1 connected", host="here", port=7)
    assert nodes[0].port == 7
    assert _numbers(f"{told}.2") == (0, 2)
    assert replies.whole(told.encode()) == 0


def test_a_search_that_counts_its_fields_with_other_digits_is_judged() -> None:
    for told in ("²", MANY):
        check(("FT.SEARCH", "i", "*=>[KNN 3 @v $q]", "RETURN", told, "SUMMARIZE_"), writable=False)


@pytest.mark.parametrize("told", ["²", MANY, "", "-1"], ids=name)
def test_places_that_are_none_are_refused(told: str) -> None:
    with pytest.raises(BadInput):
        Cursor.parse(f"{told}.")
    with pytest.raises(BadInput):
        _address(f"localhost:{told}")


@pytest.mark.parametrize(
    ("value", "words"),
    [(10**5_000, "about 5,000 digits"), (-(10**400), "about 400 digits"), (7, "7")],
    ids=name,
)
def test_a_number_out_of_range_is_told_whatever_its_length(value: int, words: str) -> None:
    assert words in number_text(value)
    assert words in str(OutOfRange("k", value, 1, 5, "the test"))
    for read in (shape.whole, shape.number):
        with pytest.raises(BadInput, match=words):
            read("Vectors", value, 0, 5)


def test_other_things_than_numbers_are_told_in_short() -> None:
    with pytest.raises(BadInput) as refused:
        shape.whole("Vectors", MANY, 0, 5)
    assert len(str(refused.value)) < 200


def test_a_size_of_aws_without_end_is_none() -> None:
    assert size_bytes(f"{DIGITS} MB") is None
    assert size_bytes("11 MB") == 11 * 2**20


TABLES: dict[str, str] = {
    "a number of 400 digits": f"timeout = {DIGITS}",
    "one of 5,000": f"timeout = {MANY}",
    "one of 6,000 in hexadecimal": f"timeout = 0x{'f' * 6_000}",
    "no bound at all": "budget = { queries_per_s = inf }",
    "no number": "budget = { queries_per_s = nan }",
    "a factor that is none": "budget = { slow_factor = nan }",
    "keys of 400 digits": f"budget = {{ keys_scanned = {DIGITS} }}",
    "lists in lists": f"timeout = {DEEP}",
}


@pytest.mark.parametrize("line", TABLES.values(), ids=TABLES)
def test_a_settings_file_with_such_a_number_is_refused_in_words(tmp_path: Path, line: str) -> None:
    (tmp_path / "targets.toml").write_text(f'[targets.a]\nurl = "redis://h:1"\n{line}\n')
    settings = replace(Settings.from_env(), home=tmp_path)
    try:
        (named,) = targets.read(settings)
        problem = named.problem
    except BadSettings as exc:
        problem = exc
    assert isinstance(problem, BadSettings)
    assert len(str(problem)) < 300


@pytest.mark.parametrize("text", [f"look = [{MANY}]", f"look = {DEEP}", "look"], ids=name)
def test_access_that_is_no_toml_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadSettings, match="MEMDB_ACCESS is no TOML"):
        targets.access_table(replace(Settings.from_env(), home=tmp_path, access=text))


def test_text_that_is_nested_deeply_is_text() -> None:
    reads: tuple[Callable[[], object], ...] = (
        lambda: stored.first(DEEP.encode()),
        lambda: stored.shown(DEEP),
    )
    assert [read() for read in reads] == [DEEP, DEEP]
    with pytest.raises(ValueError, match="nested"):
        files.tables(f"a = {DEEP}")
