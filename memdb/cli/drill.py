"""`memdb drill`: pull the plug on two engines and compare with the ledger."""

from __future__ import annotations

import argparse

from memdb.cli.output import Bar, print_json, print_table
from memdb.durability import drill as drills
from memdb.durability.drill import DrillRequest
from memdb.settings import Settings

LOST = 1
ROWS = {
    "acknowledged": "acknowledged",
    "recovered": "recovered",
    "lost": "lost",
    "partial": "half written",
    "unacknowledged_present": "not acknowledged, and there",
    "downtime_s": "down, s",
    "p50_ms": "write p50, ms",
    "p99_ms": "write p99, ms",
    "recall_before": "recall@10 before",
    "recall_after": "recall@10 after",
}


def drill(found: argparse.Namespace) -> int:
    """Run it; 1 where the durable engine lost an acknowledged write, or could not be read."""
    request = DrillRequest(
        found.seconds, found.writers, found.rate, found.documents, found.promotion, found.seed
    )
    with Bar() as bar:
        result = drills.run(request, Settings.from_env().home, report=bar.report)
    durable = result.engines[drills.DURABLE]
    if found.json:
        print_json(result.facts())
    else:
        sides = list(result.engines.values())
        rows = [(words, *(_said(getattr(side, name)) for side in sides)) for name, words in ROWS.items()]
        print_table("", ("", *result.engines), rows, right=range(1, len(sides) + 1))
        for side in result.engines.values():
            print(f"{side.name}: {drills.WORDS[side.name]}." + "".join(f" {note}" for note in side.notes))
        print("A local log on one disk is not a multi-zone log: this shows the order of write and answer.")
    return LOST if durable.recovered != durable.acknowledged else 0


def _said(value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:,}" if isinstance(value, int) else f"{value:.2f}"
