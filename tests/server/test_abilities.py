"""What servers are asked before a test runs on them, and that tests empty no server that somebody uses."""

from __future__ import annotations

import pytest

from memdb.cluster.client import Client
from memdb.cluster.target import Target
from tests.abilities import ABILITIES, Server
from tests.conftest import emptied
from tests.standins import memorydb, valkey_search

# Of what each can; the rest it cannot. RediSearch can all but the recorded release, and JSON where its module is.
VALKEY = {"config", "negation", "words", "nocontent", "recorded", "told_separators"}
MEMORYDB = {"profile", "explain", "aliases", "star", "escaped_stars", "untold_stop_words", "uneven_randomkey"}


def can(target: Target) -> set[str]:
    server = Server(target)
    return {ability for ability in ABILITIES if ability != "json" and server.can(ability)}


def test_abilities_are_asked_of_the_server(server_target: Target) -> None:
    assert can(server_target) == set(ABILITIES) - {"recorded", "json"}
    with valkey_search(server_target) as standin:
        assert can(standin.target) == VALKEY
    with memorydb(server_target) as standin:
        assert can(standin.target) == MEMORYDB
        assert standin.engine == server_target


def test_a_server_that_holds_anything_is_left_alone(client: Client, prefix: str) -> None:
    client.execute("SET", f"{prefix}kept", "1")
    with pytest.raises(pytest.exit.Exception, match=r"Name an empty server"):
        emptied(client.target, disposable=False)
    assert client.execute("GET", f"{prefix}kept") == b"1"
    client.execute("DEL", f"{prefix}kept")
