"""Taking the new vectors back: out of the documents, or with their copies, and their index last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from memdb.cluster import replies
from memdb.cluster.client import Client, Command
from memdb.display import line
from memdb.errors import BadInput, ReadOnlyTarget
from memdb.jobs import Report, silent
from memdb.reembedding.plan import ReembedRequest, spec_of
from memdb.vectors import index
from memdb.vectors.index import IndexInfo, index_info
from memdb.vectors.read import by_scan

AT_ONCE = 500
_STAGE = "Removing the new vectors"


@dataclass(frozen=True, slots=True)
class Removed:
    """What was taken back. Counts of documents."""

    index: str
    documents: int  # that lost the new field, or copies that are gone
    copies: bool

    @property
    def words(self) -> str:
        """For people, in a sentence."""
        what = f"{self.documents:,} copies" if self.copies else f"the field of {self.documents:,} documents"
        return f"Removed {what} and the index {line(self.index)}. The original was not touched."


def remove(client: Client, request: ReembedRequest, *, typed: str, report: Report = silent) -> Removed:
    """Remove what `reembed` wrote for this request. The index goes last: ended early, it is run again.

    Args:
        client: of a writable target.
        request: as it was embedded with; the texts and the price do not matter.
        typed: the name of the *new* index as the user typed it.
        report: progress; may raise Cancelled.

    Raises:
        ReadOnlyTarget: the target is read-only; nothing was sent.
        BadInput: another name was typed, or the new index is not one that `reembed` makes for this request.
        UnknownIndex: one of the two indexes does not exist.
        MemDBError: the server does not answer.
        Cancelled: from `report`.
    """
    if not client.target.writable:
        raise ReadOnlyTarget(
            "HDEL", "This target is read-only; removing vectors writes to it.", "Open it writable."
        )
    base, new = index_info(client, request.index), index_info(client, request.new_index)
    spec = spec_of(base, request, 1)
    if not any(field.name == request.field for field in new.of_kind("VECTOR")) or set(new.prefixes) != set(
        spec.prefixes or ("",)
    ):
        raise BadInput(
            f"'{line(new.name)}' is not an index of '{line(request.field)}' over "
            + (f"copies that begin with '{line(request.prefix)}'." if request.prefix else "these documents."),
            "Give the field, prefix and index that it was embedded with.",
        )
    if typed.strip() != new.name:
        raise BadInput(
            f"The name typed is '{line(typed)}', not '{line(new.name)}'.",
            "Type the whole name of the new index to remove it with its vectors.",
        )
    removed = 0
    for keys in _keys(client, new):
        report(_STAGE, removed, max(removed, new.documents))
        present = client.pipeline([_holds(request, new, key) for key in keys])
        # What begins the same and holds no new vector was not written by a re-embedding: it stays.
        ours = [
            key for key, there in zip(keys, present, strict=True) if there not in (None, 0, b"[]", "[]", [])
        ]
        answers = client.pipeline([_gone(request, new, key) for key in ours])
        removed += sum(replies.integer(answer) > 0 for answer in answers)
    index.drop(client, new.name)
    report(_STAGE, removed, max(1, removed))
    return Removed(new.name, removed, bool(request.prefix))


def _keys(client: Client, new: IndexInfo) -> Iterator[list[str]]:
    # By SCAN, not by the index: it holds no document whose vector it refused.
    return by_scan(client, new, AT_ONCE)


def _holds(request: ReembedRequest, new: IndexInfo, key: str) -> Command:
    if new.on == "JSON":
        return ("JSON.GET", key, f"$.{request.field}")
    return ("HSTRLEN", key, request.field)


def _gone(request: ReembedRequest, new: IndexInfo, key: str) -> Command:
    if request.prefix:
        return ("UNLINK", key)
    if new.on == "JSON":
        return ("JSON.DEL", key, f"$.{request.field}")
    return ("HDEL", key, request.field)
