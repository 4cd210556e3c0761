"""The sessions that are there, as a plan takes them: how many, how large, how long they live. Only reads."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.sessions.survey import survey
from memdb.sizing.forecast import TTLS_S
from memdb.sizing.shape import HISTORY_NAME, Sessions

SAMPLE = 20_000  # keys walked over
READ = 100  # sessions whose fields are read
LARGEST = 65_536  # bytes of one that is read


@dataclass(frozen=True, slots=True)
class ReadSessions:
    """What was read. Numbers are scaled from the sample to the server."""

    sessions: Sessions
    words: str


def sessions_of(client: Client) -> ReadSessions | None:
    """Sessions of the article's format; None where there are none.

    Those with a time to live become a rate: as many a second as keep their number there, at the shortest
    time to live of the calculator that none of them exceeds.

    Raises:
        MemDBError: the server does not answer, or this user may not look.
    """
    of_survey = survey(client, sample=SAMPLE)
    if not of_survey.seen:
        return None
    lives = [s.ttl_s for s in of_survey.seen if s.ttl_s is not None]
    expiring, endless = (round(n * of_survey.factor) for n in (len(lives), len(of_survey.seen) - len(lives)))
    ttl = next((t for t in TTLS_S if t >= max(lives, default=0)), TTLS_S[-1])
    keys = [s.key for s in of_survey.seen if s.size_bytes <= LARGEST][:READ]
    weighed = [w for reply in client.pipeline([("HGETALL", k) for k in keys]) if (w := _weighed(reply))]
    usual = Sessions()
    key_bytes = (
        round(statistics.fmean(len(k.encode("utf-8", "surrogateescape")) for k in keys)) if keys else 0
    )
    data = round(statistics.fmean(w[0] for w in weighed)) if weighed else usual.bytes
    other = round(statistics.fmean(w[1] for w in weighed)) if weighed else usual.other_bytes
    fields = round(statistics.fmean(w[2] for w in weighed)) if weighed else usual.fields
    sessions = Sessions(
        per_second=expiring / ttl,
        bytes=max(data + key_bytes, key_bytes + HISTORY_NAME + other),
        ttl_s=float(ttl),
        kept=endless,
        key_bytes=key_bytes or usual.key_bytes,
        fields=max(1, fields),
        other_bytes=other,
    )
    about = "" if of_survey.whole else "about "
    return ReadSessions(
        sessions,
        f"Sessions: {about}{expiring:,} with a time to live and {endless:,} without, of {sessions.bytes:,} "
        "bytes on average; the rate is what keeps as many there.",
    )


def _weighed(reply: replies.Reply) -> tuple[int, int, int] | None:
    """Bytes of names and values, of all but the longest field, and the number of fields."""
    flat = [bytes(part) for part in replies.items(reply) if isinstance(part, bytes)]
    pairs = list(zip(flat[::2], flat[1::2], strict=False))
    if not pairs:
        return None
    sizes = [len(name) + len(value) for name, value in pairs]
    return sum(sizes), sum(sizes) - max(sizes), len(pairs)
