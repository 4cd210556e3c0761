"""Which session formats a server holds: a sample of its keys, read and recognised.

for found in detect(client).formats:
    print(found.format.title, found.format.prefix, found.keys)
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.sessions import known
from memdb.sessions.mapping import TYPES, Format
from memdb.sessions.values import values

SAMPLE = 5_000  # keys
STEP = 1_000
READ = 8  # values of each group of keys
GROUPS = 60  # groups that are read, the most frequent first
VALUE_BYTES, TOTAL_BYTES = 2**20, 16 * 2**20


@dataclass(frozen=True, slots=True)
class Found:
    """A format that is there."""

    format: Format
    sampled: int  # keys of the sample
    keys: int  # on the server; estimated unless the sample is all of it


@dataclass(frozen=True, slots=True)
class Detected:
    """What a sample tells."""

    formats: tuple[Found, ...]  # the most keys first
    other: int  # keys of the sample that are no sessions
    sampled: int
    total: int  # keys on the server
    unread: tuple[str, ...] = ()  # groups that were too many to look into

    @property
    def whole(self) -> bool:
        """Whether every key was looked at."""
        return self.sampled >= self.total

    @property
    def words(self) -> str:
        """How it is known, a sentence."""
        if self.whole:
            return f"Counted: all {self.total:,} keys were looked at."
        return f"Estimated from a sample of {self.sampled:,} of {self.total:,} keys."


def detect(client: Client, own: tuple[Format, ...] = (), *, sample: int = SAMPLE) -> Detected:
    """Look at a sample of keys and recognise their formats by what some of them hold.

    Redis orders keys by a hash, so the sample where SCAN begins is as good as drawn by lot.

    Args:
        client: where to look.
        own: formats of the settings; they go before those that are known.
        sample: keys to look at.
    """
    total = replies.integer(client.execute("DBSIZE"))
    keys = _sample(client, sample)
    types = [replies.text(t) for t in client.pipeline([("TYPE", key) for key in keys])]
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    counts: Counter[Format] = Counter()
    of_type = {told: stored for stored, told in TYPES.items()}
    for key, told in zip(keys, types, strict=True):
        mine = next((f for f in own if key.startswith(f.prefix) and TYPES[f.stored] == told), None)
        if mine is not None:
            counts[mine] += 1
        elif told in of_type:
            groups[prefix_of(key), told].append(key)
    left = TOTAL_BYTES
    ranked = sorted(groups.items(), key=lambda item: -len(item[1]))
    for (prefix, told), members in ranked[:GROUPS]:
        votes: Counter[Format | None] = Counter()
        for value in values(client, members[:READ], each=VALUE_BYTES, total=max(0, left)):
            left -= value.size_bytes or 0
            if value.document is not None:
                votes[known.recognised(prefix, of_type[told], value.document)] += 1
        voted = next((name for name, _ in votes.most_common() if name is not None), None)
        if voted is not None:
            # A group may be mixed: it counts by the share of those read that look so.
            counts[voted] += max(1, round(len(members) * votes[voted] / sum(votes.values())))
    seen = len(keys)
    factor = total / seen if seen else 0.0
    formats = tuple(Found(f, n, n if seen >= total else round(n * factor)) for f, n in counts.most_common())
    return Detected(
        formats,
        seen - sum(counts.values()),
        seen,
        max(total, seen),
        tuple(f"{prefix} ({told})" for (prefix, told), _ in ranked[GROUPS:]),
    )


def prefix_of(key: str) -> str:
    """The start of a key that it likely shares with its kind: up to the first colon, else the whole key."""
    head, colon, _ = key.partition(":")
    return head + colon


def _sample(client: Client, sample: int) -> list[str]:
    cursor, sampled = b"0", dict[str, None]()
    while True:
        cursor, keys = client.execute("SCAN", cursor, "COUNT", min(STEP, sample))
        sampled.update(dict.fromkeys(map(replies.key, keys)))
        if cursor == b"0" or len(sampled) >= sample:
            return list(sampled)
