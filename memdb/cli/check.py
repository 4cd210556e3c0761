"""`memdb check`: every node against the thresholds, for cron and pipelines."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict

from memdb.cli.output import print_json, print_table
from memdb.cluster.client import connect
from memdb.cluster.find import find_target
from memdb.operations import sampler
from memdb.operations.history import path_of
from memdb.operations.past import Past
from memdb.operations.rates import Rates, rates
from memdb.operations.samples import sample_all
from memdb.operations.thresholds import Finding, Thresholds, judge, worst
from memdb.settings import Settings

ALARM = 1


def check(found: argparse.Namespace) -> int:
    """Look twice and judge; 1 on a warning or worse."""
    settings = Settings.from_env()
    target = find_target(settings, found.url)
    limits = _limits(
        found, sampler.thresholds_of(Past(path_of(settings.home, target)).kept(sampler.THRESHOLDS))
    )
    with connect(target) as client:
        before = {one.address: one for one in sample_all(client)}
        time.sleep(found.seconds)  # rates are differences: there is nothing to do between the two looks
        after = sample_all(client)
    findings: list[Finding] = []
    for one in after:
        earlier = before.get(one.address)
        changed = rates(earlier, one) if earlier else Rates(0.0, {}, {"all": "the node was not there before"})
        findings += judge(one, changed, limits)
    # A node that has left the topology meanwhile would otherwise vanish without a word.
    here = {one.address for one in after}
    findings += [
        Finding(address, "answers", "critical", "gone between the two looks", "See `memdb doctor`.")
        for address in before
        if address not in here
    ]
    level = worst(tuple(findings))
    if found.json:
        print_json({"level": level, "findings": [asdict(one) for one in findings]})
    else:
        rows = [(f.node, f.name, "–" if f.level == "absent" else f.level, f.saw, f.todo) for f in findings]
        head = ("node", "figure", "level", "what it saw", "what to do")
        print_table(f"{target.name} ({target.address})", head, rows)
    return 0 if level == "ok" else ALARM


def _limits(found: argparse.Namespace, kept: Thresholds) -> Thresholds:
    """Options win over what was kept on the Metrics page, which wins over the defaults."""
    return Thresholds(
        kept.free_memory if found.free is None else found.free / 100,
        kept.cpu if found.cpu is None else found.cpu / 100,
        kept.connections if found.connections is None else found.connections / 100,
    )
