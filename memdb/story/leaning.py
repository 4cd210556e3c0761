"""Two users whose preferences lie far apart: the same question leads them to different documents."""

from __future__ import annotations

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.cluster.replies import Reply
from memdb.errors import BadInput, BadVector
from memdb.sessions import formats, users
from memdb.sessions.users import UserRecord
from memdb.vectors import distance

_LOOKED_AT = 500  # users at most
_STEPS, _STEP = 100, 1_000  # of SCAN


def pair(client: Client, dim: int) -> tuple[UserRecord, UserRecord]:
    """The two users, of at most 500 that were looked at, whose preference vectors are least alike.

    Args:
        client: of the target.
        dim: of the vectors that preferences are blended with.

    Raises:
        BadInput: there are no two users with such a preference, or not among the first 100,000 keys.
        MemDBError: the server does not answer, or this user may not look.
    """
    names: list[str] = []
    rows: list[np.ndarray] = []
    cursor: Reply = b"0"
    for _ in range(_STEPS):
        cursor, batch = replies.items(
            client.execute("SCAN", cursor, "MATCH", f"{formats.USER_PREFIX}*", "TYPE", "hash", "COUNT", _STEP)
        )
        keys = [key for key in replies.items(batch) if isinstance(key, bytes)]
        for key, stored in zip(
            keys, client.pipeline([("HGET", key, formats.EMBEDDING) for key in keys]), strict=True
        ):
            if (row := _usable(stored, dim)) is not None:
                names.append(key.decode("utf-8", "surrogateescape"))
                rows.append(row)
        if replies.text(cursor) == "0" or len(names) >= _LOOKED_AT:
            break
    if len(names) < 2:
        whole = replies.text(cursor) == "0"
        where = "This target has" if whole else f"Among the first {_STEPS * _STEP:,} keys of this target are"
        raise BadInput(
            f"{where} no two users with a preference of {dim:,} numbers.",
            f"Users are hashes under {formats.USER_PREFIX} with the field '{formats.EMBEDDING}'.",
        )
    order = sorted(range(len(names)), key=names.__getitem__)[:_LOOKED_AT]
    units = distance.prepared(np.stack([rows[i] for i in order]), "COSINE")
    alike = units @ units.T
    first, second = np.unravel_index(int(alike.argmin()), alike.shape)
    chosen = [users.user_record(client, formats.user_id(names[order[int(i)]])) for i in (first, second)]
    return chosen[0], chosen[1]


def _usable(stored: Reply, dim: int) -> np.ndarray | None:
    if not isinstance(stored, bytes):
        return None
    try:
        row = distance.from_bytes(stored, "FLOAT32")
    except BadVector:
        return None
    return row if row.shape == (dim,) and np.isfinite(row).all() and row.any() else None
