"""Where a run's queries came from, as data: kept with the run, and what it is repeated from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from memdb import files

COUNT = 1_000  # queries, where nobody says otherwise


@dataclass(frozen=True, slots=True)
class Unseen:
    """Made queries, as hard to answer as documents that the index does not hold."""

    count: int = COUNT
    seed: int = 0  # the same seed makes the same queries of the same index
    extend: bool = True  # four times as many, once, where these leave open which setting meets the goal


@dataclass(frozen=True, slots=True)
class Documents:
    """Random documents of the index, each left out of its own results. Recall then reads too high."""

    count: int = COUNT
    seed: int = 0
    extend: bool = True


@dataclass(frozen=True, slots=True)
class Selected:
    """Documents that a user named, e.g. on the map, each left out of its own results."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Texts:
    """Typed texts, embedded by the model of the index."""

    texts: tuple[str, ...]
    model: str = ""  # that is chosen for this run, and of a run the one that was used; empty: what is said


@dataclass(frozen=True, slots=True)
class File:
    """Vectors or texts of a file."""

    name: str
    path: str = ""  # where it lies on this machine; empty for one that was uploaded
    content: bytes = field(default=b"", repr=False)  # read already; never kept with a run
    model: str = ""  # of texts, as in `Texts`


@dataclass(frozen=True, slots=True)
class Repeated:
    """The queries of a saved run once more."""

    run_id: str
    of: Source | None = None  # where that run had them from; None until it was looked up


@dataclass(frozen=True, slots=True)
class Given:
    """Vectors that a program handed over."""

    words: str = "given vectors"


Source = Unseen | Documents | Selected | Texts | File | Repeated | Given
_KINDS: dict[str, Any] = {
    "unseen": Unseen,
    "documents": Documents,
    "selected": Selected,
    "texts": Texts,
    "file": File,
    "repeated": Repeated,
    "given": Given,
}


def words(source: Source, count: int) -> str:
    """For people, e.g. "1,000 made queries (seed 0)"; `count` is how many were asked."""
    match source:
        case Unseen(seed=seed):
            return f"{count:,} made queries, as hard as unseen ones (seed {seed})"
        case Documents(seed=seed):
            return f"{count:,} random documents (seed {seed})"
        case Selected():
            return f"{count:,} selected documents"
        case Texts(model=model):
            return f"{count:,} typed texts{_by(model)}"
        case File(name=name, model=model):
            return f"{count:,} rows of {name}{_by(model)}"
        case Repeated(run_id=run_id, of=first):
            return f"{words(first, count) if first else f'{count:,} queries'}, as in run {run_id}"
        case Given(words=said):
            return f"{count:,} {said}"
    raise AssertionError(source)


def _by(model: str) -> str:
    """By which model texts were embedded, where it is not the one of this machine."""
    return f", embedded by {model}" if model not in ("", "local") else ""


def short_words(source: Source) -> str:
    """What the queries are, for a sentence: "made queries", "documents as queries", "queries"."""
    match origin(source):
        case Unseen():
            return "made queries"
        case Documents() | Selected():
            return "documents as queries"
    return "queries"


def origin(source: Source) -> Source:
    """Where the queries were first from, however often they were repeated."""
    while isinstance(source, Repeated) and source.of is not None:
        source = source.of
    return source


def are_documents(source: Source) -> bool:
    """Whether the queries are documents of the index, which are easier to find than a question."""
    return isinstance(origin(source), Documents | Selected)


def seed(source: Source) -> int | None:
    """What they were drawn with; None where nothing was drawn."""
    first = origin(source)
    return first.seed if isinstance(first, Unseen | Documents) else None


def to_dict(source: Source) -> dict[str, Any]:
    """As JSON takes it; a file's content is left out."""
    kind = next(name for name, each in _KINDS.items() if isinstance(source, each))
    if isinstance(source, Repeated):
        return {"kind": kind, "run_id": source.run_id, "of": to_dict(source.of) if source.of else None}
    return {"kind": kind, **{name: value for name, value in asdict(source).items() if name != "content"}}


def from_dict(stored: dict[str, Any]) -> Source:
    """What `to_dict` made.

    Raises:
        KeyError, TypeError, ValidationError: it is none.
    """
    values = {name: value for name, value in stored.items() if name != "kind"}
    if stored["kind"] == "repeated":
        of = values["of"]
        return Repeated(files.typed(values["run_id"], str), from_dict(of) if of else None)
    source: Source = files.typed(values, _KINDS[stored["kind"]])
    return source
