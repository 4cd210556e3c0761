"""`memdb demo`: engine, app and data."""

from __future__ import annotations

from dataclasses import dataclass

from memdb.cli.arguments import AppOptions, DataOptions
from memdb.cli.options import option
from memdb.cli.output import ProgressBar
from memdb.demo import run
from memdb.demo.run import Options
from memdb.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Demo(AppOptions, DataOptions):
    """`memdb demo`."""

    no_prepare: bool = option(
        "--no-prepare", default=False, help="do not make the presentation's map and curve in the background"
    )

    def run(self) -> int:
        """Engine, app and data until Ctrl-C."""
        with ProgressBar() as bar:
            run.demo(
                Settings.from_env(),
                Options(
                    port=self.port,
                    browser=not self.no_browser,
                    docs=self.docs,
                    users=self.users,
                    sessions=self.sessions,
                    seed=self.seed,
                    prepare=not self.no_prepare,
                ),
                bar,
            )
        return 0
