"""`memdb exporter`: OpenMetrics over HTTP, or once on the terminal."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.openmetrics.exposition import generate_latest

from memdb.cli.arguments import OnServer, tcp_port
from memdb.cli.options import option
from memdb.cli.output import note, write
from memdb.cluster.client import connect
from memdb.errors import BadInput
from memdb.operations import exporter, history
from memdb.settings import Settings
from memdb.watch.metrics import metrics


@dataclass(frozen=True, kw_only=True)
class Exporter(OnServer):
    """`memdb exporter`."""

    port: int = option("--port", default=9121, type=tcp_port, metavar="P", help="0: a free one")
    address: str = option("--address", default="127.0.0.1", metavar="A", help="to listen on")
    once: bool = option("--once", default=False, help="print the text once and end, for textfile collectors")

    def run(self) -> int:
        """Serve until Ctrl-C.

        Raises:
            BadInput: the address and port cannot be listened on.
            MemDBError: the target cannot be reached.
        """
        settings = Settings.from_env()
        target = self.find(settings)
        with connect(target) as client:
            registry = CollectorRegistry()
            path = history.path_of(settings.home, target)
            registry.register(exporter.Exporter(client, more=lambda: metrics(path)))
            if self.once:
                write(generate_latest(registry).decode().rstrip("\n"))  # type: ignore[no-untyped-call]
                return 0
            try:
                server, thread = start_http_server(self.port, self.address, registry)
            except OSError as exc:
                raise BadInput(
                    f"Nothing can listen on {self.address}:{self.port}: {exc.strerror}.",
                    "Choose another --port or --address.",
                ) from exc
            try:
                write(f"http://{self.address}:{server.server_port}/metrics")
                if self.address not in ("127.0.0.1", "localhost", "::1"):
                    note("Whoever reaches this address can read the names of nodes and indexes.")
                threading.Event().wait()
            finally:
                server.shutdown()
                server.server_close()
                thread.join()
        return 0
