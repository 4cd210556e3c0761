"""`memdb exporter`: OpenMetrics over HTTP, or once on the terminal."""

from __future__ import annotations

import argparse
import threading

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.openmetrics.exposition import generate_latest

from memdb.cluster.client import connect
from memdb.cluster.find import find_target
from memdb.errors import BadInput
from memdb.operations.exporter import Exporter
from memdb.settings import Settings


def exporter(found: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    target = find_target(Settings.from_env(), found.url)
    with connect(target) as client:
        registry = CollectorRegistry()
        registry.register(Exporter(client))
        if found.once:
            print(generate_latest(registry).decode(), end="")  # type: ignore[no-untyped-call]
            return 0
        try:
            server, thread = start_http_server(found.port, found.address, registry)
        except OSError as exc:
            raise BadInput(
                f"Nothing can listen on {found.address}:{found.port}: {exc.strerror}.",
                "Choose another --port or --address.",
            ) from exc
        try:
            print(f"http://{found.address}:{server.server_port}/metrics", flush=True)
            if found.address not in ("127.0.0.1", "localhost", "::1"):
                print("Whoever reaches this address can read the names of nodes and indexes.", flush=True)
            threading.Event().wait()
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
    return 0
