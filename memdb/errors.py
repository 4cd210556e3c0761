"""Errors for people: what happened, with which value, and what to do.

MemDBError                  .hint says what to do
├── Unreachable             no answer from the server
│   └── MalformedReply      what came is no reply, or none to this command
├── ServiceUnreachable      no answer from another service than the server: an embedding endpoint, Bedrock
├── Busy                    the server answers, but not yet (loading, index building)
│   └── SilentShard         a shard does not answer: nothing is told of all of them
├── LoginFailed             a password is missing or wrong, or the user may not do this
│   └── NotAllowed          logged in, but the ACL does not allow this
├── EngineError             the server said no
│   ├── UnknownIndex        .name
│   ├── UnsupportedFeature  .feature
│   ├── WrongType           the key holds another type of value than the command is for
│   ├── Throttled           .after_s; a service wants fewer calls, or fails for the moment
│   └── RejectedQuery       .reply
├── BudgetSpent             heavy work reached a bound of its budget
├── ReadOnlyTarget          .command; a write, or a command that is not known to be safe
├── BadInput                the request is wrong, nothing was sent
│   ├── BadVector           .expected, .got
│   ├── BadFilter           .expression
│   │   └── RefusedFilter   also a RejectedQuery: what the server would refuse, told before it is sent
│   ├── DamagedFile         .path; a file under MEMDB_HOME, set aside
│   ├── UnknownField        .field
│   │   └── NoVectorField   the index has none at all
│   ├── NoEmbedder          .dimension; nothing says which model made an index's vectors
│   ├── TextTooLong         a text has more than a model takes
│   ├── UnderWay            another process does the same just now; its result will serve
│   └── OutOfRange          .name, .value, .low, .high
├── NotFound                .key
├── BadSettings             an environment variable, option or URL does not parse
│   └── NotKept             a file under MEMDB_HOME cannot be written: the disk is full, or it may not be
├── EngineUnavailable       no local engine for this platform, or it did not start
└── Cancelled               the user ended a job
"""

from __future__ import annotations

from pathlib import Path

from memdb.display import line, number_text


class MemDBError(Exception):
    """Root of everything this package raises on purpose.

    Args:
        message: what happened, with which value. One sentence.
        hint: what to do about it. One sentence, may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        return str(self.args[0])

    def full(self) -> str:
        """Message and hint in one line, for a terminal or a log."""
        return f"{self} {self.hint}".strip()


class Unreachable(MemDBError):
    """No answer: nothing listens there, the name does not resolve, or the call timed out."""


class MalformedReply(Unreachable):
    """What came is no reply of the protocol, is larger than one may be, or is none to this command."""


class ServiceUnreachable(MemDBError):
    """Another service did not answer, such as an embedding endpoint: waiting for the server does not help."""


class Busy(MemDBError):
    """The server is there but not ready: it loads its data or builds the index."""


class SilentShard(Busy):
    """A shard does not answer: nothing is told of all of them."""


class LoginFailed(MemDBError):
    """The server wants a password or user, or refuses the ones given."""


class NotAllowed(LoginFailed):
    """The login is fine; the user's ACL does not allow the command or the key."""


class EngineError(MemDBError):
    """The server understood the connection and refused the command."""


class UnknownIndex(EngineError):
    """The index does not exist (any more)."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no index '{name}' on this server.", "Choose another index.")
        self.name = name


class WrongType(EngineError):
    """The key holds another type of value than the command is for."""


class UnsupportedFeature(EngineError):
    """This server does not have the command or option."""

    def __init__(self, feature: str, why: str, hint: str = "") -> None:
        super().__init__(f"{feature} is not available here: {why}.", hint)
        self.feature = feature


class Throttled(EngineError):
    """A service wants fewer calls, or fails for the moment; `after_s` is how long it wants to be left."""

    def __init__(self, message: str, hint: str = "", *, after_s: float = 0.0) -> None:
        super().__init__(message, hint)
        self.after_s = after_s


class RejectedQuery(EngineError):
    """The server could not parse or run a query."""

    def __init__(self, message: str, hint: str = "", *, reply: str = "") -> None:
        super().__init__(message, hint)
        self.reply = reply


class BudgetSpent(MemDBError):
    """Heavy reads stopped at a bound: keys read, or the server's latency. Nothing more was sent."""


class ReadOnlyTarget(MemDBError):
    """The command was not sent: the target is read-only, or the command is not on the allow-list."""

    def __init__(self, command: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.command = command


class BadInput(MemDBError):
    """The request is wrong; nothing was sent to the server."""


class UnderWay(BadInput):
    """Another process does the same just now; its result will serve."""


class BadVector(BadInput):
    """A vector of the wrong length or with values that are not finite."""

    def __init__(self, message: str, hint: str, *, expected: int, got: int) -> None:
        super().__init__(message, hint)
        self.expected = expected
        self.got = got


class BadFilter(BadInput):
    """A filter expression that does not parse."""

    def __init__(self, message: str, hint: str, *, expression: str = "") -> None:
        super().__init__(message, hint)
        self.expression = expression


class RefusedFilter(BadFilter, RejectedQuery):
    """A filter that this engine refuses, told here with the reason: to a caller the same as its refusal."""


class UnknownField(BadInput):
    """The index has no such field, or the field is of another kind."""

    def __init__(self, field: str, index: str, names_known: tuple[str, ...]) -> None:
        names = ", ".join(names_known) or "none"
        super().__init__(f"Index '{index}' has no field '{field}' for this.", f"It has: {names}.")
        self.field = field


class NoVectorField(UnknownField):
    """The index has no vector field at all, so it has no nearest neighbours."""

    def __init__(self, index: str, others: tuple[str, ...]) -> None:
        super().__init__("", index, others)
        names = f" It has: {', '.join(others)}." if others else ""
        self.args = (f"Index '{index}' has no vector field, so it has no nearest neighbours.",)
        self.hint = f"Choose an index with a vector field.{names}"


class NoEmbedder(BadInput):
    """Nothing says which model made the vectors of an index, so that no text can be searched in it."""

    def __init__(self, message: str, hint: str, *, dimension: int) -> None:
        super().__init__(message, hint)
        self.dimension = dimension


class TextTooLong(BadInput):
    """A text has more characters or tokens than a model takes."""


class DamagedFile(BadInput):
    """A file under MEMDB_HOME that cannot be used; the message tells where it is now."""

    def __init__(self, message: str, hint: str, *, path: Path) -> None:
        super().__init__(message, hint)
        self.path = path


class OutOfRange(BadInput):
    """A number outside what the engine accepts."""

    def __init__(self, name: str, value: float, low: float, high: float, where: str) -> None:
        super().__init__(
            f"{name} is {number_text(value)}; {where} accepts {low:,} to {high:,}.",
            "Choose a value within these limits.",
        )
        self.name = name
        self.value = value
        self.low = low
        self.high = high


class NotFound(MemDBError):
    """The key is not there: it never was, was deleted, or its TTL has passed."""

    def __init__(self, key: str, what: str = "key", *, having: str = "") -> None:
        """There is no `what` of this name, or none `having` what is asked for, e.g. "a field 'v'"."""
        with_it = f" with {having}" if having else ""
        super().__init__(
            f"There is no {what} '{line(key)}'{with_it} on this server.",
            "It may have expired or been deleted.",
        )
        self.key = key


class BadSettings(MemDBError):
    """An environment variable, option or URL that cannot be used."""


class NotKept(BadSettings):
    """A file under MEMDB_HOME cannot be written: the disk is full, or the folder is not this user's."""


class EngineUnavailable(MemDBError):
    """No local engine exists for this platform, or it did not start."""


class Cancelled(MemDBError):
    """A job was ended by the user."""

    def __init__(self) -> None:
        super().__init__("Cancelled.", "")
