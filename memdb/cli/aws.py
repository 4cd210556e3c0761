"""`memdb aws`: a cluster of either service against a checklist, alarms, snapshots. Only reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from memdb.cli.options import Command, option
from memdb.cli.output import print_json, print_table, say, write
from memdb.cluster.aws import client
from memdb.cluster.discover import SERVICES, TITLES, Service
from memdb.display import bytes_text, duration
from memdb.errors import BadInput, NotFound
from memdb.operations import aws_alarms, aws_card, aws_metrics, aws_snapshots, elasticache_card
from memdb.operations.aws_card import Card as ClusterCard
from memdb.operations.aws_card import ClusterCheck
from memdb.operations.aws_session import Absent, ask
from memdb.sizing.constraints import MODES, Durability

FAILED = 1


@dataclass(frozen=True, kw_only=True)
class InRegion(Command):
    """Commands about one cluster."""

    cluster: str = option(
        "--cluster", default="", metavar="NAME", help="needed where the Region has several clusters"
    )
    region: str = option(
        "--region", default="", metavar="R", help="default: that of AWS_REGION or the AWS profile"
    )
    service: Service = option("--service", default="memorydb", choices=SERVICES)

    def chosen(self) -> tuple[Any, ClusterCard]:
        """The client of the service, and the cluster.

        Raises:
            NotFound: there is none of that name, or none at all.
            BadInput: there are several, and none is named.
        """
        service_client = client(self.service, self.region)
        return service_client, _chosen(service_client, self.cluster, self.service)


@dataclass(frozen=True, kw_only=True)
class Card(InRegion):
    """`memdb aws card`."""

    needs: Durability = option(
        "--needs", default="sync", choices=MODES, help="durability that the workload needs, on ElastiCache"
    )
    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """The card and its checklist; 1 where a check failed."""
        service_client, chosen = self.chosen()
        snapshots = ask(
            f"{self.service}:DescribeSnapshots",
            lambda: aws_snapshots.snapshots(service_client, chosen.cluster.name),
        )
        now = datetime.now(UTC)
        if self.service == "elasticache":
            checks = elasticache_card.checklist(chosen, snapshots, now, self.needs)
        else:
            checks = aws_card.checklist(chosen, snapshots, now)
        failed = any(check.outcome == "fail" for check in checks)
        if self.json:
            print_json(card_json(chosen, checks))
            return FAILED if failed else 0
        about = chosen.cluster
        say(
            f"{about.name} ({about.region}): {about.engine} {about.version}, "
            f"{about.shards} × {about.node_type}, {about.nodes} nodes "
            f"in {', '.join(chosen.zones) or 'zones not told'}, {about.status}"
        )
        rows = [(c.name, c.outcome, c.saw, c.wanted, " ".join((c.fix, c.command)).strip()) for c in checks]
        print_table("", ("check", "outcome", "is", "should be", "how to fix it"), rows)
        for absent in chosen.absent:
            say(absent.words)
        return FAILED if failed else 0


@dataclass(frozen=True, kw_only=True)
class Alarms(InRegion):
    """`memdb aws alarms`."""

    json: bool = option("--json", default=False, either="output", help="print JSON")
    form: str | None = option(
        "--as", either="output", choices=("boto3", "cloudformation", "terraform"), help="print that text"
    )
    topic: str = option("--topic", default="", metavar="ARN", help="SNS topic to notify")

    def run(self) -> int:
        """The alarms, and which CloudWatch has already."""
        topic = aws_alarms.checked_topic(self.topic)
        _, chosen = self.chosen()
        cloudwatch = client("cloudwatch", self.region)
        name, cached = chosen.cluster.name, self.service == "elasticache"
        nodes = chosen.node_names if cached else None
        series = ask(
            "cloudwatch:ListMetrics",
            lambda: (
                aws_metrics.listed(cloudwatch, name)
                if nodes is None
                else aws_metrics.listed_nodes(cloudwatch, nodes)
            ),
        )
        alarm_series = () if isinstance(series, Absent) else series
        wanted = (
            aws_alarms.elasticache_alarms(chosen, alarm_series)
            if cached
            else aws_alarms.alarms(name, chosen.cluster.node_type, alarm_series)
        )
        texts = {
            "boto3": lambda: aws_alarms.boto3_code(wanted, chosen.cluster.region, topic),
            "cloudformation": lambda: aws_alarms.cloudformation(wanted),
            "terraform": lambda: aws_alarms.terraform(wanted),
        }
        if self.form:
            write(texts[self.form]().rstrip("\n"))
            return 0
        there = ask("cloudwatch:DescribeAlarms", lambda: aws_alarms.existing(cloudwatch, name, nodes))
        absent = [part for part in (series, there) if isinstance(part, Absent)]
        if self.json:
            print_json(
                {
                    "put_metric_alarm": [alarm.arguments(topic) for alarm in wanted],
                    "existing": None if isinstance(there, Absent) else [asdict(a) for a in there],
                    "absent": [asdict(a) for a in absent],
                }
            )
            return 0
        states = {} if isinstance(there, Absent) else {a.name: a.state for a in there}
        rows = [
            (a.name, f"{a.threshold:,.0f}", str(a.minutes), states.get(a.name, "–"), a.reason) for a in wanted
        ]
        print_table(name, ("alarm", "threshold", "minutes", "state", "why"), rows, right=[1, 2])
        for part in absent:
            say(part.words)
        return 0


@dataclass(frozen=True, kw_only=True)
class Snapshots(InRegion):
    """`memdb aws snapshots`."""

    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """Snapshots; 1 where the newest is too old."""
        (service_client, chosen), now = self.chosen(), datetime.now(UTC)
        name = chosen.cluster.name
        listed = aws_snapshots.snapshots(service_client, name)
        warning = aws_snapshots.late(listed, chosen.snapshot_days, now)
        cost = aws_snapshots.cost(listed, chosen.cluster.region, service=self.service)
        if self.json:
            print_json(
                {
                    "cluster": name,
                    "snapshots": [
                        {**asdict(s), "made": s.made.isoformat() if s.made else None, "age_s": s.age_s(now)}
                        for s in listed
                    ],
                    "month": asdict(cost),
                    "warning": warning or None,
                }
            )
        else:
            rows = [
                (s.name, s.source, s.status, duration(s.age_s(now)), bytes_text(s.size_bytes)) for s in listed
            ]
            print_table(name, ("snapshot", "source", "status", "age", "size"), rows, right=[3, 4])
            if cost.dollars is None:
                say(f"{bytes_text(cost.stored_bytes)} kept; no price of their storage is known.")
            else:
                say(
                    f"{bytes_text(cost.stored_bytes)} kept, about ${cost.dollars:,.2f} a month beyond what "
                    f"is free (${cost.price:g} a GB, {cost.source})."
                )
            if warning:
                say(warning)
        return FAILED if warning else 0


def card_json(card: ClusterCard, checks: tuple[ClusterCheck, ...]) -> dict[str, Any]:
    """What `memdb aws card --json` prints."""
    return {
        **asdict(card.cluster),
        "zones": card.zones,
        "replicas": card.replicas,
        "multi_az": card.multi_az,
        "cluster_mode": card.cluster_mode,
        "automatic_failover": card.failover,
        "logs": card.logs,
        "reserved_percent": card.reserved_percent,
        "own_key": card.own_key,
        "maintenance_window": card.maintenance_window,
        "snapshot_window": card.snapshot_window,
        "snapshot_days": card.snapshot_days,
        "node_list": [
            {"shard": n.shard, "name": n.name, "zone": n.zone, "status": n.status} for n in card.nodes
        ],
        "checks": [asdict(check) for check in checks],
        "absent": [asdict(absent) for absent in card.absent],
    }


def _chosen(service_client: Any, name: str, service: Service) -> ClusterCard:
    cached = service == "elasticache"
    if name:
        return elasticache_card.card(service_client, name) if cached else aws_card.card(service_client, name)
    cards = elasticache_card.cards(service_client) if cached else aws_card.cards(service_client)
    if not cards:
        raise NotFound("*", f"{TITLES[service]} cluster in this Region")
    if len(cards) > 1:
        raise BadInput(
            f"There are {len(cards)} clusters in {cards[0].cluster.region}.",
            f"Name one with --cluster: {', '.join(c.cluster.name for c in cards)}.",
        )
    return elasticache_card.with_reserve(service_client, cards[0]) if cached else cards[0]
