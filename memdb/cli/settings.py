"""`memdb settings`: the table of MEMDB_ variables and what is set."""

from __future__ import annotations

from dataclasses import dataclass

from memdb.cli.options import Command, option
from memdb.cli.output import print_json, print_table
from memdb.cluster.address import may_hold_password
from memdb.settings import SETTINGS, Setting, inherited


@dataclass(frozen=True, kw_only=True)
class Settings(Command):
    """`memdb settings`."""

    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """List them; what may hold a secret is only said to be set."""
        env = inherited()
        values = {row.name: _shown(row, env.get(row.name, "")) for row in SETTINGS.values()}
        if self.json:
            print_json(
                [
                    {
                        "name": row.name,
                        "value": values[row.name] or None,
                        "default": row.default,
                        "kind": row.kind.words,
                        "help": row.help,
                    }
                    for row in SETTINGS.values()
                ]
            )
            return 0
        rows = [(row.name, values[row.name], row.default_text, row.help) for row in SETTINGS.values()]
        print_table("", ("variable", "set to", "default", "meaning"), rows)
        return 0


def _shown(row: Setting, value: str) -> str:
    return "set" if value and (row.kind.secret or may_hold_password(value)) else value
