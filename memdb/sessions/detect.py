"""Which session formats a server holds: a sample of its keys, read and recognised.

for seen in detect(client).formats:
    print(seen.format.title, seen.format.keys, seen.keys)
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.sessions import known
from memdb.sessions.mapping import TYPES, Format, Stored
from memdb.sessions.packed import TOO_DEEP, UNKNOWN, named
from memdb.sessions.values import Value, values

SAMPLE = 5_000  # keys
STEP = 1_000
READ = 8  # values of each group of keys
MIXED = 64  # of a group whose values are not all alike
GROUPS = 60  # groups that are read, the most frequent first
VALUE_BYTES, TOTAL_BYTES = 4 * 2**20, 32 * 2**20
ALIKE = 3  # prefixes of few keys, with the same ending, that are ids and no prefixes
FEW = 5
# What is an id and no word: a UUID, many hex digits, a ULID, a number.
_ID = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{12,28}|[0-9a-fA-F]{16,64}|[0-9A-HJKMNP-TV-Z]{26}|\d{4,}|\+?\d{6,}"
)
_WORD = re.compile(r"[A-Za-z][A-Za-z_-]{1,30}")  # no id: it has no digits
_TAILED = tuple(f for f in known.KNOWN if f.tail and f.tail != ":*")  # which ends any key
_OF_TYPE = {type_name: stored for stored, type_name in TYPES.items()}


@dataclass(frozen=True, slots=True)
class Recognised:
    """A format that is there."""

    format: Format
    sampled: int  # keys of the sample
    keys: int  # on the server; estimated unless the sample is all of it


@dataclass(frozen=True, slots=True)
class Detected:
    """What a sample tells."""

    formats: tuple[Recognised, ...]  # the most keys first
    other: int  # keys of the sample that are no sessions
    sampled: int
    total: int  # keys on the server
    unread: tuple[str, ...] = ()  # groups that were too many to look into
    unknown: int = 0  # keys of the sample in such groups, or whose values could not be read
    types: tuple[tuple[str, int], ...] = ()  # keys of types that no format reads: (TYPE, keys of the sample)
    closed: tuple[tuple[str, int], ...] = ()  # of `unknown`: why they could not be looked into, and keys

    @property
    def whole(self) -> bool:
        """Whether every key was looked at."""
        return self.sampled >= self.total

    @property
    def words(self) -> str:
        """How it is known, a sentence."""
        if self.whole:
            return f"Counted: all {self.total:,} keys were looked at, some values of each kind read."
        return f"Estimated from a sample of {self.sampled:,} of {self.total:,} keys."

    @property
    def rest(self) -> str:
        """What the keys are that are of no format, a sentence or two."""
        sample = "" if self.sampled == self.total else " of the sample"
        text = f"{self.other:,} of {self.sampled:,} keys{sample} are no sessions."
        if self.types:
            named = ", ".join(f"{number:,} {type_name}" for type_name, number in self.types)
            text += f" Of types that no format reads: {named}."
        if self.unknown:
            text += f" {self.unknown:,} were not read, and may be sessions."
        if self.closed:
            text += f" Not opened: {'; '.join(f'{kind}: {number:,}' for kind, number in self.closed)}."
        return text


@dataclass(frozen=True, slots=True)
class _Group:
    """Keys that likely hold the same kind of value: by what they begin and end with."""

    prefix: str
    tail: str
    told: str  # TYPE

    @property
    def name(self) -> str:
        return f"{self.prefix}…{self.tail}" if self.tail or not self.prefix else self.prefix


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
    counts: Counter[Format] = Counter()
    unowned: list[tuple[str, str]] = []
    of_no_kind: Counter[str] = Counter()
    for key, type_name in zip(keys, types, strict=True):
        mine = next((f for f in own if f.owns(key) and TYPES[f.stored] == type_name), None)
        if mine is not None:
            counts[mine] += 1
        elif type_name in _OF_TYPE:
            unowned.append((key, type_name))
        else:
            of_no_kind[type_name] += 1
    ranked = sorted(grouped(unowned).items(), key=lambda item: -len(item[1]))
    budget, unknown = TOTAL_BYTES, 0
    closed: Counter[str] = Counter()
    for group, members in ranked[:GROUPS]:
        votes, read = _votes(client, group, members, budget)
        budget -= read
        voters = sum(votes.values())
        for vote, number in votes.items():
            # A group may be mixed: it counts by the share of those read that look so.
            share = max(1, round(len(members) * number / voters))
            if isinstance(vote, Format):
                counts[vote] += share
            elif vote is not None:
                closed[vote] += share
        unknown += 0 if voters else len(members)
    unknown += sum(len(members) for _, members in ranked[GROUPS:]) + sum(closed.values())
    scanned = len(keys)
    factor = total / scanned if scanned else 0.0
    counts = _together(counts)
    return Detected(
        tuple(
            Recognised(f, n, n if scanned >= total else round(n * factor)) for f, n in counts.most_common()
        ),
        max(0, scanned - unknown - sum(of_no_kind.values()) - sum(counts.values())),
        scanned,
        max(total, scanned),
        tuple(f"{group.name} ({group.told})" for group, _ in ranked[GROUPS:]),
        unknown,
        tuple(of_no_kind.most_common()),
        tuple(closed.most_common()),
    )


def grouped(keys: Iterable[tuple[str, str]]) -> dict[_Group, list[str]]:
    """Keys, each with its type, by what they begin and end with.

    A prefix goes up to the first colon; a word that several keys of it end with behind an id is a tail. What
    stands first and is an id, as a UUID is, is no prefix; neither are words of which each has one key, all of
    them with the same ending: `ann:chat`, `bob:chat`.
    """
    groups: dict[_Group, list[str]] = defaultdict(list)
    for key, type_name in keys:
        tailed = next((f for f in _TAILED if TYPES[f.stored] == type_name and _ends_as(f, key)), None)
        head, colon, rest = key.partition(":")
        if tailed is not None:
            prefix = tailed.prefix if key.startswith(tailed.prefix) else head + colon
            groups[_Group(prefix, tailed.tail, type_name)].append(key)
        elif not colon:
            groups[_Group("", "", type_name)].append(key)
        elif _ID.fullmatch(head):
            ending = "" if ":" in rest or _ID.fullmatch(rest) else f":{rest}"
            groups[_Group("", ending, type_name) if ending else _Group(head + colon, "", type_name)].append(
                key
            )
        else:
            usual = next(
                (f.prefix for f in known.KNOWN if TYPES[f.stored] == type_name and _under(f, key)), ""
            )
            groups[_Group(usual or head + colon, "", type_name)].append(key)
    for group in [g for g in groups if g.prefix and not g.tail]:
        _by_endings(groups, group)
    _by_ids_first(groups)
    return groups


def _by_ids_first(groups: dict[_Group, list[str]]) -> None:
    """Put keys together that have the same word behind what looks like a prefix and is an id: ann:chat."""
    endings: dict[tuple[str, str], dict[_Group, str]] = defaultdict(dict)
    for group, members in groups.items():
        if group.prefix and not group.tail and len(members) <= FEW:
            for key in members:
                word = key.removeprefix(group.prefix)
                if _WORD.fullmatch(word):
                    endings[word, group.told][group] = key
    for (word, type_name), keys in endings.items():
        if len(keys) < ALIKE:
            continue
        groups.setdefault(_Group("", f":{word}", type_name), []).extend(keys.values())
        for group, key in keys.items():
            groups[group].remove(key)
    for group in [group for group, members in groups.items() if not members]:
        del groups[group]


def _by_endings(groups: dict[_Group, list[str]], group: _Group) -> None:
    """Part a group by the words that its keys end with behind an id: user:7:chat, user:7:profile."""
    endings: dict[str, list[str]] = defaultdict(list)
    for key in groups[group]:
        id_, colon, word = key.removeprefix(group.prefix).rpartition(":")
        if colon and id_ and _WORD.fullmatch(word):
            endings[word].append(key)
    alike = {word: members for word, members in endings.items() if len(members) > 1}
    for word, members in alike.items():
        groups[_Group(group.prefix, f":{word}", group.told)] = members
    apart = {key for members in alike.values() for key in members}
    groups[group] = [key for key in groups[group] if key not in apart]
    if not groups[group]:
        del groups[group]


def _ends_as(format_: Format, key: str) -> bool:
    """Whether a key with an id before it has the format's tail."""
    bare = replace(format_, prefix="")
    id_ = bare.id_of(key)
    return id_ not in ("", key) and replace(format_, prefix=key[:1]).owns(key)


def _under(format_: Format, key: str) -> bool:
    """Whether a key begins as the format's usual prefix of several words does."""
    return format_.prefix.count(":") > 1 and not format_.tail and key.startswith(format_.prefix)


def _votes(
    client: Client, group: _Group, members: list[str], budget: int
) -> tuple[Counter[Format | str | None], int]:
    """What some values of a group look like, and the bytes that were read.

    A vote is a format, None for no session, or why it cannot be told, in words.
    """
    votes: Counter[Format | str | None] = Counter()
    stored: Stored = _OF_TYPE[group.told]
    prefix = _prefix(group, members)
    read = at = 0
    while at < len(members):
        mixed = len(votes) > 1
        if at >= (MIXED if mixed else READ) or read >= budget:
            break
        several = members[at : at + READ]
        at += READ
        for value in values(client, several, each=VALUE_BYTES, total=max(0, budget - read)):
            read += min(VALUE_BYTES, value.size_bytes or 0)
            if value.kind == "none":
                continue
            format_ = None
            if value.document is not None:
                format_ = known.recognised(prefix, stored, value.document, value.key)
                if format_ is not None and not format_.tail:
                    format_ = replace(format_, tail=group.tail)
            votes[format_ if format_ is not None else _closed(value)] += 1
    return votes, read


def _closed(value: Value) -> str | None:
    """Why it cannot be told whether a value is a session, in words; None where it can."""
    if value.document is None and not value.whole:
        return "too large to be read"
    content = value.document
    if isinstance(content, dict):
        content = list(content.values())
    raws = [_bytes(text) for text in content[:20]] if isinstance(content, list) else [value.raw]
    if (kind := next((kind for raw in raws if (kind := named(raw))), "")) != "":
        return kind
    return next((kind for kind in (UNKNOWN, TOO_DEEP) if any(kind in p for p in value.problems)), None)


def _bytes(text: object) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else b""
    except UnicodeEncodeError:  # half of a pair, from JSON: nothing that is packed
        return b""


def _prefix(group: _Group, members: list[str]) -> str:
    """Of a group with a tail: what its keys have in common up to a colon; else the group's."""
    if not group.tail or not group.prefix or len(members) < 2:
        return group.prefix
    first, last = min(members), max(members)  # what these two have in common all have
    alike = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    head, colon, _ = first[:alike].rpartition(":")
    return head + colon if len(head + colon) > len(group.prefix) else group.prefix


def _together(counts: Counter[Format]) -> Counter[Format]:
    """Formats of one kind whose prefixes hold one another are one, the shortest's: ids may have colons."""
    joined: Counter[Format] = Counter()
    for format_ in sorted(counts, key=lambda f: len(f.prefix)):
        whole = next(
            (
                f
                for f in joined
                if f.tail
                and replace(f, prefix=format_.prefix) == format_
                and f.prefix
                and format_.prefix.startswith(f.prefix)
            ),
            format_,
        )
        joined[whole] += counts[format_]
    return joined


def _sample(client: Client, sample: int) -> list[str]:
    cursor, sampled = b"0", dict[str, None]()
    while True:
        cursor, keys = client.execute("SCAN", cursor, "COUNT", min(STEP, sample))
        sampled.update(dict.fromkeys(map(replies.key, keys)))
        if cursor == b"0" or len(sampled) >= sample:
            return list(sampled)
