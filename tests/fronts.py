"""Servers in front of the real engine, or in its place: a TLS terminator, ports that answer garbage or never."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from memdb.cluster.target import Target


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, as PEM files."""

    cert: str
    key: str


class Authority:
    """A certificate authority of its own, in a folder."""

    def __init__(self, folder: Path, name: str = "Test authority") -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        made = _builder(self._name, self._name, self._key.public_key(), days=30)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file = self._write(f"{name}.pem", made.sign(self._key, hashes.SHA256()))

    def issue(self, name: str, *names: str, days: int = 30) -> Issued:
        """A certificate for host names and addresses; with negative days it has ended already."""
        key = ec.generate_private_key(ec.SECP256R1())
        others = [x509.IPAddress(ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
        made = _builder(_named(name), self._name, key.public_key(), days=days)
        if others:
            made = made.add_extension(x509.SubjectAlternativeName(others), critical=False)
        file = self._folder / f"{name}.key"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return Issued(self._write(f"{name}.crt", made.sign(self._key, hashes.SHA256())), str(file))

    def _write(self, name: str, certificate: x509.Certificate) -> str:
        file = self._folder / name
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return str(file)


@contextlib.contextmanager
def tls_front(port: int, issued: Issued, *, client_ca: str = "") -> Iterator[int]:
    """TLS on a port of its own, plain to `port` behind it; with `client_ca` it wants a client certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.cert, issued.key)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED

    def serve(plain: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock = context.wrap_socket(plain, server_side=True)
            with sock, socket.create_connection(("127.0.0.1", port)) as behind:
                back = threading.Thread(target=_pump, args=(behind, sock), daemon=True)
                back.start()
                _pump(sock, behind)

    with listening(serve) as front:
        yield front


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port whose every connection goes to `serve`, in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as server, _accepting(server, serve):
        yield server.getsockname()[1]


@contextlib.contextmanager
def _accepting(server: socket.socket, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    def accept() -> None:
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            opened.append(sock)
            threading.Thread(target=_served, args=(serve, sock), daemon=True).start()

    opened: list[socket.socket] = []
    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        for sock in opened:
            with contextlib.suppress(OSError):
                sock.close()


@contextlib.contextmanager
def socket_front(target: Target, path: Path) -> Iterator[Target]:
    """The server behind a unix socket, under the same login."""

    def relay(sock: socket.socket) -> None:
        with socket.create_connection((target.host, target.port)) as server:
            threading.Thread(target=_pump, args=(server, sock), daemon=True).start()
            _pump(sock, server)

    with socket.socket(socket.AF_UNIX) as at:
        at.bind(str(path))
        at.listen()
        with _accepting(at, relay):
            yield replace(target, scheme="unix", host="", path=str(path))


def silent(sock: socket.socket) -> None:
    """Read, and never answer."""
    while sock.recv(4096):
        pass


def garbage(sock: socket.socket) -> None:
    """Answer everything with something that is not Redis."""
    while sock.recv(4096):
        sock.sendall(b"\x00\xff<html>\r\nHTTP/1.1 400 Bad Request\r\n\r\n" * 10)


def endless(sock: socket.socket) -> None:
    """Promise half a gigabyte, and send nothing of it."""
    while sock.recv(4096):
        sock.sendall(b"$536870912\r\n")


def dripping(reply: bytes, every_s: float = 0.05) -> Callable[[socket.socket], None]:
    """Answer with a byte at a time, over and over."""

    def serve(sock: socket.socket) -> None:
        sock.recv(4096)
        while True:
            for at in range(len(reply)):
                sock.sendall(reply[at : at + 1])
                time.sleep(every_s)

    return serve


def saying(reply: bytes) -> Callable[[socket.socket], None]:
    """Answer everything with the same bytes."""

    def serve(sock: socket.socket) -> None:
        while sock.recv(65536):
            sock.sendall(reply)

    return serve


def closing(sock: socket.socket) -> None:
    """Take the connection and close it."""
    sock.close()


def _served(serve: Callable[[socket.socket], None], sock: socket.socket) -> None:
    with contextlib.suppress(OSError), sock:
        serve(sock)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
    )
