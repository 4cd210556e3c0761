"""What a server says of a failure, where its words hold the password it was given."""

from __future__ import annotations

import pytest
from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as NoConnection

from memdb.cluster.refusals import explain
from memdb.cluster.target import Target

PASSWORD = "Ge/heim 77"
SAID = (
    "wrong Ge/heim 77",
    "wrong GE/HEIM 77",
    "wrong Ge%2Fheim%2077",
    "wrong R2UvaGVpbSA3Nw==",
    "G e / h e i m 7 7",
)


@pytest.mark.parametrize(
    "kind", [AuthenticationError, InvalidResponse, NoPermissionError, NoConnection, ResponseError]
)
@pytest.mark.parametrize("said", SAID)
def test_a_password_that_the_server_repeats_is_not_shown(kind: type[RedisError], said: str) -> None:
    shown = explain(kind(said), Target(password=PASSWORD), ("GET", "k")).full().casefold()
    for part in ("heim", "r2uva", "h e i m"):
        assert part not in shown


def test_other_words_of_the_server_are_shown() -> None:
    shown = explain(ResponseError("wrong kind of value"), Target(password=PASSWORD), ("GET", "k"))
    assert "wrong kind of value" in str(shown)
