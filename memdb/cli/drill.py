"""`memdb drill`: pull the plug on two engines and compare with the ledger."""

from __future__ import annotations

import argparse

from memdb.cli.output import Bar, print_json, print_table
from memdb.durability import drill as drills
from memdb.durability import report
from memdb.durability.drill import DrillRequest
from memdb.settings import Settings

LOST = 1


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
        rows = [
            (words, *(report.said(getattr(side, name)) for side in sides))
            for name, words in report.ROWS.items()
        ]
        print_table("", ("", *result.engines), rows, right=range(1, len(sides) + 1))
        for side in result.engines.values():
            print(f"{side.name}: {drills.WORDS[side.name]}." + "".join(f" {note}" for note in side.notes))
        print(report.sentence(result))
        print(report.NOT_SHOWN[0])
    return LOST if durable.recovered != durable.acknowledged else 0
