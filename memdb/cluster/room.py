"""How much memory the primaries use and may use, where something is to be added to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from memdb.cluster import possible
from memdb.cluster.client import Client


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes, of all shards together; None where one of them does not tell."""

    used: int | None
    most: int | None  # maxmemory; where none is set, the machine's memory
    limited: bool  # whether maxmemory is set, on every shard
    # What may be added in all, if each shard gets its share: the fullest one decides.
    left: int | None
    fullest: str = ""  # its address, of several shards


def room(client: Client, shares: Mapping[str, float] | None = None) -> Room:
    """Ask each primary.

    Args:
        client: of any node.
        shares: by address of a primary, how much of what is added goes there; evenly where it is not given.

    Raises:
        MemDBError: a primary does not answer.
    """
    if client.server.shards < 2:
        return _of(client)
    primaries = [node for node in client.nodes() if node.role == "primary" and node.slots]
    rooms = {node.address: _of(client.on(node)) for node in primaries}
    even = 1 / len(rooms)
    parts = {address: even if shares is None else shares.get(address, 0.0) for address in rooms}
    free_bytes = {
        address: None if each.left is None else round(each.left / parts[address])
        for address, each in rooms.items()
        if parts[address] > 0
    }
    known_bytes = {address: bytes_ for address, bytes_ in free_bytes.items() if bytes_ is not None}
    fullest = min(known_bytes, key=lambda address: known_bytes[address], default="")
    return Room(
        _sum([each.used for each in rooms.values()]),
        _sum([each.most for each in rooms.values()]),
        all(each.limited for each in rooms.values()),
        known_bytes[fullest] if len(known_bytes) == len(free_bytes) and known_bytes else None,
        fullest,
    )


def _of(client: Client) -> Room:
    memory = {name: value for section in client.info("memory").values() for name, value in section.items()}
    used, limit, machine = (
        possible.size(memory.get(name)) for name in ("used_memory", "maxmemory", "total_system_memory")
    )
    most = limit or machine or None
    return Room(used, most, bool(limit), most - used if most is not None and used is not None else None)


def _sum(values: list[int | None]) -> int | None:
    numbers = [value for value in values if value is not None]
    return sum(numbers) if len(numbers) == len(values) else None
