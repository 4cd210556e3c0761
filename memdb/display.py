"""Stored values as people may see them: text only, bounded, without anything a terminal or browser obeys."""

from __future__ import annotations

import html
import math
import re
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

# A text that is Markdown already: of ours, or put together of what `markdown` and `code` made. Callers of who
# takes one are held to it by tests/unit/test_shown_text.py.
Markdown = str

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# Arabic to Myanmar, Khmer, Mongolian: joiners spell words there.
_JOINED = "\u0600-\u109f\u1780-\u18af\ua8e0-\uabff"
_PICTURED = "\xa9\xae\u203c-\u3299\ufe0f\U0001f000-\U0001faff"  # what pictures are joined of
# Control characters but newline and tab, lone surrogates (bytes that were not UTF-8), the marks that reorder
# the text around them, and signs that take no room, so that two names look alike.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\ud800-\udfff\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b"
    "\u200e\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    f"|(?<![{_JOINED}])\u200c|\u200c(?![{_JOINED}])"
    f"|(?<![{_JOINED}{_PICTURED}])\u200d|\u200d(?![{_JOINED}{_PICTURED}])"
    f"|(?<![{_PICTURED}#*0-9])[\ufe0e\ufe0f]|(?<=[\ufe0e\ufe0f])[\ufe0e\ufe0f]"
)
# What Streamlit's Markdown looks for in the text once the backslashes are gone: addresses with a dot in their
# host, shortcodes of emoji and icons, arrows and dashes.
_READ_AFTERWARDS = re.compile(
    r"https?://[-\w]*\.|www\.|[-.\w+]@[-\w]+\.|:(?!\d\d:)[\w+-]+:|^(?:<->|->|<-|--|>=|<=|~=)$", re.IGNORECASE
)
_MEANING = re.compile(
    r"([!#$&()*+\-/:<=>@\[\\\]^_`{|}~])"
)  # all punctuation of ASCII but . , ; % ? and quotes
_TOLD = 300  # characters from which on a text says how much is not shown; a name is only cut
_ICON = ":material/"  # is rewritten before Markdown is read, in code spans too; not behind backslashes
# Words, and what stands between them. A bracket or bar would end the label or table cell around a code span.
_WORDS = re.compile(rf"({_ICON}|[\s\[\]|]+)")


def plain(value: str, limit: int = 2_000) -> str:
    """A stored text, safe to show as text.

    ANSI sequences are dropped. Other control characters, bytes that were not UTF-8, marks that change the
    direction of writing and signs without width become visible (\\x07, \\xff, \\u202e, \\u200b); joiners stay
    where they belong to a script or a picture. What is longer than `limit` characters is cut, with a note of
    how much where it is no name.
    """
    visible = _UNSEEN.sub(_visible, _ANSI.sub("", value[: limit + 1_000].replace("\r\n", "\n")))
    if len(value) <= limit and len(visible) <= limit * 4:
        return visible
    rest_words = f" ({len(value) - limit:,} more characters)" if limit >= _TOLD else ""
    return f"{visible[:limit]}…{rest_words}"


def line(value: str, limit: int = 200) -> str:
    """The same on one line: a table cell or its heading, an option of a select box, a file's name."""
    return re.sub(r"\s+", " ", plain(value, limit)).strip()


def markdown(value: str, limit: int = 500) -> str:
    """The same where Streamlit reads Markdown: messages, headings, labels, helps, metrics, links to pages.

    Every sign that could mean something stands behind a backslash, so that no image is fetched, no link made,
    no HTML, formula, colour or icon read. Addresses and shortcodes, which would be read all the same, become
    code spans.
    """
    text = "".join(
        _span(word) if word != _ICON and _READ_AFTERWARDS.search(word) else _escaped(word)
        for word in _WORDS.split(line(value, limit))
    )
    return re.sub(r"^(\d+)\.", r"\1\\.", text)  # would begin a list


def code(value: str, limit: int = 300) -> str:
    """The same as a Markdown code span."""
    return _escaped(_ICON).join(_span(part) for part in line(value, limit).split(_ICON))


def figure_text(value: str, limit: int = 120) -> str:
    """The same for a chart: plotly reads some HTML in names and hover texts."""
    return html.escape(line(value, limit), quote=False)


def labels(values: Iterable[str] | Mapping[str, str], limit: int = 200) -> Callable[[str], str]:
    """How a box that one of the values is chosen in shows each: on one line, no two alike.

    Values that would look alike get numbers, so that each can be chosen. A mapping says what each is shown
    as.
    """
    texts = values if isinstance(values, Mapping) else {value: value for value in values}
    label_of: dict[str, str] = {}
    taken: set[str] = set()
    for value, text in texts.items():
        label, number = line(text, limit), 1
        while label in taken:
            number += 1
            label = f"{line(text, limit)} ({number})"
        taken.add(label)
        label_of[value] = label
    return _Labels(label_of, limit)


@dataclass(frozen=True, slots=True)
class _Labels:  # no closure: Streamlit's test harness pickles what a box was made with
    shown: dict[str, str]
    limit: int

    def __call__(self, value: str) -> str:
        return self.shown.get(value, line(value, self.limit))


def takes_room(sign: str) -> bool:
    """Whether a character is seen: no blank, no control character, no mark or letter without width."""
    return not (unicodedata.category(sign).startswith(("Z", "C")) or _UNSEEN.fullmatch(sign))


def repeats(text: str, secret: str) -> bool:
    """Whether a text that another program wrote holds a secret, or twelve signs of it in a row.

    It may be spelled otherwise: other capitals, signs or blanks between, %-codes, base64, hexadecimal. Of a
    secret with fewer than four letters and digits this cannot be told from any text: False.
    """
    raw = secret.encode("utf-8", "surrogateescape")
    spellings = {_letters(text), _letters(unquote(text))}
    for spelled in (secret, b64encode(raw).decode(), raw.hex()):
        wanted = _letters(spelled)
        size = min(len(wanted), 12)
        parts = {wanted[i : i + size] for i in range(len(wanted) - size + 1)}
        if size >= 4 and any(part in each for part in parts for each in spellings):
            return True
    return False


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def is_utf8(value: str) -> bool:
    """Whether a text is UTF-8 throughout: no byte of it was kept as a lone surrogate."""
    return not any("\ud800" <= c <= "\udfff" for c in value)


def percent(share: float) -> str:
    """A share with the digits that count: "2 %", "0.35 %"; what is hardly any is told as that."""
    if 0 < share < 5e-6:
        return "less than 0.001 %"
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.3g} %"


def counted(number: int, what: str, plural: str = "") -> str:
    """A number of things as people write it: 1 document, 2,540 documents."""
    return f"{number:,} {what if number == 1 else plural or what + 's'}"


def numbers_apart(numbers: Iterable[float]) -> dict[float, str]:
    """Each number as text: whole ones whole, others with as few digits as tell all of them apart."""
    every = set(numbers)
    if all(abs(number) < 1e15 and number == round(number) for number in every):
        return {number: f"{number + 0.0:.0f}" for number in every}  # no -0
    written: dict[float, str] = {}
    for digits in (6, 9, 12, 15, 17):
        written = {number: f"{number:.{digits}g}" for number in every}
        if len(set(written.values())) == len(every):
            break
    return written


def number_text(value: float) -> str:
    """A number as people read it: 1,500. Of one that Python would not print, how many digits it has."""
    if not isinstance(value, int) or abs(value) < 10**40:
        return f"{value:,}"
    return f"a number of about {math.log10(abs(value)):,.0f} digits"


def bytes_text(size: float | None) -> str:
    """A number of bytes as people read it: 1.5 MiB. Units of 1024, as redis-cli's and AWS's node sizes."""
    if size is None:
        return "–"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def byte_unit(largest: float) -> tuple[float, str]:
    """For an axis up to so many bytes: the bytes of its unit, and the unit's name, as `bytes_text` has it."""
    unit = 1.0
    for name in ("B", "KiB", "MiB", "GiB"):
        if abs(largest) < 1024 * unit:
            return unit, name
        unit *= 1024
    return unit, "TiB"


def duration(seconds: float | None) -> str:
    """A time span as people read it: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def _escaped(text: str) -> str:
    return _MEANING.sub(r"\\\1", text)


def _span(text: str) -> str:
    if not text:
        return ""
    # Its fence is longer than any in the text.
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if text[:1] == "`" or text[-1:] == "`" else f"{fence}{text}{fence}"


def _visible(match: re.Match[str]) -> str:
    number = ord(match.group())
    if 0xDC80 <= number <= 0xDCFF:  # a byte kept by surrogateescape
        number -= 0xDC00
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
