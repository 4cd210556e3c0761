"""`memdb serve`: the app for others, in the foreground: for systemd, a container, a process manager."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from memdb.cli.arguments import APP_PORT, tcp_port
from memdb.cli.options import Command, option
from memdb.demo.app import app_folder, served_by
from memdb.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Serve(Command):
    """`memdb serve`."""

    address: str = option(
        "--address",
        default="localhost",
        metavar="A",
        help="to listen on; 0.0.0.0 is every one, and needs a login",
    )
    port: int = option("--port", default=APP_PORT, type=tcp_port, metavar="P", help="of the app")
    path: str = option(
        "--path", default="", metavar="PREFIX", help="that a proxy serves it under, e.g. /explorer/"
    )

    def run(self) -> int:
        """Become the app's web server: the log goes to the standard error, signals come straight to it."""
        Settings.from_env()  # a wrong one is told before anything starts
        argv = served_by(address=self.address, port=self.port, path=self.path)
        os.chdir(app_folder())
        os.execv(sys.executable, argv)  # noqa: S606  # no shell: this very program's interpreter
