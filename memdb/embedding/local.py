"""Texts → vectors on this machine, without a network: wordllama's static model, shipped in its wheel."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from memdb.embedding.answers import ModelAnswer, Side, checked_texts
from memdb.vectors.distance import Floats

MODEL = "wordllama l2_supercat"
DIMENSION = 256
# Characters of a text that count. A token costs 1 KB while the mean is taken, so that 5 MB pasted into a
# search field would take a gigabyte and eight seconds; and a mean of thousands of words hardly moves.
LONGEST = 20_000
_AT_ONCE = 64  # texts the model takes together, all as long as the longest
_COUNTED = 20_000  # characters of a text whose tokens are counted
_lock = threading.Lock()


def embed(texts: Sequence[str], *, unit: bool = True) -> Floats:
    """The embeddings of some texts.

    Args:
        texts: none of them blank. Of each, the first `LONGEST` characters count.
        unit: give each the length 1.

    Returns:
        (len(texts), 256) float32. Of length 1 COSINE, IP and L2 rank alike, and the mean of some is not
        ruled by the longest text.

    Raises:
        BadInput: a text is blank, or holds bytes that are not UTF-8.
    """
    shortened = [text[:LONGEST] for text in checked_texts(texts)]
    if not texts:
        return np.empty((0, DIMENSION), np.float32)
    with _lock:
        vectors: Floats = np.asarray(
            _model().embed(shortened, norm=unit, batch_size=_AT_ONCE), dtype=np.float32
        )
    return np.nan_to_num(vectors)


def tokens(texts: Sequence[str]) -> list[int]:
    """How many tokens the model's own tokenizer, Llama 2's, makes of each text.

    Of a text over `_COUNTED` characters the beginning is counted and the rest calculated in proportion.
    """
    counts = []
    with _lock:
        tokenizer = _model().tokenizer
        for text in texts:
            start = text[:_COUNTED].encode("utf-8", "replace").decode()
            length = len(tokenizer.encode(start, add_special_tokens=False).ids) if start else 0
            counts.append(length if len(text) <= _COUNTED else round(length * len(text) / _COUNTED))
    return counts


@cache
def _model() -> Any:
    # Imported here: it takes half a second that no command but those that embed should pay. It also sends
    # everything that is logged to the terminal (logging.basicConfig), which is not for a library to decide.
    handlers, level = logging.root.handlers[:], logging.root.level
    import wordllama

    logging.root.handlers, logging.root.level = handlers, level

    # Its own folder as cache: the tokenizer ships there, and nothing is looked for on a hub.
    return wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)


class Local:
    """The same as a model of an `Embedder`."""

    spec = "local"
    name = MODEL
    dimension: int | None = DIMENSION
    identity = MODEL
    sends_to = ""
    at_once = 512
    longest = LONGEST

    def call(self, texts: Sequence[str], side: Side) -> ModelAnswer:
        """(len(texts), 256) float32, not of unit length; see the function `embed`."""
        return ModelAnswer(embed(texts, unit=False), None)
