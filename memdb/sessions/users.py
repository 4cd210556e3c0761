"""A user's record: `user:<id>` with what is known of the user and the preference vector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Arg, Client
from memdb.cluster.replies import Reply
from memdb.display import bytes_text
from memdb.embedding.local import embed
from memdb.errors import BadInput, BadVector
from memdb.sessions import formats
from memdb.sessions.hashes import StoredField, StoredHash, read_hash, shown_key
from memdb.vectors import distance
from memdb.vectors.distance import Floats


@dataclass(frozen=True, slots=True, eq=False)
class UserRecord:
    """A user as read. Texts are as stored: show them through `memdb.display`."""

    key: str
    user_id: str
    fields: tuple[StoredField, ...]  # all but the preference vector
    vector: Floats | None  # (d,) float32, finite; d is told by the stored length alone
    problems: tuple[str, ...]


def user_record(client: Client, user_id: str) -> UserRecord:
    """The record of a user, as a session names the user.

    Raises:
        BadInput: the id is empty.
        NotFound: there is no such record.
        EngineError: the key holds no hash.
    """
    key = formats.user_key(user_id)
    return user_of(read_hash(client, key, (formats.EMBEDDING,), "user record"))


def create(client: Client, user_id: str, preference: str, fields: Mapping[str, str] | None = None) -> str:
    """Write a new user's record with a preference vector embedded on this machine; returns the id.

    Raises:
        BadInput: the id or the preference is blank, or there is such a user.
        ReadOnlyTarget: the target takes no writes.
    """
    user_id = user_id.strip()
    key = formats.user_key(user_id)
    vector = distance.to_bytes(embed([preference])[0], "FLOAT32")

    def writes(replied: list[Reply]) -> list[list[Arg]]:
        if replies.integer(replied[0]):
            raise BadInput(f"There is a user '{shown_key(key)}' already.", "Choose another id.")
        stored: list[Arg] = ["HSET", key, "preference", preference, formats.EMBEDDING, vector]
        return [[*stored, *(part for pair in (fields or {}).items() for part in pair)]]

    client.compare_and_set(key, [("EXISTS", key)], writes)
    return user_id


def user_of(stored: StoredHash) -> UserRecord:
    """A stored hash as a user's record. Never raises; `problems` tells what is wrong with it."""
    field = stored.field(formats.EMBEDDING)
    vector, problem = _vector(field)
    problems = [problem] if problem else []
    rest = tuple(f for f in stored.fields if f.name != formats.EMBEDDING)
    problems += [f"The field '{shown_key(f.name)}' is not UTF-8." for f in rest if f.value and not f.utf8]
    if stored.left_out:
        problems.append(f"{stored.left_out:,} more fields of this hash were not read.")
    return UserRecord(stored.key, formats.user_id(stored.key), rest, vector, tuple(problems))


def _vector(field: StoredField | None) -> tuple[Floats | None, str]:
    if field is None:
        return None, f"The record has no field '{formats.EMBEDDING}': no preference vector."
    if field.value is None:
        return None, f"The preference vector has {bytes_text(field.size_bytes)} and was not read."
    try:
        vector = distance.from_bytes(field.value, "FLOAT32")
    except BadVector:
        return None, (
            f"The preference vector has {field.size_bytes:,} bytes, which is no multiple of 4, the size of "
            "a float32 number."
        )
    if not len(vector):
        return None, "The preference vector is empty."
    if not np.isfinite(vector).all():
        return None, "The preference vector holds a value that is not finite."
    return vector, ""
