"""The served app's log: one way for Streamlit, the web server and ours; as text, or as JSON on request.

Of an error its type and places are written, not its text, which may hold a value: a key, a query, an address.
"""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime
from typing import Literal

from streamlit import logger as of_streamlit

from memdb.cluster.address import may_hold_password
from memdb.display import line
from memdb.errors import BadSettings
from memdb.json_text import json_text

Form = Literal["text", "json"]
_PLACES = 12  # of an error, the innermost
_LENGTH = 500


class _Formatter(logging.Formatter):
    """A line for each record."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        parts = entry(record)
        if self._form == "json":
            return json_text(parts, ascii_only=False)
        head = f"{parts.pop('time')} {parts.pop('level'):<7} {parts.pop('logger')}: {parts.pop('message')}"
        rest = "".join(f" {name}={value}" for name, value in parts.items() if name != "places")
        return head + rest + "".join(f"\n    {place}" for place in _places(record))


def entry(record: logging.LogRecord) -> dict[str, object]:
    """What is written of a record: no error's text, nothing that may be an address with a password."""
    message = line(record.getMessage(), _LENGTH)
    parts: dict[str, object] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "message": "(not shown: it may hold a password)" if may_hold_password(message) else message,
    }
    parts |= getattr(record, "facts", {})
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        parts |= {"error": type(error).__name__, "places": _places(record)}
    return parts


def _places(record: logging.LogRecord) -> list[str]:
    error = record.exc_info[1] if record.exc_info else None
    frames = traceback.extract_tb(error.__traceback__)[-_PLACES:] if error is not None else ()
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


def configure(form: str) -> None:
    """Write everything that is logged in this process to the standard error, in this form.

    Args:
        form: "text" or "json".

    Raises:
        BadSettings: it is neither.
    """
    if form not in ("text", "json"):
        raise BadSettings(f"MEMDB_LOG is {line(form, 40)!r}.", "Set it to text or json.")
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("json" if form == "json" else "text"))
    logging.root.handlers = [handler]
    logging.root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    # Streamlit gives each of its loggers, and the web server's, a handler of its own; also later ones.
    of_streamlit.setup_formatter = _to_root
    of_streamlit.update_formatter()
    _to_root(logging.getLogger("memdb"))
    logging.getLogger("memdb").setLevel(logging.INFO)


def _to_root(logger: logging.Logger) -> None:
    logger.handlers = []
    logger.propagate = logger.name != "uvicorn.access"  # links carry what was typed
