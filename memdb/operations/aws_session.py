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
# ElastiCache shortens the Region: clustercfg.orders.abc123.euw1.cache.amazonaws.com.
_CACHE_HOST = re.compile(r"\.([a-z]+\d)\.cache\.amazonaws\.com(?:\.cn)?$")
_WORD = re.compile(r"north|south|east|west|central|gov|isob|iso")


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
    from botocore.exceptions import ClientError

    try:
        return call()
    except ClientError as exc:
        code = str(exc.response.get("Error", {}).get("Code", ""))
        if aws.throttled(code):
            raise MemDBError(f"AWS throttled {exc.operation_name}.", "Ask again in a minute.") from exc
        if "Denied" in code or "Unauthorized" in code:
            raise LoginFailed(
                f"These credentials may not do {action}.", f"Add {action} to their IAM policy (docs/aws.md)."
            ) from exc
        raise aws.explain(exc) from exc
    except aws.failures() as exc:
        raise aws.explain(exc) from exc


def pages(client: Any, operation: str, key: str, **arguments: Any) -> list[dict[str, Any]]:
    """All entries under `key` of every page of an operation."""
    answers = client.get_paginator(operation).paginate(**arguments)
    return [entry for page in answers for entry in page.get(key, ())]


def region_of(target: Target) -> str:
    """The Region that a target's address or IAM login names; empty where neither does."""
    if target.iam is not None:
        return target.iam.region
    for host in (target.host, target.tls.hostname):
        if match := _HOST.search(host):
            return match[1]
        if match := _CACHE_HOST.search(host):
            return next((region for region in _regions() if _short(region) == match[1]), "")
    return ""


def _regions() -> list[str]:
    from botocore.session import Session  # slow to import, and few need it

    session = Session()
    partitions = session.get_available_partitions()
    return [r for p in partitions for r in session.get_available_regions("elasticache", p)]


def _short(region: str) -> str:
    """E.g. apne1 of ap-northeast-1."""
    area, *words, number = region.split("-")
    return area + "".join(word[0] for text in words for word in _WORD.findall(text)) + number


def is_target(target: Target, cluster: str, host: str, service: str = "memorydb") -> bool:
    """Whether a target is this cluster: by its IAM login, its address, or the name behind a tunnel.

    A label is not enough: anybody may write any.
    """
    if target.iam is not None and (target.iam.cluster, target.iam.service) == (cluster, service):
        return True
    if not host:
        return False
    # A node's address is its own name before the cluster's: orders-0001-001.orders.abc.memorydb….
    ends = {host, host.removeprefix("clustercfg.")}
    return any(name == end or name.endswith(f".{end}") for name in _hosts(target) for end in ends)


def _hosts(target: Target) -> tuple[str, ...]:
    return tuple(name for name in (target.host, target.tls.hostname) if name)
