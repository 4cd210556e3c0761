"""Which model embeds the questions of a setting."""

from __future__ import annotations

from memdb.cluster.client import Client
from memdb.embedding import Embedder, embedder_for
from memdb.relevance.evaluate import EmbedderOf
from memdb.relevance.run import Setting
from memdb.settings import Settings
from memdb.vectors.index import IndexInfo


def of_settings(client: Client, settings: Settings) -> EmbedderOf:
    """The model that a setting names, else the one that belongs to its index."""

    def choose(setting: Setting, info: IndexInfo) -> Embedder:
        return embedder_for(client, info, settings, field=setting.field, here=setting.embedder)

    return choose
