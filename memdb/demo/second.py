"""The demo's second index: the same documents with few links, whose recall visibly rises with EF_RUNTIME."""

from __future__ import annotations

from pathlib import Path

from memdb.cluster.client import Client
from memdb.demo import loader
from memdb.display import duration
from memdb.jobs import Report, silent
from memdb.tuning import candidates, shadow
from memdb.tuning.shadow import Variant
from memdb.vectors.index import index_info

# Of the demo's 22,540 documents it finds 70 % of the 10 nearest at EF_RUNTIME 11 and 95 % at 120: below its
# range a sweep would end at the left edge, with M 4 it would not reach 0.95 at all.
VARIANT = Variant("HNSW", m=5, ef_construction=64)


def build(client: Client, *, home: Path, report: Report = silent) -> str:
    """Build it as a shadow index, once the documents are there; what happened, as a sentence.

    Where there is no room for it, nothing is built, and the sentence says why.

    Args:
        client: of a writable target that holds the demo.
        home: MEMDB_HOME; how long it took is kept there, for the Indexes page.
        report: told how far the build is; may raise Cancelled, the index is then dropped again.

    Raises:
        ReadOnlyTarget: the target is read-only.
        UnknownIndex: the demo is not there.
        EngineError: the build fails.
    """
    base = index_info(client, loader.DOCUMENTS.name)
    if not base.documents:
        return ""
    field = base.vector_field("embedding")[0].name
    checked = shadow.check(client, base, field, (VARIANT,))
    if not checked.new:
        return ""
    if checked.refusals:
        return f"The second index, with {VARIANT.words}, is not built: {' '.join(checked.refusals)}"
    (built,) = candidates.build_all(client, base, field, (VARIANT,), home, report=report)
    return f"A second index of the documents, with {VARIANT.words}, was built in {duration(built.build_s)}."
