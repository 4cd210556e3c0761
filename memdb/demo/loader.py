"""Loading the demo: repeatable, resumable, with the engine as the bottleneck.

A key that is there keeps what it holds; so a second load writes nothing, and an interrupted one goes on.
Sessions whose time to live has passed come back, and those that are there live again as long as at first.
Documents and embeddings are computed once and kept under MEMDB_HOME.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

from memdb.cluster import replies
from memdb.cluster.client import Client, Command
from memdb.cluster.replies import Reply
from memdb.demo import corpus, kept, people, services
from memdb.demo.corpus import Document
from memdb.demo.services import Service
from memdb.embedding import local
from memdb.errors import BadInput, EngineError, UnknownField
from memdb.jobs import Report, silent
from memdb.sessions import formats
from memdb.vectors import index
from memdb.vectors.distance import Floats
from memdb.vectors.index import HnswField, IndexSpec, NumericField, TagField, TextField

T = TypeVar("T")

SESSIONS = 1_000
SENT_AT_ONCE = 250  # documents of one pipeline, about half a megabyte
IN_FLIGHT = 3  # pipelines that wait at the engine while the next is made ready
CHECKED_AT_ONCE = 2_000
_GONE = -2  # of PTTL: there is no such key
# Sessions of the demo, by their place in the stream, and those that its users began in the Assistant.
_OURS = re.compile(rb"session:(?:sess_user\d{3,}_(?P<place>[0-9a-f]{6,})|user\d{3,}-[0-9a-f]{8})")

DOCUMENTS = IndexSpec(
    "idx:embeddings",
    (
        TextField("content"),
        TextField("title"),
        TagField("service"),
        TagField("verb"),
        TagField("source"),
        NumericField("year"),
        NumericField("length"),
        HnswField("embedding", local.DIMENSION, "COSINE", m=16, ef_construction=200),
    ),
    ("doc:",),
)
USERS = IndexSpec(
    "idx:users",
    (
        TagField("company_size"),
        TagField("primary_interest"),
        TextField("preference"),
        HnswField("embedding", local.DIMENSION, "COSINE", m=16, ef_construction=200),
    ),
    (formats.USER_PREFIX,),
)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load did. Counts of keys; seconds."""

    documents_written: int
    documents_there: int
    users_written: int
    users_there: int
    sessions_written: int
    sessions_there: int
    services_written: int  # JSON documents; 0 where the server has none
    services_there: int
    embedded: int  # texts whose embedding was not kept from an earlier load
    took_s: float
    reading_s: float  # the corpus, from packages or from where it is kept
    embedding_s: float  # of documents and preferences, computed or read
    ingest_s: float  # writing documents, their embeddings at hand
    sessions_s: float  # making and writing sessions
    engine_busy: float | None  # share of ingest_s in which the engine's main thread computed, None: no ingest


def load(
    client: Client,
    *,
    home: Path,
    docs: int | None = None,
    users: int = people.USERS,
    sessions: int = SESSIONS,
    seed: int = 0,
    report: Report = silent,
) -> LoadReport:
    """Load the demo data into a writable target.

    Args:
        client: of a writable target.
        home: MEMDB_HOME; embeddings are kept below it.
        docs: how many documents at most; None is all operations, commands and docstrings.
        users: how many users.
        sessions: how many sessions.
        seed: of users and sessions.
        report: told stage, done and total; may raise Cancelled, what is loaded stays.

    Raises:
        ReadOnlyTarget: the target is read-only.
        BadInput: a number is negative, or there would be sessions without users or documents.
        EngineError: the server has no search, or an index of that name that is another one.
        NotKept: `home` cannot be written.
    """
    began = time.monotonic()
    _check(docs, users, sessions)
    with_json = services.served(client)
    specs = (DOCUMENTS, USERS, *((services.INDEX,) if with_json else ()))
    absent = [spec for spec in specs if not _is_there(client, spec)]
    for spec in absent:  # after both were looked at: a load that is refused changes nothing
        index.create(client, spec)
    watch = _Watch()
    documents = corpus.documents(client, count=docs, home=home, report=report)
    reading_s = watch.lap()
    texts = [document.text for document in documents]
    rows = _missing(client, [document.key for document in documents], "Looking for what is there", report)
    watch.lap()
    vectors, computed = kept.embeddings(texts, rows, home=home, stage="Embedding documents", report=report)
    embedding_s = watch.lap()
    busy = _ingest(client, [documents[row] for row in rows], vectors, report)
    ingest_s = watch.lap()

    audience = people.users(users, seed=seed)
    likes = [user.preference for user in audience]
    new = _missing(client, [formats.user_key(user.id) for user in audience], "Loading users", report)
    watch.lap()
    vectors, more = kept.embeddings(likes, new, home=home, stage="Embedding preferences", report=report)
    embedding_s += watch.lap()
    for batch in batches(_user_commands([audience[row] for row in new], vectors), SENT_AT_ONCE):
        client.pipeline(batch)
    whole = services.services(documents) if with_json else ()
    fresh, newest = _load_services(client, whole, documents, texts, home, report)
    watch.lap()
    written = _load_sessions(client, sessions, audience, documents, seed, report) if sessions else 0
    return LoadReport(
        documents_written=len(rows),
        documents_there=len(documents) - len(rows),
        users_written=len(new),
        users_there=len(audience) - len(new),
        sessions_written=written,
        sessions_there=sessions - written,
        services_written=fresh,
        services_there=len(whole) - fresh,
        embedded=computed + more + newest,
        took_s=time.monotonic() - began,
        reading_s=reading_s,
        embedding_s=embedding_s,
        ingest_s=ingest_s if rows else 0.0,
        sessions_s=watch.lap(),
        engine_busy=busy,
    )


def reset(
    client: Client, *, home: Path, sessions: int = SESSIONS, seed: int = 0, report: Report = silent
) -> LoadReport:
    """The demo's sessions as at first: what was said in them since, and new ones of its users, are gone.

    Documents, users and indexes stay as they are. Sessions that are not the demo's are not touched.

    Args:
        client: of a writable target that holds the demo.
        home: MEMDB_HOME.
        sessions: how many at least; as many as there were before.
        seed: of the load before.
        report: as for `load`.

    Raises:
        ReadOnlyTarget: the target is read-only.
        UnknownIndex: the demo is not there.
        EngineError: an index of its names is another one.
        NotKept: `home` cannot be written.
    """
    documents = index.index_info(client, DOCUMENTS.name).documents
    audience = index.index_info(client, USERS.name).documents
    most = sessions
    cursor: Reply = b"0"
    while True:
        cursor, keys = replies.items(
            client.execute("SCAN", cursor, "MATCH", "session:*user*", "COUNT", CHECKED_AT_ONCE)
        )
        ours = [
            match for key in replies.items(keys) if isinstance(key, bytes) and (match := _OURS.fullmatch(key))
        ]
        most = max([most, *(int(match["place"], 16) + 1 for match in ours if match["place"])])
        client.pipeline([("UNLINK", match[0]) for match in ours])
        if replies.text(cursor) == "0":
            break
    return load(client, home=home, docs=documents, users=audience, sessions=most, seed=seed, report=report)


class _Watch:
    def __init__(self) -> None:
        self._since = time.monotonic()

    def lap(self) -> float:
        """Seconds since the last lap."""
        before, self._since = self._since, time.monotonic()
        return self._since - before


def _check(docs: int | None, users: int, sessions: int) -> None:
    for name, value in (("docs", docs), ("users", users), ("sessions", sessions)):
        if value is not None and value < 0:
            raise BadInput(f"{name} is {value:,}.", "Give a number of 0 or more.")
    if sessions and (not users or docs == 0):
        raise BadInput(
            f"{sessions:,} sessions need at least one user and one document to talk about.",
            "Give users and documents, or no sessions.",
        )


def _is_there(client: Client, spec: IndexSpec) -> bool:
    """Whether the index is there, and is this one.

    Raises:
        EngineError: another index has its name. Nothing is ever dropped.
    """
    if not index.exists(client, spec.name):
        return False
    info = index.index_info(client, spec.name)
    try:
        _, params = info.vector_field("embedding")
        has = f"{params.dim} dimensions of {params.type} under {', '.join(info.prefixes) or 'every prefix'}"
        same = (params.dim, params.type, info.prefixes) == (local.DIMENSION, "FLOAT32", spec.prefixes)
    except UnknownField:
        same, has = False, "no vector field 'embedding'"
    if not same:
        raise EngineError(
            f"The server has another index named '{spec.name}': it has {has}, and the demo's has "
            f"{local.DIMENSION} dimensions of FLOAT32 under {', '.join(spec.prefixes)}.",
            "Drop or rename that index, or load the demo into another server.",
        )
    return True


def _missing(client: Client, keys: Sequence[str], stage: str, report: Report) -> list[int]:
    """Places of those keys that do not exist, ascending."""
    places: list[int] = []
    for start in range(0, len(keys), CHECKED_AT_ONCE):
        report(stage, start, len(keys))
        there = client.pipeline([("EXISTS", key) for key in keys[start : start + CHECKED_AT_ONCE]])
        places += [place for place, exists in enumerate(there, start) if not exists]
    report(stage, len(keys), len(keys))
    return places


def _document_commands(documents: Sequence[Document], vectors: Floats) -> Iterator[Command]:
    for document, vector in zip(documents, vectors, strict=True):
        year = () if document.year is None else ("year", document.year)
        yield (
            "HSET", document.key, "title", document.title, "content", document.content, "service",
            document.service, "verb", document.verb, "source", document.source, *year, "length",
            len(document.content), "embedding", vector.tobytes(),
        )  # fmt: skip  # a field and its value side by side


def _user_commands(users: Sequence[people.User], vectors: Floats) -> Iterator[Command]:
    for user, vector in zip(users, vectors, strict=True):
        yield (
            "HSET", formats.user_key(user.id), "company_size", user.company_size, "primary_interest",
            user.primary_interest, "preference", user.preference, "embedding", vector.tobytes(),
        )  # fmt: skip  # a field and its value side by side


def _load_services(
    client: Client,
    whole: Sequence[Service],
    documents: Sequence[Document],
    texts: Sequence[str],
    home: Path,
    report: Report,
) -> tuple[int, int]:
    """Write the JSON documents that are not there: how many, and how many texts were embedded for them."""
    new = [whole[row] for row in _missing(client, [s.key for s in whole], "Loading services", report)]
    rows = sorted(row for service in new for row in service.rows)
    vectors, computed = kept.embeddings(texts, rows, home=home, stage="Embedding documents", report=report)
    by_row = dict(zip(rows, vectors, strict=True))
    for batch in batches(services.commands(new, documents, by_row), SENT_AT_ONCE):
        client.pipeline(batch)
    return len(new), computed


def _ingest(client: Client, documents: Sequence[Document], vectors: Floats, report: Report) -> float | None:
    """Write documents; the share of the time in which the engine computed."""
    if not documents:
        return None
    used, began = _cpu_s(client), time.monotonic()
    _in_turn(
        lambda batch: len(client.pipeline(batch)),
        batches(_document_commands(documents, vectors), SENT_AT_ONCE),
        len(documents),
        "Loading documents",
        report,
    )
    return (_cpu_s(client) - used) / (time.monotonic() - began)


def _load_sessions(
    client: Client,
    count: int,
    audience: Sequence[people.User],
    documents: Sequence[Document],
    seed: int,
    report: Report,
) -> int:
    """Write the sessions that are not there, in bounded memory however many; how many were written.

    Those that are there get their time to live back, unless they have more left.
    """

    def send(batch: list[people.Conversation]) -> int:
        ttls = client.pipeline([("PTTL", talk.key) for talk in batch])
        new: list[tuple[Command, ...]] = []
        renewed: list[Command] = []
        for talk, reply in zip(batch, ttls, strict=True):
            left_ms = replies.integer(reply)
            life: tuple[Command, ...] = () if talk.ttl_s is None else (("EXPIRE", talk.key, talk.ttl_s),)
            if left_ms == _GONE:
                fields = [part for pair in talk.fields.items() for part in pair]
                # Both or neither: a session without its time to live would stay for ever. A transaction
                # for each, since a cluster takes none over several slots.
                new.append((("HSET", talk.key, *fields), *life))
            elif left_ms >= 0 and talk.ttl_s is None:
                renewed.append(("PERSIST", talk.key))
            elif talk.ttl_s is not None and 0 <= left_ms < talk.ttl_s * 1_000:
                renewed += life
        client.transactions(new)
        client.pipeline(renewed)
        return len(new)

    talks = people.conversations(count, audience, documents, now=datetime.now(UTC), seed=seed)
    return _in_turn(send, batches(talks, SENT_AT_ONCE), count, "Loading sessions", report)


def _in_turn(
    send: Callable[[list[T]], int], parts: Iterable[list[T]], total: int, stage: str, report: Report
) -> int:
    """Send batches from two threads, so that the engine has one while we make the next ready.

    On an error or a cancel, what was sent is written and the rest is not.

    Returns:
        The sum of what `send` returned.
    """
    report(stage, 0, total)
    collected = returned = 0
    waiting: dict[Future[int], int] = {}
    with ThreadPoolExecutor(2, thread_name_prefix="load") as threads:
        for batch in parts:
            waiting[threads.submit(send, batch)] = len(batch)
            while len(waiting) >= IN_FLIGHT:
                collected, returned = _collect(waiting, collected, returned)
                report(stage, collected, total)
        while waiting:
            collected, returned = _collect(waiting, collected, returned)
            report(stage, collected, total)
    return returned


def _collect(waiting: dict[Future[int], int], collected: int, returned: int) -> tuple[int, int]:
    ended, _ = wait(waiting, return_when="FIRST_COMPLETED")
    for future in ended:
        collected += waiting.pop(future)
        returned += future.result()
    return collected, returned


def _cpu_s(client: Client) -> float:
    """Seconds the engine's main thread has computed; of all its threads where it does not tell."""
    facts = client.info("cpu").get("cpu", {})
    suffix = "_main_thread" if "used_cpu_user_main_thread" in facts else ""
    return sum(replies.number(facts.get(f"used_cpu_{kind}{suffix}"), 0.0) for kind in ("user", "sys"))


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The same, `size` at a time."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
