"""`memdb drill`: pull the plug on two engines and compare with the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from memdb.cli.arguments import amount, count
from memdb.cli.options import Command, option
from memdb.cli.output import ProgressBar, print_json, print_table, say
from memdb.durability import drill as drills
from memdb.durability import report
from memdb.durability.drill import DrillRequest
from memdb.settings import Settings

LOST = 1
_DEFAULT = DrillRequest()


@dataclass(frozen=True, kw_only=True)
class Drill(Command):
    """`memdb drill`."""

    seconds: float = option(
        "--seconds", default=_DEFAULT.seconds, type=amount, metavar="S", help="of writing"
    )
    writers: int = option(
        "--writers", default=_DEFAULT.writers, type=count(0), metavar="N", help="on each engine"
    )
    rate: float = option(
        "--rate", default=_DEFAULT.rate, type=amount, metavar="N", help="of one writer; 0: all it can"
    )
    documents: int = option(
        "--documents", default=_DEFAULT.documents, type=count(0), metavar="N", help="for recall"
    )
    promotion: bool = option("--promotion", default=False, help="also a replica that takes over")
    seed: int | None = option("--seed", type=count(0), metavar="N", help="of the moment of the kill")
    json: bool = option("--json", default=False, help="print the counts as JSON")

    def run(self) -> int:
        """Run it; 1 where the durable engine lost an acknowledged write, or could not be read."""
        request = DrillRequest(
            self.seconds, self.writers, self.rate, self.documents, self.promotion, self.seed
        )
        with ProgressBar() as bar:
            result = drills.run(request, Settings.from_env().home, report=bar.report)
        durable = result.engines[drills.DURABLE]
        if self.json:
            print_json(result.facts())
        else:
            sides = list(result.engines.values())
            rows = [
                (words, *(report.figure(getattr(side, name)) for side in sides))
                for name, words in report.ROWS.items()
            ]
            print_table("", ("figure", *result.engines), rows, right=range(1, len(sides) + 1))
            for side in result.engines.values():
                say(f"{side.name}: {drills.WORDS[side.name]}." + "".join(f" {note}" for note in side.notes))
            say(report.sentence(result))
            say(report.NOT_SHOWN[0])
        return LOST if durable.recovered != durable.acknowledged else 0
