"""JSON as it is stored, read where Python's reader gives up: nested too deeply, a number of many digits.

`json.loads` refuses the whole document for one such place: one message of it would hide a conversation.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

DEEPEST = 200  # lists and objects within one another that are kept of what is nested too deeply
DIGITS = 4_000  # of a whole number; a longer one is read as text
CUT = "(nested too deeply)"  # stands for what lies deeper
SALVAGED = 8 * 2**20  # characters of a damaged text that are looked through
_SIGNS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
_PIECES = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document of JSON."""

    value: Any
    cut: bool  # parts of it were nested too deeply and are left out


def loads(text: str) -> Loaded:
    """What a text of JSON says. A byte order mark before it is passed over.

    Raises:
        json.JSONDecodeError: it is no JSON.
    """
    text = text.removeprefix("\ufeff")
    try:
        return Loaded(json.loads(text), cut=False)
    except RecursionError:
        try:
            return Loaded(json.loads(_shallow(text), parse_int=_whole), cut=True)
        except json.JSONDecodeError:  # its place would be that in the shortened text
            raise json.JSONDecodeError("Nested too deeply, and damaged", text, 0) from None
    except json.JSONDecodeError:
        raise
    except ValueError:  # a number that is too long
        return Loaded(json.loads(text, parse_int=_whole), cut=False)


def salvaged(text: str) -> tuple[Any, int]:
    """What stands before the place where a text of JSON is damaged or ends, and how many characters that is.

    Whole entries of its lists only: half a message would look like another. Several documents, one behind the
    other, are a list of them. None, 0 where nothing can be read.
    """
    if len(text) > SALVAGED or text.lstrip()[:1] not in ("{", "["):
        return None, 0
    stack: list[str] = []
    documents: list[Any] = []
    begun = 0  # where the document at hand begins
    ends: list[
        tuple[int, str]
    ] = []  # where an entry of it ends, the last two, and what closes those around it
    for piece in _SIGNS.finditer(text):
        sign = piece.group()
        if not stack and text[begun : piece.start()].strip():
            break  # what stands between two documents is none
        if sign in ("[", "{"):
            stack.append("]" if sign == "[" else "}")
        elif sign in ("]", "}"):
            if not stack or stack.pop() != sign:
                break
            if not stack:
                try:
                    documents.append(loads(text[begun : piece.end()]).value)
                except json.JSONDecodeError:
                    break
                begun, ends = piece.end(), []
        elif sign == ",":
            if len(stack) <= DEEPEST and "]}" not in "".join(stack):  # no object within a list is open
                ends = [*ends[-1:], (piece.start(), "".join(reversed(stack)))]
        elif len(sign) < 2 or sign[-1] != '"':  # a text without an end
            break
    for at, closing in reversed(ends):
        try:
            part = loads(text[begun:at] + closing).value
        except json.JSONDecodeError:
            continue
        if isinstance(part, list) or any(isinstance(content, list | dict) for content in part.values()):
            documents.append(part)
            begun = at
        break
    documents = [document for document in documents if document not in ([], {})]
    if not documents:
        return None, 0
    return (documents[0] if len(documents) == 1 else documents), begun


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= DIGITS else digits


def _shallow(text: str) -> str:
    """The text, with CUT in place of every list and object that lies deeper than DEEPEST."""
    pieces: list[str] = []
    depth = at = 0
    for piece in _PIECES.finditer(text):
        sign = piece.group()
        if sign in "[{":
            depth += 1
            if depth == DEEPEST + 1:
                pieces += (text[at : piece.start()], json.dumps(CUT))
        elif sign in "]}":
            if depth == DEEPEST + 1:
                at = piece.end()
            depth -= 1
    return "".join((*pieces, text[at:])) if depth <= DEEPEST else "".join(pieces)
