"""Ports of this machine: those that are drawn together are different."""

from __future__ import annotations

import socket

from memdb.ports import free_port, free_ports, port_is_free


def test_ports_drawn_together_are_different_and_free() -> None:
    drawn = free_ports(200)
    assert len(set(drawn)) == 200
    assert all(map(port_is_free, drawn[:20]))


def test_a_port_that_is_listened_on_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        assert not port_is_free(taken.getsockname()[1])
