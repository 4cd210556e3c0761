"""What sessions of a plan really take: written into an empty engine and measured."""

from __future__ import annotations

import numpy as np

from memdb.cluster.client import Client, Command
from memdb.jobs import Report, silent
from memdb.sizing import samples
from memdb.sizing.shape import Sessions


def measure(client: Client, planned: Sessions, *, seed: int = 0, report: Report = silent) -> float:
    """Load all sessions of a plan into an empty server; the bytes they took.

    Raises:
        EngineUnavailable: the server is not empty.
        Cancelled: by `report`.
    """
    samples.ready(client)
    before = samples.settled(client)
    rng = np.random.default_rng(seed)
    step = max(1, min(500, samples.AT_ONCE_BYTES // planned.bytes))
    for start in range(0, planned.live, step):
        report("Loading sessions", start, planned.live)
        places = range(start, min(planned.live, start + step))
        client.pipeline([command for place in places for command in _session(planned, place, rng)])
    return samples.settled(client) - before


def _session(planned: Sessions, place: int, rng: np.random.Generator) -> list[Command]:
    """One session as it is written; the first ones have a time to live."""
    key = f"session:{place:0{max(1, planned.key_bytes - 8)}d}"
    moved = round(planned.spread * planned.bytes * rng.uniform(-1, 1))
    history = "h" * max(0, planned.value_bytes + moved)
    others = planned.fields - 1
    each = planned.other_bytes // others if others else 0
    if planned.kind == "STRING":
        commands: list[Command] = [("SET", key, history)]
    else:
        rest = [part for i in range(others) for part in (f"{i:07d}"[:each], "x" * (each - 7))]
        commands = [("HSET", key, "history", history, *rest)]
    if place < planned.expiring:
        commands.append(("EXPIRE", key, round(planned.ttl_s)))
    return commands
