"""Which model embeds the questions of a setting."""

from __future__ import annotations

from memdb.embedding import LOCAL, Embedder, named
from memdb.relevance.evaluate import EmbedderOf
from memdb.relevance.run import Setting
from memdb.settings import Settings
from memdb.vectors.index import IndexInfo


def of_settings(settings: Settings) -> EmbedderOf:
    """The model that a setting names, else the shipped one."""

    def choose(setting: Setting, info: IndexInfo) -> Embedder:
        del info
        return named(setting.embedder or LOCAL, settings)

    return choose
