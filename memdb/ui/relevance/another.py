"""The view *Another model*: what embedding the documents again would take, doing it, what is left to do."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import code, labels, line, markdown
from memdb.embedding import named
from memdb.errors import BadInput, MemDBError
from memdb.reembedding import checklist, removal, report, work
from memdb.reembedding.plan import Plan, ReembedRequest, plan
from memdb.reembedding.removal import Removed
from memdb.reembedding.work import Reembedded
from memdb.settings import Settings
from memdb.ui.kit import cached, parts, safety
from memdb.ui.kit.job import JobSlot
from memdb.vectors.index import IndexInfo

EMBEDDING = JobSlot[Reembedded]("relevance.reembedding")
REMOVING = JobSlot[Removed]("relevance.removing")
_PLAN = "relevance.another.plan"  # what was looked at: (address, request, model) and the plan of it
_COPIES = {"documents": "The documents", "copies": "Copies"}


def view(target: Target, info: IndexInfo) -> None:
    """The form, then the plan, then the work and its checklist."""
    st.markdown("###### Move to another model")
    st.caption(
        "Embeds the texts of every document with another model, beside what is there: the old index and its "
        "vectors are never changed. First look at what it takes; nothing is sent or written by looking."
    )
    if EMBEDDING.watch() or REMOVING.watch():
        return
    request, model = _form(info)
    _look(target, info, request, model)
    work_plan = _looked_at(target, request, model)
    if work_plan is not None:
        _show(work_plan)
        if not target.writable:
            st.caption("This target is read-only. On a writable one, this command does it:")
        parts.code_block(report.command_line(request, model) + " --writable", "bash")
        if target.writable:
            _begin(target, work_plan, request, model)
    _ended(target, work_plan, model)
    _take_back(target, info, request)


def _form(info: IndexInfo) -> tuple[ReembedRequest, str]:
    left, right = st.columns(2)
    model = left.text_input(
        "New model",
        key="relevance.another.model",
        bind="query-params",
        placeholder="titan:512",
        help="E.g. local, titan:512, openai:text-embedding-3-small@512, folder:/models/one.",
    )
    field = right.text_input(
        "New vector field", value="embedding_v2", key="relevance.another.field", bind="query-params"
    )
    where = left.segmented_control(
        "Written into",
        list(_COPIES),
        format_func=_COPIES.__getitem__,
        default="documents",
        required=True,
        key="relevance.another.where",
        bind="query-params",
        help="A new field of every document, or copies of the documents under a prefix of their own.",
    )
    prefix = ""
    if where == "copies":
        prefix = right.text_input(
            "Keys of the copies begin with", value="v2:", key="relevance.another.prefix", bind="query-params"
        )
    texts = [each.name for each in info.of_kind("TEXT")]
    chosen = left.multiselect(
        "Texts",
        texts,
        format_func=labels(texts),
        key="relevance.another.texts",
        placeholder="all TEXT fields, titles first",
        accept_new_options=True,
        help="Fields that are joined and embedded. A field that is not indexed can be typed.",
    )
    name = right.text_input(
        "New index",
        key="relevance.another.to",
        bind="query-params",
        placeholder=f"{line(info.name, 60)}:{line(field, 40)}",
    )
    price = right.number_input(
        "Price of a million tokens, USD",
        min_value=0.0,
        value=None,
        key="relevance.another.price",
        placeholder="not known",
        help="None is built in; look it up where you buy the model.",
    )
    return ReembedRequest(info.name, field.strip(), tuple(chosen), prefix, name.strip(), price), model.strip()


def _look(target: Target, info: IndexInfo, request: ReembedRequest, model: str) -> None:
    if st.button("Look at what it takes", icon=":material/search:", key="relevance.another.look"):
        try:
            if not model:
                raise BadInput("No model is named.", "Name one, e.g. titan:512.")
            work_plan = plan(cached.client(target), info, request, named(model, Settings.from_env()))
        except MemDBError as exc:
            st.session_state.pop(_PLAN, None)
            parts.show_error(exc, target)
            return
        st.session_state[_PLAN] = ((target.address, request, model), work_plan)


def _looked_at(target: Target, request: ReembedRequest, model: str) -> Plan | None:
    """The plan of exactly what the form says now."""
    about, work_plan = st.session_state.get(_PLAN, (None, None))
    return work_plan if about == (target.address, request, model) else None


def _show(work_plan: Plan) -> None:
    for text in report.sentences(work_plan):
        st.markdown(f"- {markdown(text, 600)}")
    for text in work_plan.notes:
        st.caption(f":material/info: {markdown(text, 600)}")
    for text in work_plan.refusals:
        st.warning(markdown(text, 600), icon=":material/block:")


def _begin(target: Target, work_plan: Plan, request: ReembedRequest, model: str) -> None:
    typed = st.text_input(
        "Type the name of the index to go on", key="relevance.another.typed", autocomplete="off"
    )
    parts.start_button(
        "Embed again",
        _start,
        (target, work_plan, model, typed),
        icon=":material/autorenew:",
        key="relevance.another.start",
        disabled=bool(work_plan.refusals) or typed.strip() != work_plan.base.name,
        help="Ended early, it goes on where it was when it is started again.",
    )


def _start(target: Target, work_plan: Plan, model: str, typed: str) -> None:
    opened, budget, embedder = cached.client(target), safety.budget(target), named(model, Settings.from_env())
    EMBEDDING.start(
        "Embedding again",
        lambda job: work.reembed(
            opened.budgeted(budget), work_plan, embedder, typed=typed, report=job.report
        ),
        (work_plan, model),
    )


def _ended(target: Target, looked_at: Plan | None, model: str) -> None:
    job = EMBEDDING.ended()
    if job is None:
        return
    if EMBEDDING.first_seen_ended():
        _forget()
    EMBEDDING.outcome(target, "Cancelled. What was written stays; started again, it goes on where it was.")
    if job.result is None:
        return
    (st.warning if job.result.ended else st.success)(markdown(job.result.words, 800))
    if job.result.ended or looked_at is None:
        return
    _next(target, looked_at, model)


def _next(target: Target, work_plan: Plan, model: str) -> None:
    st.button(
        "Compare both models",
        icon=":material/compare_arrows:",
        key="relevance.another.compare",
        on_click=_compare,
        args=(work_plan, model),
        help="Fills the form on the left: A is the old index, B the new one.",
    )
    with st.expander("What is left to do", expanded=True):
        aliases = work.has_aliases(cached.client(target))
        for number, step in enumerate(checklist.steps(work_plan, model, aliases=aliases), 1):
            st.markdown(markdown(f"{number}. {step.words}", 600))
            if step.lines:
                parts.code_block("\n".join(step.lines), "bash")


def _compare(work_plan: Plan, model: str) -> None:
    """A callback: the form compares the old index with the new one."""
    st.session_state["relevance.settings"] = 2
    st.session_state["relevance.b.index"] = work_plan.spec.name
    st.session_state["relevance.b.field"] = work_plan.request.field
    st.session_state["relevance.b.embedder"] = model
    st.session_state["relevance.b.strip"] = work_plan.request.prefix
    st.session_state["relevance.view"] = "Comparison"


def _take_back(target: Target, info: IndexInfo, request: ReembedRequest) -> None:
    job = REMOVING.ended()
    if job is not None:
        if REMOVING.first_seen_ended():
            _forget()
        REMOVING.outcome(target, "Cancelled. Started again, it goes on where it was.")
        if job.result is not None:
            st.success(markdown(job.result.words, 400))
    if request.new_index not in (cached.index_names(target) or ()):
        return
    with st.expander("Remove the new vectors and their index"):
        st.caption(f"Removes what was embedded again into {code(request.new_index, 120)}; the rest stays.")
        if not target.writable:
            st.caption("This target is read-only; it is removed on a writable one.")
            return
        typed = st.text_input(
            "Type the name of the new index", key="relevance.another.remove", autocomplete="off"
        )
        st.button(
            "Remove",
            icon=":material/delete:",
            key="relevance.another.remove_it",
            disabled=typed.strip() != request.new_index,
            on_click=_remove,
            args=(target, replace(request, index=info.name), typed),
        )


def _remove(target: Target, request: ReembedRequest, typed: str) -> None:
    opened, budget = cached.client(target), safety.budget(target)
    REMOVING.start(
        "Removing new vectors",
        lambda job: removal.remove(opened.budgeted(budget), request, typed=typed, report=job.report),
    )


def _forget() -> None:
    cached.index_names.clear()
    cached.index_info.clear()
