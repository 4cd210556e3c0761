"""The demo's people: users with preferences as in the article, and conversations about the documents.

Everything follows from a seed; a session's place in the stream decides all of it but its times, so that any
number can be made one by one, and the first thousand of a million are the thousand of a thousand.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from memdb.demo.corpus import Document
from memdb.sessions import formats

USERS = 120
DAY_S = 86_400
# Times to live by share: some end while one looks on, most last the day, the rest a week.
_LIVES = ((0.05, 120, 1_800), (0.63, 7_200, DAY_S), (0.32, DAY_S, 7 * DAY_S))
_STAYS = 20  # one in so many never expires
LONGEST_TTL_S = 7 * DAY_S
_QUOTED = 420  # characters of a document that an answer quotes at most

# As stored, and as said in a sentence.
_SIZES = {
    "startup": "a startup",
    "small_business": "a small business",
    "mid_size": "a mid-size company",
    "enterprise": "an enterprise",
}
_INTERESTS: dict[str, tuple[str, ...]] = {
    "cost_optimization": ("watches every line of the bill", "prefers serverless and pay per use"),
    "security": ("asks for least privilege first", "wants encryption keys and audit trails under control"),
    "data_engineering": ("moves data between stores every night", "cares about schemas and partitions"),
    "machine_learning": ("trains and serves models", "works with embeddings and notebooks"),
    "realtime": ("needs answers within milliseconds", "keeps sessions and counters in memory"),
    "operations": ("is on call and automates recovery", "reads metrics and alarms before anything else"),
    "web_development": ("builds web APIs", "deploys several times a day"),
    "databases": ("designs tables and indexes", "restores backups as a habit"),
}
_WORDS = {"realtime": "real-time features"}  # where the tag's own words are no phrase
_TEAMS = ("a team of three", "a platform team", "two engineers and a designer", "an auditor in every meeting")
_FIRST = (
    "How do I {task}?",
    "Which call should I use to {task}?",
    "We want to {task}. Where do I start?",
    "What does {name} do?",
    "Is there a way to {task} from code?",
)
_NEXT = (
    "And {name}, when would I use that?",
    "Good. How do I {task} after that?",
    "What do I need to know before I {task}?",
    "Could {name} do the same?",
    "Thanks. One more thing: how do I {task}?",
)


@dataclass(frozen=True, slots=True)
class User:
    """A user with what they prefer, without its embedding."""

    id: str
    company_size: str
    primary_interest: str
    preference: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A session as it is stored: fields of the hash, and its time to live in seconds; None: it stays."""

    key: str
    fields: dict[str, str]
    ttl_s: int | None


def users(count: int = USERS, *, seed: int = 0) -> list[User]:
    """The first `count` users of a seed."""
    invented = []
    for place in range(count):
        rng = random.Random(f"user {seed} {place}")  # noqa: S311  # a demo, not a secret
        interest = rng.choice(list(_INTERESTS))
        size = rng.choice(list(_SIZES))
        traits = ", ".join(rng.sample(_INTERESTS[interest], 2))
        words = _WORDS.get(interest, interest.replace("_", " "))
        preference = f"Works on {words} at {_SIZES[size]}, with {rng.choice(_TEAMS)}; {traits}."
        invented.append(User(f"user{place + 1:03d}", size, interest, preference))
    return invented


def conversations(
    count: int, people: Sequence[User], corpus: Sequence[Document], *, now: datetime, seed: int = 0
) -> Iterator[Conversation]:
    """The first `count` sessions of a seed, one by one.

    Args:
        count: how many.
        people: who talks; not empty.
        corpus: what is talked about; not empty.
        now: from which times are counted. A session began so long before that its age and what is left of
            its time to live are less than a day together, or than a week where it lives longer.
        seed: of everything but the times.
    """
    topics: dict[str, list[Document]] = {}
    for document in corpus:
        topics.setdefault(document.service, []).append(document)
    services = sorted(topics)
    weights = list(accumulate(len(topics[service]) ** 0.5 for service in services))
    for place in range(count):
        rng = random.Random(f"session {seed} {place}")  # noqa: S311  # a demo, not a secret
        user = rng.choice(people)
        service = rng.choices(services, cum_weights=weights)[0]
        turns = []
        exchanges = rng.choice((1, 1, 2, 2, 3, 4, 5, 8))
        # Nobody asks the same twice, as long as the service has enough to ask about.
        for exchange, document in enumerate(
            rng.sample(topics[service], min(exchanges, len(topics[service])))
        ):
            turns += [
                {"role": "user", "content": _question(rng, document, first=exchange == 0)},
                {"role": "assistant", "content": _answer(document)},
            ]
        ttl_s = _life(rng, place)
        span_s = DAY_S if ttl_s is not None and ttl_s < DAY_S else LONGEST_TTL_S
        created = now - timedelta(seconds=round(rng.random() * 0.9 * (span_s - (ttl_s or 0))))
        yield Conversation(
            formats.session_key(f"sess_{user.id}_{place:06x}"),
            {
                "user_id": user.id,
                "history": json.dumps(turns, ensure_ascii=False),
                "context": f"{document.source.removesuffix('_docs')}_{service}".replace("-", "_"),
                "created_at": created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            ttl_s,
        )


def _life(rng: random.Random, place: int) -> int | None:
    """Seconds, spread by their logarithm; None for ever."""
    _, shortest, longest = rng.choices(_LIVES, [life[0] for life in _LIVES])[0]
    seconds: float = shortest * (longest / shortest) ** rng.random()
    return None if place % _STAYS == _STAYS - 1 else round(seconds)


def _question(rng: random.Random, document: Document, *, first: bool) -> str:
    name = document.title.rpartition(": ")[2]
    task = _task(name)
    template = rng.choice(_FIRST if first else _NEXT)
    if task is None:
        template = "What does {name} do?" if first else "And {name}, when would I use that?"
    return template.format(name=name, task=task)


def _task(name: str) -> str | None:
    """CreateBucketPolicy → create bucket policy; None where the name is no such phrase."""
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]+", name):
        return None
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*|[0-9]+", name)
    if len(words) < 2:
        return None
    verb, *rest = words
    return " ".join([verb.lower(), *(w if w.isupper() and len(w) > 1 else w.lower() for w in rest)])


def _answer(document: Document) -> str:
    """The document's first sentences, and where they are from."""
    sentence = document.content
    if len(sentence) > _QUOTED:
        quoted = sentence[:_QUOTED]
        end = quoted.rfind(". ")
        sentence = quoted[: end + 1] if end > 40 else quoted.rsplit(" ", 1)[0] + " …"
    return f"{sentence}\n\nSource: {document.title} ({document.key})"
