"""The article's request: one store answers with the conversation and with what this user should read next."""

from __future__ import annotations

import numpy as np

from memdb.cluster.client import Client
from memdb.embedding.local import embed
from memdb.errors import NotFound
from memdb.sessions import formats, store, users
from memdb.sessions.turns import Turn
from memdb.vectors import distance
from memdb.vectors.distance import Floats
from memdb.vectors.index import index_info
from memdb.vectors.query import KnnRequest, returnable, vector_param
from memdb.vectors.search import Hit, knn

LEAN = 0.25  # weight of the preference vector beside the question's; 0 asks for the question alone


def get_personalized_context(
    client: Client, user_id: str, session_id: str, query: str, *, index: str = "idx:embeddings", k: int = 5
) -> tuple[tuple[Turn, ...], tuple[Hit, ...]]:
    """The conversation so far, and the k documents nearest to a question, leaning to the user's preferences.

    Raises:
        NotFound: there is no such session. (A user without a record has no preferences.)
        BadVector: the index was not built with the local embedding model.
        UnknownIndex: there is no such index.
    """
    session = store.read(client, formats.session_key(session_id))
    info = index_info(client, index)
    vector = leaning(embed([query])[0], _preference(client, user_id))
    request = KnnRequest(index, vector_param(vector), k=k, ef_runtime=64, return_fields=returnable(info))
    return session.turns, knn(client, request, info).hits


def leaning(question: Floats, preference: Floats | None, weight: float = LEAN) -> Floats:
    """A question's direction turned towards a preference: (d,) float32 of length 1.

    A preference of another model, thus of another length, is left aside.
    """
    if preference is None or preference.shape != question.shape:
        return question
    both = distance.prepared(np.stack([question, preference]), "COSINE")
    mixed: Floats = (1 - weight) * both[0] + weight * both[1]
    return np.asarray(distance.prepared(mixed[None, :], "COSINE")[0])


def _preference(client: Client, user_id: str) -> Floats | None:
    try:
        return users.user_record(client, user_id).vector
    except NotFound:
        return None
