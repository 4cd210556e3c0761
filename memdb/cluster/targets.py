"""Named targets: the settings file (TOML) and where their passwords come from. Guide: docs/connect.md.

The file holds no password; it says where one is. So it may be read, shared and put under version control.
"""

from __future__ import annotations

import difflib
import math
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import tomli_w

from memdb import files
from memdb.cluster import aws
from memdb.cluster.address import is_address, may_hold_password, shown
from memdb.cluster.target import Budget, Iam, Target, Tls
from memdb.display import line, number_text
from memdb.errors import BadInput, BadSettings, LoginFailed, MemDBError
from memdb.settings import Settings, variable

_MOST_PASSWORD = 64 << 10
FILE = "targets.toml"
Origin = Literal["settings file", "environment", "local engine", "entered here", "MemoryDB"]

_TEXT = {"url", "label", "colour", "kind", "password_env", "password_file", "secret", "secret_region"}
_TABLES: dict[str, dict[str, type]] = {
    "tls": {"ca": str, "cert": str, "key": str, "hostname": str, "verify": bool},
    "iam": {"cluster": str, "region": str, "service": str, "serverless": bool},
    "budget": {"queries_per_s": float, "keys_scanned": int, "slow_factor": float},
}
_KNOWN = {*_TEXT, *_TABLES, "writable", "read_from_replicas", "timeout"}
_ELSEWHERE = """\
# The password is kept elsewhere: password_env, password_file, or secret = "name#key" in AWS Secrets Manager.
"""
_PARTS = {"targets": "[targets.orders]", "indexes": '[indexes."idx:orders"]', "access": "[access]"}
_SOURCES = ("password_env", "password_file", "secret")


@dataclass(frozen=True, slots=True)
class Password:
    """Where a password is. It is read when the target is opened, and again after a refused login."""

    source: Literal["none", "here", "engine", "variable", "file", "secret"] = "none"
    name: str = ""
    region: str = ""

    @property
    def shown(self) -> str:
        """The name, unless it looks as if the password itself stood in its place."""
        usual = {"variable": r"[A-Z][A-Z0-9_]*", "file": r"[~/].*"}.get(self.source, ".*")
        return self.name if re.fullmatch(usual, self.name) else "(not shown: it may be a password)"

    @property
    def words(self) -> str:
        """For people; never the password."""
        return {
            "none": "none",
            "here": "entered here, until the tab closes",
            "engine": "made at its start",
            "variable": f"environment variable {self.shown}",
            "file": f"file {self.shown}",
            "secret": f"AWS Secrets Manager, {self.name}",
        }[self.source]


@dataclass(frozen=True, slots=True)
class Named:
    """A target by its name. Where `problem` is set it cannot be opened, and the others still can."""

    name: str
    target: Target
    origin: Origin = "settings file"
    password: Password = Password()
    problem: MemDBError | None = field(default=None, compare=False)

    @property
    def login(self) -> str:
        """How it logs in, for people."""
        if self.target.iam is not None:
            return f"IAM as {self.target.username}"
        user = self.target.username or "default user"
        return f"{user}, password: {self.password.words}"


def file_path(settings: Settings) -> Path:
    """Where the settings file is looked for."""
    return Path(settings.settings).expanduser() if settings.settings else settings.home / FILE


def read(settings: Settings) -> tuple[Named, ...]:
    """The targets of the settings file, in its order; none where there is no file.

    Raises:
        BadSettings: the file cannot be read or is no TOML, or MEMDB_SETTINGS names none. What is wrong with
            one target stands in its `problem`.
    """
    text = _text_of(settings)
    return () if text is None else parse(text, str(file_path(settings)))


def index_tables(settings: Settings) -> Mapping[str, Any]:
    """What the settings file says of indexes, by their names; read by `memdb.embedding.declared`.

    Raises:
        BadSettings: as `read`.
    """
    text = _text_of(settings)
    return {} if text is None else _content(text, str(file_path(settings)))["indexes"]


def access_table(settings: Settings) -> Mapping[str, Any] | None:
    """The table `[access]` of the settings file or of MEMDB_ACCESS, for `memdb.cluster.rights`; None without.

    Raises:
        BadSettings: as `read`; or MEMDB_ACCESS is no TOML, or both say something.
    """
    text = _text_of(settings)
    table = {} if text is None else _content(text, str(file_path(settings)))["access"]
    in_file = "access" in files.tables(text or "")  # an empty table is one: it lets nobody write
    if not settings.access:
        return table if in_file else None
    if in_file:
        raise BadSettings(
            "[access] stands in the settings file, and MEMDB_ACCESS is set.", "Keep one of them."
        )
    try:
        return files.tables(settings.access)
    except ValueError as exc:
        raise BadSettings(
            f"MEMDB_ACCESS is no TOML: {exc}.", "Write the lines of the table, without its heading."
        ) from None


def _text_of(settings: Settings) -> str | None:
    path = file_path(settings)
    try:
        text = files.text(path)
        _only_ours(path, "settings file", str(path))
    except FileNotFoundError:
        if settings.settings:
            raise BadSettings(
                f"There is no settings file '{path}'.", "Check MEMDB_SETTINGS, or leave it out."
            ) from None
        return None
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "it is not UTF-8"
        raise BadSettings(f"The settings file '{path}' cannot be read: {reason}.", "Check the file.") from exc
    return text


def parse(text: str, where: str = FILE) -> tuple[Named, ...]:
    """The targets that a settings file describes.

    Raises:
        BadSettings: it is no TOML, or holds something else than targets, indexes and access.
    """
    return tuple(_named(name, table) for name, table in _content(text, where)["targets"].items())


def _content(text: str, where: str) -> dict[str, dict[str, Any]]:
    """The tables of a settings file by what they are of."""
    try:
        content = files.tables(text)
    except ValueError as exc:
        why = "a key is an address" if may_hold_password(str(exc)) else str(exc)
        raise BadSettings(f"The settings file '{where}' is no TOML: {why}.", "Correct that line.") from None
    tables = {part: content.pop(part, {}) for part in _PARTS}
    if content:
        raise BadSettings(
            f"The settings file '{where}' holds {shown(next(iter(content)))}, which means nothing here.",
            'Targets stand in tables like [targets.orders], indexes in [indexes."idx:orders"], '
            "rights in [access].",
        )
    for part, table in tables.items():
        if not isinstance(table, dict):
            raise BadSettings(f"'{part}' in '{where}' is no table.", f"Write {_PARTS[part]}.")
    return tables


def resolve(named: Named, *, secrets: Any = None) -> Target:
    """The target with its password, read now.

    Args:
        named: as `read` gave it.
        secrets: a boto3 client of Secrets Manager, for tests.

    Raises:
        MemDBError: what is wrong with its settings, or the password cannot be had.
    """
    if named.problem is not None:
        raise named.problem
    if named.target.password:
        return named.target
    where = named.password
    if where.source == "variable":
        secret = variable(where.name)
        if not secret:
            raise BadSettings(
                f"{named.name} takes its password from {where.words}, which is not set.",
                "Set it before the start.",
            )
    elif where.source == "file":
        secret = _from_file(named.name, where)
    elif where.source == "secret":
        try:
            secret = aws.secret(where.name, where.region, secrets=secrets)
        except MemDBError as exc:
            message = f"{named.name} takes its password from AWS Secrets Manager. {exc}"
            raise LoginFailed(message, exc.hint) from exc
    else:
        return named.target
    return replace(named.target, password=secret)


def as_toml(name: str, target: Target) -> str:
    """A target as the settings file says it, to be kept there. Its password is left out."""
    user = f"{quote(target.username, safe='')}@" if target.username else ""
    scheme, rest = target.address.split("://", 1)
    table: dict[str, Any] = {"url": f"{scheme}://{user}{rest}"}
    if target.label != name:
        table["label"] = target.label
    table |= {"colour": target.colour, "kind": target.kind, "writable": target.writable}
    table["read_from_replicas"] = target.read_from_replicas
    if target.timeout_s != Target().timeout_s:
        table["timeout"] = target.timeout_s
    if target.password:
        table["password_env"] = "…"  # noqa: S105  # to be filled in
    for part, default in (("tls", Tls()), ("iam", target.iam and Iam("", "")), ("budget", Budget())):
        value = getattr(target, part)
        if value != default:
            keys = {key: getattr(value, key) for key in _TABLES[part]}
            table[part] = {key: v for key, v in keys.items() if default is None or v != getattr(default, key)}
    text = tomli_w.dumps({"targets": {name: {key: v for key, v in table.items() if v not in ("", False)}}})
    return f"{_ELSEWHERE}{text}" if target.password else text


def save(settings: Settings, name: str, target: Target) -> Path:
    """Add a target to the settings file, without its password; what stands there stays as it is.

    Returns:
        The file.

    Raises:
        BadInput: there is a target of that name, or the name is an address.
        BadSettings: the file cannot be read, is no TOML, or the target cannot stand in it.
        NotKept: it cannot be written.
    """
    if is_address(name):
        raise BadInput("A target without a name is not saved.", "Enter it again, with a name.")
    path, text = file_path(settings), _text_of(settings) or ""
    if name in _content(text, str(path))["targets"]:
        raise BadInput(
            f"'{line(name)}' stands in {path} already.", "Give it another name, or change it there."
        )
    added = as_toml(name, replace(target, password=""))
    whole = "\n".join([*([text.rstrip("\n"), ""] if text.strip() else []), *_comment(target), added])
    for named in parse(whole, str(path)):
        if named.name == name and named.problem is not None:
            raise named.problem
    return files.write(path, whole.encode("utf-8"))


def _comment(target: Target) -> list[str]:
    return [_ELSEWHERE.rstrip("\n")] if target.password else []


def _named(name: str, table: object) -> Named:
    if is_address(name):
        problem = BadSettings(
            "The name of a target is an address.", "Write [targets.orders], the address as url."
        )
        return Named("(an address)", Target(label="(an address)"), problem=problem)
    try:
        return _checked(name, table)
    except BadSettings as exc:
        problem = BadSettings(f"Target '{name}': {exc}", exc.hint)
        return Named(name, Target(label=name), problem=problem)


def _checked(name: str, table: object) -> Named:
    if not isinstance(table, dict):
        raise BadSettings("it is no table.", f"Write [targets.{name}].")
    if "password" in table:
        raise BadSettings(
            "a password stands in the file.",
            "Say where it is instead: password_env, password_file or secret. Change that password.",
        )
    check_keys(table, _KNOWN, "")
    texts = {key: _typed(table, key, str, "") for key in _TEXT}
    if not texts["url"]:
        raise BadSettings("it has no url.", 'Add url = "rediss://user@host:6379".')
    base = Target.parse(
        texts["url"],
        label=texts["label"] or name,
        kind=texts["kind"],
        writable=_typed(table, "writable", bool, default=False),
    )
    if base.password:
        raise BadSettings(
            "a password stands in its url.",
            "Keep the user and say where the password is: password_env, password_file or secret.",
        )
    parts = {key: _table(table, key) for key in _TABLES}
    timeout = _typed(table, "timeout", float, base.timeout_s)
    if not 0.1 <= timeout <= 600:
        raise BadSettings(f"timeout is {timeout:g}.", "Give 0.1 to 600 seconds.")
    iam = parts["iam"]
    target = replace(
        base,
        colour=texts["colour"],
        timeout_s=timeout,
        tls=Tls(**parts["tls"]),
        iam=Iam(**{"cluster": "", "region": "", **iam}) if iam else None,
        read_from_replicas=_typed(table, "read_from_replicas", bool, default=False),
        budget=Budget(**parts["budget"]),
    ).checked()
    return Named(name, target, password=_password(texts, target))


def _password(texts: Mapping[str, str], target: Target) -> Password:
    sources = [key for key in _SOURCES if texts[key]]
    if len(sources) > 1:
        raise BadSettings(f"it has {' and '.join(sources)}.", "Keep one of them.")
    if sources and target.iam is not None:
        raise BadSettings(f"it has {sources[0]} and iam.", "Keep one of them: IAM makes its own tokens.")
    if not sources:
        return Password()
    key = sources[0]
    if key == "password_env":
        return Password("variable", texts[key])
    if key == "password_file":
        return Password("file", texts[key])
    return Password("secret", texts[key], texts["secret_region"])


def _table(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    entries = table.get(key, {})
    if not isinstance(entries, dict):
        raise BadSettings(f"{key} is no table.", f"Write {key} = {{ … }}.")
    check_keys(entries, set(_TABLES[key]), f"{key}.")
    return {
        name: _typed(entries, name, kind, None, f"{key}.")
        for name, kind in _TABLES[key].items()
        if name in entries
    }


def check_keys(table: Mapping[str, Any], allowed: set[str], prefix: str) -> None:
    """Refuse a key that means nothing in a table of the settings file.

    Raises:
        BadSettings: there is one; the nearest that means something is named.
    """
    for key in table:
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, 1)
            hint = (
                f"Did you mean {prefix}{near[0]}?" if near else f"It may have: {', '.join(sorted(allowed))}."
            )
            raise BadSettings(f"{shown(prefix + key)} means nothing here.", hint)


def _typed(table: Mapping[str, Any], key: str, kind: type, default: Any = None, prefix: str = "") -> Any:
    value = table.get(key, default)
    if type(value) is int and abs(value) >= 2**63:
        raise BadSettings(f"{prefix}{key} is {number_text(value)}.", "Give a smaller number.")
    if kind is float and type(value) is int:
        value = float(value)
    if key in table and type(value) is not kind:
        words = {str: "a text in quotes", bool: "true or false", int: "a whole number", float: "a number"}
        # Where a text is due, an address or a password may stand in a list.
        hidden = kind is str or may_hold_password(repr(value))
        given_words = "of another type" if hidden else repr(value)
        raise BadSettings(f"{prefix}{key} is {given_words}.", f"Give {words[kind]}.")
    if kind in (int, float) and key in table and not 0 <= value < math.inf:
        raise BadSettings(f"{prefix}{key} is {value}.", "Give 0 or more.")
    return value


def _from_file(name: str, where: Password) -> str:
    path, named = Path(where.name).expanduser(), where.shown
    try:
        _only_ours(path, "password file", named)
        password = files.text(path, most=_MOST_PASSWORD).strip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "it is not UTF-8"
        raise BadSettings(
            f"The password file '{named}' of {name} cannot be read: {reason}.", "Check it."
        ) from exc
    if not password:
        raise BadSettings(f"The password file '{named}' of {name} is empty.", "Put the password in it.")
    return password


def _only_ours(path: Path, what: str, named: str) -> None:
    # Readable by others is common (a container's mounted secrets); writable would let any user of the
    # machine send this program, with its password, elsewhere.
    if path.stat().st_mode & stat.S_IWOTH:
        raise BadSettings(
            f"The {what} '{named}' may be written by every user of this machine.",
            f"Take that right away: chmod o-w '{named}'.",
        )
