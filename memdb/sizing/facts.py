"""What is said about services: limits, abilities, modes, each with its source, its grade and its date.

They stand in catalogue.toml beside the nodes and prices, which have dates of the same kind.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal

from memdb.errors import BadInput
from memdb.sizing import catalogue

FactGrade = Literal["quoted", "service model", "source code", "third party", "estimate"]
MONTHS = 9  # after so long a fact has to be confirmed again


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement about a service. `id` is service/what, or service/mode/what.

    `value` is the number in it, where there is one. `date` is the day it was read, `confirmed` the last day
    it was read again.
    """

    id: str
    text: str
    grade: FactGrade
    source: str
    date: str
    value: float | None = None
    confirmed: str = ""

    @property
    def service(self) -> str:
        """Whose."""
        return self.id.partition("/")[0]

    @property
    def seen(self) -> str:
        """When it was last read."""
        return self.confirmed or self.date


@dataclass(frozen=True, slots=True)
class Dated:
    """Anything of the file in one line: a fact, a node or a price."""

    id: str
    says: str
    grade: str
    source: str
    seen: str
    overdue: bool


@cache
def load() -> tuple[Fact, ...]:
    """All facts of this package."""
    path = Path(__file__).with_name("catalogue.toml")
    return tuple(Fact(**entry) for entry in tomllib.loads(path.read_text(encoding="utf-8"))["facts"])


def fact(name: str) -> Fact:
    """One fact.

    Raises:
        BadInput: there is none of that name.
    """
    for each in load():
        if each.id == name:
            return each
    raise BadInput(f"There is no fact '{name}'.", "`memdb facts` lists them.")


def value(name: str) -> float:
    """The number of a fact.

    Raises:
        BadInput: there is no such fact, or it has no number.
    """
    number = fact(name).value
    if number is None:
        raise BadInput(f"The fact '{name}' has no number.", "`memdb facts` lists them.")
    return number


def oldest(dates: Iterable[str]) -> str:
    """The date that says as of when a statement holds that rests on several; empty where none is told."""
    return min((day for day in dates if day), key=_day, default="")


def overdue(read_on: str, today: date) -> bool:
    """Whether what was read then has to be confirmed again: nine months are over."""
    read = _day(read_on)
    months = read.month - 1 + MONTHS
    last = (read.year + months // 12, months % 12 + 1, read.day)
    return (today.year, today.month, today.day) > last


def everything(today: date, service: str = "") -> tuple[Dated, ...]:
    """Facts, nodes and prices, by id.

    Args:
        today: for what is overdue.
        service: memorydb, elasticache, s3vectors or opensearch; empty is all.

    Raises:
        BadInput: no such service.
    """
    book = catalogue.load()
    rows: list[tuple[str, str, str, str, str]] = [(f.id, f.text, f.grade, f.source, f.seen) for f in load()]
    rows += [
        (f"{n.service}/{n.name}", f"{n.memory_bytes:,} bytes, {n.vcpu} vCPU", n.grade, n.source, n.date)
        for n in book.nodes
    ]
    rows += [
        (p.id, f"{p.value:g} {p.currency} a {p.unit}, {p.region}", p.grade, p.source, p.date)
        for p in book.prices
    ]
    services = {row[0].partition("/")[0] for row in rows}
    if service and service not in services:
        raise BadInput(f"There is no service '{service}'.", f"There are: {', '.join(sorted(services))}.")
    return tuple(
        Dated(*row, overdue(row[4], today))
        for row in sorted(rows)
        if not service or row[0].partition("/")[0] == service
    )


def _day(text: str) -> date:
    """A day of 2026-11-25, or the first of 2026-11 or 2026."""
    year, month, day = [*(int(part) for part in text.split("-")), 1, 1][:3]
    return date(year, month, day)
