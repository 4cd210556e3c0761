"""`memdb load`: the demo data into a server."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from memdb.cli.output import Bar, print_json
from memdb.cluster.client import connect
from memdb.cluster.find import find_target
from memdb.errors import ReadOnlyTarget
from memdb.settings import Settings


def load(found: argparse.Namespace) -> int:
    """Load; what is there already is left as it is."""
    settings = Settings.from_env()
    target = find_target(settings, found.url, writable=found.writable)
    if not target.writable:
        raise ReadOnlyTarget(
            "HSET",
            f"{target.name} is opened read-only; loading would write to it.",
            "Give --writable with --url, or MEMDB_WRITABLE=1 with MEMDB_URL.",
        )
    from memdb.demo import loader
    from memdb.demo.words import in_words

    chosen = {"docs": found.docs, "users": found.users, "sessions": found.sessions}
    given = {name: value for name, value in chosen.items() if value is not None}
    with connect(target) as client, Bar() as bar:
        report = loader.load(client, home=settings.home, seed=found.seed, report=bar.report, **given)
    if found.json:
        print_json(asdict(report))
    else:
        print(in_words(report))
    return 0
