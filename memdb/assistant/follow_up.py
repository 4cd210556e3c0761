"""A question that leans on the one before it, made whole for the search."""

from __future__ import annotations

import re
from collections.abc import Sequence

from memdb.sessions.roles import side
from memdb.sessions.turns import Turn

_BEGINS = re.compile(r"^\s*(and|but|or|so|then|also|what about|how about|why|which one)\b", re.IGNORECASE)
_POINTS = re.compile(
    r"\b(it|its|that|this|these|those|them|they|their|there|instead|same|again|first one|other one)\b",
    re.IGNORECASE,
)
_SHORT = 3  # words that say little alone
_LONGEST = 1_000


def whole(question: str, turns: Sequence[Turn]) -> str:
    """The text to be embedded: with the user's last question before it, where the new one leans on it.

    A question leans where it begins like a continuation ("and …", "what about …"), points back ("it",
    "that", "there"), or has three words or fewer. By these words alone: an estimate, so that pages show what
    was searched for.

    Args:
        question: the new one.
        turns: of the session before it, in order.
    """
    before = next((t.content for t in reversed(turns) if side(t.role) == "user" and t.content.strip()), "")
    leans = _BEGINS.search(question) or _POINTS.search(question) or len(question.split()) <= _SHORT
    return f"{before[-_LONGEST:].strip()} {question}" if before and leans else question
