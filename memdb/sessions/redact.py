"""Personal data hidden for showing: a text, or a session, in which it stands as its kind in brackets.

Hidden are e-mail addresses, card numbers and IBANs whose check digits are right, telephone numbers with a
country code, IP addresses, United States social security numbers, and keys and tokens by their beginnings.
Names, postal addresses and what stands in images are not told from other text, and stay.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import replace

import phonenumbers
from stdnum import iban, luhn
from stdnum.us import ssn

from memdb.sessions.formats import Session
from memdb.sessions.summaries import SessionSummary
from memdb.sessions.turns import Media, Other, Part, Text, Thinking, ToolCall, ToolResult, Turn

LONGEST = 200_000  # characters of a text that are looked through; the rest is left out
_SECRET = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bsk-[A-Za-z0-9_-]{20,}|\bgh[pousr]_[A-Za-z0-9]{30,}"
    r"|\bxox[abprs]-[\w-]{10,}|\beyJ[\w-]{10,1000}\.[\w-]{10,4000}\.[\w-]*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END|\Z)[A-Z -]*"
)
_MAIL = re.compile(
    # Only at the start of a run of such signs: else a long run without an @ is walked over again and again.
    r"(?<![A-Za-z0-9_.+%-])[A-Za-z0-9_.+%-]{1,200}(?:@|%40|\\u0040)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"
)
_CARD = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.]\d)")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b")
_IPV4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)")
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])")
_SSN = re.compile(r"\b\d{3}-\d{2}-\d{4}\b")


def hidden(text: str) -> str:
    """The text with personal data replaced by its kind in brackets; a very long one is cut."""
    cut = text[:LONGEST]
    text_shown = _SECRET.sub("[secret]", cut)
    text_shown = _MAIL.sub("[e-mail address]", text_shown)
    text_shown = _IBAN.sub(lambda m: _iban(m.group()), text_shown)
    text_shown = _CARD.sub(lambda m: _checked(m.group(), "[card number]", luhn.is_valid), text_shown)
    text_shown = _SSN.sub(lambda m: _checked(m.group(), "[social security number]", ssn.is_valid), text_shown)
    text_shown = _IPV4.sub(lambda m: _address(m.group()), text_shown)
    text_shown = _IPV6.sub(lambda m: _address(m.group()), text_shown)
    text_shown = _phones(text_shown)
    return (
        text_shown
        if len(text) <= LONGEST
        else f"{text_shown}… ({len(text) - LONGEST:,} more characters left out)"
    )


def hidden_turn(turn: Turn) -> Turn:
    """A turn with personal data hidden in all its parts."""
    return replace(turn, parts=tuple(_part(part) for part in turn.parts), name=hidden(turn.name))


def hidden_session(session: Session) -> Session:
    """A session with personal data hidden. What is stored, field by field, is left out altogether."""
    return replace(
        session,
        user_id=hidden(session.user_id),
        context=hidden(session.context),
        turns=tuple(hidden_turn(turn) for turn in session.turns),
        state=tuple(Other(hidden(entry.kind), hidden(entry.json)) for entry in session.state),
        problems=tuple(hidden(problem) for problem in session.problems),
        fields=(),
    )


def hidden_summary(summary: SessionSummary) -> SessionSummary:
    """A row of a list with personal data hidden. Its key stays: by it the session is opened."""
    return replace(
        summary,
        user_id=hidden(summary.user_id),
        context=hidden(summary.context),
        opening=hidden(summary.opening),
        problems=tuple(hidden(problem) for problem in summary.problems),
    )


def _part(part: Part) -> Part:
    match part:
        case Text(text):
            return Text(hidden(text))
        case Thinking(text):
            return Thinking(hidden(text))
        case ToolCall(name, arguments, id_):
            return ToolCall(hidden(name), hidden(arguments), hidden(id_))
        case ToolResult(text, call, name, failed):
            return ToolResult(hidden(text), hidden(call), hidden(name), failed)
        case Media():
            return replace(part, name=hidden(part.name), address=hidden(part.address))
        case Other(kind, json):
            return Other(kind, hidden(json))


def _checked(text: str, kind: str, is_valid: Callable[[str], bool]) -> str:
    return kind if is_valid(re.sub(r"[ -]", "", text)) else text


def _iban(text: str) -> str:
    """The longest beginning that is an IBAN, hidden; words may follow it in capitals."""
    parts = text.split(" ")
    for end in range(len(parts), 0, -1):
        if iban.is_valid(" ".join(parts[:end])):
            return " ".join(["[IBAN]", *parts[end:]])
    return text


def _address(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return text
    return "[IP address]" if len(text) > 3 else text


def _phones(text: str) -> str:
    if "+" not in text and "00" not in text:
        return text
    for match in reversed(list(phonenumbers.PhoneNumberMatcher(text, None))):
        text = f"{text[: match.start]}[telephone number]{text[match.end :]}"
    return text
