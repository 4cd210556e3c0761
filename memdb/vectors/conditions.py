"""Conditions on the fields of an index, whichever engine they are for; frozen and hashable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Words = Literal["all", "any", "phrase", "prefix"]


@dataclass(frozen=True, slots=True)
class Tag:
    """The TAG field holds any of these values."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The NUMERIC field lies between low and high; None is open. Bounds belong to it unless told."""

    field: str
    low: float | None = None
    high: float | None = None
    include_low: bool = True
    include_high: bool = True


@dataclass(frozen=True, slots=True)
class Text:
    """The TEXT field holds these words: all, any, as a phrase, or all with the last as a prefix."""

    field: str
    words: str
    mode: Words = "all"


@dataclass(frozen=True, slots=True)
class And:
    """All conditions hold. Of nothing: every document."""

    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Or:
    """Any condition holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Raw:
    """An expression in the engine's own words, sent as it is, with what PARAMS binds in it."""

    expression: str
    params: tuple[tuple[str, str], ...] = ()


Condition = Tag | Range | Text | And | Or | Not | Raw
EVERYTHING = And()
