"""The doctor's first steps on bare sockets: name, TCP, TLS, and what a port speaks. No login is sent here.

Each returns what it saw as a sentence, or raises Unreachable.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from memdb.cluster import tls
from memdb.cluster.target import Target
from memdb.errors import Unreachable

Address = tuple[int, Any]  # family and what connect takes
_SHAKE_S = 2.0  # a plain port may just wait for more
_LOOK_S = 1.0  # for the second look, at what a port speaks instead


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a handshake brought. Empty or None where the certificate was not checked."""

    version: str
    subject: str
    days_left: int | None


def resolve(target: Target, wait: float, addresses: list[Address]) -> str:
    """Look the name up, and put what it leads to into `found`.

    Raises:
        Unreachable: there is no such name, or the resolver does not answer in time.
    """
    answer: list[Any] = []
    # getaddrinfo knows no timeout: a thread that may be left behind does.
    thread = threading.Thread(target=_look_up, args=(target.host, target.port, answer), daemon=True)
    thread.start()
    thread.join(wait)
    if not answer:
        raise Unreachable(
            f"The name '{target.host}' was not resolved within {wait:g} s.", "Check the network and its DNS."
        )
    if isinstance(answer[0], OSError | UnicodeError):
        raise Unreachable(f"There is no host '{target.host}'.", _no_name(target.host))
    for family, _, _, _, address in answer[0]:
        if (family, address) not in addresses:
            addresses.append((family, address))
    listed = ", ".join(str(address[0]) for _, address in addresses[:4])
    return f"{target.host} is {listed}." if listed != target.host else f"{listed} is an address."


def unix_socket(path: str, wait: float) -> str:
    """Open a unix socket.

    Raises:
        Unreachable: nothing listens there, or this user may not open it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(wait)
        try:
            sock.connect(path)
        except OSError as exc:
            raise Unreachable(
                f"The socket '{path}' cannot be opened: {exc.strerror or exc}.",
                "Check the path, that the server runs, and that this user may open it.",
            ) from exc
    return f"The unix socket {path} is open."


class Probe:
    """One connection to look at; closed at the end."""

    def __init__(self, target: Target, addresses: list[Address], wait: float) -> None:
        self._target, self._addresses, self._wait = target, addresses, wait
        self._sock: socket.socket | None = None

    def __enter__(self) -> Probe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sock is not None:
            self._sock.close()

    def connect(self) -> str:
        """Open the port at the first address that answers.

        Raises:
            Unreachable: none does; the hint tells refused from silent.
        """
        end, last = time.monotonic() + self._wait, OSError("no address")
        for number, (family, address) in enumerate(self._addresses):
            share_s = (end - time.monotonic()) / (len(self._addresses) - number)
            try:
                self._sock = _opened(family, address, max(share_s, 0.05))
            except OSError as exc:
                last = exc
                continue
            return f"Port {self._target.port} of {address[0]} is open."
        raise _closed(self._target, last, self._wait) from last

    def handshake(self) -> Handshake:
        """Shake hands in TLS over that connection.

        Raises:
            Unreachable: it fails; where the port speaks plain, the message says so.
            BadSettings: a file of the TLS settings cannot be used.
        """
        if self._sock is None:
            raise RuntimeError("handshake before connect")
        context = tls.context(self._target)
        self._sock.settimeout(min(self._wait, _SHAKE_S))
        try:
            self._sock = context.wrap_socket(self._sock, server_hostname=tls.server_name(self._target))
            certificate = _seen(self._sock)
            self._refused_after()
            return certificate
        except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError; a bad name is a ValueError
            self._sock.close()
            raise self._explained(exc) from exc

    def _refused_after(self) -> None:
        """Ask once: in TLS 1.3 a server refuses our certificate, or its lack, after the handshake.

        Raises:
            OSError: it did.
        """
        assert self._sock is not None  # noqa: S101  # for the type checker; handshake looked
        with contextlib.suppress(OSError):  # the refusal may be read although nothing can be sent any more
            self._sock.sendall(b"PING\r\n")
        with contextlib.suppress(TimeoutError):  # a server that never answers is the next step's finding
            if not self._sock.recv(16):
                raise ConnectionResetError("SSL: EOF occurred right after the handshake")

    def _explained(self, exc: Exception) -> Exception:
        where = self._target.address
        if not isinstance(exc, ssl.SSLCertVerificationError) and self._speaks_plain():
            return Unreachable(f"{where} speaks without TLS.", "Use redis:// for rediss:// in the address.")
        if isinstance(exc, TimeoutError):
            return Unreachable(
                f"{where} did not answer the TLS handshake within {min(self._wait, _SHAKE_S):g} s.",
                "Check that this is the server's port, and not a proxy's that waits for something else.",
            )
        return tls.explain(f"SSL: {exc}", self._target) or Unreachable(str(exc), "Check the address.")

    def _speaks_plain(self) -> bool:
        return speaks_plain(self._addresses, min(self._wait, _LOOK_S))


def speaks_plain(addresses: list[Address], wait: float) -> bool:
    """Whether the port answers a bare PING as Redis does."""
    for family, address in addresses:
        with contextlib.suppress(OSError), _opened(family, address, wait) as sock:
            sock.sendall(b"PING\r\n")
            return sock.recv(16).startswith((b"+PONG", b"-NOAUTH", b"-ERR", b"-DENIED", b"-LOADING"))
    return False


def speaks_tls(target: Target, wait: float) -> bool:
    """Whether the port shakes hands in TLS. The certificate is not looked at: nothing is sent."""
    look = tls.context(replace(target, scheme="rediss", tls=replace(target.tls, ca="", verify=False)))
    try:
        with (
            socket.create_connection((target.host, target.port), wait) as sock,
            look.wrap_socket(sock, server_hostname=target.host),
        ):
            return True
    except (OSError, ValueError):
        return False


def closed(nodes: list[tuple[str, int]], wait: float) -> list[tuple[str, int]]:
    """Which of these nodes do not take a connection; asked side by side."""
    if not nodes:
        return []
    with ThreadPoolExecutor(max_workers=min(32, len(nodes))) as threads:
        states = threads.map(lambda node: _is_open(node, wait), nodes)
        return [node for node, is_open in zip(nodes, states, strict=True) if not is_open]


def _is_open(node: tuple[str, int], wait: float) -> bool:
    answer: list[Any] = []
    thread = threading.Thread(target=_try_node, args=(node, wait, answer), daemon=True)
    thread.start()
    thread.join(wait)
    return bool(answer) and answer[0]


def _try_node(node: tuple[str, int], wait: float, answer: list[Any]) -> None:
    try:
        socket.create_connection(node, wait).close()
        answer.append(True)
    except (OSError, UnicodeError):
        answer.append(False)


def _look_up(host: str, port: int, answer: list[Any]) -> None:
    try:
        answer.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as exc:
        answer.append(exc)


def _opened(family: int, address: Any, wait: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(wait)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def _seen(sock: Any) -> Handshake:
    certificate = sock.getpeercert() or {}
    subject = dict(pair for part in certificate.get("subject", ()) for pair in part).get("commonName", "")
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind in {"DNS", "IP Address"}]
    days = None
    if "notAfter" in certificate:
        days = int((ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) // 86400)
    return Handshake(sock.version() or "TLS", str(names[0] if names else subject), days)


def _closed(target: Target, exc: OSError, wait: float) -> Unreachable:
    where = f"{target.host}:{target.port}"
    if isinstance(exc, TimeoutError):
        return Unreachable(
            f"{where} did not answer within {wait:g} s.",
            "A firewall or security group drops the connection. A MemoryDB cluster answers only inside its "
            "VPC: run this program there, or open a tunnel and use its address.",
        )
    if exc.errno == errno.ECONNREFUSED:
        return Unreachable(
            f"Nothing listens on {where}.", "Check the port, that the server runs, and that a tunnel is open."
        )
    reason = exc.strerror or exc
    return Unreachable(f"{where} cannot be reached: {reason}.", "Check the address and the network.")


def _no_name(host: str) -> str:
    if host.endswith("amazonaws.com"):
        return (
            "Check the spelling. The name may be known only in the cluster's own network: run this program "
            "in its VPC, or use a tunnel's address."
        )
    return "Check the spelling, and whether the name is known only in another network."
