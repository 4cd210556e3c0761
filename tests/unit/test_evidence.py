"""How often a check notices that one document in a thousand changed: counted, not derived."""

from __future__ import annotations

import math

import numpy as np
import pytest

from memdb.vectors import evidence
from memdb.vectors.evidence import CAUGHT, CHECKED, WITNESSES, Drawing
from memdb.vectors.read import Block


@pytest.mark.long
@pytest.mark.parametrize("documents", [4_000, 20_000, 100_000])
def test_one_in_a_thousand_is_noticed_as_often_as_is_said(documents: int) -> None:
    """The same two draws as of a kept answer and its check, 1,500 times over."""
    random, noticed, tries = np.random.default_rng(5), 0, 1_500
    for _ in range(tries):
        changed = random.choice(documents, documents // 1_000, replace=False)
        kept = random.choice(documents, min(WITNESSES, documents), replace=False)
        looked_at = kept[evidence.drawn(len(kept), random)]
        noticed += bool(np.isin(looked_at, changed).any())
    error = math.sqrt(CAUGHT * (1 - CAUGHT) / tries)
    assert noticed / tries >= CAUGHT - 3 * error
    if documents <= CHECKED:
        assert noticed == tries
    if documents == 100_000:
        assert noticed / tries <= CAUGHT + 3 * error  # of many documents no more than that


def test_documents_are_drawn_evenly_whatever_their_place() -> None:
    """Every document is as likely a witness as another; blocks of several vectors count once."""
    counts = np.zeros(600)
    for seed in range(300):
        drawing = Drawing(60, np.random.default_rng(seed))
        for start in range(0, 600, 50):
            keys = tuple(str(i) for i in range(start, start + 50) for _ in range(2))
            drawing.look_at(Block(keys, np.ones((100, 2), np.float32), several=True))
        drawing._cut()
        chosen = [int(key) for _, key, _ in drawing._drawn]
        assert len(chosen) == len(set(chosen)) == 60
        counts[chosen] += 1
    assert counts.mean() == 30
    assert counts[:100].mean() == pytest.approx(30, abs=2)
    assert counts[-100:].mean() == pytest.approx(30, abs=2)
    assert counts.var() == pytest.approx(300 * 0.1 * 0.9, rel=0.25)
