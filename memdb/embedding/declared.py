"""Which model made an index's vectors, as the settings file says it: tables like [indexes."idx:orders"].

[indexes."idx:orders"]
embedder = "openai:in-house"
url = "https://models.internal/v1"      # of an OpenAI-compatible endpoint
key_env = "MODELS_KEY"                  # the variable that holds its key
query_prefix = "query: "                # where the model's name does not tell it

[indexes."idx:orders".fields.embedding_v2]    # of one of several vector fields
embedder = "titan:1024"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memdb.cluster import targets
from memdb.errors import BadSettings
from memdb.json_text import json_text
from memdb.settings import Settings

_KEYS = {"embedder", "url", "key_env", "query_prefix", "document_prefix"}


@dataclass(frozen=True, slots=True)
class Declared:
    """What is said of an index. Prefixes are None where nothing is said of them."""

    embedder: str
    url: str = ""
    key_env: str = ""
    query_prefix: str | None = None
    document_prefix: str | None = None


def table_of(index: str, field: str = "") -> str:
    """The heading of an index's table, or of one of its vector fields, as it is written in the file."""
    rest = f".fields.{quoted(field)}" if field else ""
    return f"[indexes.{quoted(index)}{rest}]"


def quoted(name: str) -> str:
    """A text as a TOML string; JSON escapes the same characters the same way."""
    return json_text(name, ascii_only=False).replace("\x7f", "\\u007f")


def of_index(settings: Settings, index: str, field: str = "") -> Declared | None:
    """What the settings file says of an index, or of one of its vector fields; None where nothing.

    Raises:
        BadSettings: the file cannot be read, or says something that cannot be of this index.
    """
    table = targets.index_tables(settings).get(index)
    if table is None:
        return None
    where = table_of(index)[1:-1]
    if not isinstance(table, dict):
        raise BadSettings(f"{where} is no table.", f"Write [{where}].")
    fields = table.get("fields", {})
    if not isinstance(fields, dict):
        raise BadSettings(f"{where}.fields is no table.", f"Write [{where}.fields.NAME].")
    if field in fields:
        return _checked(fields[field], table_of(index, field)[1:-1])
    rest = {key: value for key, value in table.items() if key != "fields"}
    return _checked(rest, where) if rest else None


def _checked(table: Any, where: str) -> Declared:
    if not isinstance(table, dict):
        raise BadSettings(f"{where} is no table.", f"Write [{where}].")
    if "key" in table:
        raise BadSettings(f"A key stands in {where}.", "Say where it is instead: key_env. Change that key.")
    targets.check_keys(table, _KEYS, f"{where}.")
    texts = {key: _text(table, key, where) for key in _KEYS if key in table}
    if not texts.get("embedder"):
        raise BadSettings(f"{where} has no embedder.", 'Add embedder = "titan:1024".')
    return Declared(**texts)


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    value = table[key]
    if not isinstance(value, str):
        raise BadSettings(f"{where}.{key} is of another type.", "Give a text in quotes.")
    return value if key.endswith("prefix") else value.strip()
