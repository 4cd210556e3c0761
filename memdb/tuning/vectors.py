"""The vectors of an index, kept in memory between two sweeps, so that the second starts at once."""

from __future__ import annotations

from collections.abc import Iterator

from memdb.cluster.client import Client
from memdb.errors import MemDBError
from memdb.jobs import Report, silent
from memdb.vectors.evidence import Drawing, Evidence, KeptAnswers
from memdb.vectors.filters import EVERYTHING, Condition, render
from memdb.vectors.index import IndexInfo
from memdb.vectors.read import Block, blocks

KEPT_BYTES = 512 * 2**20

State = tuple[object, ...]
Blocks = tuple[Block, ...]


def _bytes(held_blocks: Blocks) -> int:
    return sum(block.vectors.nbytes for block in held_blocks)


_kept: KeptAnswers[Blocks] = KeptAnswers(32, KEPT_BYTES, _bytes)


def state(client: Client, info: IndexInfo, field: str, condition: Condition | str) -> State:
    """What an engine tells of the vectors under a filter: server, index, its revision.

    It may repeat for other data, so it names what is kept and does not vouch for it.
    """
    rendered = render(condition, client.server.dialect, info)
    name = info.vector_field(field)[0].name
    server = (client.target.address, client.server.run_id)
    return (*server, info.fingerprint, name, rendered.query, rendered.params)


def at_hand(
    client: Client, info: IndexInfo, field: str = "", condition: Condition | str = EVERYTHING
) -> Blocks | None:
    """The vectors under a filter, if they are kept and a check of the data says that they hold.

    Raises:
        MemDBError: the server does not answer.
    """
    return _kept.get(state(client, info, field, condition), client, info, field, condition)


def documents(
    client: Client,
    info: IndexInfo,
    field: str = "",
    condition: Condition | str = EVERYTHING,
    *,
    report: Report = silent,
) -> Iterator[Block]:
    """As `read.blocks`, without reading again what is kept and still holds (`memdb.vectors.evidence`).

    At most KEPT_BYTES are kept over all indexes; an index that is larger is read each time.
    """
    stored = at_hand(client, info, field, condition)
    if stored is not None:
        yield from stored
        return
    gathered: list[Block] | None = []
    size = 0
    drawing = Drawing()
    for block in drawing.watch(blocks(client, info, field, condition, report=report)):
        size += block.vectors.nbytes
        if gathered is not None:
            gathered.append(block)
            if size > KEPT_BYTES:
                gathered = None
        yield block
    if gathered is not None and (evidence := vouched(drawing, client, info, condition)) is not None:
        _kept.put(state(client, info, field, condition), tuple(gathered), evidence)


def vouched(drawing: Drawing, client: Client, info: IndexInfo, condition: Condition | str) -> Evidence | None:
    """The evidence of what was drawn; None where it cannot be had, and nothing is kept then."""
    try:
        return drawing.evidence(client, info, condition)
    except MemDBError:  # the answer itself is there; it is only computed again next time
        return None


def forget() -> None:
    """Free all that is kept."""
    _kept.clear()
