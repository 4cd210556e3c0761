"""`memdb check`: every node against the thresholds, for cron and pipelines."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from memdb.cli.arguments import OnServer, count
from memdb.cli.options import option
from memdb.cli.output import print_json, print_table
from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.operations import sampler
from memdb.operations.history import Damaged, path_of
from memdb.operations.past import Past
from memdb.operations.rates import Rates, rates
from memdb.operations.samples import sample_all
from memdb.operations.thresholds import Finding, Thresholds, judge, worst
from memdb.settings import Settings

ALARM = 1
_DEFAULT = Thresholds()


@dataclass(frozen=True, kw_only=True)
class Check(OnServer):
    """`memdb check`."""

    seconds: int = option("--seconds", default=2, type=count(1), metavar="S", help="between the looks")
    free: int | None = option(
        "--free",
        type=count(0),
        metavar="PERCENT",
        help="warn under this much free memory "
        f"(default: what is kept on the Metrics page, or {_DEFAULT.free_memory:.0%})",
    )
    cpu: int | None = option(
        "--cpu",
        type=count(0),
        metavar="PERCENT",
        help="warn over this much of the main thread "
        f"(default: what is kept on the Metrics page, or {_DEFAULT.cpu:.0%})",
    )
    connections: int | None = option(
        "--connections",
        type=count(0),
        metavar="PERCENT",
        help="warn over this much of the connections allowed "
        f"(default: what is kept on the Metrics page, or {_DEFAULT.connections:.0%})",
    )
    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """Look twice and judge; 1 on a warning or worse."""
        settings = Settings.from_env()
        target = self.find(settings)
        limits = _limits(self, _kept_limits(settings, target))
        with connect(target) as client:
            before = {sample.address: sample for sample in sample_all(client)}
            time.sleep(self.seconds)  # rates are differences: there is nothing to do between the two looks
            after = sample_all(client)
        findings: list[Finding] = []
        for sample in after:
            earlier = before.get(sample.address)
            changed = (
                rates(earlier, sample)
                if earlier
                else Rates(0.0, {}, {"all": "the node was not there before"})
            )
            findings += judge(sample, changed, limits)
        # A node that has left the topology meanwhile would otherwise vanish without a word.
        here = {sample.address for sample in after}
        findings += [
            Finding(address, "answers", "critical", "gone between the two looks", "See `memdb doctor`.")
            for address in before
            if address not in here
        ]
        level = worst(tuple(findings))
        if self.json:
            print_json({"level": level, "findings": [asdict(finding) for finding in findings]})
        else:
            rows = [
                (f.node, f.name, "–" if f.level == "absent" else f.level, f.saw, f.todo) for f in findings
            ]
            head = ("node", "figure", "level", "what it saw", "what to do")
            print_table(f"{target.name} ({target.address})", head, rows)
        return 0 if level == "ok" else ALARM


def _kept_limits(settings: Settings, target: Target) -> Thresholds:
    """Those of the Metrics page; the defaults where its history is damaged, which is told."""
    try:
        return sampler.thresholds_of(Past(path_of(settings.home, target)).kept(sampler.THRESHOLDS))
    except Damaged:
        return Thresholds()


def _limits(check: Check, limits: Thresholds) -> Thresholds:
    """Options win over what was kept on the Metrics page, which wins over the defaults."""
    return Thresholds(
        limits.free_memory if check.free is None else check.free / 100,
        limits.cpu if check.cpu is None else check.cpu / 100,
        limits.connections if check.connections is None else check.connections / 100,
    )
