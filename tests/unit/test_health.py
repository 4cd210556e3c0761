"""The line of health: of several nodes the worst counts, and what is not told is not said."""

from __future__ import annotations

import pytest

from memdb.operations.alerts import Alert
from memdb.operations.health import Health, health
from memdb.operations.past import IndexNow, NodeNow

NOW = 1_700_000_000.0


def _node(name: str, at: float = NOW, problem: str = "", **figures: float) -> NodeNow:
    return NodeNow(name, "primary", at, figures, problem=problem)


def _index(name: str, state: str, fraction: float | None) -> IndexNow:
    return IndexNow(name, state, fraction, "", 1, 0, "", "")


def _alert(name: str, level: str = "warning") -> Alert:
    return Alert("a:1", name, level, "saw", "todo", "ours", NOW, NOW)  # type: ignore[arg-type]  # a level


def _with_indexes(node: NodeNow, *indexes: IndexNow) -> NodeNow:
    return NodeNow(node.address, node.role, node.at, node.figures, problem=node.problem, indexes=indexes)


def test_the_worst_node_counts() -> None:
    nodes = (
        _node("a:1", used_bytes=50.0, limit_bytes=100.0, cpu=0.4),
        _node("b:1", used_bytes=81.0, limit_bytes=100.0, cpu=0.124),
    )
    assert health(nodes, (), now=NOW) == Health("ok", ("memory 81% used", "CPU 40%", "no alerts"))


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (_node("a:1"), ("no alerts",)),
        (_node("a:1", used_bytes=2_097_152.0), ("memory 2.0 MiB, no limit", "no alerts")),
        (_node("a:1", used_bytes=2_097_152.0, limit_bytes=0.0), ("memory 2.0 MiB, no limit", "no alerts")),
        (_with_indexes(_node("a:1"), _index("i", "ready", 1.0)), ("indexes built", "no alerts")),
    ],
)
def test_what_is_not_told_is_not_said(node: NodeNow, words: tuple[str, ...]) -> None:
    assert health((node,), (), now=NOW) == Health("ok", words)


def test_a_build_is_as_far_as_its_slowest_node() -> None:
    nodes = (
        _with_indexes(_node("a:1"), _index("i", "building", 0.75)),
        _with_indexes(_node("b:1"), _index("i", "building", 0.31)),
        _with_indexes(_node("c:1"), _index("i", "ready", 1.0)),
    )
    assert health(nodes, (), now=NOW) == Health("warning", ("i building (31%)", "no alerts"))
    many = _with_indexes(_node("a:1"), *(_index(f"i{n}", "queued", None) for n in range(3)))
    assert health((many,), (), now=NOW).words == ("3 indexes not built", "no alerts")


def test_alerts_silence_and_age() -> None:
    calm, silent = _node("a:1", cpu=0.1), _node("b:1", problem="no answer", cpu=0.9)
    assert health((calm,), (_alert("CPU"),), now=NOW) == Health("warning", ("CPU 10%", "1 alert: CPU"))
    two = (_alert("CPU"), _alert("free memory", "critical"))
    assert health((calm,), two, now=NOW) == Health("critical", ("CPU 10%", "2 alerts: CPU, free memory"))
    gone = Health("critical", ("CPU 10%", "1 of 2 nodes not answering", "no alerts"))
    assert health((calm, silent), (), now=NOW) == gone
    assert health((silent,), (), now=NOW).words == ("1 of 1 node not answering", "no alerts")
    old = health((_node("a:1", at=NOW - 600),), (), now=NOW)
    assert old == Health("warning", ("no alerts", "sampled 10 min ago"))
    assert health((), (), now=NOW) == Health("absent", ("no sample yet",))


def test_the_recall_that_is_watched_is_told() -> None:
    node = _node("a:1", cpu=0.1)
    said = ("recall@10 of a 0.962 (target 0.95)", "recall@5 of b not measured")
    assert health((node,), (), now=NOW, recalls=said).words == ("CPU 10%", *said, "no alerts")
    assert health((node,), (), now=NOW, recalls=(*said, "c")).words == (
        "CPU 10%",
        "recall watched 3 times",
        "no alerts",
    )
