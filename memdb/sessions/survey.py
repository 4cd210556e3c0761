"""What a sample of sessions tells of all: lives, sizes, users, activity. Estimates name their sample."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.jobs import Report, silent
from memdb.sessions.known import ARTICLE
from memdb.sessions.listing import strategy_of
from memdb.sessions.mapping import TYPES, Format
from memdb.sessions.strategy import SurveyedSession

SAMPLE = 50_000  # keys walked over
STEP = 1_000
LARGEST = 20
SOON = 20
TTL_EDGES = (0.0, 60.0, 300.0, 900.0, 3_600.0, 3 * 3_600.0, 6 * 3_600.0, 12 * 3_600.0, 86_400.0, 7 * 86_400.0)
TTL_NAMES = (
    "1 min",
    "5 min",
    "15 min",
    "1 h",
    "3 h",
    "6 h",
    "12 h",
    "1 day",
    "7 days",
    "later",
    "never",
)


@dataclass(frozen=True, slots=True)
class TtlBin:
    """Sessions that expire within a time, and those before."""

    name: str  # "never" is the last one
    sessions: int
    bytes: int
    freed_bytes: int  # of this bin and all before: memory freed by then


@dataclass(frozen=True, slots=True)
class Survey:
    """A sample of keys of one format. Sums are of the sample; times `factor` they are the server's."""

    seen: tuple[SurveyedSession, ...]
    scanned: int
    total: int
    at: datetime

    @property
    def factor(self) -> float:
        """From the sample to the server."""
        return max(1.0, self.total / self.scanned) if self.scanned else 1.0

    @property
    def whole(self) -> bool:
        """Whether every key was walked over."""
        return self.scanned >= self.total

    @property
    def words(self) -> str:
        """How this is known, a sentence."""
        if self.whole:
            return f"All {self.total:,} keys were walked over: {len(self.seen):,} sessions."
        return (
            f"A sample of {self.scanned:,} of {self.total:,} keys, {len(self.seen):,} sessions in it. "
            f"Numbers of sessions and bytes are multiplied by {self.factor:.1f}."
        )

    def ttl_bins(self) -> tuple[TtlBin, ...]:
        """Sessions and bytes by time to live, scaled to the server, with the memory freed by each end."""
        ttl = np.array([np.inf if s.ttl_s is None else s.ttl_s for s in self.seen])
        size = np.array([s.size_bytes for s in self.seen], dtype=np.float64)
        places = np.searchsorted(np.array(TTL_EDGES[1:]), ttl, side="left")
        places[np.isinf(ttl)] = len(TTL_NAMES) - 1
        counts = np.bincount(places, minlength=len(TTL_NAMES)) * self.factor
        sums = np.bincount(places, size, minlength=len(TTL_NAMES)) * self.factor
        freed = np.cumsum(sums)
        freed[-1] = freed[-2]  # what never expires frees nothing
        return tuple(
            TtlBin(name, round(n), round(b), round(f))
            for name, n, b, f in zip(TTL_NAMES, counts, sums, freed, strict=True)
        )

    def beyond(self, ttl_s: float) -> int:
        """Bytes of sessions that live longer than this, scaled: what such a TTL would free by then."""
        size = sum(s.size_bytes for s in self.seen if s.ttl_s is None or s.ttl_s > ttl_s)
        return round(size * self.factor)

    def sizes(self) -> npt.NDArray[np.int64]:
        """(n,) bytes of each session of the sample."""
        return np.array([s.size_bytes for s in self.seen], dtype=np.int64)

    def largest(self, count: int = LARGEST) -> tuple[SurveyedSession, ...]:
        """The largest sessions of the sample."""
        return tuple(heapq.nlargest(count, self.seen, key=lambda s: s.size_bytes))

    def soon(self, count: int = SOON) -> tuple[SurveyedSession, ...]:
        """Those of the sample that expire first."""
        return tuple(
            heapq.nsmallest(count, (s for s in self.seen if s.ttl_s is not None), key=lambda s: s.ttl_s or 0)
        )

    def users(self, count: int = 20) -> tuple[tuple[str, int, int], ...]:
        """(user, sessions, bytes) of the sample, most sessions first; not scaled."""
        number: Counter[str] = Counter(session.user for session in self.seen)
        size: Counter[str] = Counter()
        for session in self.seen:
            size[session.user] += session.size_bytes
        return tuple((user, n, size[user]) for user, n in number.most_common(count))

    def activity(self, bins: int = 48) -> tuple[tuple[datetime, int], ...]:
        """(start, sessions begun) over equal spans of time, scaled; empty where no session tells its time."""
        times = np.array(sorted(s.created.timestamp() for s in self.seen if s.created is not None))
        if not len(times):
            return ()
        low, high = times[0], times[-1]
        if high == low:
            return ((datetime.fromtimestamp(low, UTC), round(len(times) * self.factor)),)
        counts, edges = np.histogram(times, bins=bins, range=(low, high))
        return tuple(
            (datetime.fromtimestamp(float(start), UTC), round(int(n) * self.factor))
            for start, n in zip(edges[:-1], counts, strict=True)
        )


@dataclass(slots=True)
class _Sampling:
    seen: dict[str, SurveyedSession] = field(default_factory=dict)


def survey(
    client: Client,
    format_: Format = ARTICLE,
    *,
    sample: int = SAMPLE,
    report: Report = silent,
    keep: Callable[[Survey], None] | None = None,
) -> Survey:
    """Walk over a sample of keys and look at the sessions among them.

    For formats with one key a message, each key counts by itself.

    Args:
        client: where to look.
        format_: whose keys.
        sample: keys to walk over.
        report: told how far it is; may end it.
        keep: given what is known so far.
    """
    total = replies.integer(client.execute("DBSIZE"))
    walk = min(sample, total)
    cursor, scanned, sampling, strategy = b"0", 0, _Sampling(), strategy_of(format_)
    while True:
        cursor, batch = client.execute(
            "SCAN", cursor, "MATCH", format_.pattern, "TYPE", TYPES[format_.stored], "COUNT", STEP
        )
        scanned += STEP
        keys = [key for key in map(replies.key, batch) if key not in sampling.seen]
        for session in strategy.seen(client, format_, keys):
            sampling.seen[session.key] = session
        ended = replies.integer(cursor) == 0
        so_far = Survey(
            tuple(sampling.seen.values()), total if ended else min(scanned, total), total, datetime.now(UTC)
        )
        if keep is not None:
            keep(so_far)
        report("Looking at sessions", min(scanned, walk), walk)
        if ended or scanned >= sample:
            return so_far
