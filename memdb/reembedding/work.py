"""Embedding an index's documents again, into a new field or copies with an index of their own.

The old index, its field and what the documents held before are never changed. Nothing is noted of how far it
is: what has its new vector is done, so that a run that was killed goes on where it was, from anywhere.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Client, Command
from memdb.cluster.replies import Reply
from memdb.cluster.server import names_described
from memdb.display import line
from memdb.embedding import Embedder, Spent
from memdb.errors import BadInput, Cancelled, EngineError, MemDBError, NotAllowed, ReadOnlyTarget
from memdb.jobs import Report, silent
from memdb.reembedding.plan import Plan, texts_of
from memdb.vectors import distance, index
from memdb.vectors.distance import Floats
from memdb.vectors.read import matching_keys

AT_ONCE = 200  # documents of one step: what is done twice, or lost, where something fails
_CHECKED = 5  # done documents whose text is embedded again, to see that it was this model
_SAME = 0.99  # cosine of two answers of one model to one text
_BUILD_S = 0.25
_STAGE = "Embedding documents again"


@dataclass(frozen=True, slots=True)
class Reembedded:
    """What a run did. Counts of documents."""

    written: int
    there: int  # that had their new vector already
    without_text: int
    gone: int  # that expired or were deleted meanwhile; none of them was made again
    cut: int  # whose text was longer than the model takes
    spent: Spent
    took_s: float
    ended: str = ""  # why it ended early, in a sentence; empty where it is complete

    @property
    def words(self) -> str:
        """For people, in one or two whats."""
        embedded = f"Embedded {self.written:,} documents again"
        there = f"; {self.there:,} were done before" if self.there else ""
        rest = [
            f"{self.without_text:,} have no text" if self.without_text else "",
            f"{self.gone:,} were gone" if self.gone else "",
            f"of {self.cut:,} the beginning counts, since the model takes no more" if self.cut else "",
        ]
        what = f"{embedded}{there}" + "".join(f", {part}" for part in rest if part)
        if self.ended:
            return f"{what}. It ended early: {self.ended.rstrip('.')}. Run it again: it goes on where it was."
        return f"{what} ({self.spent.words})."


def reembed(
    client: Client, work_plan: Plan, embedder: Embedder, *, typed: str, report: Report = silent
) -> Reembedded:
    """Create the new index and embed every document that has no new vector yet.

    Args:
        client: of a writable target.
        work_plan: the plan, looked at and agreed to.
        embedder: its model.
        typed: the name of the old index as the user typed it.
        report: progress; may raise Cancelled. What was written stays.

    Returns:
        What was done. `ended` says why where the model or the server failed after something was written.

    Raises:
        ReadOnlyTarget: the target is read-only; nothing was sent.
        BadInput: what was typed is another name, something speaks against the plan, or the new field holds
            vectors of another model. Nothing was written.
        MemDBError: the model or the server failed before anything was written.
        Cancelled: from `report`.
    """
    if not client.target.writable:
        raise ReadOnlyTarget(
            "HSET", "This target is read-only; embedding again writes to it.", "Open it writable."
        )
    if typed.strip() != work_plan.base.name:
        raise BadInput(
            f"The name typed is '{line(typed)}', not '{line(work_plan.base.name)}'.",
            "Type the whole name of the index to go on.",
        )
    if work_plan.refusals:
        raise BadInput(work_plan.refusals[0], " ".join(work_plan.refusals[1:]))
    return _Work(client, work_plan, embedder, report).run()


def has_aliases(client: Client) -> bool:
    """Whether the engine has aliases of indexes; False also where this user may not ask.

    Raises:
        MemDBError: the server does not answer.
    """
    try:
        return "FT.ALIASUPDATE" in names_described(client.execute("COMMAND", "INFO", "FT.ALIASUPDATE"))
    except NotAllowed:
        return False


class _Work:
    def __init__(self, client: Client, work_plan: Plan, embedder: Embedder, report: Report) -> None:
        self.client, self.plan, self.embedder, self.report = client, work_plan, embedder, report
        self.json = work_plan.base.on == "JSON"
        self.path = f"$.{work_plan.request.field}" if self.json else work_plan.request.field
        self.old = {field.identifier for field in work_plan.base.of_kind("VECTOR")}
        self.written = self.there = self.without_text = self.gone = self.cut = 0
        self.spent = Spent()

    def run(self) -> Reembedded:
        """All documents; each step reads, embeds and writes some of them."""
        began = time.monotonic()
        keys = [key for some in matching_keys(self.client, self.plan.base) for key in some]
        there = self._index_there()
        self._same_model(keys)
        if not there:
            index.create(self.client, self.plan.spec)
        total, ended = len(keys), ""
        for start in range(0, total, AT_ONCE):
            self.report(_STAGE, start, total)
            try:
                self._step(keys[start : start + AT_ONCE])
            except Cancelled:
                raise
            except MemDBError as exc:
                if not self.written + self.there:
                    raise
                ended = str(exc)
                break
        else:
            self.report(_STAGE, total, total)
            self._built()
        took = time.monotonic() - began
        return Reembedded(
            self.written, self.there, self.without_text, self.gone, self.cut, self.spent, took, ended
        )

    def _index_there(self) -> bool:
        """Whether the new index exists already, for vectors of this dimension."""
        spec = self.plan.spec
        if not index.exists(self.client, spec.name):
            return False
        _, params = index.index_info(self.client, spec.name).vector_field(self.plan.request.field)
        if params.dim != self.plan.dimension:
            raise BadInput(
                f"There is an index '{line(spec.name)}' with vectors of {params.dim:,} numbers already.",
                "Give the new index another name with --to.",
            )
        return True

    def _built(self) -> None:
        """Wait until the new index holds what was written."""
        while True:
            info = index.index_info(self.client, self.plan.spec.name)
            if info.build.state != "building":
                return
            self.report("Building the new index", round(info.build.fraction * 100), 100)
            time.sleep(_BUILD_S)

    def _same_model(self, keys: Sequence[str]) -> None:
        """That new vectors which are there already are this model's, of these texts."""
        finished = [
            key for key, there in zip(keys[:AT_ONCE], self._done(keys[:AT_ONCE]), strict=True) if there
        ]
        texts = texts_of(self.client, self.plan.base, self.plan.texts, finished[:_CHECKED])
        pairs = [(key, text) for key, text in zip(finished, texts, strict=False) if text]
        if not pairs:
            return
        again = distance.prepared(self.embedder.embed([text for _, text in pairs], "document"), "COSINE")
        rows = [self._held(key) for key, _ in pairs]
        stored = (
            distance.prepared(np.stack(rows), "COSINE") if len({row.shape for row in rows}) == 1 else None
        )
        if stored is None or stored.shape != again.shape or np.median((stored * again).sum(axis=1)) < _SAME:
            raise BadInput(
                f"The field '{line(self.plan.request.field)}' holds vectors of another model or other texts.",
                "Give another field or prefix, or the model and texts that it was begun with.",
            )

    def _held(self, key: str) -> Floats:
        reply = self._vectors([key])[0]
        if self.json:
            numbers = json.loads(replies.text(reply))[0]
            if not isinstance(numbers, list) or not all(isinstance(n, int | float) for n in numbers):
                raise BadInput(
                    f"'{line(key, 200)}' has a member '{line(self.plan.request.field)}' already, which is no "
                    "vector.",
                    "Give another field or prefix; what is there is not written over.",
                )
            return np.array(numbers, np.float32)
        return distance.from_bytes(bytes(reply) if isinstance(reply, bytes) else b"", "FLOAT32")

    def _vectors(self, keys: Sequence[str]) -> list[Reply]:
        command = "JSON.GET" if self.json else "HGET"
        return self.client.pipeline([(command, self._place(key), self.path) for key in keys])

    def _place(self, key: str) -> str:
        """Where a document's new vector is: in itself, or in its copy."""
        return f"{self.plan.request.prefix}{key}"

    def _done(self, keys: Sequence[str]) -> list[bool]:
        size = self.plan.dimension * 4
        if self.json:
            return [reply is not None and replies.text(reply) != "[]" for reply in self._vectors(keys)]
        replies_of = self.client.pipeline([("HSTRLEN", self._place(key), self.path) for key in keys])
        lengths = [replies.integer(length) for length in replies_of]
        for key, length in zip(keys, lengths, strict=True):
            if length not in (0, size):
                raise BadInput(
                    f"'{line(self._place(key), 200)}' has a field '{line(self.plan.request.field)}' already, "
                    f"of {length:,} bytes, which is no vector of {self.plan.dimension:,} numbers.",
                    "Give another field or prefix; what is there is not written over.",
                )
        return [length == size for length in lengths]

    def _own(self, keys: Sequence[str]) -> None:
        """That none of the copies to be made is there already, as something else."""
        taken = self.client.pipeline([("EXISTS", self._place(key)) for key in keys])
        for key, there in zip(keys, taken, strict=True):
            if replies.integer(there):
                raise BadInput(
                    f"A key '{line(self._place(key), 200)}' is there already, and holds no new vector.",
                    "Give another prefix; what is there is not written over.",
                )

    def _step(self, keys: Sequence[str]) -> None:
        finished = self._done(keys)
        self.there += sum(finished)
        undone = [key for key, there in zip(keys, finished, strict=True) if not there]
        if self.plan.request.prefix:
            self._own(undone)
        read = texts_of(self.client, self.plan.base, self.plan.texts, undone)
        pairs = [(key, text) for key, text in zip(undone, read, strict=True) if text.strip()]
        self.without_text += len(undone) - len(pairs)
        if not pairs:
            return
        embedded = self.embedder.ask([text for _, text in pairs], "document", report=self._within)
        if embedded.vectors.shape[1] != self.plan.dimension:
            raise EngineError(
                f"{self.embedder.name} answered with {embedded.vectors.shape[1]:,} numbers instead of "
                f"{self.plan.dimension:,}.",
                "Name the model's own dimension.",
            )
        self.spent += embedded.spent
        self.cut += len(embedded.cut)
        some = [key for key, _ in pairs]
        write = self._copied if self.plan.request.prefix else self._added
        written = write(some, embedded.vectors)
        self.written += written
        self.gone += len(some) - written

    def _within(self, stage: str, done: int, total: int) -> None:
        """A cancel ends the work between two calls of the model as well."""
        del stage, done, total
        so_far = self.written + self.there + self.without_text + self.gone
        self.report(_STAGE, so_far, max(so_far, self.plan.documents))

    def _added(self, keys: Sequence[str], vectors: Floats) -> int:
        """Write the new field of documents that are still there: how many."""
        if self.json:
            commands: list[Command] = [
                ("JSON.SET", key, self.path, json.dumps(row.tolist()))
                for key, row in zip(keys, vectors, strict=True)
            ]
            # A path below the root of a document that is gone is refused, and makes none.
            answers = self.client.pipeline(commands, errors_as_values=True)
            return sum(not isinstance(answer, MemDBError) and answer is not None for answer in answers)
        groups: list[Command] = []
        for key, row in zip(keys, vectors, strict=True):
            groups += [("HSET", key, self.path, distance.to_bytes(row, "FLOAT32")), ("HLEN", key)]
        lengths = self.client.pipeline(groups)[1::2]
        # A hash of this one field was gone a moment before: it is not brought back.
        lost = [key for key, length in zip(keys, lengths, strict=True) if replies.integer(length) == 1]
        self.client.pipeline([("UNLINK", key) for key in lost])
        return len(keys) - len(lost)

    def _copied(self, keys: Sequence[str], vectors: Floats) -> int:
        """Write copies with the new field in the place of the old vectors, as long to live: how many."""
        lives = self.client.pipeline([("PTTL", key) for key in keys])
        if self.json:
            documents = self.client.pipeline([("JSON.GET", key, "$") for key in keys])
        else:
            documents = self.client.pipeline([("HGETALL", key) for key in keys])
        groups: list[tuple[Command, ...]] = []
        for key, whole, life, row in zip(keys, documents, lives, vectors, strict=True):
            command = self._copy(key, whole, row)
            pttl = replies.integer(life)
            if command is not None and pttl != -2:
                groups.append((command, *([("PEXPIRE", self._place(key), pttl)] if pttl > 0 else [])))
        self.client.transactions(groups)
        return len(groups)

    def _copy(self, key: str, whole: Reply, row: Floats) -> Command | None:
        if self.json:
            document = json.loads(replies.text(whole))[0] if whole is not None else None
            if not isinstance(document, dict):
                return None
            others = {name: value for name, value in document.items() if f"$.{name}" not in self.old}
            copied = others | {self.plan.request.field: row.tolist()}
            return ("JSON.SET", self._place(key), "$", json.dumps(copied))
        fields = replies.pairs(whole)
        if not fields:
            return None
        pairs = [part for name, value in fields.items() if name not in self.old for part in (name, value)]
        return ("HSET", self._place(key), *pairs, self.path, distance.to_bytes(row, "FLOAT32"))
