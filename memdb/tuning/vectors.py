"""The vectors of an index, kept in memory between two sweeps, so that the second starts at once."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator

from memdb.cluster.client import Client
from memdb.jobs import Report, silent
from memdb.vectors.filters import EVERYTHING, Condition, render
from memdb.vectors.index import IndexInfo
from memdb.vectors.read import Block, blocks

KEPT_BYTES = 512 * 2**20
# An engine that does not tell a revision does not show that documents were overwritten.
KEPT_S = 600.0

State = tuple[object, ...]
_lock = threading.Lock()
_kept: OrderedDict[State, tuple[float, tuple[Block, ...]]] = OrderedDict()


def state(client: Client, info: IndexInfo, field: str, condition: Condition | str) -> State:
    """What identifies the vectors under a filter, as far as the engine tells: server, index, its revision."""
    rendered = render(condition, client.server.dialect, info)
    name = info.vector_field(field)[0].name
    server = (client.target.address, client.server.run_id)
    return (*server, info.fingerprint, name, rendered.query, rendered.params)


def documents(
    client: Client,
    info: IndexInfo,
    field: str = "",
    condition: Condition | str = EVERYTHING,
    *,
    report: Report = silent,
) -> Iterator[Block]:
    """As `read.blocks`, without reading again what is known of this state of the index.

    At most KEPT_BYTES are kept over all indexes; an index that is larger is read each time.
    """
    name = state(client, info, field, condition)
    known = _known(name, info)
    if known is not None:
        yield from known
        return
    gathered: list[Block] | None = []
    size = 0
    for block in blocks(client, info, field, condition, report=report):
        size += block.vectors.nbytes
        if gathered is not None:
            gathered.append(block)
            if size > KEPT_BYTES:
                gathered = None
        yield block
    if gathered is not None:
        _keep(name, tuple(gathered))


def forget() -> None:
    """Free all that is kept."""
    with _lock:
        _kept.clear()


def _known(name: State, info: IndexInfo) -> tuple[Block, ...] | None:
    with _lock:
        if name not in _kept:
            return None
        at, found = _kept[name]
        if info.revision is None and time.monotonic() - at > KEPT_S:
            del _kept[name]
            return None
        _kept.move_to_end(name)
        return found


def _keep(name: State, found: tuple[Block, ...]) -> None:
    with _lock:
        _kept[name] = (time.monotonic(), found)
        _kept.move_to_end(name)
        while sum(b.vectors.nbytes for _, kept in _kept.values() for b in kept) > KEPT_BYTES:
            _kept.popitem(last=False)
