"""Where a listing goes on: a small text for a link, a page's state or the command line."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from memdb.errors import BadInput
from memdb.numerals import whole_number

LEFT_KEYS = 100  # keys a cursor carries at most, but for one indivisible step of SCAN
LEFT_CHARS = 8_000
_LONGEST = 1_000_000  # of a cursor's text; more is not ours


@dataclass(frozen=True, slots=True)
class Cursor:
    """SCAN's cursor, and the keys it brought that did not fit the page.

    SCAN gives a batch whose size it chooses. Asking again with the same cursor need not bring the same
    batch, so keys that are left over travel with the cursor: nothing is lost, nothing comes twice.
    """

    scan: int = 0
    left: tuple[str, ...] = ()
    started: bool = False  # SCAN's 0 means both the beginning and the end

    @property
    def ended(self) -> bool:
        """Whether SCAN has gone round; keys may still be left."""
        return self.started and self.scan == 0

    @property
    def token(self) -> str:
        """As text, of letters, digits, `.`, `-` and `_`; empty at the beginning."""
        if not self.started and not self.left:
            return ""
        if not self.left:
            return str(self.scan)
        packed = base64.urlsafe_b64encode(json.dumps(self.left).encode()).decode().rstrip("=")
        return f"{self.scan}.{packed}"

    @classmethod
    def parse(cls, token: str) -> Cursor:
        """Read a token; an empty one, or SCAN's 0, is the beginning.

        Raises:
            BadInput: this is no such token.
        """
        if token in ("", "0"):
            return cls()
        scan, _, packed = token.partition(".")
        keys: object = []
        try:
            place = whole_number(scan, most_digits=20)
            if len(token) > _LONGEST or place is None or place >= 2**64:
                raise ValueError
            if packed:
                keys = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
            if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
                raise ValueError
            for key in keys:
                key.encode("utf-8", "surrogateescape")  # as the client will: a forged one may fail
        except (ValueError, binascii.Error, RecursionError):
            raise BadInput(
                f"'{token[:40]}' is no cursor of a session listing.", "Begin again without a cursor."
            ) from None
        return cls(place, tuple(keys), started=True)


def too_many(keys: list[str]) -> bool:
    """Whether these keys would make a cursor too long."""
    return len(keys) > LEFT_KEYS or sum(map(len, keys)) > LEFT_CHARS
