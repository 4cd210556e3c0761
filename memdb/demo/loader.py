"""Loading the demo: repeatable, resumable, with the engine as the bottleneck.

A key that is there is left as it is; so a second load changes nothing, and an interrupted one goes on.
Sessions whose time to live has passed come back. Embeddings are computed once and kept under MEMDB_HOME.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from memdb import embed
from memdb.cluster import replies
from memdb.cluster.client import Client, Command
from memdb.demo import corpus, people
from memdb.demo.corpus import Document
from memdb.errors import EngineError, UnknownField
from memdb.jobs import Report, silent
from memdb.sessions import formats
from memdb.vectors import index
from memdb.vectors.distance import Floats
from memdb.vectors.index import HnswField, IndexSpec, NumericField, TagField, TextField

SESSIONS = 1_000
EMBEDDED_AT_ONCE = 2_048  # texts of one kept block
SENT_AT_ONCE = 250  # documents of one pipeline, about half a megabyte
IN_FLIGHT = 3  # pipelines that wait at the engine while the next is made ready
CHECKED_AT_ONCE = 2_000

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
        HnswField("embedding", embed.DIMENSION, "COSINE", m=16, ef_construction=200),
    ),
    ("doc:",),
)
USERS = IndexSpec(
    "idx:users",
    (
        TagField("company_size"),
        TagField("primary_interest"),
        TextField("preference"),
        HnswField("embedding", embed.DIMENSION, "COSINE", m=16, ef_construction=200),
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
    embedded: int  # texts whose embedding was not kept from an earlier load
    took_s: float
    ingest_s: float  # writing documents, their embeddings at hand
    engine_busy: (
        float | None
    )  # share of ingest_s in which the engine computed, None where nothing was written


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
        EngineError: the server has no search, or an index of that name that is another one.
    """
    began = time.monotonic()
    for spec in (DOCUMENTS, USERS):
        _ensure(client, spec)
    found = corpus.documents(client, count=docs, report=report)
    missing = _missing(client, [document.key for document in found], "Looking for what is there", report)
    wanted = [document for document in found if document.key in missing]
    counter = _Counter()
    vectors = _embedded([document.text for document in wanted], home, counter, "Embedding documents", report)
    ingest = _Ingest(client)
    ingest.run(_document_commands(wanted, vectors), len(wanted), "Loading documents", report)

    audience = people.users(users, seed=seed)
    keys = {user.id: formats.user_key(user.id) for user in audience}
    new = _missing(client, list(keys.values()), "Loading users", report)
    fresh = [user for user in audience if keys[user.id] in new]
    likes = _embedded([user.preference for user in fresh], home, counter, "Embedding preferences", report)
    client.pipeline(
        [
            (
                "HSET", keys[user.id], "company_size", user.company_size, "primary_interest",
                user.primary_interest, "preference", user.preference, "embedding", like.tobytes(),
            )
            for user, like in zip(fresh, likes, strict=True)
        ]
    )  # fmt: skip
    written = _load_sessions(client, sessions, audience, found, seed, report) if audience and found else 0
    return LoadReport(
        documents_written=len(wanted),
        documents_there=len(found) - len(wanted),
        users_written=len(fresh),
        users_there=len(audience) - len(fresh),
        sessions_written=written,
        sessions_there=sessions - written,
        embedded=counter.value,
        took_s=time.monotonic() - began,
        ingest_s=ingest.took_s,
        engine_busy=ingest.engine_busy,
    )


def _ensure(client: Client, spec: IndexSpec) -> None:
    """Create an index, or make sure that the one of this name is this one. Nothing is ever dropped."""
    if not index.exists(client, spec.name):
        index.create(client, spec)
        return
    info = index.index_info(client, spec.name)
    try:
        _, params = info.vector_field("embedding")
        same = params.dim == embed.DIMENSION and info.prefixes == spec.prefixes
    except UnknownField:
        same = False
    if not same:
        raise EngineError(
            f"The server has another index named '{spec.name}'.",
            "Drop or rename that index, or load the demo into another server.",
        )


def _missing(client: Client, keys: Sequence[str], stage: str, report: Report) -> set[str]:
    """Those of the keys that do not exist."""
    found: set[str] = set()
    for start in range(0, len(keys), CHECKED_AT_ONCE):
        report(stage, start, len(keys))
        batch = keys[start : start + CHECKED_AT_ONCE]
        there = client.pipeline([("EXISTS", key) for key in batch])
        found.update(key for key, exists in zip(batch, there, strict=True) if not exists)
    return found


@dataclass(slots=True)
class _Counter:
    value: int = 0


def _embedded(texts: Sequence[str], home: Path, counter: _Counter, stage: str, report: Report) -> Floats:
    """(len(texts), 256) float32: kept blocks where there are, else computed and kept."""
    folder = home / "embeddings"
    blocks: list[Floats] = [np.empty((0, embed.DIMENSION), np.float32)]
    for start in range(0, len(texts), EMBEDDED_AT_ONCE):
        report(stage, start, len(texts))
        block = texts[start : start + EMBEDDED_AT_ONCE]
        digest = hashlib.sha256("\0".join([embed.MODEL, *block]).encode()).hexdigest()[:32]
        file = folder / f"{digest}.npy"
        kept = _kept(file, len(block))
        if kept is None:
            kept = embed.embed(block)
            counter.value += len(block)
            folder.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(f".{os.getpid()}.part")
            with part.open("wb") as stream:
                np.save(stream, kept)
            part.replace(file)  # whole or not at all
        blocks.append(kept)
    return np.concatenate(blocks)


def _kept(file: Path, rows: int) -> Floats | None:
    """A kept block; None where there is none or it is damaged."""
    try:
        found = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = found.shape == (rows, embed.DIMENSION) and found.dtype == np.float32 and np.isfinite(found).all()
    return found if fits else None


def _document_commands(documents: Sequence[Document], vectors: Floats) -> Iterator[Command]:
    for document, vector in zip(documents, vectors, strict=True):
        year = () if document.year is None else ("year", document.year)
        yield (
            "HSET", document.key, "title", document.title, "content", document.content, "service",
            document.service, "verb", document.verb, "source", document.source, *year, "length",
            len(document.content), "embedding", vector.tobytes(),
        )  # fmt: skip


def _load_sessions(
    client: Client,
    count: int,
    audience: Sequence[people.User],
    found: Sequence[Document],
    seed: int,
    report: Report,
) -> int:
    """Write the sessions that are not there, in bounded memory however many."""
    now = datetime.now(UTC)
    written = 0
    batch: list[people.Conversation] = []

    def flush() -> int:
        there = client.pipeline([("EXISTS", talk.key) for talk in batch])
        commands: list[Command] = []
        for talk, exists in zip(batch, there, strict=True):
            if not exists:
                fields = [part for pair in talk.fields.items() for part in pair]
                # Both or neither: a session without its time to live would stay for ever. A transaction
                # for each, since a cluster takes none over several slots.
                commands += [
                    ("MULTI",), ("HSET", talk.key, *fields), ("EXPIRE", talk.key, talk.ttl_s), ("EXEC",),
                ]  # fmt: skip
        client.pipeline(commands)
        batch.clear()
        return len(commands) // 4

    talks = people.conversations(count, audience, found, now=now, seed=seed)
    for done, talk in enumerate(talks, 1):
        batch.append(talk)
        if len(batch) == SENT_AT_ONCE:
            written += flush()
            report("Loading sessions", done, count)
    return written + (flush() if batch else 0)


class _Ingest:
    """Pipelines sent by two threads, so that the engine has the next one while we make another ready."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.took_s = 0.0
        self.engine_busy: float | None = None

    def run(self, commands: Iterator[Command], total: int, stage: str, report: Report) -> None:
        """Send all; on an error or a cancel what was sent is written and the rest is not."""
        if not total:
            return
        report(stage, 0, total)
        used, began, done = self._cpu_s(), time.monotonic(), 0
        waiting: dict[Future[list[replies.Reply]], int] = {}
        with ThreadPoolExecutor(2, thread_name_prefix="load") as threads:
            for batch in batches(commands, SENT_AT_ONCE):
                waiting[threads.submit(self._client.pipeline, batch)] = len(batch)
                while len(waiting) >= IN_FLIGHT:
                    done += self._collect(waiting)
                    report(stage, done, total)
            while waiting:
                done += self._collect(waiting)
                report(stage, done, total)
        self.took_s = time.monotonic() - began
        self.engine_busy = (self._cpu_s() - used) / self.took_s

    @staticmethod
    def _collect(waiting: dict[Future[list[replies.Reply]], int]) -> int:
        ended, _ = wait(waiting, return_when="FIRST_COMPLETED")
        done = 0
        for future in ended:
            done += waiting.pop(future)
            future.result()
        return done

    def _cpu_s(self) -> float:
        facts = self._client.info("cpu").get("cpu", {})
        return sum(replies.number(facts.get(f"used_cpu_{kind}"), 0.0) for kind in ("user", "sys"))


def batches(commands: Iterator[Command], size: int) -> Iterator[list[Command]]:
    """The same, `size` at a time."""
    batch: list[Command] = []
    for command in commands:
        batch.append(command)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
