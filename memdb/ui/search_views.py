"""The Search page's right side: what came back, in several views."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st

from memdb.cluster import replies
from memdb.cluster.target import Target
from memdb.display import bytes_text, code, duration, line, markdown, plain
from memdb.errors import BadVector
from memdb.jobs import Job
from memdb.ui import cached, figures, parts, state
from memdb.ui.search_form import EF_STEPS, LINKED, WHOLE_RANGES, Asked, filter_key, more_like
from memdb.vectors import distance, exact, read, search
from memdb.vectors.exact import Neighbours
from memdb.vectors.filters import render
from memdb.vectors.index import IndexInfo
from memdb.vectors.query import numbers
from memdb.vectors.search import KnnResult

VIEWS = ("Table", "Cards", "Against exact", "Two EF settings", "Code and link")
CARDS = 24
TITLES = ("title", "name", "subject", "heading")
CONTENTS = ("content", "text", "body", "description", "summary", "preference")
JOB = "search.exact_job"


@dataclass(frozen=True, slots=True)
class Shown:
    """A result with what all views need beside it."""

    target: Target
    info: IndexInfo
    asked: Asked
    result: KnnResult
    titles: dict[str, str]


def results(target: Target, info: IndexInfo, asked: Asked) -> None:
    """Run the search and draw it in the chosen view."""
    run = state.keep("search.run", 0)
    result = cached.knn(target, info, asked.request, run)
    shown = Shown(target, info, asked, result, title_of(info, result))
    _remember(shown)
    _headline(shown)
    view = st.segmented_control(
        "View", list(VIEWS), default="Table", required=True, key="search.view", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    with parts.errors_shown(target):
        if not result.keys and view not in {"Code and link"}:
            _nothing(shown)
        elif view == "Cards":
            _cards(shown)
        elif view == "Against exact":
            _against_exact(shown)
        elif view == "Two EF settings":
            _two_settings(shown)
        elif view == "Code and link":
            _code_and_link(shown)
        else:
            _table(shown)


def title_of(info: IndexInfo, result: KnnResult) -> dict[str, str]:
    """A short name for each document found: a field that is called like a title, else its key."""
    names = [f.name for f in info.fields if f.name.lower() in TITLES]
    found = {}
    for key, fields in zip(result.keys, result.fields, strict=True):
        title = next((fields[name] for name in names if fields.get(name)), "")
        found[key] = line(title or key, 120)
    return found


def table_of(info: IndexInfo, result: KnnResult) -> pd.DataFrame:
    """A result as rows: rank, distance, similarity, key, then the fields that fit a cell."""
    columns: dict[str, object] = {
        "rank": np.arange(1, len(result.keys) + 1),
        "distance": result.distances,
        "similarity": result.similarities,
        "key": [line(key, 300) for key in result.keys],
    }
    for field in info.fields:
        if field.kind == "VECTOR":
            continue
        values = [fields.get(field.name, "") for fields in result.fields]
        if field.kind == "NUMERIC":
            columns[field.name] = pd.array([replies.number(v) for v in values], dtype="Float64")
        else:
            columns[field.name] = [line(v, 300) for v in values]
    return pd.DataFrame(columns)


def _headline(shown: Shown) -> None:
    result, request = shown.result, shown.asked.request
    ef = "" if request.ef_runtime is None else f" · EF {request.ef_runtime}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{len(result.keys):,}** of K {request.k:,}{ef} · **{result.took_ms:.1f} ms**",
            help="Time around the command, measured at this app: network and engine together.",
        )
        st.space("stretch")
        st.button("Again", icon=":material/refresh:", on_click=_again, help="Ask the server once more.")
        with st.popover("History", icon=":material/history:"):
            _history()
    if not shown.info.build.ready:
        parts.build_badge(shown.info.build)
        st.caption("The index is still being built: documents may be missing from the answer.")
    if len(result.keys) < min(request.k, shown.asked.matching):
        st.warning(
            f"{len(result.keys):,} came back although {shown.asked.matching:,} documents match. "
            "A higher EF\\_RUNTIME may find more.",
            icon=":material/warning:",
        )


def _nothing(shown: Shown) -> None:
    parts.empty(
        "Nothing matches",
        "No document passes the filter. Remove a condition, or widen a range."
        if shown.asked.matching == 0
        else "The index returned no hit. Ask again with a higher EF_RUNTIME.",
        ":material/filter_alt_off:",
    )


def _table(shown: Shown) -> None:
    result, info = shown.result, shown.info
    frame = table_of(info, result)
    long = [f.name for f in info.fields if f.name.lower() in CONTENTS]
    order = [c for c in frame.columns if c not in long and c not in {"key"}]
    digest = f"{shown.asked.request.__hash__():x}.{st.session_state['search.run']}"
    event = st.dataframe(
        frame,
        hide_index=True,
        column_order=[*order[:3], *[c for c in order[3:] if c.lower() in TITLES],
                      *[c for c in order[3:] if c.lower() not in TITLES], "key", *long],
        column_config=_columns(result.metric, frame),
        on_select="rerun",
        selection_mode="single-row",
        key=f"search.table.{digest}",
        height=min(420, 38 + 35 * len(frame)),
    )  # fmt: skip
    st.plotly_chart(
        figures.distance_profile(
            result.keys,
            [shown.titles[key] for key in result.keys],
            result.distances,
            distance.MEANING[result.metric][0],
            dark=state.dark(),
        ),
        key="search.profile",
        config={"displayModeBar": False},
        alt="Distance by rank",
    )
    _export(shown, frame)
    rows = event.get("selection", {}).get("rows", [])
    if rows and rows[0] < len(result.keys):
        document_panel(shown, result.keys[rows[0]])
    else:
        st.caption("Choose a row to see the whole document.")


def _columns(metric: str, frame: pd.DataFrame) -> dict[str, Any]:
    low = min(0.0, float(frame["similarity"].min())) if len(frame) else 0.0
    high = max(1.0, float(frame["similarity"].max())) if len(frame) else 1.0
    return {
        "rank": st.column_config.NumberColumn("#", width=40),
        "distance": st.column_config.NumberColumn(format="%.4f", help=distance.MEANING[metric][0], width=80),
        "similarity": st.column_config.ProgressColumn(
            format="%.3f", min_value=low, max_value=high, help=distance.MEANING[metric][1], width=110
        ),
        **{
            c: st.column_config.NumberColumn(format="%g")
            for c in frame.columns
            if pd.api.types.is_float_dtype(frame[c]) and c not in {"distance", "similarity"}
        },
    }


def _export(shown: Shown, frame: pd.DataFrame) -> None:
    request = shown.asked.request
    about = {
        "target": shown.target.address,
        "index": request.index,
        "field": request.field,
        "by": shown.asked.by,
        "query": shown.asked.text,
        "k": request.k,
        "ef_runtime": request.ef_runtime,
        "filter": render(request.filter, cached.server(shown.target).dialect, shown.info).query,
        "took_ms": shown.result.took_ms,
    }
    parts.export(frame, "search", about, key="search.export")


def document_panel(shown: Shown, key: str) -> None:
    """One document, whole: fields as text, its vector, size and time to live."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"#### {markdown(shown.titles.get(key, key), 160)}")
            st.space("stretch")
            st.button(
                "More like this", icon=":material/hub:", on_click=more_like, args=(key,), key="search.more"
            )
        client = cached.client(shown.target)
        fields = search.document(client, key)
        facts = search.facts(client, key)
        st.caption(
            f"{code(key)} · {bytes_text(facts.size_bytes)} in memory · "
            + ("no TTL" if facts.ttl_s is None else f"expires in {duration(facts.ttl_s)}")
        )
        vectors = {f.identifier: f for f in shown.info.of_kind("VECTOR")}
        short: dict[str, str] = {}
        long: dict[str, str] = {}
        for name, value in fields.items():
            if name not in vectors:
                text = plain(replies.text(value), 20_000)
                (long if len(text) > 80 else short)[name] = text
        st.dataframe(
            pd.DataFrame({"field": [line(n) for n in short], "value": [line(v) for v in short.values()]}),
            hide_index=True,
            key="search.fields",
        )
        for name, text in long.items():
            st.caption(markdown(name))
            with st.container(height=220 if len(text) > 1_200 else "content", border=True):
                st.text(text)
        for name, field in vectors.items():
            _vector_preview(shown, key, name, field.name, fields.get(name))


def _vector_preview(shown: Shown, key: str, identifier: str, name: str, value: object) -> None:
    field, params = shown.info.vector_field(name)
    try:
        vector = search.decoded(value, field, params, key)
    except BadVector as exc:
        parts.show_error(exc)
        return
    st.caption(
        f"{markdown(identifier)}: {params.dim:,} × {params.type}, length {float(np.linalg.norm(vector)):.3f}"
    )
    st.line_chart(pd.DataFrame({"value": vector}), height=110)


def _cards(shown: Shown) -> None:
    contents = [f.name for f in shown.info.fields if f.name.lower() in CONTENTS]
    tags = [f.name for f in shown.info.of_kind("TAG")]
    for rank, hit in enumerate(shown.result.hits[:CARDS], 1):
        similar = float(shown.result.similarities[rank - 1])
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{rank}. {markdown(shown.titles[hit.key], 160)}**")
                st.space("stretch")
                st.button(
                    "More like this", icon=":material/hub:", on_click=more_like, args=(hit.key,),
                    key=f"search.card.{rank}", type="tertiary",
                )  # fmt: skip
            facts = [f"distance {hit.distance:.4f}", f"similarity {similar:.3f}"]
            facts += [f"{markdown(n)}: {markdown(hit.fields[n], 60)}" for n in tags if hit.fields.get(n)]
            st.caption(" · ".join(facts))
            for name in contents:
                if hit.fields.get(name):
                    st.text(plain(hit.fields[name], 420))
    if len(shown.result.keys) > CARDS:
        st.caption(f"The first {CARDS} of {len(shown.result.keys):,}; the table shows all.")


# ---- against the exact answer ----------------------------------------------------------------------------


def _against_exact(shown: Shown) -> None:
    truth = _truth(shown)
    if truth is None:
        return
    keys, true_distances = truth.keys[0], truth.distances[0]
    found = exact.compare(shown.result.keys, shown.result.distances, keys, true_distances)
    missed = len(found.found) - sum(found.found)
    with st.container(horizontal=True):
        st.metric(
            f"recall@{shown.asked.request.k}",
            f"{found.recall:.2f}",
            help="Share of the exact neighbours that the index returned; one as near as the last counts.",
        )
        st.metric("missed", missed)
        st.metric("documents compared", f"{truth.looked_at:,}")
    titles = _titles(shown, keys)
    st.plotly_chart(
        figures.truth_ranks(
            [titles[key] for key in keys], keys, true_distances, found.found, dark=state.dark()
        ),
        key="search.truth",
        config={"displayModeBar": False},
        alt="Exact neighbours, found and missed",
    )
    frame = pd.DataFrame(
        {
            "true rank": np.arange(1, len(keys) + 1),
            "": ["found" if ok else "missed" for ok in found.found],
            "index rank": pd.array(
                [shown.result.keys.index(key) + 1 if key in shown.result.keys else None for key in keys],
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
            "": st.column_config.TextColumn("", width=70),
            "exact distance": st.column_config.NumberColumn(format="%.4f"),
        },
        placeholder="–",
    )
    if found.extra:
        names = ", ".join(code(key) for key in found.extra[:5])
        st.caption(f"Returned by the index although {len(found.extra)} nearer ones exist: {names}")
    _export(shown, frame)


def _truth(shown: Shown) -> Neighbours | None:
    """The exact answer, from kept vectors, from an ended job, or None while a job is on offer or runs."""
    request = shown.asked.request
    _, params = shown.info.vector_field(request.field)
    rendered = render(request.filter, cached.server(shown.target).dialect, shown.info)
    kept = cached.kept_vectors(
        shown.target, shown.info.fingerprint, request.field, f"{rendered.query}{rendered.params}"
    )
    query = np.array([numbers(request.vector)], dtype=np.float32)
    if kept.blocks is not None:
        return exact.nearest(kept.blocks, query, request.k, params.metric)
    job = cached.jobs().get(st.session_state.get(JOB, {}).get("id", ""))
    mine = st.session_state.get(JOB, {}).get("request") == hash(request)
    if job is not None and mine:
        ended = job.state.status != "running"
        if ended and isinstance(job.result, Neighbours):
            return job.result
        if not ended:
            _watch(job)
            return None
        if job.error is not None:
            parts.show_error(job.error)
    size = shown.asked.matching * params.bytes
    parts.empty(
        "Exact neighbours",
        f"Reads the {shown.asked.matching:,} vectors under the filter ({bytes_text(size)}) in blocks and "
        "compares all of them with the query.",
        ":material/target:",
    )
    st.button(
        "Compute exact neighbours", type="primary", icon=":material/play_arrow:",
        on_click=_start_exact, args=(shown, kept, size),
    )  # fmt: skip
    return None


def _start_exact(shown: Shown, kept: cached.KeptVectors, size: int) -> None:
    request, client = shown.asked.request, cached.client(shown.target)
    _, params = shown.info.vector_field(request.field)
    query = np.array([numbers(request.vector)], dtype=np.float32)

    def work(job: Job[Neighbours]) -> Neighbours:
        found = read.blocks(client, shown.info, request.field, request.filter, report=job.report)
        if size > cached.KEPT_VECTORS_BYTES:
            return exact.nearest(found, query, request.k, params.metric)
        kept.blocks = tuple(found)
        return exact.nearest(kept.blocks, query, request.k, params.metric)

    job = cached.jobs().start("Exact neighbours", work)
    st.session_state[JOB] = {"id": job.id, "request": hash(request)}


@st.fragment(run_every="0.5s")
def _watch(job: Job[object]) -> None:
    if job.state.status == "running":
        parts.job_panel(job)
    else:
        st.rerun()


def _titles(shown: Shown, keys: tuple[str, ...]) -> dict[str, str]:
    """Names also of documents that the index did not return."""
    name = next((f.identifier for f in shown.info.fields if f.name.lower() in TITLES), None)
    missing = [key for key in keys if key not in shown.titles]
    found = dict(shown.titles)
    values: list[object] = [None] * len(missing)
    if name is not None and shown.info.on == "HASH":
        values = cached.client(shown.target).pipeline([("HGET", key, name) for key in missing])
    for key, value in zip(missing, values, strict=True):
        found[key] = line(replies.text(value) or key, 120)
    return found


# ---- two settings side by side ---------------------------------------------------------------------------


def _two_settings(shown: Shown) -> None:
    request = shown.asked.request
    if request.ef_runtime is None:
        parts.empty(
            "Nothing to compare",
            "A FLAT index looks at every vector: there is no EF_RUNTIME.",
            ":material/tune:",
        )
        return
    limits = cached.server(shown.target).dialect.limits
    steps = [ef for ef in EF_STEPS if ef <= limits.ef_runtime]
    other = st.select_slider(
        "The other EF_RUNTIME", steps, value=10, key="search.ef2", bind="query-params",
        help=f"Beside EF_RUNTIME {request.ef_runtime} of the form.",
    )  # fmt: skip
    changed = replace(request, ef_runtime=int(other))
    second = cached.knn(shown.target, shown.info, changed, state.keep("search.run", 0))
    names = (f"EF {other}", f"EF {request.ef_runtime}")
    titles = {**title_of(shown.info, second), **shown.titles}
    found = figures.moves(second.keys, shown.result.keys, titles)
    common = len(set(second.keys) & set(shown.result.keys))
    with st.container(horizontal=True):
        st.metric("in both", f"{common} of {len(shown.result.keys)}")
        st.metric(names[0], f"{second.took_ms:.1f} ms")
        st.metric(names[1], f"{shown.result.took_ms:.1f} ms")
    st.plotly_chart(
        figures.rank_moves(found, names, dark=state.dark()),
        key="search.moves",
        config={"displayModeBar": False},
        alt="Rank of each document under the two settings",
    )
    st.caption(
        "One call each: times of single calls vary. Lines that slope changed their rank; diamonds stand for "
        "documents that only one setting found."
    )
    frame = pd.DataFrame(
        {
            names[0]: pd.array([m.before for m in found], dtype="Int64"),
            names[1]: pd.array([m.after for m in found], dtype="Int64"),
            "title": [m.title for m in found],
            "key": [line(m.key, 300) for m in found],
        }
    )
    st.dataframe(frame, hide_index=True, placeholder="–")
    _export(shown, frame)


# ---- code, link, history ---------------------------------------------------------------------------------


def _code_and_link(shown: Shown) -> None:
    st.markdown("##### The command")
    parts.copy_as_code(shown.result.command, shown.target, library_code(shown), key="search.code")
    st.markdown("##### Link to this view")
    if shown.asked.by == "Vector":
        st.caption("A pasted or uploaded vector does not fit a link: the link opens the rest of this view.")
    address = (st.context.url or "").split("?")[0]
    st.code(f"{address}?{link(shown.info)}", language=None, wrap_lines=True)
    st.caption("It names the index and the widgets, never the server, a user or a password.")


def link(info: IndexInfo) -> str:
    """The query part of a link that opens this view: index and widgets, never host, user or password."""
    values: dict[str, object] = {state.INDEX: info.name}
    filters = [filter_key(f) for f in info.fields] + [f"search.not.{f.name}" for f in info.of_kind("TAG")]
    whole = st.session_state.get(WHOLE_RANGES, {})
    for name in (*LINKED, *filters):
        value = st.session_state.get(name)
        if name in whole and tuple(value or ()) == tuple(whole[name]):
            continue  # a range that leaves nothing out is no filter, also when the data grows
        if isinstance(value, bool):
            value = str(value).lower() if value else None
        if value not in (None, "", []):
            values[name] = value
    return urlencode(values, doseq=True)


def library_code(shown: Shown) -> str:
    """The same search with this library, ready to run."""
    request = shown.asked.request
    rendered = render(request.filter, cached.server(shown.target).dialect, shown.info)
    vector = {
        "Text": f"embed([{shown.asked.text!r}])[0]",
        "Document": f"document_vector(client, info, {request.field!r}, {shown.asked.text!r})",
        "Vector": 'np.fromfile("vector.bin", dtype="<f4")',
    }[shown.asked.by]
    imports = {
        "Text": "from memdb.embed import embed",
        "Document": "from memdb.vectors.search import document_vector",
        "Vector": "import numpy as np",
    }[shown.asked.by]
    user = "" if not shown.target.username else "  # user and password: MEMDB_URL, MEMDB_PASSWORD"
    return f"""import os

{imports}
from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.vectors.index import index_info
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.search import knn

target = Target.parse({shown.target.address!r}, password=os.environ.get("MEMDB_PASSWORD", "")){user}
with connect(target) as client:
    info = index_info(client, {request.index!r})
    vector = {vector}
    result = knn(client, KnnRequest(
        index={request.index!r},
        field={request.field!r},
        vector=vector_param(vector),
        k={request.k},
        ef_runtime={request.ef_runtime},
        filter={rendered.query!r},
        return_fields={request.return_fields!r},
    ), info)
for hit in result.hits:
    print(f"{{hit.distance:.4f}}  {{hit.key}}")
"""


def _again() -> None:
    st.session_state["search.run"] = state.keep("search.run", 0) + 1


def _remember(shown: Shown) -> None:
    """Keep this run among the last 50, once; the entry holds what its link needs."""
    kept: list[dict[str, object]] = state.keep(state.HISTORY, [])
    if shown.asked.by == "Vector":
        return
    where = {name: st.session_state.get(name) for name in LINKED if name != "search.view"}
    where |= {
        name: st.session_state[name]
        for field in shown.info.fields
        for name in (filter_key(field), f"search.not.{field.name}")
        if name in st.session_state
    }
    entry = {
        "state": {state.INDEX: shown.info.name, **where},
        "query": line(shown.asked.text, 80),
        "k": shown.asked.request.k,
        "ef": shown.asked.request.ef_runtime,
        "matching": shown.asked.matching,
        "ms": round(shown.result.took_ms, 2),
        "nearest": shown.titles.get(shown.result.keys[0], "") if shown.result.keys else "",
        "run": state.keep("search.run", 0),
    }
    same = [e for e in kept if (e["state"], e["run"]) == (entry["state"], entry["run"])]
    if not same:
        st.session_state[state.HISTORY] = [entry, *kept][: state.HISTORY_LENGTH]


def _history() -> None:
    kept: list[dict[str, object]] = state.keep(state.HISTORY, [])
    if not kept:
        st.caption("Nothing asked yet.")
        return
    frame = pd.DataFrame(kept)[["query", "k", "ef", "matching", "ms", "nearest"]]
    event = st.dataframe(
        frame, hide_index=True, on_select="rerun", selection_mode="single-row", width=720,
        key=f"search.history.{len(kept)}.{kept[0]['run']}",
    )  # fmt: skip
    rows = event.get("selection", {}).get("rows", [])
    if rows and rows[0] < len(kept):
        st.button("Ask this again", icon=":material/replay:", on_click=_recall, args=(kept[rows[0]],))
    else:
        st.caption(f"The last {state.HISTORY_LENGTH} of this browser tab. Choose one to ask it again.")


def _recall(entry: dict[str, object]) -> None:
    remembered = entry["state"]
    if isinstance(remembered, dict):
        for name in [n for n in st.session_state if str(n).startswith(("search.f.", "search.not."))]:
            del st.session_state[name]
        for name, value in remembered.items():
            if value is not None:
                st.session_state[name] = value
