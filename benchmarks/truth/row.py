"""One line of the table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A figure and how far it was from an independent computation, in words."""

    figure: str
    check: str  # who else computed it, and how
    cases: str  # how many, and of which kinds
    error: str  # the largest seen, with its unit


HEAD = Row("figure", "independent check", "cases", "largest error")


def markdown(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| " + " | ".join((row.figure, row.check, row.cases, row.error)) + " |" for row in (HEAD, *rows)]
    return "\n".join([lines[0], "|---|---|---|---|", *lines[1:]])
