"""redis-py's errors as ours: which of our classes each becomes, and what it tells people to do."""

from __future__ import annotations

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    InvalidResponse,
    MasterDownError,
    MovedError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as NoAnswer

from memdb.cluster import dialects, iam, tls
from memdb.cluster.reader import limit_s
from memdb.cluster.target import Target
from memdb.display import line, repeats
from memdb.errors import EngineError, LoginFailed, MalformedReply, MemDBError, Unreachable

# redis-py cuts the leading code off; it is what tells them apart.
_CODES: tuple[tuple[type[RedisError], str], ...] = (
    (BusyLoadingError, "LOADING "),
    (MovedError, "MOVED "),
    (ClusterCrossSlotError, "CROSSSLOT "),
    (ClusterDownError, "CLUSTERDOWN "),
    (MasterDownError, "MASTERDOWN "),
    (TryAgainError, "TRYAGAIN "),
    (ReadOnlyError, "READONLY "),
    (NoPermissionError, "NOPERM "),
)


def explain(exc: RedisError, target: Target, command: tuple[object, ...]) -> MemDBError:
    """A redis-py error as one of ours."""
    reply = str(exc)
    if target.password and repeats(reply, target.password):
        reply = "(not shown: its words hold the password)"
    for kind, code in _CODES:
        if isinstance(exc, kind):
            return dialects.explain_refusal(code + reply.removeprefix(code), command)
    if isinstance(exc, AuthenticationError | AuthorizationError):
        return _login_failed(reply.rstrip("."), target)
    if isinstance(exc, NoAnswer):
        return Unreachable(
            f"{target.name} did not answer within {limit_s(target.timeout_s):g} s.",
            "Check the address and the network, or try again when the server is less busy.",
        )
    if isinstance(exc, InvalidResponse):
        return MalformedReply(
            f"{target.address} answered, but not as Redis does: {line(reply, 80)}.",
            "Another program listens there, or the port speaks TLS (rediss://). Check address and port.",
        )
    if isinstance(exc, NoConnection):
        if target.scheme == "rediss" and (failed := tls.explain(reply, target)):
            return failed
        return Unreachable(
            f"No answer from {target.name} ({target.address}): {reply.rstrip('.')}.",
            "Check that the server runs and that the address, port and TLS setting are right.",
        )
    if isinstance(exc, ResponseError):
        return dialects.explain_refusal(reply, command)
    return EngineError(f"{target.name}: {reply}", "")


def _login_failed(reply: str, target: Target) -> LoginFailed:
    if target.iam is not None:
        return LoginFailed(f"{target.name} refused the login: {reply}.", iam.HINT)
    if not target.password:
        return LoginFailed(
            f"{target.name} wants a password, and none is given.",
            "Give one: MEMDB_PASSWORD, or password_env, password_file or secret in the settings file.",
        )
    return LoginFailed(
        f"{target.name} refused the login: {reply}.",
        "Check the user and the password that were given for this target.",
    )
