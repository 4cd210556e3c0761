"""Turns and memories by meaning: embedded on this machine by the local model, on request.

By vectors that a framework stored beside them: `memdb.sessions.stored_vectors`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

import numpy as np

from memdb.embedding.local import embed
from memdb.errors import BadInput
from memdb.sessions.statements import READINGS, Reading, comparable, difference, stems
from memdb.sessions.turns import Turn

MOST = 5_000  # turns that are embedded at once
ALIKE = 0.8  # cosine from which two memories are shown side by side
MOST_SHARING = 500  # memories of a user with a word by which they are compared


@dataclass(frozen=True, slots=True)
class NearTurn:
    """A turn near to a question."""

    session: str  # its id
    number: int | None  # of the turn in its session; None where only the turn was read
    turn: Turn
    cosine: float  # to the question, in [-1, 1]
    key: str = ""  # that holds the turn alone


@dataclass(frozen=True, slots=True)
class Memory:
    """Something remembered, as two of a pair are compared."""

    session: str
    user: str
    text: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two memories of one user that say nearly the same, or one against the other."""

    earlier: Memory
    later: Memory
    cosine: float
    reading: Reading  # by their words, see `memdb.sessions.statements`
    only_earlier: str  # words that the other has not
    only_later: str


def near_turns(
    sessions: Iterable[tuple[str, Sequence[Turn], int]], question: str, k: int = 10
) -> tuple[NearTurn, ...]:
    """The turns nearest to a question in meaning, the nearest first.

    Args:
        sessions: id, turns, and the number of the first of them, of each.
        question: not blank.
        k: turns at most.

    Raises:
        BadInput: the question is blank or not UTF-8, or there are more than MOST turns.
    """
    turns = [
        (id_, number, turn)
        for id_, several, first in sessions
        for number, turn in enumerate(several, first)
        if _text(turn)
    ]
    if len(turns) > MOST:
        raise BadInput(f"{len(turns):,} turns are too many to embed here.", f"Choose at most {MOST:,}.")
    embedded = embed([question])[0]
    if not turns:
        return ()
    cosines = embed([_text(turn) for _, _, turn in turns]) @ embedded
    order = np.argsort(-cosines, kind="stable")[:k]
    return tuple(
        NearTurn(id_, number, turn, float(cosines[place]))
        for place in order.tolist()
        for id_, number, turn in turns[place : place + 1]
    )


def alike(memories: Sequence[Memory], least: float = ALIKE, most: int = 100) -> tuple[Pair, ...]:
    """Pairs of memories of one user that are near in meaning, or have most words in common.

    Args:
        memories: at most MOST.
        least: cosine from which two are near in meaning; the words are compared whatever it is.
        most: pairs.

    Returns:
        What contradicts by its words first, then what may, duplicates, and the others; of each kind the most
        alike first.

    Raises:
        BadInput: there are more than MOST.
    """
    worded = [memory for memory in memories if _clean(memory.text)]
    if len(worded) > MOST:
        raise BadInput(f"{len(worded):,} memories are too many to compare here.", f"Choose at most {MOST:,}.")
    pairs: list[Pair] = []
    for user in sorted({memory.user for memory in worded}):
        own = [memory for memory in worded if memory.user == user]
        vectors = embed([_clean(memory.text) for memory in own])
        words = [stems(memory.text) for memory in own]
        cosines = vectors @ vectors.T
        near = {(i, j) for i, j in np.argwhere(cosines >= least).tolist() if i < j}
        for i, j in sorted(near | _sharing(words)):
            first, second = sorted((own[i], own[j]), key=_when)
            told_apart = difference(first.text, second.text)
            pairs.append(
                Pair(
                    first,
                    second,
                    float(cosines[i, j]),
                    told_apart.reading,
                    ", ".join(told_apart.only_first),
                    ", ".join(told_apart.only_second),
                )
            )
    return tuple(sorted(pairs, key=lambda pair: (READINGS.index(pair.reading), -pair.cosine))[:most])


def _sharing(words: Sequence[frozenset[str]]) -> set[tuple[int, int]]:
    """Places of pairs that have so many words in common that one may be set against the other."""
    of_word: dict[str, list[int]] = defaultdict(list)
    for place, stems_ in enumerate(words):
        for stem in stems_:
            of_word[stem].append(place)
    pairs: set[tuple[int, int]] = set()
    # By the rarest of its words first; a word that very many have tells nothing of a pair.
    for places in sorted(of_word.values(), key=len):
        if len(places) > MOST_SHARING:
            break
        fresh = {pair for pair in combinations(places, 2) if pair not in pairs}
        pairs |= {(i, j) for i, j in fresh if comparable(words[i], words[j])}
    return pairs


def _when(memory: Memory) -> float:
    return memory.at.timestamp() if memory.at is not None else np.inf


def _text(turn: Turn) -> str:
    return _clean(turn.content or turn.words)


def _clean(text: str) -> str:
    """What the model takes: UTF-8, not blank."""
    return text.encode("utf-8", "ignore").decode().strip()
