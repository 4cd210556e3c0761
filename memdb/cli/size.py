"""`memdb size`: memory, nodes and dollars of a plan."""

from __future__ import annotations

from dataclasses import dataclass

from memdb.cli.arguments import amount, count
from memdb.cli.options import option
from memdb.cli.output import print_json, print_table, say
from memdb.cli.planned import SessionOptions, ShapeOptions
from memdb.display import bytes_text
from memdb.settings import Settings
from memdb.sizing import catalogue, plan, prices, profiles
from memdb.sizing.catalogue import Flavour
from memdb.sizing.constraints import Load
from memdb.sizing.model import COMPONENTS
from memdb.sizing.plan import Inputs, SizingPlan
from memdb.sizing.services import Wishes
from memdb.sizing.shape import ARTICLE

_LOAD, _WISHES = Load(), Wishes()


@dataclass(frozen=True, kw_only=True)
class Size(ShapeOptions, SessionOptions):
    """`memdb size`."""

    vectors: int = option(
        "--vectors", default=ARTICLE.vectors, type=count(0), metavar="N", help="documents with a vector"
    )
    dim: int = option("--dim", default=ARTICLE.dim, type=count(1), metavar="N", help="dimension")
    metadata_bytes: int = option(
        "--metadata-bytes", default=ARTICLE.metadata_bytes, type=count(0), metavar="N", help="stored only"
    )
    queries: float = option(
        "--queries", default=_LOAD.queries_per_s, type=amount, metavar="QPS", help="a second"
    )
    writes: float = option(
        "--writes", default=_LOAD.written_per_s, type=amount, metavar="R", help="documents a second"
    )
    k: int = option("--k", default=_LOAD.query_k, type=count(1), metavar="N", help="neighbours a query")
    indexes: int = option("--indexes", default=_LOAD.indexes, type=count(1), metavar="N")
    replicas: int = option("--replicas", default=_LOAD.replicas, type=count(0), metavar="N")
    snapshot_days: int = option(
        "--snapshot-days", default=_LOAD.snapshot_days, type=count(0), metavar="N", help="kept"
    )
    reserve: float = option("--reserve", default=_WISHES.reserve, type=amount, metavar="S", help="kept free")
    region: str = option("--region", default=_WISHES.region, metavar="R", help="of the prices")
    engine: Flavour = option("--engine", default=_WISHES.flavour, choices=("valkey", "redis"))
    profile: str = option(
        "--profile",
        default="memorydb",
        metavar="NAME",
        help="memorydb, redisearch, valkey-search, elasticache, article, or one of `memdb calibrate`",
    )
    json: bool = option("--json", default=False, help="print JSON")

    @property
    def inputs(self) -> Inputs:
        """What is planned.

        Raises:
            BadInput: a number makes no sense.
        """
        return Inputs(
            self.shape(self.vectors),
            self.sessions(),
            Load(
                queries_per_s=self.queries,
                written_per_s=self.writes,
                query_k=self.k,
                indexes=self.indexes,
                replicas=self.replicas,
                snapshot_days=self.snapshot_days,
            ),
            Wishes(self.region, self.engine, self.reserve),
        )

    def run(self) -> int:
        """Predict, choose, print."""
        home = Settings.from_env().home
        prices_known = catalogue.load().with_prices(prices.usable(home))
        sized = plan.plan(self.inputs, profiles.load(self.profile, home), prices_known)
        if self.json:
            print_json(plan.as_json(sized))
        else:
            _show(sized)
        return 0


def _show(sizing: SizingPlan) -> None:
    estimate, shape = sizing.estimate, sizing.inputs.shape
    say(
        f"{shape.vectors:,} documents of {shape.dim:,} × {shape.type} with {shape.metadata_bytes:,} bytes of "
        f"metadata, {sizing.inputs.sessions.live:,} sessions at any time."
    )
    rows = [
        (COMPONENTS[name], bytes_text(part), f"{part / estimate.total_bytes:.0%}")
        for name, part in estimate.components.items()
        if part
    ]
    rows.append(("One node in all", bytes_text(estimate.total_bytes), ""))
    print_table(
        f"Profile {estimate.profile.name} ({estimate.profile.grade})",
        ("part", "size", "share"),
        rows,
        right=(1, 2),
    )
    say(f"Interval: {bytes_text(estimate.low_bytes)} to {bytes_text(estimate.high_bytes)}.")
    if sizing.options:
        offers = [
            (
                option.choice.node.name,
                str(option.choice.nodes),
                f"{option.choice.used_share:.0%}",
                f"${option.monthly_usd:,.0f}",
                f"{option.choice.price.grade}, {option.choice.price.date or 'now'}",
            )
            for option in sizing.options
        ]
        title = f"MemoryDB in {sizing.inputs.wishes.region}, {sizing.inputs.wishes.reserve:.0%} kept free"
        print_table(title, ("node", "nodes", "used", "a month", "price"), offers, right=(1, 2, 3))
    else:
        say(sizing.choices.why_none)
        for text in sizing.choices.instead:
            say(f"  {text}")
    for limit in sizing.limits:
        if limit.ok is False:
            say(f"Not possible: {limit.text}")
    for note in estimate.notes:
        say(f"Note: {note}")
