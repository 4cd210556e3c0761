"""Which sessions to list: conditions on user, context, words, time to live, creation and id."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from memdb.errors import BadInput


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Conditions that all must hold; the default lets every session through. Hashable.

    `user` and `context` are compared whole, or with `partial` as a part of the value in any case.
    `words` are each looked for in the contents of the turns, anywhere and in any case.
    A session that never expires has, for `ttl_from_s` and `ttl_to_s`, a TTL beyond any number; `expires`
    chooses only those that do or do not.
    `id_part` must occur in the session's id as typed: no character is a wildcard.
    """

    user: str = ""
    context: str = ""
    partial: bool = False
    words: tuple[str, ...] = ()
    ttl_from_s: float = 0.0
    ttl_to_s: float = math.inf
    expires: bool | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    id_part: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.ttl_from_s <= self.ttl_to_s:
            raise BadInput(
                f"The TTL range {self.ttl_from_s:g} to {self.ttl_to_s:g} s is empty.",
                "Its end must not be before its start, and neither below 0.",
            )
        if self.created_from and self.created_to and _utc(self.created_to) < _utc(self.created_from):
            raise BadInput(
                f"The range of creation {self.created_from:%Y-%m-%d %H:%M} to "
                f"{self.created_to:%Y-%m-%d %H:%M} is empty.",
                "Its end must not be before its start.",
            )

    @property
    def by_created(self) -> bool:
        """Whether the time of creation decides."""
        return self.created_from is not None or self.created_to is not None

    @property
    def by_ttl(self) -> bool:
        """Whether the TTL decides."""
        return self.ttl_from_s > 0 or self.ttl_to_s < math.inf or self.expires is not None

    def takes_user(self, user: str) -> bool:
        """Whether a user fits."""
        return self._takes(self.user, user)

    def takes_context(self, context: str) -> bool:
        """Whether a context fits."""
        return self._takes(self.context, context)

    def takes_words(self, text: str) -> bool:
        """Whether all words occur in a text that is in folded case already."""
        return all(word.casefold() in text for word in self.words)

    def takes_created(self, created: datetime | None) -> bool:
        """Whether a time of creation fits; None, which is no time, fits only where none is asked for."""
        if not self.by_created:
            return True
        return (
            created is not None
            and (self.created_from is None or created >= _utc(self.created_from))
            and (self.created_to is None or created <= _utc(self.created_to))
        )

    def takes_ttl(self, ttl_s: float | None) -> bool:
        """Whether a TTL fits; None is a session that never expires."""
        if self.expires is not None and self.expires != (ttl_s is not None):
            return False
        return self.ttl_from_s <= (math.inf if ttl_s is None else ttl_s) <= self.ttl_to_s

    def _takes(self, wanted: str, value: str) -> bool:
        return wanted.casefold() in value.casefold() if self.partial else wanted in ("", value)


def words_of(text: str) -> tuple[str, ...]:
    """Words as a person types them: parted by white space."""
    return tuple(text.split())


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
