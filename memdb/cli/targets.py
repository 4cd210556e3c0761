"""`memdb targets`: what can be opened."""

from __future__ import annotations

from dataclasses import dataclass

from memdb.cli.options import Command, option
from memdb.cli.output import note, print_json, print_table, say
from memdb.cluster.find import known
from memdb.cluster.targets import file_path
from memdb.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Targets(Command):
    """`memdb targets`."""

    discover: str | None = option(
        "--discover", metavar="REGION", help="ask AWS instead; `default` takes its own Region"
    )
    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """List targets of this machine's settings, or clusters that AWS knows."""
        if self.discover is not None:
            return _discovered("" if self.discover == "default" else self.discover, as_json=self.json)
        settings = Settings.from_env()
        listed = known(settings)
        if self.json:
            print_json(
                [
                    {
                        "name": n.name,
                        "label": n.target.label,
                        "address": n.target.address,
                        "kind": n.target.kind,
                        "writable": n.target.writable,
                        "login": n.login,
                        "from": n.origin,
                        "problem": n.problem.full() if n.problem else None,
                    }
                    for n in listed
                ]
            )
            return 0
        rows = [
            (
                n.name,
                n.problem.full() if n.problem else n.target.address,
                n.target.kind,
                "writable" if n.target.writable else "read-only",
                n.login,
                n.origin,
            )
            for n in listed
        ]
        print_table("", ("name", "address", "kind", "access", "login", "from"), rows)
        if not listed:
            say(f"None yet. Name some in {file_path(settings)} (docs/connect.md), or set MEMDB_URL.")
        return 0


def _discovered(region: str, *, as_json: bool) -> int:
    from memdb.cluster import discover, elasticache

    discovered = elasticache.everything(region)
    clusters = discovered.clusters
    for problem in discovered.problems:
        note(f"memdb: {problem.full()}")
    if as_json:
        print_json([discover.as_json(cluster) for cluster in clusters])
        return 0
    rows = [
        (
            c.name,
            discover.TITLES[c.service],
            discover.address(c) or "no endpoint",
            f"{c.engine} {c.version}",
            f"{c.shards} × {c.node_type}",
            c.acl,
            c.search_words,
            c.durability_words,
            c.status,
        )
        for c in clusters
    ]
    print_table(
        "",
        ("cluster", "service", "address", "engine", "shards", "ACL", "search", "durability", "status"),
        rows,
    )
    if not clusters:
        say("AWS names no cluster of MemoryDB or ElastiCache in that Region.")
    return 0
