"""`memdb compare`: the same plan on every service, what they differ in, and which one fits."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from memdb.cli.arguments import count
from memdb.cli.options import option
from memdb.cli.output import print_json, print_table, say
from memdb.cli.size import Size
from memdb.settings import Settings
from memdb.sizing import advisor, catalogue, comparison, plan, prices, profiles, services
from memdb.sizing.constraints import Load
from memdb.sizing.services import Bill

_LOAD = Load()


@dataclass(frozen=True, kw_only=True)
class Compare(Size):
    """`memdb compare`."""

    tenants: int = option(
        "--tenants",
        default=_LOAD.tenants,
        type=count(1),
        metavar="N",
        help="equal parts of the vectors, where a query knows which it asks: an index each on S3 Vectors",
    )
    together: int = option(
        "--together", default=_LOAD.written_together, type=count(1), metavar="N", help="documents in one PUT"
    )
    yes: str = option(
        "--yes",
        default="",
        metavar="IDS",
        help=f"questions answered by yes, with commas between: {', '.join(advisor.IDS)}",
    )

    def run(self) -> int:
        """Bills, table, advice."""
        home = Settings.from_env().home
        prices_known = catalogue.load().with_prices(prices.usable(home))
        inputs = self.inputs
        load = replace(inputs.load, tenants=self.tenants, written_together=self.together)
        sized = plan.plan(replace(inputs, load=load), profiles.load(self.profile, home), prices_known)
        bills = services.bills(
            inputs.shape, inputs.sessions, load, sized.estimate.total_bytes, prices_known, inputs.wishes
        )
        answers = [part.strip() for part in self.yes.split(",") if part.strip()]
        advice = advisor.advise(answers)
        table = comparison.rows(bills)
        if self.json:
            print_json(
                {
                    "bills": [_bill(bill) for bill in bills],
                    "table": [asdict(row) for row in table],
                    "columns": comparison.COLUMNS,
                    "advice": asdict(advice) if answers else None,
                }
            )
            return 0
        print_table("", ("service", "a month", "why not, or what to know"), [_line(bill) for bill in bills])
        head = ("dimension", *comparison.COLUMNS, "read")
        print_table("", head, [(r.dimension, *r.cells, r.date) for r in table])
        if answers:
            say(advice.sentence)
        return 0


def _line(bill: Bill) -> tuple[str, str, str]:
    return bill.title, bill.words or "–", " ".join([bill.why, *bill.notes]).strip()


def _bill(bill: Bill) -> dict[str, object]:
    return {
        "service": bill.service,
        "mode": bill.mode,
        "title": bill.title,
        "monthly_usd": None if bill.monthly_usd is None else round(bill.monthly_usd, 2),
        "interval_usd": bill.interval_usd,
        "grade": bill.grade if bill.lines else None,
        "lines": [asdict(line) for line in bill.lines],
        "unknown": bill.unknown,
        "why": bill.why,
        "notes": bill.notes,
        "limits": [asdict(limit) for limit in bill.constraints],
    }
