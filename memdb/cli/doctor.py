"""`memdb doctor` and `memdb targets`: what can be opened, and whether it answers."""

from __future__ import annotations

import argparse

from memdb.cli.output import print_json, print_table
from memdb.cluster import doctor as walk
from memdb.cluster.find import find_target, known
from memdb.cluster.targets import file_path
from memdb.settings import Settings

FAILED = 1
_MARKS = {"ok": "ok", "note": "note", "failed": "FAILED", "skipped": "–"}


def doctor(found: argparse.Namespace) -> int:
    """Walk the steps; 1 where one failed."""
    target = find_target(Settings.from_env(), found.url)
    diagnosis = walk.diagnose(target)
    if found.json:
        print_json(walk.as_json(diagnosis))
    else:
        rows = [
            (step.name, _MARKS[step.outcome], step.saw, step.todo, f"{step.ms:.1f}" if step.ms else "")
            for step in diagnosis.steps
        ]
        head = ("step", "outcome", "what it saw", "what to do", "ms")
        print_table(f"{target.name} ({target.address})", head, rows, right=[4])
        print(diagnosis.sentence)
    return 0 if diagnosis.ok else FAILED


def targets(found: argparse.Namespace) -> int:
    """List targets of this machine's settings, or clusters that AWS knows."""
    if found.discover is not None:
        return _discovered("" if found.discover == "default" else found.discover, as_json=found.json)
    settings = Settings.from_env()
    listed = known(settings)
    if found.json:
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
        print(f"None yet. Name some in {file_path(settings)} (docs/connect.md), or set MEMDB_URL.")
    return 0


def _discovered(region: str, *, as_json: bool) -> int:
    from memdb.cluster import discover

    clusters = discover.clusters(region)
    if as_json:
        print_json([discover.as_json(cluster) for cluster in clusters])
        return 0
    rows = [
        (
            c.name,
            c.target().address if c.host else "no endpoint yet",
            f"{c.engine} {c.version}",
            f"{c.shards} × {c.node_type}",
            c.acl,
            c.search_words,
            c.status,
        )
        for c in clusters
    ]
    print_table("", ("cluster", "address", "engine", "shards", "ACL", "search", "status"), rows)
    if not clusters:
        print("AWS names no MemoryDB cluster in that Region.")
    return 0
