"""Another model for an index: what it would take, and that the original is never changed, wherever it is ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdb.cli import main
from memdb.cluster import replies
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine
from memdb.cluster.target import Target
from memdb.embedding import Embedder, Patience, named
from memdb.errors import BadInput, Cancelled, ReadOnlyTarget, Throttled
from memdb.reembedding import checklist, removal, work
from memdb.reembedding.plan import Plan, ReembedRequest, plan, texts_of
from memdb.settings import Settings
from memdb.vectors import index
from memdb.vectors.index import FlatField, HnswField, IndexSpec, NumericField, TagField, TextField, index_info
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.search import knn
from tests.conftest import clean
from tests.embedders import Endpoint, endpoint, vector_of
from tests.standins import memorydb, valkey_search
from tests.waiting import until

pytestmark = pytest.mark.any_engine
COUNT, OLD, NEW = 45, 8, 12
WORDS = ("restore", "rotate", "count", "bucket", "table", "password")


def text_of(i: int) -> tuple[str, str]:
    """Title and content of a document."""
    return f"{WORDS[i % 6]} {i}", f"about {WORDS[i * 5 % 6]} and {WORDS[i * 7 % 6]}"


@pytest.fixture
def model() -> Iterator[Endpoint]:
    with endpoint() as running:
        yield running


# Behind a stand-in must be an engine that orders hits as RediSearch does.
@pytest.fixture(
    params=[
        "engine",
        *(
            pytest.param(name, marks=pytest.mark.needs("sorted_hits"))
            for name in ("valkey-search", "memorydb")
        ),
    ]
)
def anywhere(request: pytest.FixtureRequest, server_target: Target, prefix: str) -> Iterator[Client]:
    """A writable client of each engine. What begins with `prefix`, or copies it, is gone afterwards."""
    if request.param == "engine":
        with connect(server_target) as opened:
            yield opened
            clean(opened, prefix)
            clean(opened, f"v2:{prefix}")
        return
    start = valkey_search if request.param == "valkey-search" else memorydb
    with start(server_target) as running, connect(replace(running.target, writable=True)) as opened:
        yield opened
        with connect(server_target) as behind:
            clean(behind, prefix)
            clean(behind, f"v2:{prefix}")


def shelf(client: Client, prefix: str) -> str:
    """An index over hashes of 45 documents; every ninth has no text, the third lives an hour."""
    fields = (
        TextField("title"),
        TextField("content"),
        TagField("tag"),
        NumericField("n"),
        FlatField("v", OLD, "L2"),
    )
    index.create(client, IndexSpec(prefix + "idx", fields, (prefix + "d:",)))
    for i in range(COUNT):
        title, content = text_of(i)
        texts = () if i % 9 == 8 else ("title", title, "content", content)
        vector = vector_of(title, OLD).astype("<f4").tobytes()
        client.execute(
            "HSET", f"{prefix}d:{i}", *texts, "tag", f"t{i % 2}", "n", i, "own", b"\xff\0x", "v", vector
        )
    client.execute("PEXPIRE", f"{prefix}d:3", 3_600_000)
    until(lambda: index_info(client, prefix + "idx").build.ready, "the index is built")
    return prefix + "idx"


def originals(client: Client, prefix: str) -> dict[str, tuple[dict[bytes, bytes], bool]]:
    """What every document holds but the new field, and whether it has a time to live."""
    rows = {}
    for i in range(COUNT):
        parts = client.execute("HGETALL", f"{prefix}d:{i}")
        flat = [part for pair in parts.items() for part in pair] if isinstance(parts, dict) else list(parts)
        held = dict(zip(flat[::2], flat[1::2], strict=True))
        held.pop(b"v2", None)
        rows[f"{prefix}d:{i}"] = (held, client.execute("PTTL", f"{prefix}d:{i}") > 0)
    return rows


def embedder_of(model: Endpoint, dimension: int = NEW) -> Embedder:
    settings = replace(Settings.from_env(), embedder_url=model.url)
    made = named(f"openai:any-{dimension}@{dimension}", settings)
    return replace(made, kept=None, patience=Patience(tries=1))


def planned(client: Client, of: str, embedder: Embedder, **more: object) -> Plan:
    request = ReembedRequest(of, **{"field": "v2", **more})  # type: ignore[arg-type]
    return plan(client, index_info(client, of), request, embedder)


def done(client: Client, of: str, embedder: Embedder, **more: object) -> work.Reembedded:
    return work.reembed(client, planned(client, of, embedder, **more), embedder, typed=of)


def _holds(client: Client, name: str, vectors: int) -> bool:
    """Whether an index is built and has so many vectors: on valkey-search a second one may be a moment late."""
    info = index_info(client, name)
    return info.build.ready and info.vectors in {vectors, None}


@pytest.mark.parametrize("copies", [False, True])
def test_every_document_gets_the_vector_of_its_text_and_stays_as_it_is(
    anywhere: Client, prefix: str, model: Endpoint, copies: bool
) -> None:
    name = shelf(anywhere, prefix)
    before, definition = originals(anywhere, prefix), index_info(anywhere, name)
    more = {"prefix": "v2:", "name": prefix + "new"} if copies else {}
    result = done(anywhere, name, embedder_of(model), **more)
    assert (result.written, result.without_text, result.there, result.gone, result.ended) == (40, 5, 0, 0, "")
    assert originals(anywhere, prefix) == before
    now = index_info(anywhere, name)
    assert (now.fields, now.prefixes, now.documents) == (
        definition.fields,
        definition.prefixes,
        definition.documents,
    )

    new = index_info(anywhere, prefix + "new" if copies else f"{name}:v2")
    assert new.vector_field()[1].dim == NEW
    assert new.vector_field()[1].metric == "L2"
    assert {field.name for field in new.fields} == {"title", "content", "tag", "n", "v2"}
    start = "v2:" if copies else ""
    for i in range(COUNT):
        held = anywhere.execute("HGET", f"{start}{prefix}d:{i}", "v2")
        if i % 9 == 8:
            assert held is None
        else:
            wanted = vector_of(". ".join(text_of(i)), NEW)
            assert np.frombuffer(held, "<f4") == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-6)
    if copies:
        assert anywhere.execute("HGET", f"v2:{prefix}d:1", "own") == b"\xff\0x"
        assert anywhere.execute("HEXISTS", f"v2:{prefix}d:1", "v") == 0
        assert 0 < anywhere.execute("PTTL", f"v2:{prefix}d:3") <= 3_600_000
        assert anywhere.execute("PTTL", f"v2:{prefix}d:1") == -1
    else:
        assert anywhere.execute("HEXISTS", f"v2:{prefix}d:1", "own") == 0
    until(lambda: _holds(anywhere, new.name, 40), "the new index holds them")
    assert work.has_aliases(anywhere) is (anywhere.server.dialect.name != "valkey-search")
    query = (
        vector_of(". ".join(text_of(7)), NEW) / np.linalg.norm(vector_of(". ".join(text_of(7)), NEW))
    ).astype("f4")
    hits = knn(anywhere, KnnRequest(new.name, vector_param(query), "v2", k=3), new)
    assert hits.keys[0] == f"{start}{prefix}d:7"


@pytest.fixture
def json_server(own_engine: Engine, server: Client) -> Client:
    """A server with JSON documents, where the engine under test has such a module here."""
    if not own_engine.loads_json:
        pytest.skip("there is no module of JSON documents for this engine")
    return server


def test_json_documents_get_a_member_more(json_server: Client, model: Endpoint) -> None:
    fields = (TextField("title", "$.title"), HnswField("v", OLD, path="$.v"))
    index.create(json_server, IndexSpec("books", fields, ("book:",), "JSON"))
    for i in range(20):
        document = {"title": text_of(i)[0], "v": vector_of("x", OLD).tolist(), "deep": {"a": [i, None]}}
        json_server.execute("JSON.SET", f"book:{i}", "$", json.dumps(document))
    before = [json.loads(json_server.execute("JSON.GET", f"book:{i}")) for i in range(20)]
    for more in ({}, {"prefix": "copy:", "name": "copies"}):
        assert done(json_server, "books", embedder_of(model), **more).written == 20
        assert done(json_server, "books", embedder_of(model), **more).there == 20
    for i in range(20):
        held = json.loads(json_server.execute("JSON.GET", f"book:{i}"))
        wanted = vector_of(text_of(i)[0], NEW)
        assert held.pop("v2") == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-6)
        assert held == before[i]
        copied = json.loads(json_server.execute("JSON.GET", f"copy:book:{i}"))
        assert len(copied.pop("v2")) == NEW
        assert copied == {name: value for name, value in before[i].items() if name != "v"}


def test_a_model_that_fails_in_the_middle_is_gone_on_from(
    client: Client, prefix: str, model: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = shelf(client, prefix)
    monkeypatch.setattr(work, "AT_ONCE", 10)
    model.statuses = [200, 200, 500]
    first = done(client, name, embedder_of(model))
    assert 0 < first.written < 40
    assert first.ended
    assert first.words.endswith("Run it again: it goes on where it was.")
    texts = sum(len(call[2]["input"]) for call in model.calls[:2])
    assert first.written == texts
    second = done(client, name, embedder_of(model))
    assert (second.there, second.written, second.ended) == (first.written, 40 - first.written, "")
    model.statuses = [500]
    with pytest.raises(Throttled):
        done(client, name, embedder_of(model), field="v3", name=prefix + "third")


def test_a_cancel_keeps_what_was_written(
    client: Client, prefix: str, model: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = shelf(client, prefix)
    monkeypatch.setattr(work, "AT_ONCE", 10)

    def report(stage: str, done_: int, total: int) -> None:
        if done_ >= 20:
            raise Cancelled

    embedder = embedder_of(model)
    with pytest.raises(Cancelled):
        work.reembed(client, planned(client, name, embedder), embedder, typed=name, report=report)
    result = done(client, name, embedder)
    assert result.there > 0
    assert result.there + result.written == 40


def test_a_process_killed_in_the_middle_is_gone_on_from(
    client: Client, prefix: str, server_target: Target, tmp_path: Path
) -> None:
    name = shelf(client, prefix)
    before = originals(client, prefix)
    with endpoint() as model:
        env = {key: value for key, value in os.environ.items() if not key.startswith("MEMDB_")} | {
            "MEMDB_URL": server_target.url,
            "MEMDB_WRITABLE": "1",
            "MEMDB_HOME": str(tmp_path),
            "MEMDB_EMBEDDER_URL": model.url,
        }
        words = [
            "reembed",
            "--index",
            name,
            "--embedder",
            f"openai:any-{NEW}@{NEW}",
            "--field",
            "v2",
            "--confirm",
            name,
        ]
        code = "import sys; from memdb.reembedding import work; work.AT_ONCE = 5; from memdb.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", code, *words]
        release = threading.Event()
        plain = model.reply

        def held(body: object) -> tuple[int, object]:
            if len(model.calls) > 2:
                release.wait(120)  # the third call is never answered while the process lives
            return plain(body)

        model.reply = held  # type: ignore[method-assign]
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until(lambda: len(model.calls) > 2 or process.poll() is not None, "the third step is under way")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        release.set()
        model.reply = plain  # type: ignore[method-assign]
        written = sum(client.execute("HEXISTS", f"{prefix}d:{i}", "v2") for i in range(COUNT))
        assert 0 < written < 40
        assert originals(client, prefix) == before
        calls = len(model.calls)
        again = subprocess.run([*command, "--json"], env=env, capture_output=True, check=False, text=True)
        assert again.returncode == 0, again.stderr
        told = json.loads(again.stdout)["done"]
        assert (told["there"], told["written"]) == (written, 40 - written)
        sent = [text for call in model.calls[calls:] for text in call[2]["input"]]
        assert len(sent) <= 40 - written + 5  # a few done ones are asked again, to see that it was this model
    assert originals(client, prefix) == before


def test_a_document_that_is_gone_meanwhile_is_not_made_again(
    client: Client, prefix: str, model: Endpoint
) -> None:
    name = shelf(client, prefix)
    plain = model.reply

    def deleting(body: object) -> tuple[int, object]:
        client.execute("DEL", f"{prefix}d:0", f"{prefix}d:1")
        return plain(body)

    model.reply = deleting  # type: ignore[method-assign]
    result = done(client, name, embedder_of(model))
    assert (result.gone, result.written) == (2, 38)
    assert client.execute("EXISTS", f"{prefix}d:0", f"{prefix}d:1") == 0
    copied = done(client, name, embedder_of(model), prefix="v2:", name=prefix + "new")
    assert copied.written == 38
    clean(client, f"v2:{prefix}")


def test_vectors_of_another_model_are_never_mixed(client: Client, prefix: str, model: Endpoint) -> None:
    name = shelf(client, prefix)
    done(client, name, embedder_of(model))
    held = client.execute("HGET", f"{prefix}d:0", "v2")
    with pytest.raises(BadInput, match="holds vectors of another model or other texts"):
        done(client, name, embedder_of(model), texts=("content",))
    with pytest.raises(BadInput, match="vectors of 12 numbers already"):
        done(client, name, embedder_of(model, 16))
    assert client.execute("HGET", f"{prefix}d:0", "v2") == held


def test_what_was_not_typed_or_may_not_be_written_writes_nothing(
    client: Client, prefix: str, model: Endpoint
) -> None:
    name = shelf(client, prefix)
    embedder = embedder_of(model)
    made = planned(client, name, embedder)
    with pytest.raises(BadInput, match="The name typed is 'idx'"):
        work.reembed(client, made, embedder, typed="idx")
    with connect(replace(client.target, writable=False)) as reader:
        refused = planned(reader, name, embedder)
        assert refused.refusals[0] == "This target is read-only."
        with pytest.raises(ReadOnlyTarget):
            work.reembed(reader, refused, embedder, typed=name)
    assert index.index_names(client).count(f"{name}:v2") == 0
    assert model.calls == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"field": "v"}, "has a field 'v' already"),
        ({"field": " "}, "has no name"),
        ({"name": "SAME"}, "the old one's name"),
        ({"prefix": "PREFIX"}, "would be in"),
        ({"texts": ("v",)}, "holds vectors, no text"),
    ],
)
def test_a_wrong_destination_is_told_before_anything_is_read(
    client: Client, prefix: str, model: Endpoint, more: dict[str, object], said: str
) -> None:
    name = shelf(client, prefix)
    meant = {"SAME": name, "PREFIX": f"{prefix}d:x"}
    given = {k: meant.get(v, v) if isinstance(v, str) else v for k, v in more.items()}
    with pytest.raises(BadInput, match=said):
        planned(client, name, embedder_of(model), **given)


def test_the_plan_tells_texts_calls_cost_and_memory(client: Client, prefix: str, model: Endpoint) -> None:
    name = shelf(client, prefix)
    made = planned(client, name, embedder_of(model), price=100.0)
    characters = sum(len(". ".join(text_of(i))) for i in range(COUNT) if i % 9 != 8)
    assert (made.documents, made.sampled) == (COUNT, COUNT)
    assert made.characters == pytest.approx(characters)  # the sample is all of it
    assert made.dollars == pytest.approx(characters / 4 / 1e6 * 100)
    assert made.calls == 1
    assert "About 11% of the documents have no text there: they are left out." in made.notes
    assert made.document_bytes >= COUNT * NEW * 4
    assert made.index_bytes > COUNT * NEW * 4
    assert made.low_bytes <= made.added_bytes <= made.high_bytes
    assert model.calls == []
    info = index_info(client, name)
    assert texts_of(client, info, (info.field("title"),), [f"{prefix}d:1", "nowhere"]) == [
        text_of(1)[0],
        "",
    ]


@pytest.mark.parametrize("aliases", [True, False])
def test_the_checklist_leads_over_and_back(
    client: Client, prefix: str, model: Endpoint, aliases: bool
) -> None:
    name = shelf(client, prefix)
    made = planned(client, name, embedder_of(model), prefix="v2:", name=prefix + "new")
    said = checklist.steps(made, "titan:512", aliases=aliases)
    lines = [text for step in said for text in step.lines]
    assert (
        lines[0]
        == f"memdb evaluate --index {name} --index {prefix}new --field v --field v2 --strip '' --strip v2:"
    )
    assert ("FT.ALIASUPDATE" in " ".join(lines)) is aliases
    assert 'embedder = "titan:512"' in lines
    assert any("way back" in step.words for step in said)


def test_the_command_plans_asks_and_says_what_is_left(
    client: Client,
    prefix: str,
    model: Endpoint,
    server_target: Target,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = shelf(client, prefix)
    for key, value in {
        "MEMDB_URL": server_target.url,
        "MEMDB_WRITABLE": "1",
        "MEMDB_HOME": str(tmp_path),
        "MEMDB_EMBEDDER_URL": model.url,
    }.items():
        monkeypatch.setenv(key, value)
    words = ["reembed", "--index", name, "--embedder", f"openai:any-{NEW}@{NEW}", "--field", "v2"]
    assert main([*words, "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["documents"], told["dimension"], told["dollars"]) == (COUNT, NEW, None)
    assert main([*words, "--dry-run", "--price", "0.02"]) == 0
    assert "Cost: less than $0.01 (estimated)." in capsys.readouterr().out
    assert main(words) == 2
    assert f"Confirm with --confirm {name}." in capsys.readouterr().err
    assert main([*words, "--confirm", "other"]) == 2
    assert index.index_names(client).count(f"{name}:v2") == 0
    assert model.calls == []
    assert main([*words, "--confirm", name]) == 0
    said = capsys.readouterr().out
    assert "Embedded 40 documents again, 5 have no text" in said
    assert "What is left to do:" in said
    assert f"memdb evaluate --index {name} --index {name}:v2" in said

    back = ["reembed", "--index", name, "--field", "v2", "--remove"]
    assert " ".join(("memdb", *back, "--writable")) in said
    assert main(back) == 2
    assert f"Confirm with --confirm {name}:v2." in capsys.readouterr().err
    assert main([*back, "--confirm", f"{name}:v2"]) == 0
    assert "Removed the field of 40 documents" in capsys.readouterr().out
    assert f"{name}:v2" not in index.index_names(client)
    assert main([*back, "--confirm", f"{name}:v2"]) == 2
    assert "There is no index" in capsys.readouterr().err
    assert main(["reembed", "--index", name, "--field", "v2", "--dry-run"]) == 2
    assert "No model is named." in capsys.readouterr().err


def everything(client: Client, beginning: str) -> dict[str, object]:
    """All keys that begin so, with what they hold."""
    return {key: client.execute("HGETALL", key) for key in _keys_of(client, beginning)}


def _keys_of(client: Client, beginning: str) -> list[str]:
    keys, cursor = set(), "0"
    while True:
        reply = client.execute("SCAN", cursor, "MATCH", f"{beginning}*", "COUNT", 1000)
        keys |= {replies.key(key) for key in reply[1]}
        cursor = replies.text(reply[0])
        if cursor == "0":
            return sorted(keys)


@pytest.mark.parametrize("copies", [False, True])
def test_what_was_embedded_again_is_taken_back_and_nothing_else(
    anywhere: Client, prefix: str, model: Endpoint, copies: bool
) -> None:
    name = shelf(anywhere, prefix)
    before = everything(anywhere, prefix)
    more = {"prefix": "v2:", "name": prefix + "new"} if copies else {}
    done(anywhere, name, embedder_of(model), **more)
    strangers = {f"v2:{prefix}d:stranger": "kept"} if copies else {}
    for key, value in strangers.items():
        anywhere.execute("HSET", key, "own", value)
    request = ReembedRequest(name, "v2", **more)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="The name typed is"):
        removal.remove(anywhere, request, typed=name)
    removed = removal.remove(anywhere, request, typed=request.new_index)
    assert (removed.documents, removed.copies) == (40, copies)
    assert everything(anywhere, prefix) == before
    assert _keys_of(anywhere, f"v2:{prefix}") == list(strangers)
    assert request.new_index not in index.index_names(anywhere)


def test_only_the_index_of_a_re_embedding_is_removed(client: Client, prefix: str, model: Endpoint) -> None:
    name = shelf(client, prefix)
    done(client, name, embedder_of(model))
    other = IndexSpec(prefix + "own", (FlatField("w", 4),), (prefix + "d:",))
    index.create(client, other)
    before = everything(client, prefix)
    for request, said in (
        (ReembedRequest(name, "v2", name=prefix + "own"), "is not an index of 'v2'"),
        (ReembedRequest(name, "w", name=f"{name}:v2"), "is not an index of 'w'"),
        (ReembedRequest(name, "v2", prefix="v2:", name=f"{name}:v2"), "over copies that begin with 'v2:'"),
        (ReembedRequest(name, "v", name=f"{name}:v2"), "has a field 'v' already"),
        (ReembedRequest(name, "v2", name=name), "the old one's name"),
    ):
        with pytest.raises(BadInput, match=said):
            removal.remove(client, request, typed=request.new_index)
    with (
        connect(replace(client.target, writable=False)) as reader,
        pytest.raises(ReadOnlyTarget),
    ):
        removal.remove(reader, ReembedRequest(name, "v2"), typed=f"{name}:v2")
    assert everything(client, prefix) == before


@pytest.mark.parametrize("copies", [False, True])
def test_what_is_there_already_is_never_written_over(
    client: Client, prefix: str, model: Endpoint, copies: bool
) -> None:
    name = shelf(client, prefix)
    taken = f"v2:{prefix}d:4" if copies else f"{prefix}d:4"
    client.execute("HSET", taken, *(("own", "x") if copies else ("v2", "somebody's text")))
    held = client.execute("HGETALL", taken)
    more = {"prefix": "v2:", "name": prefix + "new"} if copies else {}
    said = "is there already" if copies else "has a field 'v2' already, of 15 bytes"
    with pytest.raises(BadInput, match=said):
        done(client, name, embedder_of(model), **more)
    assert client.execute("HGETALL", taken) == held
    clean(client, f"v2:{prefix}")


def test_a_json_member_that_is_no_vector_is_told(json_server: Client, model: Endpoint) -> None:
    field = FlatField("v", OLD, path="$.v")
    index.create(json_server, IndexSpec("jtaken", (TextField("t", "$.t"), field), ("jtaken:",), "JSON"))
    try:
        for i in range(3):
            held = {"t": f"text {i}", "v": [0.5] * OLD, "v2": "a text"}
            json_server.execute("JSON.SET", f"jtaken:{i}", "$", json.dumps(held))
        until(lambda: index_info(json_server, "jtaken").documents == 3, "all are indexed")
        with pytest.raises(BadInput, match="which is no vector"):
            done(json_server, "jtaken", embedder_of(model))
    finally:
        index.drop(json_server, "jtaken")
        clean(json_server, "jtaken:")
