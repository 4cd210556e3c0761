"""`memdb doctor`: whether a target answers, step by step."""

from __future__ import annotations

from dataclasses import dataclass

from memdb.cli.arguments import OnServer
from memdb.cli.options import option
from memdb.cli.output import print_json, print_table, say
from memdb.cluster import doctor as walk
from memdb.settings import Settings

FAILED = 1
_MARKS = {"ok": "ok", "note": "note", "failed": "FAILED", "skipped": "–"}


@dataclass(frozen=True, kw_only=True)
class Doctor(OnServer):
    """`memdb doctor`."""

    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """Walk the steps; 1 where one failed."""
        target = self.find(Settings.from_env())
        diagnosis = walk.diagnose(target)
        if self.json:
            print_json(walk.as_json(diagnosis))
        else:
            rows = [
                (step.name, _MARKS[step.outcome], step.saw, step.todo, f"{step.ms:.1f}" if step.ms else "")
                for step in diagnosis.steps
            ]
            head = ("step", "outcome", "what it saw", "what to do", "ms")
            print_table(f"{target.name} ({target.address})", head, rows, right=[4])
            say(diagnosis.sentence)
        return 0 if diagnosis.ok else FAILED
