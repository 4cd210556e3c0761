"""Counts beside tag values: each is what its filter finds, held against counting in Python."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Arg, Client, connect
from memdb.sizing.samples import serves_json
from memdb.vectors import counts, search
from memdb.vectors.filters import Range, Tag
from memdb.vectors.index import IndexInfo, index_info
from tests.standins import memorydb
from tests.waiting import until

pytestmark = pytest.mark.any_engine

V: tuple[Arg, ...] = ("VECTOR", "FLAT", 6, "TYPE", "FLOAT32", "DIM", 2, "DISTANCE_METRIC", "COSINE")
BLOB = np.array([1, 0], dtype="<f4").tobytes()


def lowered(text: str) -> str:
    """ASCII only, as the local engine folds."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def pieces(text: str, separator: str, *, sensitive: bool = False, empty: bool = False) -> set[str]:
    """The values of one hash: this test's own reading of the engine's rules."""
    cut = [part.strip(" \t\n\r\v\f") for part in text.split(separator)]
    return {part if sensitive else lowered(part) for part in cut if part or empty}


def counted(rows: list[set[str]]) -> dict[str, int]:
    return dict(Counter(value for row in rows for value in row))


def told(client: Client, info: IndexInfo, field: str, *, sensitive: bool = False) -> dict[str, int]:
    """What is shown, keyed as the engine keeps it; each count is first held against the filter itself."""
    shown = search.tag_values(client, info, field)
    for item in shown:
        assert search.count(client, info, Tag(field, (item.value,))) == item.documents, item
    assert [item.documents for item in shown] == sorted((i.documents for i in shown), reverse=True)
    found = {item.value if sensitive else lowered(item.value): item.documents for item in shown}
    assert len(found) == len(shown), "a value is listed twice"
    return found


def made(client: Client, prefix: str, *schema: Arg, on: str = "HASH") -> None:
    vector = ("v",) if on == "HASH" else ("$.v", "AS", "v")
    client.execute(
        "FT.CREATE", prefix + "idx", "ON", on, "PREFIX", 1, prefix + "d:", "SCHEMA", *schema, *vector, *V
    )


def ready(client: Client, prefix: str, documents: int) -> IndexInfo:
    until(lambda: index_info(client, prefix + "idx").documents == documents, "all documents are indexed")
    return index_info(client, prefix + "idx")


@pytest.mark.needs("index_empty")
def test_several_values_cases_blanks_repeats_and_empties(client: Client, prefix: str) -> None:
    fields: dict[str, tuple[str, dict[str, bool]]] = {
        "comma": (",", {}),
        "semi": (";", {}),
        "pipe": ("|", {}),
        "blank": (" ", {}),
        "unit": ("\x1f", {}),
        "break": ("\n", {}),
        "backslash": ("\\", {}),
        "cs": (",", {"sensitive": True}),
        "empty": (",", {"empty": True}),
    }
    schema: list[Arg] = []
    for name, (separator, options) in fields.items():
        schema += [name, "TAG", "SEPARATOR", separator]
        schema += ["CASESENSITIVE"] if options.get("sensitive") else []
        schema += ["INDEXEMPTY"] if options.get("empty") else []
    made(client, prefix, *schema)
    rng = random.Random(3)
    words = [
        "red",
        "Red",
        "RED",
        "light blue",
        " green ",
        "green",
        "",
        "x",
        "x",
        "É",
        "é",
        "a-b",
        "a.b",
        "{q}",
        "*",
        "ß",
    ]
    rows: list[str] = []
    for _ in range(300):
        separator = rng.choice(",;| \x1f\n\\")
        rows.append(separator.join(rng.choices(words, k=rng.randint(0, 5))))
    client.pipeline(
        [
            ("HSET", f"{prefix}d:{i}", "v", BLOB, *[p for f in fields for p in (f, row)])
            for i, row in enumerate(rows)
        ]
    )
    info = ready(client, prefix, len(rows))
    for name, (separator, options) in fields.items():
        right = counted([pieces(row, separator, **options) for row in rows])
        assert told(client, info, name, sensitive=bool(options.get("sensitive"))) == right, name
        assert search.tag_values(client, info, name).complete


def test_more_values_than_are_listed_and_more_contents_than_are_looked_at(
    client: Client, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(client, prefix, "t", "TAG", "u", "TAG")
    rng = random.Random(4)
    # Every document's content is its own, and its values are those of many: groups of whole contents say nothing.
    rows = [",".join([f"own{i}", *rng.sample(["a", "B", "b", "c", "d"], 3)]) for i in range(2_000)]
    few = [f"w{i % 700}" for i in range(2_000)]
    client.pipeline(
        [
            ("HSET", f"{prefix}d:{i}", "v", BLOB, "t", row, "u", one)
            for i, (row, one) in enumerate(zip(rows, few, strict=True))
        ]
    )
    info = ready(client, prefix, len(rows))
    right = counted([pieces(row, ",") for row in rows])
    shown = search.tag_values(client, info, "t")
    assert not shown.complete
    assert len(shown) == search.TAG_VALUES
    assert [(v.value.lower(), v.documents) for v in shown[:4]] == sorted(
        ((k, n) for k, n in right.items() if n > 1), key=lambda item: (-item[1], item[0])
    )
    assert told(client, info, "u").items() <= counted([{one} for one in few]).items()
    monkeypatch.setattr(counts, "GROUPS", 50)
    cut = search.tag_values(client, info, "t")
    assert not cut.complete
    assert {v.value.lower(): v.documents for v in cut}.items() <= right.items()
    assert {"a", "b", "c", "d"} <= {v.value.lower() for v in cut[:4]}


def test_documents_without_the_field_and_indexes_without_documents(client: Client, prefix: str) -> None:
    made(client, prefix, "t", "TAG", "n", "NUMERIC")
    info = index_info(client, prefix + "idx")
    assert list(search.tag_values(client, info, "t")) == []
    assert search.numeric_bounds(client, info, "n") is None
    client.execute("HSET", f"{prefix}d:1", "v", BLOB)
    client.execute("HSET", f"{prefix}d:2", "v", BLOB, "t", "one")
    info = ready(client, prefix, 2)
    assert [(v.value, v.documents) for v in search.tag_values(client, info, "t")] == [("one", 1)]
    assert search.numeric_bounds(client, info, "n") is None


@pytest.mark.needs("any_name")
@pytest.mark.parametrize(
    ("numbers", "right"),
    [
        (["5", "9", "6.5"], (5, 9)),
        (["-7", "-3"], (-7, -3)),
        (["1e3", "1", "inf", "-inf"], (1, 1000)),
        (["0"], (0, 0)),
        (["-0.5", "1e-9"], (-0.5, 1e-9)),
        (["1e300", "-1e300"], (-1e300, 1e300)),
        (["1732571234568", "1732571234567.5"], (1732571234567.5, 1732571234568)),  # a reply has twelve digits
        (["-2.2250738585072014e-308", "0"], (-2.2250738585072014e-308, 0)),
        (["inf"], None),
    ],
)
def test_bounds_are_of_the_finite_numbers(
    client: Client, prefix: str, numbers: list[str], right: tuple[float, float] | None
) -> None:
    made(client, prefix, "a-b", "NUMERIC")
    for i, number in enumerate(numbers):
        client.execute("HSET", f"{prefix}d:{i}", "v", BLOB, "a-b", number)
    info = ready(client, prefix, len(numbers))
    bounds = search.numeric_bounds(client, info, "a-b")
    assert bounds == right
    within = 0 if bounds is None else search.count(client, info, Range("a-b", *bounds))
    assert within == sum(np.isfinite(float(number)) for number in numbers)


@pytest.mark.needs("sorted_hits")
@pytest.mark.parametrize(
    "options",
    [(), ("CASESENSITIVE",), ("SEPARATOR", "|"), ("SEPARATOR", ";", "CASESENSITIVE"), ("SEPARATOR", " ")],
)
def test_options_that_an_engine_does_not_tell_are_found_out(
    client: Client, prefix: str, options: tuple[Arg, ...]
) -> None:
    """MemoryDB's FT.INFO names neither separator nor case."""
    made(client, prefix, "t", "TAG", *options)
    separator = str(options[1]) if "SEPARATOR" in options else ","
    sensitive = "CASESENSITIVE" in options
    rng = random.Random(5)
    words = ["red", "Red", "blue", "a/b", "c.d", "x:y"]
    rows = [separator.join(rng.choices(words, k=rng.randint(1, 4))) for _ in range(120)]
    client.pipeline([("HSET", f"{prefix}d:{i}", "v", BLOB, "t", row) for i, row in enumerate(rows)])
    ready(client, prefix, len(rows))
    with memorydb(client.target) as proxy, connect(proxy.target) as front:
        info = index_info(front, prefix + "idx")
        right = counted([pieces(row, separator, sensitive=sensitive) for row in rows])
        assert told(front, info, "t", sensitive=sensitive) == right
        found = counts.tag_field(front, info, "t")
        assert (found.separator, found.case_sensitive) == (separator, sensitive)


# ---- JSON ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An engine that serves JSON documents."""
    with (
        local_engine.start(tmp_path_factory.mktemp("json"), log=False, json=True) as running,
        connect(running.target) as found,
    ):
        running.wait_ready()
        if not serves_json(found):
            pytest.skip("this engine has no JSON documents")
        yield found


HELD: list[object] = [
    ["a", "b", "a,b", " c "],
    "a,b",
    ["A", "a"],
    [],
    None,
    "",
    True,
    ["x", None],
    "it's",
    ["b", "a"],
    ["é"],
    ["É"],
    ["*", "{}"],
    ["a", "never first"],
    ["a", "b", "nor this"],
    "12",
    "[1,2]",
    '"q"',
]


def leaves(value: object) -> list[str]:
    if isinstance(value, list):
        return [text for item in value for text in leaves(item)]
    return ["true"] if value is True else [value] if isinstance(value, str) else []


@pytest.mark.parametrize("front", ["engine", "memorydb"])
def test_arrays_of_json_documents(documents: Client, front: str) -> None:
    prefix = f"{front}:"
    made(
        documents,
        prefix,
        "$.g[*]",
        "AS",
        "items",
        "TAG",
        "$.g[*]",
        "AS",
        "cut",
        "TAG",
        "SEPARATOR",
        ",",
        "$.g[*]",
        "AS",
        "cs",
        "TAG",
        "CASESENSITIVE",
        "$.g",
        "TAG",
        "$.n[*]",
        "AS",
        "n",
        "NUMERIC",
        on="JSON",
    )
    for i, held in enumerate(HELD):
        whole = {"g": held, "n": [i, 100 - i], "v": [1, i]}
        documents.execute("JSON.SET", f"{prefix}d:{i}", "$", json.dumps(whole))
    info = ready(documents, prefix, len(HELD))
    arrays = [leaves(held) if isinstance(held, list) else [] for held in HELD]
    right = {
        "items": counted([{lowered(text) for text in texts if text} for texts in arrays]),
        "cs": counted([{text for text in texts if text} for texts in arrays]),
        "cut": counted([{p for text in texts for p in pieces(text, ",")} for texts in arrays]),
        "$.g": counted([{lowered(text) for text in leaves(held) if text} for held in HELD]),
    }
    with memorydb(documents.target) as proxy, connect(proxy.target) as behind:
        client = documents if front == "engine" else behind
        # MemoryDB's FT.INFO tells no options of a TAG field: what is shown still is what the filter finds.
        known = info if front == "engine" else index_info(client, prefix + "idx")
        for name in ("items", "$.g") if front == "memorydb" else right:
            assert told(client, known, name, sensitive=name == "cs") == right[name], name
        if front == "engine":
            assert search.numeric_bounds(client, known, "n") == (0, 100)


def test_a_hit_shows_every_value_of_an_array(documents: Client) -> None:
    prefix = "hits:"
    made(
        documents,
        prefix,
        "$.c[*]",
        "AS",
        "cats",
        "TAG",
        "$.t",
        "AS",
        "t",
        "TEXT",
        "$.n",
        "AS",
        "n",
        "NUMERIC",
        on="JSON",
    )
    whole = {"c": ["romance", "comedy"], "t": "[not] a list", "n": 1.50, "v": [1, 0]}
    documents.execute("JSON.SET", f"{prefix}d:1", "$", json.dumps(whole))
    documents.execute("JSON.SET", f"{prefix}d:2", "$", json.dumps({"c": ["one"], "v": [0, 1]}))
    info = ready(documents, prefix, 2)
    request = search.KnnRequest(info.name, (1.0, 0.0), return_fields=("cats", "t", "n"))
    with memorydb(documents.target) as proxy, connect(proxy.target) as behind:
        for client in (documents, behind):
            first, second = search.knn(client, request, index_info(client, info.name)).hits
            assert json.loads(first.fields["cats"]) == ["romance", "comedy"]
            assert (first.fields["t"], float(first.fields["n"])) == ("[not] a list", 1.5)
            assert dict(second.fields) == {"cats": "one"}
            assert [round(h.distance, 6) for h in (first, second)] == [0.0, 1.0]
