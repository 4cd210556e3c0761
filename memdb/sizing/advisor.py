"""The article's "choose … when" rules as questions, brought up to date, and an answer with reasons. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from memdb.errors import BadInput
from memdb.sizing import facts

Service = Literal[
    "MemoryDB",
    "ElastiCache, sync",
    "ElastiCache, async",
    "ElastiCache, no durability",
    "S3 Vectors",
    "OpenSearch Serverless",
]
SYNC: Service = "ElastiCache, sync"
ASYNC: Service = "ElastiCache, async"
CACHE: Service = "ElastiCache, no durability"
# Where two are equally good by the answers, the earlier is named first and the other beside it.
SERVICES: tuple[Service, ...] = ("MemoryDB", SYNC, ASYNC, CACHE, "S3 Vectors", "OpenSearch Serverless")
_ELASTICACHE = (SYNC, ASYNC, CACHE)


@dataclass(frozen=True, slots=True)
class Question:
    """A question answered by yes or no, and what a yes says about each service.

    `speaks` weighs 1 where the article gives it as a reason, 3 where it calls it a hard requirement.
    `rules_out` names services that cannot do it at all.
    """

    id: str
    text: str
    speaks: tuple[tuple[Service, int, str], ...] = ()
    rules_out: tuple[tuple[Service, str], ...] = ()


def _all_modes(weight: int, why: str) -> tuple[tuple[Service, int, str], ...]:
    return tuple((service, weight, why) for service in _ELASTICACHE)


QUESTIONS: tuple[Question, ...] = (
    Question(
        "redis_primary",
        "Do you need Redis as a primary store anyway (sessions, counters, leaderboards)?",
        (
            ("MemoryDB", 2, "Redis is a primary data store here: sessions, counters, leaderboards."),
            (SYNC, 2, "With its log before the answer, Valkey is a primary data store here."),
            (ASYNC, 1, "A primary data store that may lose the last 10 s."),
        ),
        (("S3 Vectors", "It does not speak Redis."), ("OpenSearch Serverless", "It does not speak Redis.")),
    ),
    Question(
        "durable",
        "Must an acknowledged write survive the loss of a node?",
        (
            ("MemoryDB", 1, "Every acknowledged write is in a log over several zones first."),
            (SYNC, 1, "Every acknowledged write is in a log over at least two zones first."),
            ("S3 Vectors", 1, "Object storage keeps what was acknowledged."),
            ("OpenSearch Serverless", 1, "Durability is managed by AWS."),
        ),
        (
            (ASYNC, "It acknowledges before the log: up to the last 10 s may be lost."),
            (CACHE, "A cache without durability: a lost node can lose writes that no replica had."),
        ),
    ),
    Question(
        "seconds",
        "May the last seconds be lost on a failure, but no more than 10?",
        (
            (ASYNC, 3, "At most the last 10 s are lost, and writes are acknowledged in microseconds."),
            ("MemoryDB", 1, "Nothing that was acknowledged is lost."),
            (SYNC, 1, "Nothing that was acknowledged is lost."),
        ),
        ((CACHE, "Without durability nothing bounds what is lost."),),
    ),
    Question(
        "under_10_ms",
        "Must a query answer in less than 10 ms?",
        (("MemoryDB", 3, "p99 of 2–10 ms (quoted)."), *_all_modes(3, "In memory, like MemoryDB.")),
        (
            ("S3 Vectors", "About 100 ms warm, below 1 s cold (quoted)."),
            ("OpenSearch Serverless", "p99 of 10–50 ms (quoted)."),
        ),
    ),
    Question(
        "one_store",
        "Should sessions and vectors share one service?",
        (
            ("MemoryDB", 2, "One durable cluster answers for both, without hops between services."),
            (SYNC, 2, "One durable cluster answers for both, without hops between services."),
            (ASYNC, 1, "One cluster for both, which may lose the last 10 s."),
            (CACHE, 1, "One cluster for both, as a cache without durability."),
        ),
        (("S3 Vectors", "It stores no sessions."),),
    ),
    Question(
        "knows_redis",
        "Does your team run Redis already?",
        (("MemoryDB", 1, "Nothing new to learn."), *_all_modes(1, "Nothing new to learn.")),
    ),
    Question(
        "low_qps",
        "Are there fewer than 50 vector queries a second?",
        (("S3 Vectors", 2, "Below 50 queries a second, paying for each is cheap."),),
    ),
    Question(
        "cost_first",
        "Is cost the first constraint?",
        (("S3 Vectors", 2, "Far cheaper at rest: nothing runs between queries."),),
    ),
    Question(
        "tenant",
        "Does a query know its tenant?",
        (("S3 Vectors", 1, "A query pays for its tenant's index alone."),),
    ),
    Question(
        "batch",
        "Is it batch retrieval, or lookups now and then (archive, weekly analytics)?",
        (("S3 Vectors", 2, "Made for lookups that can wait."),),
    ),
    Question(
        "hybrid",
        "Do you need keyword relevance (BM25) and vectors in one query?",
        (
            ("OpenSearch Serverless", 3, "Hybrid search is native."),
            ("S3 Vectors", 2, "Full text (BM25) and vectors by reciprocal rank, in ENHANCED indexes."),
            *_all_modes(1, "Full text and vectors in one query from Valkey 9.0; try how it ranks words."),
        ),
        (("MemoryDB", "Vectors with filters on tags and numbers; text is not searched."),),
    ),
    Question(
        "full_dsl",
        "Is the corpus mostly text, wanting the whole OpenSearch query language?",
        (("OpenSearch Serverless", 2, "The full query language of OpenSearch."),),
    ),
    Question(
        "facets",
        "Do you need facets, aggregations or relevance beside similarity?",
        (("OpenSearch Serverless", 2, "Facets, aggregations and relevance beside similarity."),),
    ),
    Question(
        "losable",
        "May all data be lost on a failure, for writes acknowledged in less than a millisecond?",
        (
            (CACHE, 3, "The fastest acknowledgement, where losing data is acceptable."),
            (ASYNC, 2, "Acknowledged as fast, without extra charge, and at most the last 10 s are lost."),
        ),
    ),
    Question(
        "many_shards",
        "Are there more vectors than fit one node?",
        (
            *_all_modes(2, "Search spans shards with Valkey 8.2 and later."),
            ("S3 Vectors", 2, "Up to 2 billion vectors in an index."),
            ("OpenSearch Serverless", 1, "Capacity follows the data."),
        ),
        (("MemoryDB", "Search runs on one shard, which must hold everything."),),
    ),
    Question(
        "many_indexes",
        "Do you need more than 10 indexes?",
        (*_all_modes(1, "1,000 indexes from Valkey 9.0."), ("S3 Vectors", 1, "10,000 indexes a bucket.")),
        (("MemoryDB", "10 indexes."),),
    ),
    Question(
        "radius",
        "Do you search by distance, for all that lie within a radius?",
        (("MemoryDB", 1, "VECTOR_RANGE searches by distance."),),
        (
            *((service, "Its search has no range by distance.") for service in _ELASTICACHE),
            ("S3 Vectors", "A query takes K, and no distance."),
        ),
    ),
)

IDS = tuple(question.id for question in QUESTIONS)


@dataclass(frozen=True, slots=True)
class Standing:
    """One service after all answers."""

    service: Service
    points: int
    reasons: tuple[str, ...]
    against: tuple[str, ...]  # what rules it out


@dataclass(frozen=True, slots=True)
class ServiceDifference:
    """Where the two durable services that speak Redis differ, each with what is known and its date."""

    about: str
    memorydb: str
    elasticache: str
    date: str


@dataclass(frozen=True, slots=True)
class Advice:
    """The answer; `service` is None where every service is ruled out, or nothing was answered."""

    service: Service | None
    sentence: str
    standings: tuple[Standing, ...]  # best first
    changes: tuple[str, ...]  # one answer that would lead elsewhere, each


def advise(yes: Iterable[str]) -> Advice:
    """Weigh the answers; questions not named are answered by no.

    Raises:
        BadInput: a question that does not exist.
    """
    answers = frozenset(yes)
    if unknown := sorted(answers - set(IDS)):
        raise BadInput(f"There is no question '{unknown[0]}'.", f"There are: {', '.join(IDS)}.")
    standings = _standings(answers)
    best = _best(standings, answers)
    sentence = _sentence(best, standings, answers) + _contradiction(answers)
    return Advice(best, sentence, standings, _changes(answers, best))


def differences() -> tuple[ServiceDifference, ...]:
    """MemoryDB beside ElastiCache with `sync`, by the facts."""
    pairs = (
        ("Search", "memorydb/shards", "elasticache/shards"),
        ("Engine", "memorydb/version", "elasticache/durable_version"),
        ("Text", "memorydb/text", "elasticache/text"),
        ("By distance", "memorydb/range", "elasticache/range"),
        ("EF", "memorydb/ef", "elasticache/ef"),
        ("Indexes", "memorydb/indexes", "elasticache/indexes"),
        ("Nodes", "memorydb/families", "elasticache/durable_families"),
        ("Writes", "memorydb/write_mb_s", "elasticache/durable_write_mib_s"),
        ("Price", "memorydb/price_error", "elasticache/sync/price"),
    )
    return tuple(
        ServiceDifference(
            about,
            (first := facts.fact(left)).text,
            (second := facts.fact(right)).text,
            facts.oldest((first.seen, second.seen)),
        )
        for about, left, right in pairs
    )


def _standings(answers: frozenset[str]) -> tuple[Standing, ...]:
    standings = []
    answered = [q for q in QUESTIONS if q.id in answers]
    for service in SERVICES:
        speaks = [(weight, why) for q in answered for s, weight, why in q.speaks if s == service]
        against = tuple(why for q in answered for s, why in q.rules_out if s == service)
        points = sum(weight for weight, _ in speaks)
        standings.append(Standing(service, points, tuple(why for _, why in speaks), against))
    return tuple(sorted(standings, key=lambda s: (len(s.against) > 0, -s.points)))


def _best(standings: tuple[Standing, ...], answers: frozenset[str]) -> Service | None:
    open_ = [s for s in standings if not s.against]
    return open_[0].service if answers and open_ and open_[0].points else None


def _contradiction(answers: frozenset[str]) -> str:
    """That two answers about losses cannot both hold; "" where they can. What rules out decides."""
    answered = [name for name in ("durable", "seconds", "losable") if name in answers]
    if len(answered) < 2:
        return ""
    return " Your answers about what may be lost contradict each other: the strictest was taken."


def _sentence(best: Service | None, standings: tuple[Standing, ...], answers: frozenset[str]) -> str:
    if not answers:
        return "Answer what applies to you."
    if best is None:
        if all(s.against for s in standings):
            least = min(standings, key=lambda s: (len(s.against), -s.points))
            return (
                f"No service does all of this alone. {least.service} comes nearest; combine it with another "
                "for the rest, or give one demand up."
            )
        return "Nothing speaks for one service yet."
    first = next(s for s in standings if s.service == best)
    equal = [s.service for s in standings if not s.against and s.service != best and s.points == first.points]
    return f"Choose {best}." + (f" As good by these answers: {'; '.join(equal)}." if equal else "")


def _changes(answers: frozenset[str], best: Service | None) -> tuple[str, ...]:
    changes = []
    for question in QUESTIONS:
        flipped = answers ^ {question.id}
        other = _best(_standings(flipped), flipped)
        if flipped and other != best:
            word = "no" if question.id in answers else "yes"
            changes.append(f"“{question.text}” answered {word}: {other or 'no service alone'}.")
    return tuple(changes)
