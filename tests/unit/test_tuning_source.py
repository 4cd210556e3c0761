"""Where queries came from is data: kept as JSON, read as it was, named for people."""

from __future__ import annotations

import json

import pytest

from memdb.tuning import source
from memdb.tuning.source import Documents, File, Given, Repeated, Selected, Source, Texts, Unseen

ALL: list[Source] = [
    Unseen(250, 7, extend=False),
    Documents(),
    Selected(("a", "b\udcff")),
    Texts(("what is a set?", "how")),
    File("q.csv", "/data/q.csv", b"1,2"),
    Given("vectors of a notebook"),
    Repeated("r2", Repeated("r1", Unseen(250, 7))),
    Repeated("r1"),
]


@pytest.mark.parametrize("asked", ALL)
def test_a_source_is_read_as_it_was_kept(asked: Source) -> None:
    kept = json.loads(json.dumps(source.to_dict(asked)))
    again = source.from_dict(kept)
    if isinstance(asked, File):
        assert again == File(asked.name, asked.path)  # its content is kept nowhere
    else:
        assert again == asked
    assert hash(again) is not None


def test_a_repeated_run_tells_the_seed_its_queries_were_drawn_with() -> None:
    asked = Repeated("r2", Repeated("r1", Documents(500, 9)))
    assert source.seed(asked) == 9
    assert source.seed(Texts(("a",))) is None
    assert source.are_documents(asked)
    assert not source.are_documents(Unseen())
    assert "seed 9" in source.words(asked, 500)
    assert "run r2" in source.words(asked, 500)
    assert source.short_words(asked) == "documents as queries"


def test_words_count_what_was_asked() -> None:
    assert source.words(Unseen(1_000), 312).startswith("312 made queries")
    assert source.words(File("q.csv"), 1_200) == "1,200 rows of q.csv"
    assert source.words(Repeated("r1"), 5) == "5 queries, as in run r1"
