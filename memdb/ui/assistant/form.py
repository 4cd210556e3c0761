"""The Assistant's left side: who asks, in which session, with which settings; both can be made here."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import streamlit as st

from memdb.assistant import bedrock_client, relevance
from memdb.cluster.target import Target
from memdb.display import labels, line, markdown
from memdb.embedding import Embedder
from memdb.errors import MemDBError, NotFound
from memdb.sessions import append, formats, users
from memdb.sessions.context import LEAN
from memdb.sessions.filters import SessionFilter
from memdb.sessions.known import ARTICLE
from memdb.settings import Settings
from memdb.ui.kit import cached, filter_form, model, parts, state
from memdb.ui.kit.ef import ef_input
from memdb.vectors.distance import Floats
from memdb.vectors.filters import Condition
from memdb.vectors.index import IndexInfo

USER, SESSION, RUN = "assistant.user", "assistant.session", "assistant.run"
MADE = "assistant.made"  # told once after a user or session was made
NEW_USER, LIKES = "assistant.new_user", "assistant.likes"
SENTENCES, BEDROCK = "Sentences", "Bedrock"


@dataclass(frozen=True, slots=True, eq=False)
class AssistantChoice:
    """What the form says. `session_key` is empty where no session is chosen."""

    user_id: str
    session_key: str
    preference: Floats | None
    embedder: Embedder
    k: int
    ef_runtime: int | None
    weight: float
    condition: Condition
    model: str  # of Bedrock; empty: sentences of the documents
    bound: float | None  # distance from which on documents do not answer; None: it is not known


def form(target: Target, info: IndexInfo) -> AssistantChoice | MemDBError:
    """Draw the form, all of it whatever is wrong; the error where nothing can be asked."""
    wrong: MemDBError | None = None
    if sentence := st.session_state.pop(MADE, ""):
        st.success(markdown(sentence), icon=":material/check:")
    preference: Floats | None = None
    with st.container(border=True):
        user_id = _user(target)
        session_key = _session(target, user_id) if user_id else ""
        if user_id:
            preference = _preference(target, user_id)
    with st.container(border=True):
        try:
            embedder = model.choose(target, info).embedder()
        except MemDBError as exc:
            wrong = exc
        left, right = st.columns(2)
        k = left.number_input("K", min_value=1, max_value=20, value=5, key="assistant.k", bind="query-params")
        flat = not info.vector_field()[1].has_ef
        with right:
            ef = ef_input(target, "assistant.ef", disabled=flat)
        weight = st.slider(
            "Weight of the preference",
            0.0,
            1.0,
            LEAN,
            0.05,
            key="assistant.weight",
            bind="query-params",
            help="0 asks for the question alone, 1 for what the user prefers, whatever the question.",
        )
        bound = _bound(target, info)
        try:
            condition, matching = filter_form.filter_form(target, info, "assistant")
            if matching == 0:
                wrong = filter_form.none_match(info)
        except MemDBError as exc:
            wrong = exc
        writer = _answers()
    if wrong is not None:
        return wrong
    return AssistantChoice(
        user_id,
        session_key,
        preference,
        embedder,
        int(k or 5),
        None if flat else ef,
        weight,
        condition,
        writer,
        bound,
    )


@st.cache_data(ttl="10m", max_entries=16, show_spinner=False, hash_funcs={IndexInfo: lambda info: info.name})
def own_bound(target: Target, info: IndexInfo) -> float | None:
    """The relevance bound by the index's own distances."""
    return relevance.bound(cached.client(target), info)


def _bound(target: Target, info: IndexInfo) -> float | None:
    try:
        own = own_bound(target, info)
    except MemDBError as exc:
        st.caption(f":material/info: No relevance bound: {markdown(str(exc))}")
        return None
    if own is None:
        st.caption(":material/info: No relevance bound: too few documents.")
        return None
    typed = st.number_input(
        "Relevance bound",
        value=round(own, 3),
        step=0.01,
        format="%.3f",
        key=f"assistant.bound.{info.name}",
        bind="query-params",
        help=f"Where the nearest document is at this distance or farther, the documents do not answer. "
        f"Set from this index: {relevance.SHARE:.0%} of {relevance.SAMPLE:,} documents' pairs, taken at "
        "random, lie nearer.",
    )
    return float(typed)


def settings() -> Settings:
    """Of the environment."""
    return Settings.from_env()


def _user(target: Target) -> str:
    page, _ = cached.session_page(target, ARTICLE, SessionFilter(), "", 50, state.reading(RUN))
    users_known = sorted({s.user_id for s in page.sessions if s.user_id and s.user_id.isprintable()})
    chosen = st.session_state.get(USER) or st.query_params.get(USER)
    if chosen and chosen not in users_known:
        users_known.append(chosen)
    user = st.selectbox(
        "User",
        users_known,
        format_func=labels(users_known),
        key=USER,
        bind="query-params",
        accept_new_options=True,
        on_change=_forget_session,
        placeholder="a user's id",
        help="Users of the first sessions found; another id can be typed.",
    )
    if target.writable:
        with st.popover("New user", icon=":material/person_add:", width="stretch"):
            st.text_input("Id", key=NEW_USER, placeholder="user501")
            st.text_area(
                "What they prefer",
                key=LIKES,
                placeholder="runs serverless, watches the bill",
                help="Embedded on this machine; its vector is the preference.",
            )
            st.button("Create", key="assistant.create_user", on_click=_create_user, args=(target,))
    return (user or "").strip()


def _session(target: Target, user_id: str) -> str:
    page, _ = cached.session_page(target, ARTICLE, SessionFilter(user=user_id), "", 50, state.reading(RUN))
    ids = [formats.printable_id(s.id) for s in page.sessions]
    wanted = str(st.session_state.get(SESSION) or st.query_params.get(SESSION) or "")
    gone = False
    if wanted and wanted not in ids:
        # A page of a listing need not reach it, and an index over sessions may lag behind a new one.
        if _is_of(target, wanted, user_id):
            ids.insert(0, wanted)
        else:
            gone = True
            st.session_state.pop(SESSION, None)
    chosen = st.selectbox(
        "Session",
        ids,
        index=0 if ids and not gone else None,  # never another conversation in place of the chosen one
        format_func=labels(ids),
        key=SESSION,
        bind="query-params",
        placeholder="choose one" if ids else "none yet",
    )
    if gone and not chosen:
        st.caption(f":material/timer_off: {markdown(line(wanted, 80))} is gone, or of another user.")
    if target.writable:
        st.button(
            "New session",
            icon=":material/add_comment:",
            key="assistant.new_session",
            width="stretch",
            on_click=_create_session,
            args=(target, user_id),
        )
    elif not ids:
        st.caption("This user has no session, and the target is read-only.")
    return formats.session_key(formats.typed_id(chosen)) if chosen else ""


def _is_of(target: Target, printable_id: str, user_id: str) -> bool:
    try:
        session = cached.session(target, ARTICLE, printable_id, state.reading(RUN)).session
    except MemDBError:
        return False
    return session.user_id == user_id


def _forget_session() -> None:
    """A callback: another user has other sessions."""
    st.session_state.pop(SESSION, None)


def _preference(target: Target, user_id: str) -> Floats | None:
    try:
        record = cached.user_record(target, formats.printable_id(user_id), state.reading(RUN))
    except NotFound:
        st.caption(":material/person_off: No record of this user: no preference.")
        return None
    except MemDBError as exc:
        st.caption(f":material/report: {markdown(str(exc))}")
        return None
    texts = [f for f in record.fields if f.utf8 and f.text.strip()]
    st.caption(" · ".join(markdown(f.preview(240), 240) for f in texts[:3]) or "–")
    for problem in record.problems:
        st.caption(f":material/report: {markdown(problem, 200)}")
    return record.vector


def _answers() -> str:
    answered_by = st.segmented_control(
        "Answer by",
        [SENTENCES, BEDROCK],
        default=SENTENCES,
        required=True,
        key="assistant.by",
        bind="query-params",
        width="stretch",
        help="Sentences of the documents as they are, or a model on Amazon Bedrock.",
    )
    if answered_by != BEDROCK:
        return ""
    if not bedrock_client.has_credentials():
        st.caption(
            ":material/key_off: No AWS credentials and Region: answers are sentences of the documents."
        )
        return ""
    typed = st.text_input(
        "Model", value=settings().answer_model, key="assistant.model", placeholder="amazon.nova-lite-v1:0"
    )
    return typed.strip()


def _create_session(target: Target, user_id: str) -> None:
    session = f"{user_id}-{secrets.token_hex(4)}"
    with parts.errors_shown():
        append.create(cached.client(target), session, user_id, context="assistant")
        st.session_state[SESSION] = formats.printable_id(session)
        st.session_state[MADE] = f"Session {session} begins. Each turn keeps it for at least half an hour."
        _read_again()


def _create_user(target: Target) -> None:
    # What stands in the fields now; arguments would be from the run before.
    name, likes = (str(st.session_state.get(key, "")) for key in (NEW_USER, LIKES))
    try:
        user = users.create(cached.client(target), name, likes)
    except MemDBError as exc:
        st.toast(markdown(exc.full()), icon=":material/error:")
        return
    st.session_state[USER] = user
    _forget_session()
    st.session_state[MADE] = f"User {line(user, 80)} is there, with a preference."
    _read_again()


def _read_again() -> None:
    state.read_again(RUN)
