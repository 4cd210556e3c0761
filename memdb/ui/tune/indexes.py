"""The Indexes page: shadow indexes built, measured beside the original, dropped by name."""

from __future__ import annotations

from itertools import product

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import bytes_text, code, counted, labels, markdown
from memdb.errors import MemDBError
from memdb.tuning import candidates as comparison
from memdb.tuning import shadow
from memdb.tuning.run import Goal, SweepRequest
from memdb.tuning.shadow import ShadowCheck, Variant
from memdb.tuning.source import Unseen
from memdb.ui import frame
from memdb.ui.kit import cached, filter_form, parts, role, safety
from memdb.ui.kit.job import JobSlot
from memdb.ui.tune import cached as tune_cached
from memdb.ui.tune.indexes_views import comparison as comparison_charts
from memdb.ui.tune.indexes_views import tables
from memdb.vectors.filters import render
from memdb.vectors.index import IndexInfo, VectorParams

MS = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128)
EFCS = (25, 50, 100, 200, 400, 800, 1_600)
METRICS = {"": "as the original", "COSINE": "COSINE", "L2": "L2", "IP": "IP"}
MOST = 6  # variants planned at once
WORKING = JobSlot[object]("indexes.job")


def draw(target: Target) -> None:
    """Shadow indexes of the index chosen in the sidebar, or of the original where a shadow is chosen."""
    frame.on_index(target, _draw, lambda chosen: base_name(target, chosen))


def _draw(target: Target, info: IndexInfo) -> None:
    left, right = st.columns([1, 2.4], gap="medium")
    with left:
        request = left_side(target, info)
    with right:
        right_side(target, info, request)


def base_name(target: Target, chosen: str | None) -> str | None:
    """The original: of a shadow chosen in the sidebar, the index it belongs to."""
    if chosen is None or not shadow.is_shadow(chosen):
        return chosen
    base = shadow.base_of(chosen)
    if base not in cached.index_names(target):
        st.warning(
            f"The original of {code(chosen, 120)} is not on this server any more.", icon=":material/link_off:"
        )
        return chosen
    st.caption(f"{code(chosen, 120)} is a shadow index of {code(base, 120)}, which is shown.")
    return base


def left_side(target: Target, base: IndexInfo) -> SweepRequest | None:
    """Forms to build, to measure and to drop; returns what is measured."""
    running = WORKING.current() is not None
    # Side by side, so that the progress on the right stays in sight of the button that started it.
    build, measure, drop = st.tabs(
        [":material/construction: Build", ":material/play_arrow: Measure", ":material/delete: Drop"],
        key="indexes.tab",
    )
    with build, parts.errors_shown(target):
        _build_form(target, base, running)
    request: SweepRequest | None = None
    with measure, parts.errors_shown(target):
        request = _measure_form(target, base, running)
    with drop, parts.errors_shown(target):
        _drop_form(target, base, running)
    return request


def right_side(target: Target, base: IndexInfo, request: SweepRequest | None) -> None:
    """The job while it runs, and the comparison."""
    running = WORKING.watch()
    if not running:
        if WORKING.first_seen_ended():
            _forget()
        WORKING.outcome(target, "Cancelled. What was complete is kept, a half-built index dropped.")
    if request is None:
        return
    every = tune_cached.candidates(target, base, request, cached.home())
    if len(every) == 1 and not running:
        parts.empty(
            "No shadow index yet",
            "Choose other parameters on the left. A shadow index lies beside this one over the same "
            "documents; "
            "the original is never touched.",
            ":material/stacks:",
        )
    measured = [c for c in every if c.run is not None and c.run.points]
    if 1 < len(every) != len(measured) and not running:
        missing = f"{len(every) - len(measured)} of {counted(len(every), 'index', 'indexes')}"
        parts.empty(
            "Which index is worth its memory?",
            f"Not measured with these settings: {markdown(missing)}. “Measure all” asks every index the same "
            "queries and times them in turn. Then this page says in a sentence which index gains how much "
            "recall, for how much memory and time.",
            ":material/balance:",
            parts.Act("Measure them now", _start_sweeps, (target, base, request)),
            locked=role.locked(),
        )
    tables(every, request)
    if measured:
        comparison_charts(measured, request)


# ---- build -----------------------------------------------------------------------------------------------


def _build_form(target: Target, base: IndexInfo, running: bool) -> None:
    field, params = base.vector_field()
    limits = cached.server(target).dialect.limits
    st.markdown("**Build shadow indexes**")
    st.caption(f"{code(base.name, 80)} has {markdown(_has(params))}.")
    ms = st.multiselect(
        "M",
        [m for m in MS if m <= limits.m],
        format_func="{:d}".format,
        default=[_double(params.m or shadow.DEFAULT_M, MS)],
        key="indexes.m",
        bind="query-params",
        help="Links of a node: more find more and take more memory.",
    )
    efcs = st.multiselect(
        "EF_CONSTRUCTION",
        [e for e in EFCS if e <= limits.ef_construction],
        format_func="{:d}".format,
        default=[200],
        key="indexes.efc",
        bind="query-params",
        help="Candidates while a document is linked: more make a better graph and a slower build.",
    )
    flat = st.toggle("FLAT, exact, as well", key="indexes.flat", bind="query-params")
    metric = st.selectbox(
        "Metric", list(METRICS), format_func=METRICS.__getitem__, key="indexes.metric", bind="query-params"
    )
    wanted = [Variant("HNSW", m, e, metric) for m, e in product(ms, efcs)]  # type: ignore[arg-type]  # METRICS
    wanted += [Variant("FLAT", metric=metric)] if flat else []  # type: ignore[arg-type]  # METRICS
    variants = tuple(v for v in wanted if not shadow.same(v, params))
    if len(variants) < len(wanted):
        st.caption("What the original has already is left out.")
    if not variants:
        st.caption("Choose at least one M and one EF_CONSTRUCTION that differ, or FLAT.")
        return
    if len(variants) > MOST:
        st.warning(
            f"{len(variants)} indexes are planned; build at most {MOST} at once.", icon=":material/warning:"
        )
        return
    checked = shadow.check(cached.client(target), base, field.name, variants)
    _show_check(checked)
    if target.writable:
        count = len(checked.new)
        parts.start_button(
            f"Build {count} shadow index{'' if count == 1 else 'es'}" if count else "All of these are there",
            _start_build,
            (target, base, field.name, variants),
            icon=":material/construction:",
            width="stretch",
            key="indexes.build",
            disabled=running or not checked.ok or not count,
        )
    with st.expander(
        "Commands that are run" if target.writable else "Commands that would be run",
        expanded=not target.writable,
    ):
        lines = [shadow.create_command(base, field.name, v).redis_cli(target) for v in variants]
        parts.code_block("\n".join(lines), "bash")


def _show_check(checked: ShadowCheck) -> None:
    free = checked.free_bytes
    have = "no limit is reported" if free is None else f"{bytes_text(free)} free"
    st.caption(
        f":material/memory: about **{bytes_text(checked.need_bytes)}** needed (an estimate), {have} · "
        f"{checked.indexes:,} indexes"
        + (
            f" of at most {checked.index_limit:,}"
            if checked.index_limit is not None
            else "; this engine sets no limit"
        )
    )
    for text in checked.refusals:
        st.warning(markdown(text), icon=":material/block:")
    for text in checked.warnings:
        st.caption(f":material/info: {markdown(text)}")


def _start_build(target: Target, base: IndexInfo, field: str, variants: tuple[Variant, ...]) -> None:
    client, home = cached.client(target), cached.home()
    WORKING.start(
        "Shadow indexes",
        lambda job: comparison.build_all(client, base, field, variants, home, report=job.report),
    )


# ---- measure ---------------------------------------------------------------------------------------------


def _measure_form(target: Target, base: IndexInfo, running: bool) -> SweepRequest:
    field, _ = base.vector_field()
    st.markdown("**Measure all**")
    left, right = st.columns(2)
    least = left.number_input(
        "Recall at least",
        min_value=0.01,
        max_value=0.9999,
        value=0.95,
        step=0.01,
        format="%.4g",
        key="indexes.target",
        bind="query-params",
    )
    k = right.number_input("K", min_value=1, max_value=1_000, value=10, key="indexes.k", bind="query-params")
    left, right = st.columns(2)
    count = left.number_input(
        "Queries",
        min_value=1,
        max_value=20_000,
        value=300,
        step=100,
        key="indexes.n",
        bind="query-params",
        help="Made queries, as hard as unseen ones; the same for every index.",
    )
    seed = right.number_input("Seed", min_value=0, value=0, key="indexes.seed", bind="query-params")
    condition, matching = filter_form.filter_form(target, base, "indexes")
    rendered = render(condition, cached.server(target).dialect, base)
    request = SweepRequest(
        base.name,
        field.name,
        int(k or 10),
        rendered.query,
        rendered.params,
        goal=Goal(value=float(least or 0.95)),
        source=Unseen(int(count or 300), int(seed or 0), extend=False),
    )
    parts.start_button(
        "Measure all",
        _start_sweeps,
        (target, base, request),
        primary=False,
        icon=":material/play_arrow:",
        width="stretch",
        key="indexes.measure",
        disabled=running or matching == 0 or role.locked(),
    )
    return request


@role.changes
def _start_sweeps(target: Target, base: IndexInfo, request: SweepRequest) -> None:
    opened, home, budget = cached.client(target), cached.home(), safety.budget(target)
    WORKING.start(
        "Index comparison",
        lambda job: comparison.sweep_all(opened.budgeted(budget), base, request, home, report=job.report),
    )


# ---- drop ------------------------------------------------------------------------------------------------


def _drop_form(target: Target, base: IndexInfo, running: bool) -> None:
    shadows = [
        n for n in cached.index_names(target) if shadow.is_shadow(n) and shadow.base_of(n) == base.name
    ]
    st.markdown("**Drop a shadow index**")
    if not shadows:
        st.caption("There is none to drop.")
        return
    name = st.selectbox("Shadow index", shadows, key="indexes.drop", format_func=labels(shadows))
    parts.code_block(name or "")
    if not target.writable:
        st.caption("This target is read-only. On a writable one: " + code(shadow.drop_command(name), 200))
        return
    typed = st.text_input("Type its whole name", key="indexes.typed", help="The documents stay.")
    st.button(
        "Drop it",
        icon=":material/delete:",
        key="indexes.drop_it",
        disabled=running or typed.strip() != name,
        on_click=_drop,
        args=(target, name),
        width="stretch",
    )


def _drop(target: Target, name: str) -> None:
    try:
        shadow.drop(cached.client(target), name, str(st.session_state.get("indexes.typed", "")))
    except MemDBError as exc:
        st.toast(markdown(exc.full()), icon=":material/error:")
        return
    finally:
        _forget()
    st.session_state["indexes.typed"] = ""
    st.toast(f"Dropped {code(name, 120)}.", icon=":material/check:")


def _forget() -> None:
    cached.index_names.clear()
    cached.index_info.clear()
    tune_cached.forget()


def _has(params: VectorParams) -> str:
    parts_ = [params.algorithm, params.metric]
    parts_ += [f"M {params.m}"] if params.m is not None else []
    parts_ += [f"EF_CONSTRUCTION {params.ef_construction}"] if params.ef_construction is not None else []
    return ", ".join(parts_)


def _double(m: int, steps: tuple[int, ...]) -> int:
    return min(steps, key=lambda step: abs(step - 2 * m))
