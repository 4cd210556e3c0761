"""Stored values as people may see them: text only, bounded, without anything a terminal or browser obeys."""

from __future__ import annotations

import html
import re

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# Control characters but newline and tab, lone surrogates (bytes that were not UTF-8), and the marks that
# reorder the text around them.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\u200e\u200f]")


def plain(value: str, limit: int = 2_000) -> str:
    """A stored text, safe to show as text.

    ANSI sequences are dropped, other control characters and bytes that were not UTF-8 become visible
    (\\x07, \\xff), and what is longer than `limit` characters is cut, with a note of how much.
    """
    shown = _UNSEEN.sub(_visible, _ANSI.sub("", value[: limit + 1_000].replace("\r\n", "\n")))
    if len(value) <= limit and len(shown) <= limit * 4:
        return shown
    return f"{shown[:limit]}… ({len(value) - limit:,} more characters)"


def line(value: str, limit: int = 200) -> str:
    """The same on one line, for a table cell or a heading."""
    return re.sub(r"\s+", " ", plain(value, limit)).strip()


def markdown(value: str, limit: int = 500) -> str:
    """The same where Markdown is unavoidable (messages, headings): every sign that could mean something
    stands behind a backslash, so that no image is fetched, no link made, no HTML or formula read."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", line(value, limit))


def code(value: str, limit: int = 300) -> str:
    """The same as a Markdown code span; its fence is longer than any in the text."""
    text = line(value, limit)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if text[:1] == "`" or text[-1:] == "`" else f"{fence}{text}{fence}"


def figure_text(value: str, limit: int = 120) -> str:
    """The same for a chart: plotly reads some HTML in names and hover texts."""
    return html.escape(line(value, limit), quote=False)


def is_utf8(value: str) -> bool:
    """Whether a text is UTF-8 throughout: no byte of it was kept as a lone surrogate."""
    return not any("\ud800" <= c <= "\udfff" for c in value)


def bytes_text(size: float | None) -> str:
    """A number of bytes as people read it: 1.5 MiB. Units of 1024, as redis-cli's and AWS's node sizes."""
    if size is None:
        return "–"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


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


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:  # a byte kept by surrogateescape
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
