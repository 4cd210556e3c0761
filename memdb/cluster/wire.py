"""Connections to one address: what redis-py is told of a target. Nothing is sent here."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.connection import AbstractConnection
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import ResponseError
from redis.retry import Retry

from memdb.cluster import tls
from memdb.cluster.iam import IamLogin, Pool
from memdb.cluster.reader import Reader, seconds_left
from memdb.cluster.target import Target

CONNECT_S = 3.0


class _Steady(AbstractConnection):
    """A connection whose commands have a time limit as a whole (`memdb.cluster.reader`).

    It takes every answer to its health check for life, also the refusal of PING. Of no transport: put before
    redis-py's class of one, whose way to connect must not be hidden.
    """

    def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        """Connect and log in, where there is no connection."""
        if not self._sock:
            most = min(CONNECT_S, float(self.socket_timeout or CONNECT_S))
            self.socket_connect_timeout = seconds_left(most)
        super().connect_check_health(check_health, retry_socket_connect)

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send, within the limit: pieces one after the other would have it each."""
        if not self._sock:
            self.connect_check_health(check_health=False)
        if check_health:
            self.check_health()  # type: ignore[no-untyped-call]
        self._parser.begin()
        if not isinstance(command, str) and len(command) > 1:
            command = (b"".join(command),)
        super().send_packed_command(command, check_health=False)  # type: ignore[no-untyped-call]

    def _send_ping(self) -> None:
        with contextlib.suppress(ResponseError):
            super()._send_ping()  # type: ignore[no-untyped-call]


class TcpConnection(_Steady, redis.Connection):
    """The same over TCP."""


class SocketConnection(_Steady, redis.UnixDomainSocketConnection):
    """The same over a unix socket."""


class TlsConnection(_Steady, redis.SSLConnection):
    """A connection whose TLS context is ours: the doctor's and the client's are the same one."""

    def __init__(self, *, context: ssl.SSLContext, server_name: str, **options: Any) -> None:
        super().__init__(**options)
        self._context, self._server_name = context, server_name
        self._limit = float(options["socket_timeout"])

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        sock.settimeout(seconds_left(self._limit))  # of the handshake as a whole
        wrapped = self._context.wrap_socket(sock, server_hostname=self._server_name)
        wrapped.settimeout(self._limit)
        return wrapped


def pool(target: Target, *, max_connections: int = 64) -> redis.ConnectionPool:
    """A pool for the target's address; its connections log in with the password or with IAM tokens.

    Raises:
        BadSettings: a file of the TLS settings cannot be used.
    """
    options: dict[str, Any] = {
        "db": target.db,
        "protocol": 2,
        # No CLIENT SETINFO: two round trips fewer for each connection, 0.5 s each on an engine that loads.
        "driver_info": None,
        "decode_responses": False,
        "encoding_errors": "backslashreplace",  # a refusal may repeat a key that is not UTF-8
        "parser_class": Reader,
        "socket_timeout": target.timeout_s,
        "socket_connect_timeout": min(CONNECT_S, target.timeout_s),
        "health_check_interval": 30,
        # One quick retry bridges a closed idle connection; an outage is told at once, and a server that
        # does not answer within the timeout is not asked again.
        "retry": Retry(ExponentialBackoff(cap=0.2, base=0.05), retries=1, supported_errors=(NoConnection,)),
    }
    kind: type[Any] = TcpConnection
    if target.scheme == "unix":
        kind = SocketConnection
        options["path"] = target.path
    else:
        options |= {"host": target.host, "port": target.port, "socket_keepalive": True}
    if target.scheme == "rediss":
        kind = TlsConnection
        options |= {"context": tls.context(target), "server_name": tls.server_name(target)}
    if target.iam is not None:
        options["credential_provider"] = IamLogin(target.iam, target.username)
        return Pool(connection_class=kind, max_connections=max_connections, **options)
    # Bytes: a password from the environment or a %-code need not be UTF-8.
    secret = target.password.encode("utf-8", "surrogateescape")
    options |= {"username": target.username or None, "password": secret or None}
    return redis.ConnectionPool(connection_class=kind, max_connections=max_connections, **options)
