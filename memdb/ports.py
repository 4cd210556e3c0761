"""TCP ports of this machine."""

from __future__ import annotations

import contextlib
import socket


def free_ports(count: int) -> tuple[int, ...]:
    """As many different ports of the loopback address, none of which is used now."""
    with contextlib.ExitStack() as stack:  # all at once: asked for one by one, the same may come twice
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return tuple(int(probe.getsockname()[1]) for probe in probes)


def free_port() -> int:
    """A port of the loopback address that nothing uses now."""
    return free_ports(1)[0]


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    # macOS lets us bind beside a server that listens on all addresses.
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) != 0
