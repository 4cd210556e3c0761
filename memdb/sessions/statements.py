"""Two statements of one user compared word by word: the same, more, or one against the other. Pure.

What can be told by words is told: a negation, another number, another word in the same place. That one thing
is said in two ways, or that two things exclude each other, takes knowing what words mean: that is left to the
reader. The words are English ones; of other languages numbers and words in the same place are told.
"""

from __future__ import annotations

import re
from collections.abc import KeysView
from dataclasses import dataclass
from typing import Literal

Reading = Literal["contradiction", "may contradict", "duplicate", "says more", "alike"]
READINGS: tuple[Reading, ...] = ("contradiction", "may contradict", "duplicate", "says more", "alike")
WORDS = {
    "contradiction": "one is negated or has another number",
    "may contradict": "other words in the same place: a contradiction, or the same in other words",
    "duplicate": "the same words",
    "says more": "one has the words of the other, and more",
    "alike": "near in meaning by the model, in other words",
}
SHARE = 0.5  # of the longer one's words that both have, for one to be set against the other
EXCHANGED = 3  # words of each that the other has not, at most
_FILLERS = frozenset("the a an user users s his her their my i very really also".split())
_GLUE = frozenset(
    "in at of on to for with and as is are was were has have had does do did be by from or that it".split()
)
_NEGATIONS = frozenset(
    "not no never none without cannot nothing nobody neither nor t dont doesnt isnt cant wont stopped quit "
    "dislike hate avoid refuse detest former formerly longer".split()
)
_SHORT = (
    *(("can't", "can not"), ("Can't", "Can not"), ("won't", "will not"), ("Won't", "Will not")),
    ("n't", " not"),
)
_NUMBERS = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fifteen twenty thirty "
    "forty fifty sixty hundred thousand once twice".split()
)
_Keys = KeysView[str]
_WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class StatementDifference:
    """How two statements differ."""

    reading: Reading
    only_first: tuple[str, ...]  # words that the other has not, as they stand
    only_second: tuple[str, ...]


def difference(first: str, second: str) -> StatementDifference:
    """How two statements that are near in meaning, or share most words, differ."""
    here, there = _stems(first), _stems(second)
    only_first = {stem: word for stem, word in here.items() if stem not in there}
    only_second = {stem: word for stem, word in there.items() if stem not in here}
    return StatementDifference(
        _reading(here.keys(), there.keys(), only_first.keys(), only_second.keys()),
        tuple(only_first.values()),
        tuple(only_second.values()),
    )


def stems(text: str) -> frozenset[str]:
    """The words that count, without endings: what `comparable` takes."""
    return frozenset(_stems(text))


def comparable(first: frozenset[str], second: frozenset[str]) -> bool:
    """Whether two statements have so many words in common that one may be set against the other."""
    shared = first & second
    if not shared - _GLUE - _NEGATIONS:
        return False
    if (first & _NEGATIONS) != (second & _NEGATIONS):
        fewest = min(len(side - _GLUE - _NEGATIONS) for side in (first, second))
        return len(shared - _GLUE - _NEGATIONS) >= SHARE * fewest
    return len(shared) >= 2 and len(shared) >= SHARE * max(len(first), len(second))


def _reading(first: _Keys, second: _Keys, only_first: _Keys, only_second: _Keys) -> Reading:
    rest = (only_first | only_second) - _GLUE
    if not rest:
        return "duplicate"
    negated = bool(_NEGATIONS & only_first) != bool(_NEGATIONS & only_second)
    if negated and comparable(frozenset(first), frozenset(second)):
        return "contradiction"
    if all(_is_number(stem) for stem in rest) and _counts(only_first) and _counts(only_second):
        return "contradiction"
    if not only_first - _GLUE or not only_second - _GLUE:
        return "says more"
    few = max(len(only_first - _GLUE), len(only_second - _GLUE)) <= EXCHANGED
    return "may contradict" if few and comparable(frozenset(first), frozenset(second)) else "alike"


def _counts(stems_: _Keys) -> bool:
    return any(map(_is_number, stems_))


def _is_number(stem: str) -> bool:
    return re.match(r"\d", stem) is not None or stem in _NUMBERS


def _stems(text: str) -> dict[str, str]:
    """Stem → word, in their order."""
    plain = text.replace("’", "'")
    for short, full in _SHORT:
        plain = plain.replace(short, full)
    words = _WORD.findall(plain)
    stem_words = ((_stem(word.casefold()), word) for word in words)
    return {stem: word for stem, word in stem_words if stem not in _FILLERS}


def _stem(word: str) -> str:
    """A word without the `s` of a plural or a verb."""
    if len(word) > 4 and word.endswith(("shes", "ches", "sses", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
