"""Search, to take along: the command, code, a link to the view, and the history of this browser tab."""

from __future__ import annotations

from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from memdb.asking.side import WAYS
from memdb.cluster.target import Target
from memdb.display import line
from memdb.ui.kit import cached, parts, state
from memdb.ui.kit.model import key_of
from memdb.ui.search.form import LINKED, SIDE_MODEL, WHOLE_RANGES, SearchChoice, filter_key
from memdb.ui.search.shown import SearchView
from memdb.vectors.filters import render
from memdb.vectors.index import IndexInfo


def code_and_link(view: SearchView) -> None:
    """The exact command, as shell and Python, and the link."""
    st.markdown("##### The command")
    parts.copy_as_code(view.result.command, view.target, library_code(view), key="search.code")
    st.markdown("##### Link to this view")
    if view.choice.by == "Vector":
        st.caption("A pasted or uploaded vector does not fit a link: the link opens the rest of this view.")
    address = (st.context.url or "").split("?")[0]
    parts.code_block(f"{address}?{link(view.info)}")
    st.caption("It names the index and the widgets, never the server, a user or a password.")


def link(info: IndexInfo) -> str:
    """The query part of a link that opens this view: index and widgets, never host, user or password."""
    values: dict[str, object] = {state.INDEX: state.index_in_link(info.name)}
    filters = [filter_key(f) for f in info.fields] + [f"search.not.{f.name}" for f in info.of_kind("TAG")]
    whole = st.session_state.get(WHOLE_RANGES, {})
    models = [key_of(info, f.name) for f in info.of_kind("VECTOR")]
    models += [name for name in map(str, st.session_state) if name.startswith(SIDE_MODEL)]
    for name in (*LINKED, *models, *filters):
        value = st.session_state.get(name)
        if name in whole and tuple(value or ()) == tuple(whole[name]):
            continue  # a range that leaves nothing out is no filter, also when the data grows
        if isinstance(value, bool):
            value = str(value).lower() if value else None
        if value not in (None, "", []):
            values[name] = value
    return urlencode(values, doseq=True)


def library_code(view: SearchView) -> str:
    """The same search with this library, ready to run."""
    request = view.choice.request
    rendered = render(request.filter, cached.server(view.target).dialect, view.info)
    field = f", field={request.field!r}" if len(view.info.of_kind("VECTOR")) > 1 else ""
    model = view.choice.model
    here = f", here={model.here!r}" if model and model.here else ""
    vector = {
        "Text": f"embedder_for(client, info, Settings.from_env(){field}{here})"
        f".embed([{view.choice.text!r}])[0]",
        "Document": f"document_vector(client, info, {request.field!r}, {view.choice.text!r})",
        "Vector": 'np.fromfile("vector.bin", dtype="<f4")',
    }[view.choice.by]
    imports = {
        "Text": "from memdb.embedding import embedder_for\nfrom memdb.settings import Settings",
        "Document": "from memdb.vectors.search import document_vector",
        "Vector": "import numpy as np",
    }[view.choice.by]
    user = "" if not view.target.username else "  # user and password: MEMDB_URL, MEMDB_PASSWORD"
    return f"""import os

{imports}
from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.vectors.index import index_info
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.search import knn

target = Target.parse({view.target.address!r}, password=os.environ.get("MEMDB_PASSWORD", "")){user}
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


def answer_code(target: Target, info: IndexInfo, choice: SearchChoice) -> str:
    """A search by words, or by both, with this library, ready to run."""
    request = choice.request
    rendered = render(request.filter, cached.server(target).dialect, info)
    here = choice.model.here if choice.model else ""
    return f"""from memdb.asking.side import Side, ask, opened
from memdb.cluster.client import connect
from memdb.cluster.find import find_target
from memdb.settings import Settings
from memdb.vectors.fusion import Fusion

settings = Settings.from_env()
with connect(find_target(settings)) as client:
    side = Side(
        {info.name!r},
        field={request.field!r},
        by={choice.way!r},
        k={request.k},
        ef_runtime={request.ef_runtime},
        filter={rendered.query!r},
        model={here!r},
        fusion={choice.fusion!r},
    )
    answer = ask(opened(client, side, settings), {choice.text!r})
for key, score in zip(answer.keys, answer.scores):
    print(f"{{score:.4f}}  {{key}}")
"""


def again() -> None:
    """A callback: the next run asks the server anew."""
    state.read_again("search.run")


def remember(info: IndexInfo, choice: SearchChoice, took_ms: float, nearest: str) -> None:
    """Keep this run among the last 50, once; the entry holds what its link needs.

    Args:
        info: the index that was asked.
        choice: what was asked.
        took_ms: how long it took.
        nearest: the title of the first hit; empty where nothing came back.
    """
    entries: list[dict[str, object]] = state.keep(state.HISTORY, [])
    if choice.by == "Vector":
        return
    where = {name: st.session_state.get(name) for name in LINKED if name != "search.view"}
    where |= {
        name: st.session_state[name]
        for field in info.fields
        for name in (filter_key(field), f"search.not.{field.name}")
        if name in st.session_state
    }
    entry = {
        "state": {state.INDEX: info.name, **where},
        "query": line(choice.text, 80),
        "by": WAYS[choice.way],
        "k": choice.request.k,
        "ef": None if choice.way == "words" else choice.request.ef_runtime,
        "matching": choice.matching,
        "ms": round(took_ms, 2),
        "first hit": nearest,
        "run": state.reading("search.run"),
    }
    same = [e for e in entries if (e["state"], e["run"]) == (entry["state"], entry["run"])]
    if not same:
        st.session_state[state.HISTORY] = [entry, *entries][: state.HISTORY_LENGTH]


def history() -> None:
    """The last queries; one can be asked again."""
    entries: list[dict[str, object]] = state.keep(state.HISTORY, [])
    if not entries:
        st.caption("Nothing asked yet.")
        return
    frame = pd.DataFrame(entries)[["query", "by", "k", "ef", "matching", "ms", "first hit"]]
    event = st.dataframe(
        frame,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        width=720,
        key=f"search.history.{len(entries)}.{entries[0]['run']}",
    )
    rows = event.get("selection", {}).get("rows", [])
    if rows and rows[0] < len(entries):
        st.button("Ask this again", icon=":material/replay:", on_click=_recall, args=(entries[rows[0]],))
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
