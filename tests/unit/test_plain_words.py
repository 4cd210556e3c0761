"""No text of the product uses a word that its readers stumbled over."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.unit.source import nodes

ROOT = Path(__file__).parent.parent.parent
# What somebody who had not seen the product could not read, and what stands there now.
RIDDLES = {
    r"\breckon": "estimate, calculate",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bastray\b": "wrong, lost",
    r"\btruly\b": "exact",
    r"\bnearer (ones|one) exists?\b": "nearer documents were missed",
    r"not told by": "not reported by, not available from",
    r"\b(is|are|was|were) not told\b": "not known, not reported",
    r"\bthat is told\b": "to notify",
    r"\bAWS tells\b": "AWS reports, AWS lists",
    r"\bis no bound\b": "no limit",
    r"leave these open": "cannot decide",
    r"\bat slower by\b": "slower than",
    r"\btakes / gives\b": "cost and benefit",
    r"\bhonesty\b": "quality",
    r"\bwell again\b": "back to normal",
    r"\b(nought|hitherto|heretofore|thereof|wherein|whilst|lest|ere|hence)\b": "a plain word",
    r"\b1 [a-z]+s (is|was|has) ": "a singular, see memdb.display.counted",
}


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """What is written out in a source, without docstrings: with its line."""
    docs = {
        id(node.body[0].value)
        for node in nodes(path)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def _riddles(text: str) -> list[str]:
    return [pattern for pattern in RIDDLES if re.search(pattern, text, re.IGNORECASE)]


def test_no_text_holds_a_riddle() -> None:
    stumbled = [
        f"{path.relative_to(ROOT)}:{line}: {text[:100]!r}: {[RIDDLES[each] for each in _riddles(text)]}"
        for path in sorted((ROOT / "memdb").rglob("*.py"))
        for line, text in _texts(path)
        if " " in text and _riddles(text)
    ]
    assert stumbled == []


def test_a_riddle_is_seen() -> None:
    assert _riddles("Not told by the module.")
    assert _riddles("1 nearer ones exist")
    assert not _riddles("The estimated memory, not reported by this node; 2 documents are recommended.")
