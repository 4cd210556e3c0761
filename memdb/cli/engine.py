"""`memdb engine`: run, show and stop the local engine."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from memdb.cli.arguments import count, tcp_port
from memdb.cli.options import Command, option
from memdb.cli.output import note, print_json, print_table, say, write
from memdb.cluster.engine import Running, running_engines
from memdb.cluster.engine import start as start_engine
from memdb.cluster.engine.runtime import LEAVING_S, is_locked
from memdb.display import duration
from memdb.errors import EngineUnavailable, NotFound
from memdb.settings import Settings

_POLL_S = 0.05
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Start(Command):
    """`memdb engine start`."""

    port: int = option("--port", default=0, type=tcp_port, metavar="P", help="default: a free one")
    directory: str | None = option(
        "--dir", metavar="D", help="folder of its data (default: engine/ under MEMDB_HOME)"
    )
    cluster: bool = option("--cluster", default=False, help="as the only shard of a cluster, as MemoryDB is")
    no_log: bool = option("--no-log", default=False, help="keep nothing on disk: faster, for measurements")
    replicas: int = option("--replicas", default=0, type=count(0), metavar="N")
    json_documents: bool = option(
        "--json-documents", default=False, help="serve JSON documents too, from then on in this folder"
    )
    show_password: bool = option(
        "--show-password",
        default=False,
        help="print the URL with its password on a terminal too; into a pipe it always is",
    )
    json: bool = option("--json", default=False, help="print the URL as JSON")

    def run(self) -> int:
        """Run an engine until Ctrl-C, SIGTERM or `memdb engine stop`."""
        from memdb.demo.supervise import Keeper, Signals

        settings = Settings.from_env()
        with (
            Signals() as signals,
            start_engine(
                settings,
                port=self.port,
                directory=Path(self.directory).expanduser() if self.directory else None,
                cluster=self.cluster,
                replicas=self.replicas,
                log=not self.no_log,
                json=self.json_documents,
            ) as engine,
        ):
            target = engine.target
            # A program that reads the URL is to connect with it; on a screen the password would only be seen.
            whole = self.show_password or not sys.stdout.isatty()
            url = target.url if whole else target.address
            if self.json:
                print_json({"url": url, "pid": engine.pid, "directory": str(engine.directory)})
            else:
                write(url)
            sys.stdout.flush()
            note(f"Data: {engine.directory}. End with Ctrl-C or `memdb engine stop`.")
            if not whole:
                note("`memdb` commands know its password; for other programs start with --show-password.")
            if self.json_documents and not engine.loads_json:
                note("No JSON module was loaded: it comes with our wheels; this server may have its own.")
            for replica in engine.replica_targets:
                note(f"Replica: {replica.address}")
            keeper = Keeper(
                "The engine",
                status=lambda: engine.status,
                restart=engine.restart,
                say=note,
                log=lambda: f"Its log is {engine.log}.",
            )
            while not signals.wanted(_LOOK_EVERY_S):
                if engine.status == 0:
                    note("The engine was stopped.")
                    break
                keeper.check()
        return 0


@dataclass(frozen=True, kw_only=True)
class Status(Command):
    """`memdb engine status`."""

    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """List the engines that run under this home."""
        entries = running_engines(Settings.from_env().home)
        if self.json:
            print_json({"engines": [_entry(e) for e in entries]})
        elif entries:
            rows = [
                (
                    e.target.address,
                    str(e.pid),
                    "cluster" if e.cluster else "standalone",
                    duration(time.time() - e.started),
                    str(e.directory),
                )
                for e in entries
            ]
            print_table("", ("URL", "process", "mode", "runs for", "data"), rows, right=(1,))
        else:
            say("No local engine runs. Start one with `memdb demo` or `memdb engine start`.")
        return 0


@dataclass(frozen=True, kw_only=True)
class Stop(Command):
    """`memdb engine stop`."""

    port: int = option(
        "--port",
        default=0,
        type=tcp_port,
        metavar="P",
        help="default: the only one",
    )
    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """End one engine cleanly and wait for its end.

        Raises:
            NotFound: no engine runs, or none on this port.
            EngineUnavailable: several run and no port is given, or it does not end in time.
        """
        entries = [
            e for e in running_engines(Settings.from_env().home) if not self.port or e.port == self.port
        ]
        if not entries:
            raise NotFound(str(self.port) if self.port else "any port", "local engine that runs on")
        if len(entries) > 1:
            ports = ", ".join(str(e.port) for e in entries)
            raise EngineUnavailable(
                f"{len(entries)} local engines run (ports {ports}).", "Say which with --port."
            )
        entry = entries[0]
        os.kill(entry.pid, signal.SIGTERM)
        end = time.monotonic() + LEAVING_S
        while is_locked(entry.directory):
            if time.monotonic() > end:
                raise EngineUnavailable(
                    f"The engine (process {entry.pid}) did not end within {LEAVING_S:g} s.",
                    f"Its log is {entry.directory / 'engine.log'}.",
                )
            time.sleep(_POLL_S)
        if self.json:
            print_json({"stopped": _entry(entry)})
        else:
            say(f"Stopped {entry.target.address}. Its data stays in {entry.directory}.")
        return 0


def _entry(entry: Running) -> dict[str, object]:
    return {
        "url": entry.target.address,
        "pid": entry.pid,
        "cluster": entry.cluster,
        "directory": str(entry.directory),
        "seconds": round(time.time() - entry.started, 1),
    }
