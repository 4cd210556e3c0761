"""Login with IAM: tokens signed with AWS credentials, each with minutes to live when it is used.

MemoryDB, and ElastiCache for Valkey likewise, takes a token for 15 minutes at login and cuts a connection 12
hours after its last login. So connections share a token for some minutes only, and one that nears the cut
logs in again before its next command (`Pool`), which is before it is part of any pipeline or transaction.

Source: AWS, "Authenticating with IAM" (MemoryDB developer guide, ElastiCache user guide);
docs/decisions/0020-iam-login.md.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import redis
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as NoAnswer

from memdb.cluster.target import Iam

TOKEN_S = 900  # the longest that MemoryDB accepts
RENEW_S = 600.0  # a token older than this is not used any more: slow logins and clocks that differ
LOGIN_AGAIN_S = 11 * 3600.0  # an hour of quiet still lies before the cut, 12 hours after a login

HINT = (
    "Check that the user's authentication mode is IAM, that the AWS credentials of this machine may "
    "memorydb:Connect (or elasticache:Connect) to both the cluster and the user, that cluster name, region "
    "and service are right, on ElastiCache that the user's name is its id, and that the clock is right."
)


class _Login(AuthenticationError):
    """No token could be made. A redis-py error, so that it takes the way of every failed login."""


class Credentials(Protocol):
    """What botocore calls credentials; they renew themselves for roles and SSO."""

    def get_frozen_credentials(self) -> Any:
        """Access key, secret key and session token of this moment."""


def sign(credentials: Credentials, iam: Iam, user: str) -> str:
    """A token: the query-signed address of a request that is never sent, without its `http://`.

    Args:
        credentials: of the AWS principal that may `memorydb:Connect` to cluster and user.
        iam: cluster, region and service; the name is signed in lower case, as the service knows it.
        user: of the cluster's ACL or user group, with authentication mode "iam"; on ElastiCache its id, which
            is its name too.
    """
    from botocore.auth import SigV4QueryAuth  # botocore takes 0.3 s: only who logs in with IAM waits for it
    from botocore.awsrequest import AWSRequest

    params = {"Action": "connect", "User": user}
    if iam.serverless:
        params["ResourceType"] = "ServerlessCache"
    request = AWSRequest("GET", f"http://{iam.cluster.lower()}/", params=params)
    signer = SigV4QueryAuth(credentials.get_frozen_credentials(), iam.service, iam.region, expires=TOKEN_S)
    signer.add_auth(request)
    return str(request.url).removeprefix("http://")


class IamLogin(redis.CredentialProvider):
    """User and token for redis-py. Thread-safe: connections of all threads ask it."""

    def __init__(
        self,
        iam: Iam,
        user: str,
        *,
        credentials: Credentials | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._iam, self._user = iam, user
        self._credentials = credentials
        self._clock = clock
        self._token = ""
        self._made = 0.0
        self._lock = threading.Lock()

    def get_credentials(self) -> tuple[str, str]:
        """User and a token with at least five minutes to live.

        Raises:
            AuthenticationError: this machine has no AWS credentials, or they cannot be renewed.
        """
        with self._lock:
            now = self._clock()
            if not self._token or now - self._made >= RENEW_S:
                self._token, self._made = self._fresh(), now
            return self._user, self._token

    def forget(self) -> None:
        """Make another token next time, e.g. after one was refused."""
        with self._lock:
            self._token = ""

    def _fresh(self) -> str:
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session

        try:
            if self._credentials is None:
                self._credentials = Session().get_credentials()
            if self._credentials is None:
                raise _Login("this machine has no AWS credentials to sign a token with")
            return sign(self._credentials, self._iam, self._user)
        except BotoCoreError as exc:
            raise _Login(f"AWS credentials could not be had: {exc}") from exc


class Pool(redis.ConnectionPool):
    """Connections that log in again before the server cuts them for their age."""

    clock: Callable[[], float] = time.monotonic  # of the class: redis-py makes the object

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """A connection whose login is young enough."""
        try:
            connection = super().get_connection(*args, **options)
        except AuthenticationError:
            self.connection_kwargs["credential_provider"].forget()  # expired, perhaps: another one next time
            raise
        try:
            self._renew(connection)
        except BaseException:
            self.release(connection)
            raise
        return connection

    def _renew(self, connection: Any) -> None:
        now = type(self).clock()
        socket = connection._get_socket()  # a new one is a new login, made when it was opened
        logged_in, since = getattr(connection, "memdb_login", (None, 0.0))
        if logged_in is not socket:
            connection.memdb_login = (socket, now)
            return
        if now - since < LOGIN_AGAIN_S:
            return
        try:
            connection.send_command("AUTH", *connection.credential_provider.get_credentials())
            connection.read_response()
        except (NoConnection, NoAnswer):
            connection.disconnect()  # cut already, or dead: a new connection logs in by itself
            connection.connect()
        connection.memdb_login = (connection._get_socket(), now)
