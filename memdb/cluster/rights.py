"""Who may do what, by the claims of a login: the table `[access]` of the settings file (docs/connect.md).

    [access]
    look = ["email=*@example.com"]        # who is let in; left out: everybody who logs in
    write = ["groups=platform"]           # who may write where the target is writable; left out: nobody

    [access.targets]
    orders = ["groups=payments"]          # who may open it; a target left out: everybody who is let in

Pure: it is told the claims, and what it decides is enforced by the client that is opened.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from memdb.cluster.address import shown
from memdb.cluster.targets import Named
from memdb.errors import BadSettings

_KEYS = {"look", "write", "targets"}
_EXAMPLE = 'Write it like "groups=platform" or "email=*@example.com".'


@dataclass(frozen=True, slots=True)
class Rule:
    """`claim=value`: the claim has this value, or among its values this one. `*` stands for any text."""

    claim: str
    value: str

    def holds(self, claims: Mapping[str, Any]) -> bool:
        """Whether a login meets it. An address that its provider calls unverified meets none."""
        if self.claim == "email" and claims.get("email_verified") in (False, "false"):
            return False
        anything = "[^@]*" if self.claim == "email" else ".*"  # a domain is that of the address, not a part
        pattern = anything.join(map(re.escape, self.value.split("*")))
        flags = re.DOTALL | (re.IGNORECASE if self.claim == "email" else 0)
        return any(re.fullmatch(pattern, text, flags) for text in _values(claims, self.claim))


@dataclass(frozen=True, slots=True)
class Rights:
    """What `[access]` says.

    Attributes:
        look: one of these must hold for a login to be let in; None: every login is.
        write: one of these must hold to write.
        targets: name of a target → one of these must hold to open it.
    """

    look: tuple[Rule, ...] | None = None
    write: tuple[Rule, ...] = ()
    targets: tuple[tuple[str, tuple[Rule, ...]], ...] = ()

    def lets_in(self, claims: Mapping[str, Any]) -> bool:
        """Whether somebody with this login sees anything."""
        return self.look is None or _any(self.look, claims)

    def may_write(self, claims: Mapping[str, Any]) -> bool:
        """Whether they may write where the target is writable."""
        return _any(self.write, claims)

    def allowed(
        self, every: Iterable[Named], offered: Iterable[Named], claims: Mapping[str, Any]
    ) -> tuple[Named, ...]:
        """What of `offered` somebody may open; read-only where they may not write.

        A server is one by its address: another name for it, or an address that was entered, opens no door.

        Args:
            every: all targets of this app, which names and addresses are looked up in.
            offered: among which to choose.
            claims: of the login; empty for somebody without one.
        """
        if not self.lets_in(claims):
            return ()
        closed = self.closed(every, claims)
        mine = (named for named in offered if server_of(named.target.address) not in closed)
        if self.may_write(claims):
            return tuple(mine)
        return tuple(replace(named, target=named.target.read_only()) for named in mine)

    def closed(self, every: Iterable[Named], claims: Mapping[str, Any]) -> frozenset[str]:
        """The servers that somebody may not open, as `server_of` writes their addresses."""
        names = {name for name, rules in self.targets if not _any(rules, claims)}
        return frozenset(server_of(named.target.address) for named in every if named.name in names)


def server_of(address: str) -> str:
    """An address in one writing, to compare: without its login, this machine by one name."""
    return address.lower().replace("//localhost", "//127.0.0.1")


def parse(table: object, names: Iterable[str]) -> Rights:
    """What the table `[access]` says.

    Args:
        table: as TOML gives it.
        names: of the targets there are. A rule about another one would leave the one that was meant open.

    Raises:
        BadSettings: it says something else than rules, or about a target that is not there.
    """
    if not isinstance(table, dict):
        raise BadSettings("'access' in the settings file is no table.", "Write [access].")
    for key in table:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, 1)
            hint = f"Did you mean {near[0]}?" if near else "It may have: look, write, targets."
            raise BadSettings(f"{shown(f'access.{key}')} means nothing here.", hint)
    targets, allowed = table.get("targets", {}), list(names)
    if not isinstance(targets, dict):
        raise BadSettings("access.targets is no table.", "Write [access.targets].")
    for name in targets:
        if name not in allowed:
            raise BadSettings(
                f"access.targets names {shown(name)}, and there is no target of that name.",
                f"The file has: {', '.join(allowed) or 'none'}.",
            )
    return Rights(
        _rules(table["look"], "look") if "look" in table else None,
        _rules(table.get("write", []), "write"),
        tuple((name, _rules(rules, f"targets.{name}")) for name, rules in targets.items()),
    )


def _rules(value: object, where: str) -> tuple[Rule, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise BadSettings(f"{shown(f'access.{where}')} is no list of rules.", _EXAMPLE)
    rules = []
    for text in value:
        claim, equals, wanted = text.partition("=")
        if not (claim.strip() and equals and wanted.strip()):
            raise BadSettings(f"{shown(f'access.{where}')} has {shown(text)}, which is no rule.", _EXAMPLE)
        rules.append(Rule(claim.strip(), wanted.strip()))
    return tuple(rules)


def _any(rules: Iterable[Rule], claims: Mapping[str, Any]) -> bool:
    return any(rule.holds(claims) for rule in rules)


def _values(claims: Mapping[str, Any], claim: str) -> list[str]:
    """The texts of a claim; one within another is named with dots, as `realm_access.roles`."""
    value: Any = claims.get(claim)
    if value is None and "." in claim:
        value = claims
        for part in claim.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    items = value if isinstance(value, list | tuple) else [value]
    return [
        str(item).lower() if isinstance(item, bool) else str(item)
        for item in items
        if isinstance(item, str | int | float)
    ]
