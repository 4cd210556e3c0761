"""Findings over time: an alert is raised once a figure has been bad long enough, and stands until it is well
again by a margin. Pure; the sampler keeps the state between rounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from msgspec import ValidationError

from memdb import files
from memdb.operations.thresholds import Finding, Level, Thresholds

WINDOW_S = 60.0  # rates are judged over the last minute, which is what "sustained" means here
MARGIN = 0.05  # a figure must be better than its threshold by so much, for CLEAR_S, to clear
CLEAR_S = 60.0
# A minute's mean needs some of that minute: right after a start one busy second would be all of it.
HOLD_S = {"CPU": 30.0, "free memory": 4.0, "connections": 4.0}


@dataclass(frozen=True, slots=True)
class Alert:
    """One figure of one node that is bad, or was until a moment ago. Times are Unix seconds."""

    node: str
    name: str
    level: Level
    saw: str
    todo: str
    source: str
    since: float
    raised: float | None = None  # None while it is only suspected
    well_since: float | None = None

    @property
    def key(self) -> str:
        """One alert a node and figure."""
        return f"{self.node} {self.name}"

    @property
    def stands(self) -> bool:
        """Whether it was raised and has not cleared."""
        return self.raised is not None


@dataclass(frozen=True, slots=True)
class Change:
    """An alert that was raised or has cleared."""

    alert: Alert
    raised: bool


def relaxed(limits: Thresholds) -> Thresholds:
    """The thresholds that must be kept for an alert to clear."""
    return Thresholds(
        min(1.0, limits.free_memory + MARGIN),
        max(0.0, limits.cpu - MARGIN),
        max(0.0, limits.connections - MARGIN),
    )


def step(
    alerts: Mapping[str, Alert], now: float, strict: Sequence[Finding], mild: Sequence[Finding]
) -> tuple[dict[str, Alert], tuple[Change, ...]]:
    """One round.

    Args:
        alerts: those of the round before, by key.
        now: the wall clock.
        strict: findings against the thresholds.
        mild: the same figures against `relaxed` thresholds.

    Returns:
        The alerts that stand or are suspected now, and what changed.
    """
    still_bad = {f"{f.node} {f.name}" for f in mild if f.level in ("warning", "critical")}
    standing: dict[str, Alert] = {}
    changes: list[Change] = []
    for finding in strict:
        if finding.level not in ("warning", "critical"):
            continue
        fresh = Alert(
            finding.node, finding.name, finding.level, finding.saw, finding.todo, finding.source, now
        )
        before = alerts.get(fresh.key)
        alert = replace(fresh, since=before.since, raised=before.raised) if before else fresh
        if alert.raised is None and now - alert.since >= HOLD_S.get(alert.name, 0.0):
            alert = replace(alert, raised=now)
            changes.append(Change(alert, raised=True))
        standing[alert.key] = alert
    for key, before in alerts.items():
        if key in standing or not before.stands:
            continue  # what was only suspected is forgotten
        well = None if key in still_bad else before.well_since or now
        if well is not None and now - well >= clear_s(before.name):
            changes.append(Change(replace(before, well_since=well), raised=False))
        else:
            standing[key] = replace(before, well_since=well)
    return standing, tuple(changes)


def clear_s(name: str) -> float:
    """How long a figure must be well: a build that ended does not swing back."""
    return 0.0 if name.startswith("index ") else CLEAR_S


def facts(alerts: Mapping[str, Alert]) -> list[dict[str, Any]]:
    """As plain values; `from_facts` leads back."""
    return [asdict(alert) for alert in alerts.values()]


def from_facts(stored: object) -> dict[str, Alert]:
    """What `facts` told; nothing where it is no such thing."""
    try:
        read: list[Alert] = files.typed(stored, list[Alert])
    except ValidationError:  # of another version
        return {}
    return {alert.key: alert for alert in read}
