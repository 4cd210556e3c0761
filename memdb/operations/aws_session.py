"""Calls to AWS where one that fails leaves the others standing: a value, or why it is absent."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from memdb.cluster import aws
from memdb.cluster.target import Target
from memdb.errors import LoginFailed, MemDBError

T = TypeVar("T")
_HOST = re.compile(r"\.memorydb(?:-fips)?\.([a-z]{2}(?:-[a-z]+)+-\d+)\.amazonaws\.com(?:\.cn)?$")
_ACCOUNT = re.compile(r"\b\d{12}\b")
_ARN = re.compile(r"\barn:[\w-]+:[^\s,'\"]*")
_THROTTLED = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown")


@dataclass(frozen=True, slots=True)
class Absent:
    """What AWS did not tell, and why."""

    why: str
    todo: str
    action: str  # the IAM action the call needs, e.g. memorydb:DescribeSnapshots

    @property
    def words(self) -> str:
        """One line for a person."""
        return f"{self.why} {self.todo}".strip()


def ask(action: str, call: Callable[[], T]) -> T | Absent:
    """The answer of a call, or why there is none. Bugs stay bugs."""
    try:
        return need(action, call)
    except MemDBError as exc:
        return Absent(str(exc), exc.hint, action)


def need(action: str, call: Callable[[], T]) -> T:
    """The answer of a call that the rest cannot go without.

    Args:
        action: the IAM action it needs, named where AWS refuses it.
        call: asks AWS.

    Raises:
        MemDBError: AWS refused or did not answer; in words of ours, without account ids.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call()
    except ClientError as exc:
        code = str(exc.response.get("Error", {}).get("Code", ""))
        if any(part in code for part in _THROTTLED):
            raise MemDBError(f"AWS throttled {exc.operation_name}.", "Ask again in a minute.") from exc
        if "Denied" in code or "Unauthorized" in code:
            raise LoginFailed(
                f"These credentials may not do {action}.", f"Add {action} to their IAM policy (docs/aws.md)."
            ) from exc
        raise _discreet(aws.explain(exc)) from exc
    except BotoCoreError as exc:
        raise _discreet(aws.explain(exc)) from exc


def pages(client: Any, operation: str, key: str, **arguments: Any) -> list[dict[str, Any]]:
    """All entries under `key` of every page of an operation."""
    answers = client.get_paginator(operation).paginate(**arguments)
    return [entry for page in answers for entry in page.get(key, ())]


def without_ids(text: str) -> str:
    """A message of AWS without ARNs and account ids: they need not be on a screen."""
    return _ACCOUNT.sub("…", _ARN.sub("…", text))


def region_of(target: Target) -> str:
    """The Region that a target's address or IAM login names; empty where neither does."""
    if target.iam is not None:
        return target.iam.region
    for host in (target.host, target.tls.hostname):
        if match := _HOST.search(host):
            return match[1]
    return ""


def is_target(target: Target, cluster: str, host: str) -> bool:
    """Whether a target is this cluster: by its IAM login, its address, or the name behind a tunnel.

    A label is not enough: anybody may write any.
    """
    if target.iam is not None and target.iam.cluster == cluster:
        return True
    if not host:
        return False
    # A node's address is its own name before the cluster's: orders-0001-001.orders.abc.memorydb….
    ends = {host, host.removeprefix("clustercfg.")}
    return any(name == end or name.endswith(f".{end}") for name in _hosts(target) for end in ends)


def _hosts(target: Target) -> tuple[str, ...]:
    return tuple(name for name in (target.host, target.tls.hostname) if name)


def _discreet(error: MemDBError) -> MemDBError:
    return type(error)(without_ids(str(error)), without_ids(error.hint))
