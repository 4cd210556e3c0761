"""`memdb app`: the app alone."""

from __future__ import annotations

from dataclasses import dataclass

from memdb.cli.arguments import AppOptions, OnWritableServer
from memdb.cli.output import ProgressBar
from memdb.demo import run
from memdb.demo.run import Options
from memdb.settings import Settings


@dataclass(frozen=True, kw_only=True)
class App(AppOptions, OnWritableServer):
    """`memdb app`."""

    def run(self) -> int:
        """The app alone until Ctrl-C."""
        settings = Settings.from_env()
        target = self.find(settings)
        with ProgressBar() as bar:
            run.app_only(settings, target, Options(port=self.port, browser=not self.no_browser), bar)
        return 0
