"""Times as people and libraries store them: texts, numbers since 1970, objects of JSON."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any


def moment(value: Any) -> datetime | None:
    """A time as people store it: ISO 8601 with any precision, an e-mail's or JavaScript's date, or seconds,
    milliseconds, microseconds or nanoseconds since 1970; without a zone it is UTC. MongoDB's, Firestore's and
    .NET's ways to write one in JSON are read too. None where it is none."""
    if isinstance(value, dict):
        return _in_object(value)
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _since_1970(value)
    if not isinstance(value, str) or len(value) > 80:
        return None
    text = value.strip()
    if re.fullmatch(r"\d{9,19}(\.\d{1,12})?", text, re.ASCII):
        return _since_1970(float(text))
    try:
        read_time = datetime.fromisoformat(text)
    except ValueError:
        return _worded(text)
    return _on_the_calendar(read_time if read_time.tzinfo else read_time.replace(tzinfo=UTC))


def _since_1970(value: float) -> datetime | None:
    if not 0 < value < 1e20:  # the year 5138 in nanoseconds; no NaN, and no number of hundreds of digits
        return None
    for unit in (1.0, 1e3, 1e6, 1e9):  # seconds up to the year 5138, then the next unit
        if value / unit < 1e11:
            try:
                return datetime.fromtimestamp(value / unit, UTC)
            except (OverflowError, OSError, ValueError):
                return None
    return None


def _in_object(value: dict[str, Any]) -> datetime | None:
    """A time that is an object: {"$date": …}, {"$numberLong": …}, {"_seconds": …, "_nanoseconds": …}."""
    if len(value) > 2:
        return None
    for name in ("$date", "$numberLong"):
        if name in value:
            return moment(value[name]) if not isinstance(value[name], dict) else _in_object(value[name])
    seconds = next((v for n in ("_seconds", "seconds") if type(v := value.get(n)) is int), None)
    parts = next((v for n in ("_nanoseconds", "nanoseconds", "nanos") if type(v := value.get(n)) is int), 0)
    return _since_1970(seconds + parts / 1e9) if seconds is not None else None


def _on_the_calendar(time_read: datetime) -> datetime | None:
    """The time, unless UTC has no such year: .NET's "no time", the year 1, lies before it in the east."""
    try:
        time_read.astimezone(UTC)
    except OverflowError:
        return None
    return time_read


def _worded(text: str) -> datetime | None:
    """An e-mail's, JavaScript's or .NET's date, or one with slashes that begins with the year."""
    if (dotnet := re.fullmatch(r"/Date\((-?\d{1,16})(?:[+-]\d{4})?\)/", text, re.ASCII)) is not None:
        return _since_1970(int(dotnet[1]) / 1_000)
    if re.match(r"\d{4}/\d\d/\d\d", text, re.ASCII):
        return moment(text.replace("/", "-"))
    script = re.fullmatch(r"\w{3} (\w{3}) (\d{2}) (\d{4}) (\d\d:\d\d:\d\d) GMT([+-]\d{4}).*", text, re.ASCII)
    if script is not None:
        month, day, year, clock, zone = script.groups()
        text = f"{day} {month} {year} {clock} {zone}"
    if not re.match(r"(\w{3}, )?\d{1,2} \w{3} \d{4} ", text, re.ASCII):
        return None
    try:
        parsed_time = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return parsed_time if parsed_time.tzinfo else parsed_time.replace(tzinfo=UTC)
