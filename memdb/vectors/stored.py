"""A field of a document as it is stored: how to ask for it, and what came back, for hashes and JSON alike."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memdb.cluster import replies
from memdb.cluster.client import Client, Command
from memdb.cluster.replies import Reply
from memdb.errors import MemDBError, WrongType
from memdb.vectors.distance import to_bytes
from memdb.vectors.index import Field, IndexInfo, VectorParams

BATCH = 1_000
_QUOTED = re.compile(r"\[\s*(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')\s*\]")  # ["a.name"]: one place


def asking(info: IndexInfo, field: Field, key: str) -> Command:
    """The command that reads one field of one document."""
    return ("HGET" if info.on == "HASH" else "JSON.GET", key, field.identifier)


def values(client: Client, info: IndexInfo, field: Field, keys: Sequence[str]) -> list[Reply]:
    """The field in each document, one round trip a thousand; None where it has none.

    Of JSON documents: text and numbers as bytes, several joined by commas (`tags.held` keeps them apart).
    """
    answers = raw(client, info, field, keys)
    return answers if info.on == "HASH" else [_plain(_matched(reply)) for reply in answers]


def raw(client: Client, info: IndexInfo, field: Field, keys: Sequence[str]) -> list[Reply]:
    """The field of each document as it came: of JSON the list of what the path matched.

    None where the document has none, is gone, or where its key holds another type of value by now.
    """
    answers: list[Reply] = []
    for start in range(0, len(keys), BATCH):
        commands = [asking(info, field, key) for key in keys[start : start + BATCH]]
        for answer in client.pipeline(commands, errors_as_values=True):
            if isinstance(answer, MemDBError) and not isinstance(answer, WrongType):
                raise answer
            answers.append(None if isinstance(answer, WrongType) else answer)
    return answers


def _matched(reply: Reply) -> object:
    """What a JSON path matched: the match itself where there is one, else the list of them."""
    matches = _matches(reply)
    return matches[0] if len(matches) == 1 else matches or None


def vectors(
    info: IndexInfo, field: Field, params: VectorParams, replies: Sequence[Reply]
) -> list[bytes | None]:
    """Vectors as bytes of the field's type, however they are stored; None for what the index does not take.

    Several vectors of one JSON document follow each other in its bytes.
    """
    if info.on == "HASH":
        size = params.bytes
        return [value if type(value) is bytes and len(value) == size else None for value in replies]
    several = many(field.identifier)
    return [_packed(reply, params, several=several) for reply in replies]


def many(path: str) -> bool:
    """Whether a JSON path can match more than one place: a wildcard, a slice, a union, a filter, `..`."""
    if not path.startswith("$"):
        return False
    bare = _QUOTED.sub("", path)
    return ".." in bare or any(sign in bare for sign in "*?:,")


def first(reply: Reply) -> object:
    """What a JSON path found: its first match; None where it found nothing or no JSON came back.

    JSON.GET with a path from `$` answers with a list of matches, FT.AGGREGATE with the match itself.
    """
    if not isinstance(reply, bytes | str):
        return None
    try:
        matches = json.loads(reply)
    except (ValueError, RecursionError):
        # FT.AGGREGATE brings a text as it is, without its quotation marks.
        return reply.decode("utf-8", "surrogateescape") if isinstance(reply, bytes) else reply
    return (matches[0] if matches else None) if isinstance(matches, list) else matches


def shown(matches: str) -> str:
    """What a JSON path matched as text: a single text as it is, a single number or list as its JSON, several
    matches as a JSON list. A reply that is no list of matches stays as it is."""
    try:
        parsed = json.loads(matches)
    except (ValueError, RecursionError):
        return matches
    if not isinstance(parsed, list) or not matches.startswith("[") or not matches.endswith("]"):
        return matches
    if len(parsed) == 1:
        if parsed[0] is None:
            return ""
        return parsed[0] if isinstance(parsed[0], str) else matches[1:-1]
    return matches if parsed else ""


def _matches(reply: Reply) -> list[object]:
    try:
        parsed = json.loads(reply) if isinstance(reply, bytes | str) else []
    except (ValueError, RecursionError):
        return []
    return parsed if isinstance(parsed, list) else []


def members(whole: object) -> dict[str, Reply]:
    """The members of a JSON document by their path; lists of numbers as they are, objects as JSON text."""
    if not isinstance(whole, dict):
        return {"$": json.dumps(whole, ensure_ascii=False)}
    return {
        f"$.{name}": value if isinstance(value, list) and _numbers(value) else _plain(value, nested=True)
        for name, value in whole.items()
    }


def _numbers(value: list[object]) -> bool:
    return bool(value) and all(type(item) in (int, float) for item in value)


def _plain(value: object, *, nested: bool = False) -> Reply:
    if nested and isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    if isinstance(value, list):
        value = ",".join(str(item) for item in value if isinstance(item, str | int | float))
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return str(value).encode("utf-8", "surrogateescape") if isinstance(value, str | int | float) else None


def _packed(reply: Reply, params: VectorParams, *, several: bool) -> bytes | None:
    """As RediSearch takes them: nulls are passed over, one wrong vector leaves the whole document out."""
    parsed = _matches(reply)
    # Matches stand in a list of their own, unless the engine sent the first alone.
    matches = [parsed] if parsed and _numbers(parsed) else parsed
    if several and len(matches) == 1 and isinstance(matches[0], list) and not _numbers(matches[0]):
        matches = matches[0]  # one match that is a list of vectors
    matches = [match for match in matches if match is not None]
    if not matches or (len(matches) > 1 and not several):
        return None
    if not all(isinstance(m, list) and len(m) == params.dim and _numbers(m) for m in matches):
        return None
    try:
        with np.errstate(over="ignore"):  # beyond the type's range: infinite, and left out as such
            return to_bytes(np.array(matches, dtype=np.float64).reshape(-1), params.type)
    except OverflowError:  # a whole number beyond float64
        return None


def times_to_live(client: Client, keys: Sequence[str]) -> NDArray[np.float64]:
    """(n,) seconds until each document expires; NaN where it never does or is gone. 1,000 a round trip."""
    seconds: list[float] = []
    for start in range(0, len(keys), 1_000):
        replies_ms = client.pipeline([("PTTL", key) for key in keys[start : start + 1_000]])
        seconds += [ms / 1000 if ms >= 0 else math.nan for ms in map(replies.integer, replies_ms)]
    return np.array(seconds)
