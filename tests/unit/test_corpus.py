"""Reading the corpus: HTML, and what is kept of it between processes. Its contents are in test_demo.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memdb.demo import corpus
from memdb.errors import BadSettings, Cancelled


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process: nothing has been read yet."""
    monkeypatch.setattr(corpus, "_read", {})


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, unread: None) -> None:
    """A few services and one package, so that reading is quick."""
    few = [found for found in corpus._services() if found[0] in {"s3", "sns", "kms"}]
    monkeypatch.setattr(corpus, "_services", lambda: few)
    monkeypatch.setattr(corpus, "PACKAGES", ("boto3",))


def test_long_html_is_never_cut_within_a_tag() -> None:
    html = "<p>" + "<a href='https://example.org/a/long/one'>y</a> &amp; " * 3_000
    for extra in range(60):
        found = corpus.plain_text("z" * extra + html)
        assert "<" not in found
        assert "&a" not in found
        assert len(found) <= corpus.LONGEST + 2
        assert found.endswith(" …")


@pytest.mark.parametrize(("count", "types"), [(None, False), (60_000, True)])
def test_a_new_process_reads_what_was_kept(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int | None, types: bool
) -> None:
    stages: list[str] = []
    first = corpus.documents(count=count, home=tmp_path, report=lambda stage, *_: stages.append(stage))
    assert stages
    assert {d.service for d in first} == {"s3", "sns", "kms", "boto3"}
    assert any(d.verb == "type" for d in first) is types
    stages.clear()
    monkeypatch.setattr(corpus, "_read", {})
    again = corpus.documents(count=count, home=tmp_path, report=lambda stage, *_: stages.append(stage))
    assert again == first
    assert stages == []


def test_the_longer_corpus_begins_with_the_shorter_however_it_was_read(
    small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = corpus.documents(count=60_000)
    monkeypatch.setattr(corpus, "_read", {})
    short = corpus.documents()
    assert len(long) > len(short) > 300
    assert long[: len(short)] == short


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"digest": 1}', '{"digest": "x", "rows": {}}'])
def test_a_damaged_or_older_file_is_read_again(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    first = corpus.documents(home=tmp_path)
    file = tmp_path / "corpus" / "main.json"
    file.write_text(damage)
    monkeypatch.setattr(corpus, "_read", {})
    assert corpus.documents(home=tmp_path) == first
    assert json.loads(file.read_text())["digest"] == corpus._edition()
    assert list(file.parent.iterdir()) == [file]


def test_another_version_of_a_package_is_another_edition(
    small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = corpus._edition()
    monkeypatch.setattr(corpus.importlib.metadata, "version", lambda name: "99")
    assert corpus._edition() != before


def test_a_cancelled_reading_keeps_nothing(small: None, tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if done:
            raise Cancelled

    with pytest.raises(Cancelled):
        corpus.documents(home=tmp_path, report=stop)
    assert list(tmp_path.iterdir()) == []
    assert corpus._read == {}


def test_a_home_that_is_no_folder_is_told(small: None, tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.write_text("")
    with pytest.raises(BadSettings, match="cannot be written") as caught:
        corpus.documents(home=home)
    assert "MEMDB_HOME" in caught.value.hint
