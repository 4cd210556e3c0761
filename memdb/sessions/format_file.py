"""Session formats of the user's own: `[[session_formats]]` tables in a TOML file. Guide: docs/sessions.md.

[[session_formats]]
name = "support"
prefix = "support:chat:"
stored = "json"
messages = "conversation.entries"
role = "who"
text = "body.text"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli_w

from memdb import files
from memdb.errors import BadInput, BadSettings
from memdb.sessions.mapping import Format
from memdb.settings import Settings

FILE = "session_formats.toml"
TABLE = "session_formats"
PATHS = ("messages", "role", "text", "time", "user", "session")
_TEXTS = ("name", "title", "prefix", "tail", "stored", "holds")
_KNOWN = {*PATHS, *_TEXTS, "newest_first", "roles"}
_MOST = 100


def file_path(settings: Settings) -> Path:
    """Where the file is."""
    return settings.home / FILE


def own_formats(settings: Settings) -> tuple[Format, ...]:
    """The formats of the file; none where there is no file.

    Raises:
        BadSettings: the file cannot be read, is no TOML, or a format in it cannot be.
    """
    path = file_path(settings)
    try:
        content = files.tables(files.text(path))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as exc:
        raise BadSettings(f"'{path}' cannot be read: {exc}.", "Correct the file, or move it away.") from exc
    tables = content.get(TABLE, [])
    if not isinstance(tables, list) or len(tables) > _MOST:
        raise BadSettings(f"'{path}': {TABLE} is no list of tables.", f"Write [[{TABLE}]] above each.")
    formats = []
    for number, table in enumerate(tables, 1):
        try:
            formats.append(of_table(table))
        except BadInput as exc:
            raise BadSettings(f"'{path}', format {number}: {exc}", exc.hint) from exc
    names = [f.name for f in formats]
    if len(set(names)) < len(names):
        raise BadSettings(f"'{path}' names two formats alike.", "Give each its own name.")
    return tuple(formats)


def of_table(table: Mapping[str, Any]) -> Format:
    """A format as its table says.

    Raises:
        BadInput: something in it is missing or cannot be.
    """
    if not isinstance(table, Mapping):
        raise BadInput("It is no table.", f"Write [[{TABLE}]] above it.")
    if unknown := set(table) - _KNOWN:
        raise BadInput(f"'{min(unknown)}' means nothing here.", f"It may have: {', '.join(sorted(_KNOWN))}.")
    texts = {name: _text(table, name) for name in _TEXTS}
    paths: dict[str, Any] = {name: _paths(table[name], name) for name in PATHS if name in table}
    newest_first = table.get("newest_first", False)
    if not isinstance(newest_first, bool):
        raise BadInput(f"newest_first is {newest_first!r}.", "Give true or false.")
    if "prefix" not in table:
        raise BadInput("The format names no start of its keys.", 'Give their prefix, e.g. "chat:".')
    base = Format(texts["name"], texts["title"] or texts["name"], texts["prefix"], "json", own=True)
    return replace(
        base,
        stored=texts["stored"] or "json",  # type: ignore[arg-type]  # checked below
        holds=texts["holds"] or "session",  # type: ignore[arg-type]
        newest_first=newest_first,
        tail=texts["tail"],
        roles=_roles(table.get("roles", {})),
        **paths,
    ).checked()


def of_toml(text: str) -> Format:
    """The first format of some lines, as `to_toml` writes them.

    Raises:
        BadInput: the lines are no TOML, or say no format that can be.
    """
    try:
        tables = files.tables(text).get(TABLE, [])
    except ValueError as exc:
        raise BadInput(f"The lines are no TOML: {exc}.", f"Copy them with [[{TABLE}]] above.") from exc
    if not isinstance(tables, list) or not tables:
        raise BadInput("The lines name no format.", f"Copy them with [[{TABLE}]] above.")
    return of_table(tables[0])


def to_toml(*formats: Format) -> str:
    """Formats as the tables that give them back."""
    return tomli_w.dumps({TABLE: [_table(format_) for format_ in formats]})


def save(settings: Settings, format_: Format) -> Path:
    """Put a format into the file, in the place of one with the same name; returns the file.

    The file is written anew as a whole: comments in it are not kept.

    Raises:
        BadInput: the format cannot be.
        BadSettings: the file cannot be read.
        NotKept: it cannot be written; it stays as it is.
    """
    format_ = replace(format_.checked(), own=True)
    others = [f for f in own_formats(settings) if f.name != format_.name]
    path = file_path(settings)
    try:
        content = to_toml(*others, format_).encode()
    except UnicodeEncodeError:
        raise BadInput(
            f"The format '{format_.name}' holds bytes that are no UTF-8, which a TOML file cannot hold.",
            "Choose a prefix and names that are text.",
        ) from None
    return files.write(path, content)


def _table(format_: Format) -> dict[str, Any]:
    table: dict[str, Any] = {name: getattr(format_, name) for name in _TEXTS if name != "tail"}
    if format_.tail:
        table["tail"] = format_.tail
    for name in PATHS:
        paths = getattr(format_, name)
        table[name] = paths[0] if len(paths) == 1 else list(paths)
    if format_.newest_first:
        table["newest_first"] = True
    if format_.roles:
        table["roles"] = dict(format_.roles)
    return table


def _text(table: Mapping[str, Any], name: str) -> str:
    value = table.get(name, "")
    if not isinstance(value, str):
        raise BadInput(f"{name} is {value!r}.", "Give a text in quotes.")
    return value


def _roles(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or not all(isinstance(role, str) for role in value.values()):
        raise BadInput(f"roles is {value!r}.", 'Give a table: roles = { "1" = "user", "2" = "assistant" }.')
    return tuple(value.items())


def _paths(value: Any, name: str) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(path, str) for path in listed):
        raise BadInput(f"{name} is {value!r}.", "Give a path as a text, or a list of them.")
    return tuple(path.strip() for path in listed if path.strip())
