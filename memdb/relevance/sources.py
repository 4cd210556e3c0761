"""Where questions and labels come from: the user's own, or the demo's set."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from memdb.cluster.client import Client
from memdb.errors import BadInput, NotFound, UnknownIndex
from memdb.relevance import labels
from memdb.relevance.labels import Judgements

Source = Literal["mine", "demo"]


def judgements(source: Source, client: Client, home: Path) -> Judgements:
    """The labels of a source.

    Args:
        source: the user's own, or the demo's.
        client: of the server that holds the demo's set.
        home: MEMDB_HOME, where the user's own are.

    Raises:
        BadInput: the user has no labels yet, or their file is damaged.
        NotFound: the server does not hold the demo's set.
        MemDBError: the server does not answer.
    """
    if source == "mine":
        mine = labels.load(home)
        if not mine:
            raise BadInput(
                "You have no labels yet.",
                "Judge hits on the Search page, or give files of questions and grades.",
            )
        return labels.judgements(mine)
    from memdb.demo import labelled

    try:
        return labelled.judgements(client)
    except UnknownIndex:
        raise NotFound(labelled.INDEX.name, "labelled set of the demo") from None
