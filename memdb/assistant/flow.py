"""The retrieval of an assistant: history, preference vector and documents in one round trip.

    prepared = flow.Ask("idx:embeddings", "session:42", "user001", "How do I restore a table?")
    found = flow.context(client, info, prepared, vector, preference)

The preference vector is read when the user is chosen, so that it can be blended into the question before it
is sent; the round trip reads it again, and only if it has changed the documents are asked for once more.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Arg, Client
from memdb.cluster.replies import Reply
from memdb.errors import BadVector, NotFound, OutOfRange
from memdb.sessions import formats
from memdb.sessions.context import LEAN, leaning
from memdb.sessions.turns import Turn
from memdb.vectors import distance
from memdb.vectors.distance import Floats
from memdb.vectors.filters import EVERYTHING, Condition
from memdb.vectors.index import IndexInfo
from memdb.vectors.query import Command, KnnRequest, Template, filled, returnable, template, vector_param
from memdb.vectors.search import KnnResult, held_against_filter, knn, knn_result

ROUND_TRIP = "one round trip: history, preference, documents"


@dataclass(frozen=True, slots=True)
class Ask:
    """A question in a session. `weight` is the share of the preference, in [0, 1]; 0 leaves it out."""

    index: str
    session_key: str
    user_id: str
    question: str
    k: int = 5
    ef_runtime: int | None = 64
    weight: float = LEAN
    filter: Condition | str = EVERYTHING
    field: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise OutOfRange("Weight", self.weight, 0, 1, "the blend")


@dataclass(frozen=True, slots=True)
class TimedStep:
    """A part of the flow, in ms since the question was sent off."""

    name: str
    start_ms: float
    end_ms: float
    remote: bool  # on the wire and the server, else in this process

    @property
    def took_ms(self) -> float:
        """Its length."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What was found for a question."""

    ask: Ask
    turns: tuple[Turn, ...]  # before the question
    preference: Floats | None  # (d,)
    result: KnnResult
    steps: tuple[TimedStep, ...]
    commands: tuple[Command, ...]  # of the round trip, in order
    asked_again: bool  # the preference had changed
    problems: tuple[str, ...]

    @property
    def round_trip_ms(self) -> float:
        """The pipeline, from its sending to its last reply."""
        return sum(step.took_ms for step in self.steps if step.remote)


def context(
    client: Client,
    info: IndexInfo,
    ask: Ask,
    vector: Floats,
    preference: Floats | None,
    *,
    embed_ms: float = 0.0,
) -> Context:
    """Fetch all that an answer needs.

    Args:
        client: where it is.
        info: the index.
        ask: the question.
        vector: (d,) of the question, of unit length.
        preference: (p,) as read with the user; None if there is none. Of another length it is left aside.
        embed_ms: what the embedding took, for the steps.

    Raises:
        NotFound: the session is gone.
        MemDBError: the server did not answer, or said no.
    """
    began = time.perf_counter() - embed_ms / 1000
    command, shape = _command(client, info, ask, vector, preference)
    key = ask.session_key
    commands: list[tuple[Arg, ...]] = [("HMGET", key, formats.USER_ID, formats.HISTORY)]
    if ask.user_id:
        commands.append(("HGET", formats.user_key(ask.user_id), formats.EMBEDDING))
    commands.append(command.args)
    sent = time.perf_counter()
    answers = client.pipeline(commands)
    back = time.perf_counter()
    stored, history = replies.items(answers[0])
    if stored is None and history is None:
        raise NotFound(key, "session")
    earlier = formats.history_of(history) if history else formats.History((), ())
    problems = list(earlier.problems)
    preferred, problem = _preference(answers[1]) if ask.user_id else (None, "")
    problems += [problem] if problem else []
    if preferred is not None and preferred.shape != vector.shape:
        problems.append(
            f"The preference vector has {len(preferred):,} numbers, the question {len(vector):,}: "
            "it is left aside."
        )
    result = knn_result(answers[-1], shape, command, (back - sent) * 1000)
    result = held_against_filter(client, info, _request(info, ask, vector, preference), result)
    again = not _same(preferred, preference) and ask.weight > 0
    if again:
        command, _ = _command(client, info, ask, vector, preferred)
        result = knn(client, _request(info, ask, vector, preferred), info)
    ended = time.perf_counter()
    return Context(
        ask,
        earlier.turns,
        preferred,
        result.under_filter(),
        _steps(embed_ms, [(moment - began) * 1000 for moment in (sent, back, ended)]),
        tuple(Command(tuple(args)) for args in commands),
        again,
        tuple(problems),
    )


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """The commands of the round trip sent at once and one by one, in turn; ms, one value a repeat."""

    together_ms: tuple[float, ...]
    alone_ms: tuple[tuple[str, tuple[float, ...]], ...]  # command → its times

    @property
    def sums_ms(self) -> tuple[float, ...]:
        """What the commands one by one took in each repeat."""
        return tuple(sum(times) for times in zip(*(times for _, times in self.alone_ms), strict=True))

    @property
    def steps(self) -> tuple[TimedStep, ...]:
        """The commands one after the other, each as long as its median."""
        steps: list[TimedStep] = []
        for name, times in self.alone_ms:
            start = steps[-1].end_ms if steps else 0.0
            steps.append(TimedStep(name, start, start + statistics.median(times), True))
        return tuple(steps)


def compared(client: Client, context: Context, repeats: int = 9) -> RoundTrips:
    """What one round trip saves: its commands at once and one by one, as often as each other and in turn.

    A server writes the replies of a pipeline together, so that the pipeline itself does not tell what each
    command took.

    Raises:
        MemDBError: the server did not answer, or said no.
    """
    names = ["history", *(["preference"] if context.ask.user_id else []), "documents"]
    together: list[float] = []
    alone: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(repeats):
        began = time.perf_counter()
        client.pipeline([command.args for command in context.commands])
        together.append((time.perf_counter() - began) * 1000)
        for name, command in zip(names, context.commands, strict=True):
            began = time.perf_counter()
            client.execute(*command.args)
            alone[name].append((time.perf_counter() - began) * 1000)
    return RoundTrips(tuple(together), tuple((name, tuple(times)) for name, times in alone.items()))


def nearest(client: Client, info: IndexInfo, ask: Ask, vector: Floats) -> float | None:
    """Distance of the document nearest to the question alone, without the preference; None where none is.

    `vector` is (d,), of the question.

    Raises:
        MemDBError: the server did not answer, or said no.
    """
    result = knn(client, _request(info, replace(ask, k=1, weight=0.0), vector, None), info)
    finite = result.distances[np.isfinite(result.distances)]
    return float(finite[0]) if len(finite) else None


def both(
    client: Client, info: IndexInfo, ask: Ask, vector: Floats, preference: Floats | None
) -> tuple[KnnResult, KnnResult]:
    """The documents without and with the preference, in one round trip; `vector` and `preference` are (d,).

    Raises:
        MemDBError: the server did not answer, or said no.
    """
    plain, shape = _command(client, info, replace(ask, weight=0.0), vector, None)
    blended, _ = _command(client, info, ask, vector, preference)
    began = time.perf_counter()
    first, second = client.pipeline([plain.args, blended.args])
    took = (time.perf_counter() - began) * 1000
    results = [
        held_against_filter(client, info, request, knn_result(reply, shape, command, took)).under_filter()
        for reply, command, request in (
            (first, plain, _request(info, replace(ask, weight=0.0), vector, None)),
            (second, blended, _request(info, ask, vector, preference)),
        )
    ]
    return results[0], results[1]


def _request(info: IndexInfo, ask: Ask, vector: Floats, preference: Floats | None) -> KnnRequest:
    turned = leaning(vector, preference, ask.weight) if ask.weight > 0 else vector
    return KnnRequest(
        ask.index, vector_param(turned), ask.field, ask.k, ask.ef_runtime, ask.filter, returnable(info)
    )


def _command(
    client: Client, info: IndexInfo, ask: Ask, vector: Floats, preference: Floats | None
) -> tuple[Command, Template]:
    request = _request(info, ask, vector, preference)
    shape = template(request, info, client.server.dialect)
    return filled(shape, request), shape


def _preference(raw: Reply) -> tuple[Floats | None, str]:
    if not isinstance(raw, bytes) or not raw:
        return None, ""
    try:
        vector = distance.from_bytes(raw, "FLOAT32")
    except BadVector as exc:
        return None, f"The preference vector cannot be used: {exc}"
    if not np.isfinite(vector).all() or not vector.any():
        return None, "The preference vector cannot be used: it is zero or holds values that are not finite."
    return vector, ""


def _same(vector: Floats | None, other: Floats | None) -> bool:
    if vector is None or other is None:
        return vector is other
    return vector.shape == other.shape and bool((vector == other).all())


def _steps(embed_ms: float, at: list[float]) -> tuple[TimedStep, ...]:
    sent, back, ended = at
    embedding = [TimedStep("embed the question", 0.0, embed_ms, False)] if embed_ms else []
    return (
        *embedding,
        TimedStep("blend, write the commands", embed_ms, sent, False),
        TimedStep(ROUND_TRIP, sent, back, True),
        TimedStep("read the replies", back, ended, False),
    )
