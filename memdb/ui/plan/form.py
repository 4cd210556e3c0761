"""The Plan pages' left side: widgets → Inputs. Drawn alike on both pages, so that one plan feeds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from memdb.cluster.target import Target
from memdb.display import Markdown, bytes_text, counted, duration, labels, line, markdown
from memdb.errors import MemDBError
from memdb.sizing import calibrate, live_sessions, profiles, unplanned
from memdb.sizing.calibrate import Read
from memdb.sizing.constraints import Load
from memdb.sizing.forecast import TTLS_S
from memdb.sizing.model import Profile
from memdb.sizing.plan import Inputs
from memdb.sizing.services import Wishes
from memdb.sizing.shape import (
    ARTICLE,
    Algorithm,
    KeyType,
    SessionKind,
    Sessions,
    Shape,
    parse_count,
)
from memdb.ui import frame
from memdb.ui.kit import cached, parts, role, safety
from memdb.ui.plan import state
from memdb.vectors.schema import VectorType

TYPES: tuple[VectorType, ...] = get_args(VectorType)
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
KEY_TYPES: tuple[KeyType, ...] = get_args(KeyType)
SESSION_KINDS: tuple[SessionKind, ...] = get_args(SessionKind)
KEYS = {"counters": "counters", "random": "UUIDs or hashes"}
ENGINES = {"valkey": "Valkey", "redis": "Redis OSS"}


@dataclass(frozen=True, slots=True)
class PlanChoice:
    """What the form says."""

    inputs: Inputs
    profile: Profile


def form(target: Target) -> PlanChoice | MemDBError:
    """Draw the form, all of it whatever is wrong; the error where it makes no plan."""
    wrong: MemDBError | None = None
    shape, sessions, profile = None, None, None
    _read_button(target)
    with st.container(border=True):
        st.markdown("**Documents**")
        try:
            shape = _documents()
        except MemDBError as exc:
            wrong = exc
    with st.container(border=True):
        st.markdown("**Sessions**")
        try:
            sessions = _sessions()
        except MemDBError as exc:
            wrong = wrong or exc
    with st.container(border=True):
        st.markdown("**Use**")
        load = _load()
    with st.container(border=True):
        st.markdown("**Where**")
        try:
            profile = _profile()
        except MemDBError as exc:
            wrong = wrong or exc
        wishes = _wishes()
    if wrong is not None or shape is None or sessions is None or profile is None:
        assert wrong is not None  # noqa: S101  # one is missing only after an error
        return wrong
    return PlanChoice(Inputs(shape, sessions, load, wishes), profile)


def last_reading() -> None:
    """What the last button press did, or why it did not."""
    if problem := st.session_state.get(state.WRONG):
        parts.show_error(MemDBError(*problem))
    if sentence := st.session_state.get(state.READ):
        st.success(markdown(sentence, 1_000), icon=":material/monitoring:")


def _read_button(target: Target) -> None:
    index = frame.index_name()
    st.button(
        "Read from this cluster",
        icon=":material/sync:",
        width="stretch",
        key="plan.read_button",
        disabled=index is None or role.locked(),
        on_click=read_cluster,
        args=(target, index or ""),
        help="Takes the shape of the index chosen in the sidebar and fits a profile to it: INFO, FT.INFO, "
        "MEMORY USAGE of up to 400 keys, and a sample of the sessions. Only reads.",
    )


@role.changes
def read_cluster(target: Target, index: str) -> None:
    """A callback: fit a profile to the index and fill the form with its shape."""
    st.session_state.pop(state.WRONG, None)
    st.session_state.pop(state.READ, None)
    st.session_state.pop(state.UNPLANNED, None)
    client = cached.client(target).budgeted(safety.budget(target))
    try:
        reading = calibrate.from_index(client, index)
        profiles.save(reading.profile, cached.home())
        there = live_sessions.sessions_of(unplanned.node_read(client))
        sessions = there.sessions if there is not None else Sessions()
        besides = unplanned.beside(client, index, reading, sessions)
    except MemDBError as exc:
        state.keep_wrong(exc)
        return
    state.profile_names.clear()
    shape = reading.shape
    values = {
        "n": f"{shape.vectors:,}",
        "dim": shape.dim,
        "type": shape.type,
        "m": shape.m,
        "algorithm": shape.algorithm,
        "on": shape.key_type,
        "metadata": shape.metadata_bytes,
        "text": shape.text_bytes,
        "words": shape.text_words,
        "vocabulary": shape.text_vocabulary,
        "tags": shape.tags,
        "tag_values": shape.tag_values,
        "tag_bytes": shape.tag_bytes,
        "numbers": shape.numbers,
        "key": shape.key_bytes,
        "keys": "random" if shape.random_keys else "counters",
        "profile": reading.profile.name,
    }
    for key, value in values.items():
        st.session_state[f"plan.{key}"] = float(value) if isinstance(value, int) else value
    st.session_state["plan.rate"] = float(sessions.per_second)
    st.session_state["plan.ttl"] = round(sessions.ttl_s)
    for key, number in (
        ("session", sessions.bytes),
        ("kept", sessions.kept),
        ("session_key", sessions.key_bytes),
        ("session_fields", sessions.fields),
        ("session_other", sessions.other_bytes),
    ):
        st.session_state[f"plan.{key}"] = float(number)
    st.session_state["plan.session_kind"] = sessions.kind
    sessions_words = there.words if there is not None else "There are no sessions of the article's format."
    st.session_state[state.READ] = " ".join(
        filter(None, [_sentence(index, reading), sessions_words, besides.sentence])
    )
    st.session_state[state.UNPLANNED] = (target, besides)


def _sentence(index: str, reading: Read) -> str:
    shape = reading.shape
    each = (reading.keyspace_bytes + reading.index_bytes) / shape.vectors
    words = (
        f"Read from {line(index, 60)!r}: {shape.vectors:,} documents of {shape.dim:,} dimensions take "
        f"{bytes_text(reading.keyspace_bytes)} as keys and {bytes_text(reading.index_bytes)} in the index, "
        f"{each:,.0f} bytes each; {reading.keys_sampled:,} keys sampled."
    )
    return " ".join([words.replace("'", "“", 1).replace("'", "”", 1), *reading.notes])


def _whole(
    place: DeltaGenerator, label: Markdown, default: int, key: str, *, step: int = 1, why: Markdown = ""
) -> int:
    """A field for a whole number. A fraction is let through, to be told by the check and not cut off here."""
    number = place.number_input(
        label,
        value=float(default),
        step=float(step),
        key=key,
        bind="query-params",
        format="%.16g",
        help=why or None,
    )
    return int(number) if number.is_integer() else number  # type: ignore[return-value]  # refused later


def _documents() -> Shape:
    vectors_given = ARTICLE
    vectors = st.text_input(
        "Vectors",
        value=f"{vectors_given.vectors:,}",
        key="plan.n",
        bind="query-params",
        placeholder="1,000,000 or 10M",
        help="Documents with a vector. 10M and 1.5k are numbers too; 0 is an empty index.",
    )
    left, right = st.columns(2)
    dim = _whole(left, "Dimension", vectors_given.dim, "plan.dim")
    kind = right.selectbox("Type", TYPES, key="plan.type", bind="query-params")
    left, right = st.columns(2)
    m = _whole(left, "M", vectors_given.m, "plan.m", why="Links of a node in the HNSW graph.")
    metadata = _whole(
        right,
        "Metadata bytes",
        vectors_given.metadata_bytes,
        "plan.metadata",
        step=100,
        why="Stored with each document, not indexed.",
    )
    with st.expander("Index and keys"):
        left, right = st.columns(2)
        algorithm = left.selectbox("Algorithm", ALGORITHMS, key="plan.algorithm", bind="query-params")
        key_type = right.selectbox("Documents as", KEY_TYPES, key="plan.on", bind="query-params")
        left, right = st.columns(2)
        key = _whole(left, "Key bytes", vectors_given.key_bytes, "plan.key", why="With the prefix.")
        random = right.selectbox(
            "Keys are",
            list(KEYS),
            key="plan.keys",
            bind="query-params",
            format_func=KEYS.__getitem__,
            help="Counters share the beginnings of their names in the index; UUIDs and hashes do not.",
        )
    with st.expander("Indexed fields"):
        left, right = st.columns(2)
        tags = _whole(left, "Tag fields", vectors_given.tags, "plan.tags")
        numbers = _whole(right, "Number fields", vectors_given.numbers, "plan.numbers")
        left, right = st.columns(2)
        values = _whole(
            left,
            "Values of a tag field",
            vectors_given.tag_values,
            "plan.tag_values",
            step=10,
            why="Different ones in all documents; as many as documents if each has its own.",
        )
        tag_bytes = _whole(right, "Tag bytes", vectors_given.tag_bytes, "plan.tag_bytes", why="Of one value.")
        text = _whole(
            st.container(),
            "Text bytes",
            vectors_given.text_bytes,
            "plan.text",
            step=100,
            why="Indexed as words.",
        )
        left, right = st.columns(2)
        words = _whole(
            left,
            "Words of a text",
            vectors_given.text_words,
            "plan.words",
            step=10,
            why="Indexed words of one text, repeated ones too; 0: estimated from its bytes.",
        )
        vocabulary = _whole(
            right,
            "Different words",
            vectors_given.text_vocabulary,
            "plan.vocabulary",
            step=1_000,
            why="Of all texts; 0: estimated, as in technical English.",
        )
    return Shape(
        parse_count("Vectors", vectors),
        dim,
        kind,
        m,
        algorithm,
        key_type,
        metadata,
        text,
        words,
        vocabulary,
        tags,
        values,
        tag_bytes,
        numbers,
        key,
        random == "random",
    )


def _sessions() -> Sessions:
    sessions_given = Sessions()
    left, right = st.columns(2)
    rate = left.number_input(
        "New a second",
        value=sessions_given.per_second,
        step=1.0,
        key="plan.rate",
        bind="query-params",
        format="%.4g",
        help="Sessions that begin each second. Rate × time to live of them are there at any time.",
    )
    size = _whole(
        right,
        "Bytes each",
        sessions_given.bytes,
        "plan.session",
        step=256,
        why="All data of one session: its key, the names and values of its fields.",
    )
    ttl = st.select_slider(
        "Time to live",
        TTLS_S,
        value=round(sessions_given.ttl_s),
        key="plan.ttl",
        bind="query-params",
        format_func=duration,
        help="The article's sessions live 30 minutes.",
    )
    with st.expander("Parts of a session"):
        left, right = st.columns(2)
        without_ttl = _whole(
            left,
            "Without a time to live",
            sessions_given.kept,
            "plan.kept",
            step=100,
            why="Sessions that never expire, beside those that arrive.",
        )
        kind = right.selectbox(
            "Stored as",
            SESSION_KINDS,
            key="plan.session_kind",
            bind="query-params",
            help="A hash of fields, as in the article, or one string.",
        )
        left, right = st.columns(2)
        key = _whole(
            left,
            "Key of a session, bytes",
            sessions_given.key_bytes,
            "plan.session_key",
            why="Part of “Bytes each”; with the prefix.",
        )
        fields = _whole(right, "Fields of a session", sessions_given.fields, "plan.session_fields")
        left, right = st.columns(2)
        other = _whole(
            left,
            "Bytes of the other fields",
            sessions_given.other_bytes,
            "plan.session_other",
            step=10,
            why="Part of “Bytes each”: names and values of all fields but the history.",
        )
        spread = right.number_input(
            "Lengths vary by, %",
            value=100 * sessions_given.spread,
            step=10.0,
            key="plan.session_spread",
            bind="query-params",
            format="%.4g",
            help="50: lengths lie evenly between half and one and a half of “Bytes each”. 0: all alike, "
            "rounded up to one step of the allocator; the interval then includes lengths that vary.",
        )
    sessions = Sessions(rate, size, float(ttl), without_ttl, kind, key, fields, other, spread / 100)
    if sessions.live:
        st.caption(f":material/forum: {markdown(counted(sessions.live, 'session'))} at any time")
    return sessions


def _load() -> Load:
    load = Load()
    left, right = st.columns(2)
    queries = left.number_input(
        "Queries a second",
        value=load.queries_per_s,
        step=10.0,
        key="plan.qps",
        bind="query-params",
        format="%.4g",
        help="Mean over the month.",
    )
    written = right.number_input(
        "Documents written a second",
        value=load.written_per_s,
        step=1.0,
        key="plan.writes",
        bind="query-params",
        format="%.4g",
    )
    left, right = st.columns(2)
    replicas = _whole(
        left,
        "Replicas",
        load.replicas,
        "plan.replicas",
        why="The article: at least 2, in other zones. Each holds everything.",
    )
    days = _whole(right, "Snapshots kept", load.snapshot_days, "plan.days")
    left, right = st.columns(2)
    k = _whole(left, "K", load.query_k, "plan.k", why="Results a query.")
    indexes = _whole(right, "Indexes", load.indexes, "plan.indexes")
    left, right = st.columns(2)
    tenants = _whole(
        left,
        "Tenants",
        load.tenants,
        "plan.tenants",
        why="Does a query know its tenant? Then say how many there are: S3 Vectors bills a query by the "
        "index it asks, so an index for each tenant reads less. 1: every query asks all vectors.",
    )
    together = _whole(
        right,
        "Written together",
        load.written_together,
        "plan.together",
        why="Documents in one PUT of S3 Vectors, 1 to 500. Each PUT counts 128 KB at least.",
    )
    return Load(queries, written, k, indexes, replicas, days, tenants, together)


def _profile() -> Profile:
    names = state.profile_names(cached.home())
    linked = st.session_state.get("plan.profile")
    if linked not in names:
        st.session_state.pop("plan.profile", None)
    chosen = st.selectbox(
        "Memory by",
        names,
        key="plan.profile",
        bind="query-params",
        format_func=labels(names),
        help="How bytes are calculated. memorydb is an estimate; redisearch is measured on the local engine, "
        "valkey-search recorded of 1.2.1; elasticache is the same with another "
        "allocator; article is the article's rule; others come from `memdb calibrate` or “Read from this "
        "cluster”.",
    )
    profile = state.profile(chosen or "memorydb")
    st.caption(f"{markdown(profile.grade)}: {markdown(profile.source, 160)}")
    return profile


def _wishes() -> Wishes:
    regions = state.book("us-east-1").regions()
    left, right = st.columns(2)
    region = left.selectbox(
        "Region",
        regions,
        format_func=labels(regions),
        key="plan.region",
        bind="query-params",
        accept_new_options=True,
        help="Those with prices; others after a refresh from AWS, or with prices of your own.",
    )
    flavour = right.selectbox(
        "Engine", list(ENGINES), key="plan.engine", bind="query-params", format_func=ENGINES.__getitem__
    )
    reserve = st.slider(
        "Kept free",
        0,
        60,
        25,
        step=5,
        format="%d %%",
        key="plan.reserve",
        bind="query-params",
        help="For replication, snapshots and peaks. ElastiCache keeps 25 % by default; MemoryDB's share is "
        "not published; the article alerts below 25 % free.",
    )
    return Wishes(region or "us-east-1", "redis" if flavour == "redis" else "valkey", reserve / 100)
