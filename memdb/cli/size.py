"""`memdb size`: memory, nodes and dollars of a plan."""

from __future__ import annotations

from dataclasses import dataclass

from memdb.cli.arguments import ShapeOptions, amount, count
from memdb.cli.options import option
from memdb.cli.output import print_json, print_table, say
from memdb.display import bytes_text
from memdb.settings import Settings
from memdb.sizing import catalogue, plan, prices, profiles
from memdb.sizing.catalogue import Flavour
from memdb.sizing.constraints import Load
from memdb.sizing.model import COMPONENTS
from memdb.sizing.plan import Inputs, Plan
from memdb.sizing.services import Wishes
from memdb.sizing.shape import Sessions


@dataclass(frozen=True, kw_only=True)
class Size(ShapeOptions):
    """`memdb size`."""

    vectors: int = option(
        "--vectors", required=True, type=count(1), metavar="N", help="documents with a vector"
    )
    dim: int = option("--dim", required=True, type=count(1), metavar="N", help="dimension")
    sessions_per_second: float = option("--sessions-per-second", default=0.0, type=amount, metavar="R")
    session_bytes: int = option("--session-bytes", default=4_096, type=count(1), metavar="N")
    session_ttl: float = option("--session-ttl", default=1_800.0, type=amount, metavar="S")
    queries: float = option("--queries", default=20.0, type=amount, metavar="QPS", help="a second")
    writes: float = option("--writes", default=1.0, type=amount, metavar="R", help="documents a second")
    replicas: int = option("--replicas", default=2, type=count(0), metavar="N")
    snapshot_days: int = option("--snapshot-days", default=7, type=count(0), metavar="N", help="kept")
    reserve: float = option("--reserve", default=0.25, type=amount, metavar="S", help="kept free")
    region: str = option("--region", default="us-east-1", metavar="R", help="of the prices")
    engine: Flavour = option("--engine", default="valkey", choices=("valkey", "redis"))
    profile: str = option(
        "--profile",
        default="memorydb",
        metavar="NAME",
        help="memorydb, redisearch, valkey-search, article, or one of `memdb calibrate`",
    )
    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """Predict, choose, print."""
        home = Settings.from_env().home
        inputs = Inputs(
            self.shape(self.vectors),
            Sessions(self.sessions_per_second, self.session_bytes, self.session_ttl),
            Load(
                queries_per_s=self.queries,
                written_per_s=self.writes,
                replicas=self.replicas,
                snapshot_days=self.snapshot_days,
            ),
            Wishes(self.region, self.engine, self.reserve),
        )
        known = catalogue.load().with_prices(prices.load(home))
        made = plan.plan(inputs, profiles.load(self.profile, home), known)
        if self.json:
            print_json(plan.as_json(made))
        else:
            _show(made)
        return 0


def _show(found: Plan) -> None:
    estimate = found.estimate
    rows = [
        (COMPONENTS[name], bytes_text(part), f"{part / estimate.total_bytes:.0%}")
        for name, part in estimate.components.items()
        if part
    ]
    rows.append(("One node in all", bytes_text(estimate.total_bytes), ""))
    print_table(f"Profile {estimate.profile.name} ({estimate.profile.grade})", ("", "bytes", "share"), rows,
                right=(1, 2))  # fmt: skip
    say(f"Interval: {bytes_text(estimate.low_bytes)} to {bytes_text(estimate.high_bytes)}.")
    if found.options:
        offers = [
            (
                option.choice.node.name,
                str(option.choice.nodes),
                f"{option.choice.used_share:.0%}",
                f"${option.monthly_usd:,.0f}",
                f"{option.choice.price.grade}, {option.choice.price.date or 'now'}",
            )
            for option in found.options
        ]
        title = f"MemoryDB in {found.inputs.wishes.region}, {found.inputs.wishes.reserve:.0%} kept free"
        print_table(title, ("node", "nodes", "used", "a month", "price"), offers, right=(1, 2, 3))
    else:
        say(found.choices.why_none)
        for text in found.choices.instead:
            say(f"  {text}")
    for limit in found.limits:
        if limit.ok is False:
            say(f"Not possible: {limit.text}")
    for note in estimate.notes:
        say(f"Note: {note}")
