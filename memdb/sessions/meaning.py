"""Turns and memories by meaning: embedded on this machine by the local model, on request.

By vectors that a framework stored beside them: `memdb.sessions.stored_vectors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from memdb.embedding.local import embed
from memdb.errors import BadInput
from memdb.sessions.turns import Turn

MOST = 5_000  # turns that are embedded at once
ALIKE = 0.8  # cosine from which two memories are shown side by side


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
    """Two memories of one user that say nearly the same, or contradict each other: a model cannot tell."""

    earlier: Memory
    later: Memory
    cosine: float


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
    asked = embed([question])[0]
    if not turns:
        return ()
    cosines = embed([_text(turn) for _, _, turn in turns]) @ asked
    order = np.argsort(-cosines, kind="stable")[:k]
    return tuple(
        NearTurn(id_, number, turn, float(cosines[place]))
        for place in order.tolist()
        for id_, number, turn in turns[place : place + 1]
    )


def alike(memories: Sequence[Memory], least: float = ALIKE, most: int = 100) -> tuple[Pair, ...]:
    """Pairs of memories of one user whose cosine is at least `least`, the most alike first.

    Args:
        memories: at most MOST.
        least: cosine.
        most: pairs.

    Raises:
        BadInput: there are more than MOST.
    """
    told = [memory for memory in memories if _clean(memory.text)]
    if len(told) > MOST:
        raise BadInput(f"{len(told):,} memories are too many to compare here.", f"Choose at most {MOST:,}.")
    pairs: list[Pair] = []
    for user in sorted({memory.user for memory in told}):
        own = [memory for memory in told if memory.user == user]
        vectors = embed([_clean(memory.text) for memory in own])
        cosines = np.triu(vectors @ vectors.T, k=1)
        for i, j in np.argwhere(cosines >= least).tolist():
            first, second = sorted((own[i], own[j]), key=_when)
            pairs.append(Pair(first, second, float(cosines[i, j])))
    return tuple(sorted(pairs, key=lambda pair: -pair.cosine)[:most])


def _when(memory: Memory) -> float:
    return memory.at.timestamp() if memory.at is not None else np.inf


def _text(turn: Turn) -> str:
    return _clean(turn.content or turn.words)


def _clean(text: str) -> str:
    """What the model takes: UTF-8, not blank."""
    return text.encode("utf-8", "ignore").decode().strip()
