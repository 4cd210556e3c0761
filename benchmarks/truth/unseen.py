"""Recall by made queries, the default of a sweep, against documents that the index was built without."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from benchmarks.truth.recall import asked_by_hand
from benchmarks.truth.row import Row
from benchmarks.truth.stored import Rows, build, clustered, engine, exact
from memdb.demo import corpus
from memdb.embedding.local import embed
from memdb.tuning import ask
from memdb.tuning.run import Goal, SweepRequest
from memdb.tuning.source import Documents, Unseen

K = 10
OUTSIDE = 2_000
KINDS = (("COSINE", 8), ("L2", 6), ("IP", 12))


def rows() -> Iterable[Row]:
    """How far made queries, and documents, lie from unseen ones where these get 0.9 or more."""
    cases = [
        (f"u{place}", clustered(5_000 + OUTSIDE, 48, 20 + place), metric, m)
        for place, (metric, m) in enumerate(KINDS)
    ]
    cases.append(("texts", _texts(6_000 + OUTSIDE), "COSINE", 8))
    made: list[float] = []
    flattered: list[float] = []
    with engine() as client:
        for name, vectors, metric, m in cases:
            outside, documents = vectors[:OUTSIDE], vectors[OUTSIDE:]
            info = build(client, name, documents, metric, m=m)
            nearest = np.argsort(exact(documents, outside, metric), axis=1, kind="stable")[:, :K]
            request = SweepRequest(name, k=K, ef_max=320, goal=Goal("recall", 0.95), concurrency=())
            by_made, by_documents = (
                ask.recall(client, info, replace(request, source=source))
                for source in (Unseen(2_000), Documents(2_000))
            )
            true = {
                point.ef_runtime: asked_by_hand(client, name, outside, nearest, point.ef_runtime)
                for point in by_made.points
            }
            for run, errors in ((by_made, made), (by_documents, flattered)):
                errors += [
                    p.recall - true[p.ef_runtime] for p in run.points if true.get(p.ef_runtime, 0) >= 0.9
                ]
            client.execute("FT.DROPINDEX", name, "DD")
    yield Row(
        "recall@10 by made queries, at 0.9 or more",
        "documents left out of the index, asked for one by one; neighbours by NumPy in float64",
        f"{len(made)} EF values on {len(cases)} indexes of 5,000 and 6,000 documents: "
        "clusters by COSINE, L2 and IP, texts; M 6 to 12",
        f"{min(made):+.4f} to {max(made):+.4f} (documents as queries: up to {max(flattered):+.4f})",
    )


def _texts(count: int) -> Rows:
    documents = corpus.documents(count=corpus.MAIN_AT_LEAST)
    chosen = np.random.default_rng(3).permutation(len(documents))[:count]
    return np.concatenate(
        [embed([documents[i].text for i in chosen[s : s + 512]]) for s in range(0, count, 512)]
    )
