"""`memdb reembed`: an index's documents embedded again by another model, beside what is there."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict, dataclass, replace

from memdb.cli.arguments import OnWritableServer, amount, count
from memdb.cli.interrupt import Interrupt
from memdb.cli.options import option
from memdb.cli.output import ProgressBar, note, print_json, say, write
from memdb.cluster.budget import budget_of
from memdb.cluster.client import open_for_work
from memdb.embedding import named
from memdb.errors import BadInput, Cancelled
from memdb.reembedding import checklist, removal, report, work
from memdb.reembedding.plan import Plan, ReembedRequest, plan
from memdb.settings import Settings
from memdb.vectors.index import index_info

UNFINISHED = 1


@dataclass(frozen=True, kw_only=True)
class Reembed(OnWritableServer):
    """`memdb reembed`."""

    index: str = option("--index", required=True, metavar="NAME", help="whose documents are embedded again")
    embedder: str = option(
        "--embedder", default="", metavar="MODEL", help="e.g. titan:512; not needed with --remove"
    )
    field: str = option("--field", required=True, metavar="F", help="the new vector field")
    prefix: str = option(
        "--prefix",
        default="",
        metavar="P",
        help="write copies under it (default: into the documents)",
    )
    text: tuple[str, ...] = option(
        "--text",
        many=True,
        metavar="F",
        help="embedded, several are joined (default: all TEXT fields, titles first)",
    )
    to: str = option("--to", default="", metavar="NAME", help="the new index (default: INDEX:F)")
    price: float | None = option(
        "--price", type=amount, metavar="USD", help="of a million tokens, for the estimate of the cost"
    )
    dry_run: bool = option("--dry-run", default=False, help="say what it would take, and do nothing")
    remove: bool = option("--remove", default=False, help="take the new vectors and their index back")
    confirm: str = option(
        "--confirm",
        default="",
        metavar="NAME",
        help="the name of the index (with --remove: of the new one), typed (default: asked for)",
    )
    budget: int | None = option(
        "--budget", type=count(1), metavar="QPS", help="at most so many queries a second"
    )
    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """Plan, ask for the name, embed, print what is left to do.

        Raises:
            MemDBError: it cannot be done, or failed before anything was written.
        """
        settings = Settings.from_env()
        request = ReembedRequest(self.index, self.field, self.text, self.prefix, self.to, self.price)
        if self.remove:
            return self._remove(settings, request)
        if not self.embedder:
            raise BadInput("No model is named.", "Give --embedder, e.g. titan:512.")
        embedder = named(self.embedder, settings)
        target = self.find(settings)
        budget = budget_of(target)
        if self.budget is not None:
            budget = replace(budget, queries_per_s=float(self.budget))
        with open_for_work(target, budget) as client, ProgressBar() as bar, Interrupt() as interrupt:
            work_plan = plan(client, index_info(client, self.index), request, embedder)
            if self.dry_run:
                print_json(report.as_json(work_plan)) if self.json else _show(work_plan)
                return 0
            if not self.json:
                _show(work_plan)
            try:
                outcome = work.reembed(
                    client,
                    work_plan,
                    embedder,
                    typed=self._typed(work_plan),
                    report=interrupt.watching(bar.report),
                )
            except Cancelled:
                note("What was written stays. Run it again: it goes on where it was.")
                raise
            aliases = work.has_aliases(client)
        if self.json:
            print_json({**report.as_json(work_plan), "done": asdict(outcome) | {"words": outcome.words}})
        else:
            say(outcome.words)
            if not outcome.ended:
                _checklist(work_plan, embedder.spec, aliases=aliases)
        return UNFINISHED if outcome.ended else 0

    def _typed(self, work_plan: Plan) -> str:
        if self.confirm or work_plan.refusals:
            return self.confirm or work_plan.base.name
        return _ask("Embedding again writes to the server.", work_plan.base.name)

    def _remove(self, settings: Settings, request: ReembedRequest) -> int:
        target = self.find(settings)
        with (
            open_for_work(target, budget_of(target)) as client,
            ProgressBar() as bar,
            Interrupt() as interrupt,
        ):
            typed = self.confirm
            if not typed and target.writable:
                typed = _ask("Removing the new vectors writes to the server.", request.new_index)
            removed = removal.remove(client, request, typed=typed, report=interrupt.watching(bar.report))
        print_json(asdict(removed)) if self.json else say(removed.words)
        return 0


def _ask(why: str, name: str) -> str:
    if not sys.stdin.isatty():
        raise BadInput(why, f"Confirm with --confirm {shlex.quote(name)}.")
    write(f"Type {name} to go on:")
    return sys.stdin.readline()


def _show(work_plan: Plan) -> None:
    for text in report.sentences(work_plan):
        say(text)
    for text in work_plan.notes:
        say(f"Note: {text}")
    for text in work_plan.refusals:
        say(f"Not done: {text}")


def _checklist(work_plan: Plan, embedder: str, *, aliases: bool) -> None:
    say("What is left to do:")
    for number, step in enumerate(checklist.steps(work_plan, embedder, aliases=aliases), 1):
        say(f"{number}. {step.words}")
        for text in step.lines:
            say(f"   {text}")
