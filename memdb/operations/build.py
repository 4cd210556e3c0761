"""How far one node has built an index, whatever dialect tells it.

MemoryDB spreads it over FT.INFO (status and degradation) and INFO SEARCH (the percentage, of the build that
runs now); each node tells only its own. CloudWatch has no such series: there is no `VectorIndexBuiltPercent`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from memdb.cluster import possible, replies
from memdb.cluster.replies import Reply
from memdb.vectors.index import BuildState, IndexInfo, read_info

PERCENT = "search_current_backfill_progress_percentage"
LAGS = "empty FT.INFO: the replica lags"


def reading(name: str, reply: Reply, search: Mapping[str, str]) -> IndexInfo:
    """Read FT.INFO's reply together with the node's search figures.

    Args:
        name: the index asked for.
        reply: FT.INFO, of any dialect. An empty one is a replica that has not got the index yet.
        search: INFO's search figures, name to value.
    """
    facts = replies.pairs(reply)
    if not facts:
        return IndexInfo(name, "", (), (), 0, None, BuildState("queued", 0.0, LAGS), None, None, None)
    info = read_info(name, facts)
    if info.build.state == "building" and info.build.source.startswith("index_status") and PERCENT in search:
        built = possible.number(search[PERCENT], possible.PERCENT)
        if built is None:
            why = possible.refusal(search[PERCENT], possible.PERCENT, f"INFO {PERCENT}")
            absent = {**info.absent, "built": why or f"INFO {PERCENT} is no number"}
            return replace(info, build=replace(info.build, source=absent["built"]), absent=absent)
        return replace(info, build=BuildState("building", built / 100, PERCENT))
    return info
