"""`memdb demo` and `memdb app`."""

from __future__ import annotations

import argparse

from memdb.cli.output import Bar
from memdb.cluster.find import find_target
from memdb.demo import run
from memdb.demo.run import Options
from memdb.settings import Settings


def demo(found: argparse.Namespace) -> int:
    """Engine, app and data until Ctrl-C."""
    with Bar() as bar:
        run.demo(
            Settings.from_env(),
            Options(
                port=found.port,
                browser=not found.no_browser,
                docs=found.docs,
                users=found.users,
                sessions=found.sessions,
                seed=found.seed,
            ),
            bar,
        )
    return 0


def app(found: argparse.Namespace) -> int:
    """The app alone until Ctrl-C."""
    settings = Settings.from_env()
    target = find_target(settings, found.url, writable=found.writable)
    with Bar() as bar:
        run.app_only(settings, target, Options(port=found.port, browser=not found.no_browser), bar)
    return 0
