"""The Home page: what this target is, what it holds, and where to go next."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.demo import labelled, loader, progress, second
from memdb.display import bytes_text, code, counted, duration, line, markdown
from memdb.errors import MemDBError, NotAllowed, UnknownIndex
from memdb.jobs import Job
from memdb.maps import store
from memdb.ui import frame
from memdb.ui.kit import cached, pace, parts, state
from memdb.ui.kit.choice_bars import choice_bars
from memdb.ui.kit.filter_form import value_label
from memdb.ui.kit.job import JobSlot
from memdb.ui.kit.job import panel as job_panel
from memdb.ui.map import map_link
from memdb.ui.metrics import health_line
from memdb.ui.tune import listed, named
from memdb.vectors.index import Field, IndexInfo

LOADING = JobSlot[loader.LoadReport]("home.load_job")


def draw(target: Target) -> None:
    """Everything of this page."""
    pace.again("home", 2.0, lambda _: live(target))
    next_steps()
    recent(target)
    holdings(target, frame.index_name())


def live(target: Target) -> None:
    """Facts, indexes and nodes, drawn again and again; each read is as old as its cache allows."""
    with parts.errors_shown(target):
        health_line(target)
        _being_loaded(target)
        _facts(target)
        with parts.errors_shown():  # this user may not list them; the rest of the page stands
            infos, refused = _infos(target)
            if not infos and not refused and cached.overview(target).keys == 0:
                _empty(target)
            else:
                _indexes(target, infos, refused)
                _reset(target, infos)
        _nodes(target)
        _loading(target)


def holdings(target: Target, index: str | None) -> None:
    """What the chosen index holds: documents by value, for its first TAG fields."""
    if index is None:
        return
    with parts.errors_shown(target):
        info = cached.index_info(target, index)
        tags = info.of_kind("TAG")[:3]
        if not tags or not info.documents:
            return
        st.markdown(f"#### What {markdown(index)} holds")
        for column, field in zip(st.columns(len(tags)), tags, strict=True):
            with column, parts.errors_shown(target):
                values = cached.tag_values(target, index, field.name)
                first_values = values[:8]
                more = "" if values.complete else " or more"
                every = len(values) + len(values.uncounted)
                more = f", {len(first_values)} of {every:,}{more}" if every > len(first_values) else ""
                st.caption(f"Documents by {markdown(field.name)}{more}")
                place = choice_bars(
                    [v.value for v in first_values],
                    [v.documents for v in first_values],
                    key=f"home.holds.{field.name}",
                    alt=f"Documents by {line(field.name)}. A bar opens Search with that value as its filter.",
                    dark=state.dark(),
                )
                if place is not None and place < len(first_values):
                    # The index is the sidebar's, which stays as it is.
                    st.switch_page(
                        frame.link("search"), query_params=_filter(field, first_values[place].value)
                    )
                with st.container(horizontal=True, gap="small"):  # the same by keyboard
                    for value in first_values[:5]:
                        st.page_link(
                            frame.link("search"),
                            label=markdown(value.value, 40) or "(empty)",
                            icon=":material/search:",
                            help="Search with this filter",
                            query_params={
                                state.INDEX: state.index_in_link(index),
                                **_filter(field, value.value),
                            },
                        )
                with st.expander("As a table"):
                    st.dataframe(
                        pd.DataFrame(
                            {
                                line(field.name): [line(v.value) for v in values],
                                "documents": [v.documents for v in values],
                            }
                        ),
                        hide_index=True,
                        height=240,
                        key=f"home.table.{field.name}",
                    )
                    if values.uncounted:
                        st.caption(f"{len(values.uncounted):,} further values are not counted.")


def _filter(field: Field, value: str) -> dict[str, str]:
    return {f"search.f.{field.name}": value_label(value)}


# What a visitor may have come for: title, words, pages with their names.
_JOBS = (
    (
        "Explore",
        "Ask questions, see the map, read conversations.",
        (("search", "Search"), ("map", "Map"), ("sessions", "Sessions"), ("assistant", "Assistant")),
    ),
    (
        "Tune",
        "Find the EF_RUNTIME that meets a recall, judge answers, try another index.",
        (("recall", "Recall"), ("relevance", "Relevance"), ("indexes", "Indexes")),
    ),
    (
        "Operate",
        "Load, memory, alerts; what is lost when an engine dies.",
        (("metrics", "Metrics"), ("connect", "Connect"), ("aws", "AWS"), ("durability", "Durability")),
    ),
    ("Plan", "Nodes and dollars, beside the alternatives.", (("sizing", "Sizing"), ("compare", "Compare"))),
    ("Present", "The story in steps, for a room.", (("present", "Present"),)),
)


def next_steps() -> None:
    """A card for each job, with links to its pages."""
    for column, (title, words, pages) in zip(st.columns(len(_JOBS)), _JOBS, strict=True):
        with column, st.container(border=True, height="stretch"):
            st.markdown(f"**{markdown(title)}**")
            st.caption(markdown(words))
            for address, name in pages:
                st.page_link(frame.link(address), label=markdown(name))


def recent(target: Target) -> None:
    """The newest runs and maps that are kept, each a link to it."""
    runs = listed(cached.home())[:3]
    maps = [
        kept_map for kept_map in store.listed(cached.home(), target) if kept_map.request.condition == "*"
    ][:3]
    if not runs and not maps:
        return
    st.markdown("#### Recent runs and maps")
    for kept_map in maps:
        request = kept_map.request
        count_words = (
            f"{min(request.count, kept_map.total):,} of {kept_map.total:,}" if request.by != "all" else "all"
        )
        st.page_link(
            frame.link("map"),
            label=f"Map of {code(request.index, 120)}"
            + markdown(f", {count_words} documents, {request.dimensions}-D"),
            icon=":material/scatter_plot:",
            query_params=map_link(request),
        )
    for run in runs:
        st.page_link(
            frame.link("recall"),
            label=markdown(
                f"{run.title or named(run.index, run.filter, run.goal, run.k, run.recommendation)} · "
                f"{run.started[:16].replace('T', ' ')}",
                220,
            ),
            icon=":material/speed:",
            query_params={state.INDEX: state.index_in_link(run.index), "recall.run": run.id},
        )


def _facts(target: Target) -> None:
    server, facts = cached.server(target), cached.overview(target)
    try:
        sessions = cached.session_count(target)
        counted, how = (
            f"{sessions.value:,}" if sessions.exact else f"≈ {sessions.value:,}",
            markdown(sessions.how),
        )
    except NotAllowed as exc:
        counted, how = "–", markdown(exc.full())
    with st.container(horizontal=True):
        st.metric(
            "Server", markdown(server.title, 80), help=markdown(f"{server.mode}, {server.role}".rstrip(", "))
        )
        st.metric(
            "Search",
            markdown(server.dialect.title, 80),
            help=", ".join(markdown(f"{name} {version}") for name, version in server.modules) or None,
        )
        st.metric("Keys", _number(facts.keys))
        st.metric("Sessions", counted, help=how)
        limit = "no limit set" if facts.limit_bytes is None else f"limit {bytes_text(facts.limit_bytes)}"
        st.metric(
            "Memory",
            bytes_text(facts.used_bytes),
            help="not available" if facts.used_bytes is None else limit,
        )
        st.metric("Clients", _number(facts.clients))
        st.metric("Up for", duration(facts.uptime_s))
    for why in facts.absent.values():
        st.caption(":material/info: " + markdown(f"Not available: {why}."))
    if lacks := _lacks(target):
        st.caption(":material/info: " + markdown(lacks))
    if server.untold:
        st.caption(":material/key_off: " + markdown(server.untold_words))


def _number(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"


def _nodes(target: Target) -> None:
    """A row for each node, where there is more than one: what one tells need not hold for another."""
    index = frame.index_name() or ""
    views = cached.node_views(target, index)
    if len(views) < 2:
        return
    st.markdown("#### Nodes")
    rows = [
        {
            "node": v.node.address,
            "role": v.node.role,
            "keys": v.facts.keys if v.facts else None,
            "memory": bytes_text(v.facts.used_bytes) if v.facts else "–",
            "clients": v.facts.clients if v.facts else None,
            "up for": duration(v.facts.uptime_s) if v.facts else "–",
            "link": v.link or "–",
            "behind": bytes_text(v.behind_bytes),
            "index": v.index.build.state if v.index else "–",
            "built": v.index.told_fraction if v.index else None,
            "documents": v.index.told_documents if v.index else None,
            "problem": line(v.problem, 160),
        }
        for v in views
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="home.nodes",
        placeholder="–",
        column_config={"built": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)},
    )
    whole = cached.index_info(target, index) if index else None
    if whole is not None and whole.shards:
        built = whole.told_fraction
        built_words = "" if built is None else f", the slowest of them built to {built:.0%}"
        answer = len(whole.shards) - len(whole.missing)
        st.caption(
            f"The index {markdown(index, 60)} lies on {len(whole.shards)} shards: "
            f"{_number(whole.told_documents)} documents on the {answer} that answer{built_words}."
        )
    what = f" and of the index {markdown(index, 60)}" if index else ""
    st.caption(f"Each node asked for itself{what}: an index is built by every node on its own.")


def _lacks(target: Target) -> str:
    dialect = cached.server(target).dialect
    if not dialect.searches:
        why = dialect.refused or "This server has no vector search"
        return f"{why}: only sessions can be explored."
    return dialect.lacking


def _infos(target: Target) -> tuple[list[IndexInfo], dict[str, NotAllowed]]:
    """The indexes, and the names of those that this user may not look at, with the reason."""
    infos, refused = [], {}
    for name in cached.index_names(target):
        try:
            infos.append(cached.index_info(target, name))
        except UnknownIndex:
            cached.index_names.clear()  # dropped between the two calls
        except NotAllowed as exc:
            refused[name] = exc
    return infos, refused


def _indexes(target: Target, infos: list[IndexInfo], refused: dict[str, NotAllowed]) -> None:
    st.markdown("#### Indexes")
    for name, exc in refused.items():
        st.caption(f":material/key_off: {markdown(name)}: {markdown(exc.full())}")
    if refused and not infos:
        return
    if not infos and cached.other_index_names(target):
        st.caption("There are indexes, and none opens here: their names are not UTF-8.")
        return
    if not infos:
        parts.empty(
            "Keys, but no index",
            "Vectors become searchable with an index: FT.CREATE, or the demo data below.",
            ":material/database:",
        )
        _load_button(target)
        return
    parts.unfinished(*infos)
    rows = []
    for info in infos:
        vectors: list[Field | None] = [f for f in info.fields if f.vector is not None]
        for field in vectors or [None]:
            params = field.vector if field is not None else None
            rows.append(
                {
                    "index": line(info.name),
                    "state": info.build.state,
                    "built": info.told_fraction,
                    "documents": info.told_documents,
                    "field": line(field.name) if field is not None else "no vector",
                    "algorithm": params.algorithm if params else None,
                    "dimensions": params.dim if params else None,
                    "metric": params.metric if params else None,
                    "M": params.m if params else None,
                    "EF_CONSTRUCTION": params.ef_construction if params else None,
                    "vector memory": parts.memory_text(info.vector_bytes),
                    "failures": info.failures,
                    "prefixes": line(", ".join(info.prefixes)),
                }
            )
    # What is as it should be takes no room: the rest is seen at 1280 pixels without scrolling.
    quiet = {"built"} if all(info.build.ready for info in infos) else set()
    quiet |= set() if any(info.failures for info in infos) else {"failures"}
    longest = max(len(str(row["index"])) for row in rows)
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_order=[name for name in rows[0] if name not in quiet],
        column_config={
            "index": st.column_config.TextColumn(width=min(260, max(120, 18 + 7 * longest))),
            "state": st.column_config.TextColumn(width=55),
            "built": st.column_config.ProgressColumn("built", format="percent", min_value=0, max_value=1),
            "documents": st.column_config.NumberColumn(format="localized", width=85),
            "field": st.column_config.TextColumn(width=80),
            "algorithm": st.column_config.TextColumn(width=70),
            "dimensions": st.column_config.NumberColumn("dim", help="dimensions", width=50),
            "metric": st.column_config.TextColumn(width=65),
            "M": st.column_config.NumberColumn(width=40),
            "EF_CONSTRUCTION": st.column_config.NumberColumn("EFC", help="EF_CONSTRUCTION", width=55),
            "vector memory": st.column_config.TextColumn("memory", help="of the vectors", width=75),
            "prefixes": st.column_config.TextColumn(width=85),
        },
        placeholder="–",
        key="home.indexes",
    )
    for info in infos:
        for why in info.absent.values():
            st.caption(":material/info: " + markdown(f"{info.name}: not available: {why}."))
        if info.failures and info.last_error:
            st.warning(
                f"{markdown(info.name)}: {markdown(counted(info.failures, 'document'))} could not be "
                f"indexed, last {markdown(info.last_error_key)}: {markdown(info.last_error)}",
                icon=":material/warning:",
            )


def _empty(target: Target) -> None:
    parts.empty(
        "This server is empty",
        "Load the demo data: about 20,000 documents of AWS, Redis and Python documentation with their "
        "embeddings, users with preferences, and conversations about them.",
        ":material/database:",
    )
    _load_button(target)


def _load_button(target: Target) -> None:
    if LOADING.job() is not None:
        return
    if not target.writable:
        st.caption(
            ":material/lock: This target is read-only. Start the app with MEMDB_WRITABLE=1 to load demo "
            "data, or run `memdb load --url …` in a shell. On a production target that allows it, unlock "
            "writing in the sidebar."
        )
        return
    st.button(
        "Load the demo data", type="primary", icon=":material/download:", on_click=_start, args=(target,)
    )


def _reset(target: Target, infos: list[IndexInfo]) -> None:
    """Offered where the demo is: its sessions as at first."""
    there = {info.name for info in infos} >= {loader.DOCUMENTS.name, loader.USERS.name}
    if not (there and target.writable and target.kind != "production") or LOADING.current() is not None:
        return
    with st.popover("Reset the demo", icon=":material/restart_alt:"):
        st.markdown(
            "Sessions of the demo are made again: expired ones come back; what was said since and the "
            "sessions begun in the Assistant are deleted. Documents, indexes and other keys stay."
        )
        st.button(
            "Reset", key="home.reset", icon=":material/restart_alt:", on_click=_begin_again, args=(target,)
        )


def _begin_again(target: Target) -> None:
    client, home = cached.client(target), cached.home()

    def work(job: Job[loader.LoadReport]) -> loader.LoadReport:
        return loader.reset(client, home=home, report=job.report)

    LOADING.start("Reset the demo", work)


def _start(target: Target) -> None:
    client, home = cached.client(target), cached.home()

    def work(job: Job[loader.LoadReport]) -> loader.LoadReport:
        loaded = loader.load(client, home=home, report=job.report)
        second.build(client, home=home, report=job.report)
        labelled.load(client, home=home, report=job.report)
        return loaded

    LOADING.start("Load the demo data", work)


def _being_loaded(target: Target) -> None:
    """What `memdb demo` still does: the page may be opened before its data is there."""
    with parts.errors_shown():
        progress_told = progress.now(cached.home(), target.address)
        if progress_told is None:
            return
        share = min(progress_told.done / progress_told.total, 1.0) if progress_told.total > 0 else 0.0
        counted_words = (
            f", {progress_told.done:,} of {progress_told.total:,}" if progress_told.total > 0 else ""
        )
        st.progress(
            share,
            markdown(f"The demo data is being loaded. {progress_told.stage or 'Beginning'}{counted_words}"),
        )


def _loading(target: Target) -> None:
    job = LOADING.job()
    if job is None:
        return
    state = job.state
    if state.status == "running":
        job_panel(job)
    elif state.status == "cancelled":
        st.info("Stopped. What was loaded stays; loading again goes on from there.")
        LOADING.forget()
        _load_button(target)
    elif isinstance(job.error, MemDBError):
        parts.show_error(job.error)
    else:
        st.success(f"The demo data is there; it took {duration(state.elapsed_s)}.", icon=":material/check:")
