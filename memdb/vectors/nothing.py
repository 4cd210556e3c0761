"""Why there is no document to work with, in one place: a filter that matches none, an index that holds none,
or documents whose vectors are of no use."""

from __future__ import annotations

from memdb.display import counted, line
from memdb.errors import BadInput
from memdb.vectors.index import IndexInfo
from memdb.vectors.read import NOTHING, LeftOut


def nothing(
    info: IndexInfo,
    filter_: str = "*",
    field: str = "",
    left_out: LeftOut = NOTHING,
    *,
    but_itself: bool = False,
) -> BadInput:
    """The error to raise where no document is left.

    Args:
        info: the index.
        filter_: as it is asked; "*" where there is none, and then none is spoken of.
        field: the vector field, where documents without a usable vector do not count.
        left_out: documents that were listed and are of no use, by why.
        but_itself: the document that a query was made of is there, and does not count.
    """
    other = " but the query's own" if but_itself else ""
    usable = f" with a usable vector in '{line(field)}'" if field else ""
    if filter_.strip() not in ("", "*"):
        sentence = f"No document of '{line(info.name)}'{other}{usable} matches the filter {line(filter_)}."
        todo = "Widen the filter, or choose another index."
    elif info.told_documents == 0:
        sentence, todo = f"Index '{line(info.name)}' holds no documents.", "Choose another index."
        if info.failures:
            last = f", the last because: {line(info.last_error)}" if info.last_error else ""
            # An engine counts attempts: a document that it takes in twice fails twice.
            todo = f"{counted(info.failures, 'attempt')} to index a document failed{last}. {todo}"
    else:
        has = f"has a usable vector in '{line(field)}'" if field else "can be used"
        sentence = f"No document of '{line(info.name)}'{other} {has}."
        todo = "Choose another index or vector field."
    return BadInput(sentence, " ".join((*left_out.words, todo)))
