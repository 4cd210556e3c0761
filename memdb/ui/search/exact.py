"""Search, against the exact answer: which true neighbours the index found, and which it missed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from memdb.display import bytes_text, code, line, markdown
from memdb.jobs import Job
from memdb.tuning import queries, truth
from memdb.tuning.run import Queries, Truth
from memdb.ui.kit import cached, charts, parts, safety, state
from memdb.ui.kit.job import JobSlot
from memdb.ui.search.shown import SearchView, export
from memdb.vectors import recall
from memdb.vectors.distance import Vectors
from memdb.vectors.index import index_info
from memdb.vectors.membership import Membership
from memdb.vectors.query import received
from memdb.vectors.titles import titles_of

COMPUTING = JobSlot[Truth]("search.exact_job", every="0.5s")


def against_exact(view: SearchView) -> None:
    """Recall of this query, its exact neighbours as a chart and a table."""
    nearest = _truth(view)
    if nearest is None:
        return
    keys = nearest.keys[0]
    true_distances = nearest.distances[0, : len(keys)]
    request = view.choice.request
    verdict = recall.judge(
        cached.client(view.target),
        view.info,
        request.field,
        _sent(view),
        [view.result.keys],
        nearest.keys,
        list(nearest.distances),
        Membership(cached.client(view.target), view.info, request.filter),
    )[0]
    missed = len(verdict.retrieved) - sum(verdict.retrieved)
    with st.container(horizontal=True):
        st.metric(
            f"recall@{request.k}",
            f"{verdict.recall:.2f}" if keys else "–",
            help="Share of the exact neighbours that the index returned, or another as near in their place.",
        )
        st.metric("missed", missed)
        st.metric("documents compared", f"{nearest.looked_at:,}")
    for note in nearest.notes:
        st.caption(f":material/info: {markdown(note)}")
    titles = _titles(view, keys)
    st.plotly_chart(
        charts.truth_ranks(
            [titles[key] for key in keys], keys, true_distances, verdict.retrieved, dark=state.dark()
        ),
        key="search.truth",
        config=charts.PLAIN,
        alt="Exact neighbours, found and missed",
    )
    frame = pd.DataFrame(
        {
            "true rank": np.arange(1, len(keys) + 1),
            "by the index": ["found" if ok else "missed" for ok in verdict.retrieved],
            "index rank": pd.array(
                [place + 1 if place != recall.MISSED else None for place in verdict.places],
                dtype="Int64",
            ),
            "exact distance": true_distances,
            "title": [titles[key] for key in keys],
            "key": [line(key, 300) for key in keys],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "by the index": st.column_config.TextColumn(width=90),
            "exact distance": st.column_config.NumberColumn(format="%.4f"),
        },
        placeholder="–",
    )
    if verdict.outside:
        names = ", ".join(code(view.result.keys[place]) for place in verdict.outside[:5])
        st.caption(
            f":material/filter_alt_off: Returned although the filter does not let them through: {names}"
        )
    if verdict.extra:
        names = ", ".join(code(view.result.keys[place]) for place in verdict.extra[:5])
        count = len(verdict.extra)
        are = "document is" if count == 1 else "documents are"
        st.caption(f"{count} returned {are} not among the true nearest neighbours: {names}")
    export(view, frame)


def _sent(view: SearchView) -> Vectors:
    """(1, dim): the query as the index receives it."""
    request = view.choice.request
    _, params = view.info.vector_field(request.field)
    return received(request, params)


def _queries(view: SearchView) -> Queries:
    return queries.made(_sent(view), ("",))


def _truth(view: SearchView) -> Truth | None:
    """The exact answer, if it is at hand and holds; None while a job is on offer or runs."""
    request, client = view.choice.request, cached.client(view.target)
    _, params = view.info.vector_field(request.field)
    stored = truth.at_hand(client, view.info, request.field, _queries(view), request.k, request.filter)
    if stored is not None:
        return stored
    if COMPUTING.current(request) is not None:
        COMPUTING.watch()
        return None
    job = COMPUTING.outcome(about=request)
    if job is not None and job.result is not None:
        note = "The documents changed since this was computed. Search again for what is stored now."
        return replace(job.result, notes=(*job.result.notes, note))
    matching = view.info.documents if view.choice.matching is None else view.choice.matching
    size = matching * params.bytes
    parts.empty(
        "Exact neighbours",
        f"Reads the {matching:,} vectors under the filter ({bytes_text(size)}) in blocks and "
        "compares all of them with the query.",
        ":material/target:",
        parts.Act("Compute exact neighbours", _start_exact, (view,)),
    )
    return None


def _start_exact(view: SearchView) -> None:
    request, opened = view.choice.request, cached.client(view.target)
    budget, queries = safety.budget(view.target), _queries(view)

    def work(job: Job[Truth]) -> Truth:
        client = opened.budgeted(budget)
        info = index_info(client, view.info.name)
        return truth.truth(client, info, request.field, queries, request.k, request.filter, report=job.report)

    COMPUTING.start("Exact neighbours", work, about=request)


def _titles(view: SearchView, keys: tuple[str, ...]) -> dict[str, str]:
    """Names also of documents that the index did not return."""
    missing = [key for key in keys if key not in view.titles]
    return {**view.titles, **titles_of(cached.client(view.target), view.info, missing)}
