"""Texts → vectors on this machine, without a network: wordllama's static model, shipped in its wheel."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from memdb.errors import BadInput
from memdb.vectors.distance import Floats

MODEL = "wordllama l2_supercat"
DIMENSION = 256
_lock = threading.Lock()


def embed(texts: Sequence[str]) -> Floats:
    """The embeddings of some texts.

    Args:
        texts: none of them blank.

    Returns:
        (len(texts), 256) float32, each of length 1: then COSINE, IP and L2 rank alike, and the mean of some
        is not ruled by the longest text.

    Raises:
        BadInput: a text is blank.
    """
    for place, text in enumerate(texts):
        if not text.strip():
            raise BadInput(f"Text {place + 1} of {len(texts)} is blank.", "A blank text has no embedding.")
    if not texts:
        return np.empty((0, DIMENSION), np.float32)
    with _lock:
        vectors: Floats = np.asarray(_model().embed(list(texts), norm=True), dtype=np.float32)
    return np.nan_to_num(vectors)


@cache
def _model() -> Any:
    # Imported here: it takes half a second that no command but those that embed should pay.
    import wordllama

    # Its own folder as cache: the tokenizer ships there, and nothing is looked for on a hub.
    return wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
