"""Which model embeds the questions of a setting."""

from __future__ import annotations

from memdb.cluster.client import Client
from memdb.embedding import Embedder, embedder_for
from memdb.relevance.evaluate import EmbedderOf
from memdb.relevance.run import EvaluationRequest, Setting
from memdb.settings import Settings
from memdb.vectors.index import IndexInfo, index_info


def of_settings(client: Client, settings: Settings) -> EmbedderOf:
    """The model that a setting names, else the one that belongs to its index."""

    def choose(setting: Setting, info: IndexInfo) -> Embedder:
        return embedder_for(client, info, settings, field=setting.field, here=setting.embedder)

    return choose


def leaving(client: Client, request: EvaluationRequest, embedder: EmbedderOf) -> tuple[str, ...]:
    """What leaves this machine, a sentence for each model that is elsewhere; to be said before it does.

    Raises:
        MemDBError: an index or its model cannot be opened.
    """
    embedders = [
        embedder(setting, index_info(client, setting.index))
        for setting in request.settings
        if setting.by != "words"
    ]
    return tuple(dict.fromkeys(each.leaves for each in embedders if each.model.sends_to))
