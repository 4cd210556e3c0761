"""How far one node has built an index, whatever dialect tells it.

MemoryDB spreads it over FT.INFO (status and degradation) and INFO SEARCH (the percentage, of the build that
runs now); each node tells only its own. CloudWatch has no such series: there is no `VectorIndexBuiltPercent`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from memdb.cluster import replies
from memdb.cluster.replies import Reply
from memdb.vectors.index import BuildState, read_info

PERCENT = "search_current_backfill_progress_percentage"


@dataclass(frozen=True, slots=True)
class IndexReading:
    """One index on one node."""

    name: str
    build: BuildState
    documents: int
    failures: int | None
    last_error: str = ""
    last_error_key: str = ""
    vector_bytes: float | None = None
    total_bytes: float | None = None


def reading(name: str, reply: Reply, search: Mapping[str, str]) -> IndexReading:
    """Read FT.INFO's reply together with the node's search figures.

    Args:
        name: the index asked for.
        reply: FT.INFO, of any dialect. An empty one is a replica that has not got the index yet.
        search: INFO's search figures, name to value.
    """
    facts = replies.pairs(reply)
    if not facts:
        return IndexReading(name, BuildState("queued", 0.0, "empty FT.INFO: the replica lags"), 0, None)
    info = read_info(name, facts)
    build = info.build
    if build.state == "building" and build.source.startswith("index_status") and PERCENT in search:
        done = replies.number(search[PERCENT], 0.0) / 100
        build = BuildState("building", min(1.0, max(0.0, done)), PERCENT)
    return IndexReading(
        name,
        build,
        info.documents,
        info.failures,
        info.last_error,
        info.last_error_key,
        info.vector_bytes,
        info.total_bytes,
    )
