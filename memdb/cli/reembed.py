"""`memdb reembed`: an index's documents embedded again by another model, beside what is there."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, replace

from memdb.cli.arguments import OnWritableServer, amount, count
from memdb.cli.interrupt import Interrupt
from memdb.cli.options import option
from memdb.cli.output import Bar, note, print_json, say, write
from memdb.cluster.budget import budget_of
from memdb.cluster.client import open_for_work
from memdb.display import bytes_text
from memdb.embedding import named
from memdb.errors import BadInput, Cancelled
from memdb.reembedding import checklist, work
from memdb.reembedding.plan import Plan, ReembedRequest, plan
from memdb.settings import Settings
from memdb.vectors.index import index_info

UNFINISHED = 1


@dataclass(frozen=True, kw_only=True)
class Reembed(OnWritableServer):
    """`memdb reembed`."""

    index: str = option("--index", required=True, metavar="NAME", help="whose documents are embedded again")
    embedder: str = option("--embedder", required=True, metavar="MODEL", help="e.g. titan:512")
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
    confirm: str = option(
        "--confirm", default="", metavar="NAME", help="the name of the index, typed (default: asked for)"
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
        embedder = named(self.embedder, settings)
        target = self.find(settings)
        budget = budget_of(target)
        if self.budget is not None:
            budget = replace(budget, queries_per_s=float(self.budget))
        with open_for_work(target, budget) as client, Bar() as bar, Interrupt() as interrupt:
            made = plan(client, index_info(client, self.index), request, embedder)
            if self.dry_run:
                print_json(as_json(made)) if self.json else _show(made)
                return 0
            if not self.json:
                _show(made)
            try:
                done = work.reembed(
                    client, made, embedder, typed=self._typed(made), report=interrupt.watching(bar.report)
                )
            except Cancelled:
                note("What was written stays. Run it again: it goes on where it was.")
                raise
            aliases = work.has_aliases(client)
        if self.json:
            print_json({**as_json(made), "done": asdict(done) | {"words": done.words}})
        else:
            say(done.words)
            if not done.ended:
                _checklist(made, embedder.spec, aliases=aliases)
        return UNFINISHED if done.ended else 0

    def _typed(self, made: Plan) -> str:
        if self.confirm or made.refusals:
            return self.confirm or made.base.name
        if not sys.stdin.isatty():
            raise BadInput(
                "Embedding again writes to the server.", f"Confirm with --confirm {made.base.name}."
            )
        write(f"Type {made.base.name} to go on:")
        return sys.stdin.readline()


def as_json(made: Plan) -> dict[str, object]:
    """The plan in the shape that pipelines rely on. Bytes, dollars; estimates but for the documents."""
    return {
        "index": made.base.name,
        "new_index": made.spec.name,
        "field": made.request.field,
        "prefix": made.request.prefix,
        "texts": [field.name for field in made.texts],
        "model": made.model,
        "dimension": made.dimension,
        "documents": made.documents,
        "characters": round(made.characters),
        "tokens": round(made.tokens),
        "calls": made.calls,
        "dollars": made.dollars,
        "bytes_read": round(made.bytes_read),
        "document_bytes": round(made.document_bytes),
        "index_bytes": round(made.index_bytes),
        "added_bytes": round(made.added_bytes),
        "added_low": round(made.low_bytes),
        "added_high": round(made.high_bytes),
        "free_bytes": made.free_bytes,
        "refusals": list(made.refusals),
        "notes": list(made.notes),
    }


def _show(made: Plan) -> None:
    where = f"copies under {made.request.prefix}" if made.request.prefix else "the documents themselves"
    say(f"{made.documents:,} documents of {made.base.name} into {made.request.field} of {where}.")
    say(f"New index: {made.spec.name}, {made.dimension:,} numbers, by {made.model}. {made.leaves}")
    fields = ", ".join(field.name for field in made.texts)
    say(
        f"Reads {bytes_text(made.bytes_read)} of text ({fields}), calls the model {made.calls:,} times "
        f"for {made.characters:,.0f} characters, {made.tokens:,.0f} tokens: estimated from {made.sampled:,} "
        "documents."
    )
    cost = "not known; name the price of a million tokens with --price" if made.dollars is None else ""
    say(f"Cost: {cost or f'about ${made.dollars:,.2f} (estimated)'}.")
    free = "not told" if made.free_bytes is None else f"{bytes_text(made.free_bytes)} free"
    say(
        f"Memory of each node: about {bytes_text(made.added_bytes)} more ({bytes_text(made.low_bytes)} to "
        f"{bytes_text(made.high_bytes)}, predicted); {free}."
    )
    for text in made.notes:
        say(f"Note: {text}")
    for text in made.refusals:
        say(f"Not done: {text}")


def _checklist(made: Plan, embedder: str, *, aliases: bool) -> None:
    say("What is left to do:")
    for number, step in enumerate(checklist.steps(made, embedder, aliases=aliases), 1):
        say(f"{number}. {step.words}")
        for text in step.lines:
            say(f"   {text}")
