"""Memories of one user told apart: what contradicts, what may, and what says the same."""

from __future__ import annotations

import pytest

from memdb.sessions.meaning import Memory, alike
from memdb.sessions.statements import Reading, difference


def pairs(*texts: str) -> list[tuple[str, str, str]]:
    memories = [Memory(str(n), "ann", text, None) for n, text in enumerate(texts)]
    return [(p.reading, p.only_earlier, p.only_later) for p in alike(memories)]


@pytest.mark.parametrize(
    ("first", "second", "reading", "only"),
    [
        ("Drinks black coffee", "Does not drink black coffee", "contradiction", ("", "Does, not")),
        ("The user loves opera", "The user hates opera", "contradiction", ("loves", "hates")),
        ("Owns a cat", "Owns no cat", "contradiction", ("", "no")),
        ("Can swim", "Can't swim", "contradiction", ("", "not")),
        ("Has two sisters", "Has three sisters", "contradiction", ("two", "three")),
        (
            "Rent is due on the 1st, 1,200 EUR",
            "Rent is due on the 1st, 1,350 EUR",
            "contradiction",
            ("1,200", "1,350"),
        ),
        ("Lives in Tromsø", "Lives in Bodø", "may contradict", ("Tromsø", "Bodø")),
        ("Wohnt in Bonn", "Wohnt in Köln", "may contradict", ("Bonn", "Köln")),
        (
            "Works at Acme as an engineer",
            "Works at Globex as an engineer",
            "may contradict",
            ("Acme", "Globex"),
        ),
        ("The user likes jazz.", "User likes jazz", "duplicate", ("", "")),
        ("Likes jazz", "Likes jazz in the evening", "says more", ("", "in, evening")),
    ],
)
def test_two_memories_are_told_apart_by_their_words(
    first: str, second: str, reading: Reading, only: tuple[str, str]
) -> None:
    assert pairs(first, second) == [(reading, *only)]
    assert difference(second, first).reading == reading


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("The user plays chess", "The user sings in a choir"),
        ("Does not eat fish", "Rides a bike"),
        ("Likes tea", "Was born in Rome"),
        ("Has a car", "Has a job"),
    ],
)
def test_memories_of_other_things_are_no_pair(first: str, second: str) -> None:
    assert pairs(first, second) == []


def test_contradictions_come_before_duplicates_and_users_are_not_mixed() -> None:
    told = pairs("Lives in Oslo", "Lives in Oslo.", "Lives in Bergen", "Does not live in Oslo")
    readings = [reading for reading, _, _ in told]
    assert readings == sorted(readings, key=["contradiction", "may contradict", "duplicate"].index)
    assert set(readings) == {"contradiction", "may contradict", "duplicate"}
    assert alike([Memory("1", "ann", "Lives in Oslo", None), Memory("2", "bob", "Lives in Oslo", None)]) == ()
