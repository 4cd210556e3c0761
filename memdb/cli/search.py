"""`memdb search`: the nearest documents, as blocks that fit the terminal or as JSON."""

from __future__ import annotations

import math
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from memdb import files
from memdb.asking.side import Side
from memdb.cli import beside
from memdb.cli.arguments import count
from memdb.cli.beside import TwoSides
from memdb.cli.options import option
from memdb.cli.output import print_json, say
from memdb.cluster.client import Client, open_for_work
from memdb.display import line
from memdb.embedding import Embedded
from memdb.errors import BadInput
from memdb.settings import Settings
from memdb.vectors import upload
from memdb.vectors.distance import Vectors
from memdb.vectors.exact import Neighbours, nearest
from memdb.vectors.index import IndexInfo, index_info
from memdb.vectors.membership import Membership
from memdb.vectors.query import EF_RUNTIME, KnnRequest, received, returnable, vector_param
from memdb.vectors.read import blocks
from memdb.vectors.recall import Judged, judge
from memdb.vectors.search import Hit, KnnResult, document_vector, knn
from memdb.vectors.titles import title_of

_SHORT = 40  # characters of a field that shares its line with others
_LONGEST = 2_000
_INDENT = " " * 5


@dataclass(frozen=True, kw_only=True)
class Search(TwoSides):
    """`memdb search`."""

    text: str | None = option(
        "--text",
        required=True,
        either="query",
        help="embedded by the model of the index",
    )
    key: str | None = option(
        "--key", required=True, either="query", help="a document of the index: more like this"
    )
    vector: str | None = option(
        "--vector",
        required=True,
        either="query",
        metavar="FILE",
        help="numbers as JSON or text, an embeddings reply, .npy, or .bin; - reads from the input",
    )
    questions: str | None = option(
        "--questions",
        required=True,
        either="query",
        metavar="FILE",
        help="with --beside-…: texts, one a line; how far the answers of both agree",
    )
    k: int = option("--k", default=KnnRequest("", ()).k, type=count(1), metavar="N", help="how many")
    ef: int = option(
        "--ef", default=EF_RUNTIME, type=count(0), metavar="N", help="EF_RUNTIME; 0: the index's own"
    )
    returned: str | None = option(
        "--return", metavar="A,B", help="fields to return (default: all but vectors)"
    )
    exact: bool = option("--exact", default=False, help="also compute the exact answer and the recall")
    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """Ask, and print what came.

        Raises:
            BadInput: options that do not go together.
        """
        if self.two or self.questions is not None or self.by != "vectors":
            if self.exact or self.returned is not None:
                raise BadInput(
                    "--exact and --return belong to one search by vectors.",
                    "Leave them out, or --by, --questions and --beside-….",
                )
            side = Side(
                self.index,
                self.field,
                k=self.k,
                ef_runtime=self.ef or None,
                filter=self.filter,
                model=self.embedder,
            )
            return beside.run(self, side, self.text, self.questions, as_json=self.json)
        settings = Settings.from_env()
        target = self.find(settings)
        with open_for_work(target) as client:
            info = index_info(client, self.index)
            field, params = info.vector_field(self.field)
            vector, embedded = _vector(client, info, self, settings)
            request = KnnRequest(
                index=info.name,
                vector=vector_param(vector),
                field=field.name,
                k=self.k,
                ef_runtime=(self.ef or None) if params.algorithm == "HNSW" else None,
                filter=self.filter,
                return_fields=_fields(info, self.returned),
            )
            result = knn(client, request, info)
            exact, compared = _exact(client, info, request, result) if self.exact else (None, None)
            broken = "" if compared is None or result.outside else _broken(client, info, request, compared)
        cut = embedded.notes if embedded else ()
        notes = tuple(filter(None, (info.unfinished, *cut, *result.notes, broken)))
        if self.json:
            document = _as_json(result, result.command.redis_cli(target), exact, compared, notes)
            if embedded is not None:
                document["embedding"] = asdict(embedded.spent)
            print_json(document)
        else:
            _show(result, request, exact, compared, notes)
            if embedded is not None:
                say(f"Embedded: {embedded.spent.words}")
        return 0


def _vector(
    client: Client, info: IndexInfo, search: Search, settings: Settings
) -> tuple[Vectors, Embedded | None]:
    """The query (d,), and what embedding it cost where it is a text."""
    if search.text is not None:
        if not search.text.strip():
            raise BadInput("The text to search for is empty.", "Give some words with --text.")
        embedded = search.embedder_of(client, info, settings).ask([search.text])
        return embedded.vectors[0], embedded
    return _given_vector(client, info, search), None


def _given_vector(client: Client, info: IndexInfo, search: Search) -> Vectors:
    field, params = info.vector_field(search.field)
    where = f"'{field.name}' of '{info.name}'"
    if search.key is not None:
        return document_vector(client, info, field.name, search.key)
    if search.vector == "-":
        return upload.from_text(
            sys.stdin.read(upload.most_bytes(params.dim) + 1), params.dim, where, params.type
        )
    path = Path(search.vector or "").expanduser()
    try:
        content = files.named(path, upload.most_bytes(params.dim))
    except OSError as exc:
        raise BadInput(
            f"The file '{search.vector}' cannot be read: {files.reason(exc)}.",
            "Give the path of a file with a vector.",
        ) from None
    return upload.from_file(path.name, content, params.dim, params.type, where)


def _fields(info: IndexInfo, returned: str | None) -> tuple[str, ...]:
    if returned is None:
        return returnable(info)
    if any(field.name == returned for field in info.fields):  # a name may hold a comma
        return (returned,)
    return tuple(name for part in returned.split(",") if (name := part.strip()))


def _exact(
    client: Client, info: IndexInfo, request: KnnRequest, result: KnnResult
) -> tuple[Neighbours, Judged]:
    """The exact answer, and the index's answer against it."""
    _, params = info.vector_field(request.field)
    sent = received(request, params)
    exact = nearest(blocks(client, info, request.field, request.filter), sent, request.k, params.metric)
    under = Membership(client, info, request.filter)
    verdicts = judge(client, info, request.field, sent, [result.keys], exact.keys, exact.distances, under)
    return exact, verdicts[0]


def _broken(client: Client, info: IndexInfo, request: KnnRequest, compared: Judged) -> str:
    """What is to be said of hits that the comparison has shown to break the filter."""
    return Membership(client, info, request.filter).words(len(compared.distances), len(compared.outside))


def _as_json(
    result: KnnResult,
    command: str,
    exact: Neighbours | None,
    compared: Judged | None,
    notes: tuple[str, ...],
) -> dict[str, object]:
    document: dict[str, object] = {
        # A distance that the engine does not have is null.
        "hits": [
            {"key": h.key, "distance": h.distance, "fields": dict(h.fields)}
            | ({"breaks_filter": True} if h.key in result.outside else {})
            for h in result.hits
        ],
        "took_ms": round(result.took_ms, 3),
        "command": command,
    } | _notes(notes)
    if result.missing:
        document["missing_shards"] = list(result.missing)
    if exact is not None and compared is not None:
        document["exact"] = {
            "hits": [
                {"key": key, "distance": float(d), "found": there}
                for key, d, there in zip(exact.keys[0], exact.distances[0], compared.retrieved, strict=True)
            ],
            "recall": compared.recall if compared.places else None,  # of nothing there is none
            "looked_at": exact.looked_at,
        } | _notes(exact.notes)
    return document


def _notes(notes: tuple[str, ...]) -> dict[str, object]:
    """Only where there is something to say."""
    return {"notes": list(notes)} if notes else {}


def _block(rank: int, hit: Hit, width: int, *, breaks_filter: bool) -> list[str]:
    """A hit in at most four lines: rank, distance and key; its title; its short fields; one line of text."""
    fields = {name: line(value, _LONGEST) for name, value in hit.fields.items() if value.strip()}
    marked = "  breaks the filter" if breaks_filter else ""
    lines = [f"{rank:>3}  {_distance(hit.distance)}  {line(hit.key, _LONGEST)}{marked}"]
    title = title_of(fields, "")
    texts = [f"{name}: {value}" for name, value in fields.items() if value != title]
    short = [text for text in texts if len(text) <= _SHORT]
    long = max((text for text in texts if len(text) > _SHORT), key=len, default="")
    room = max(20, width - len(_INDENT))
    return lines + [_INDENT + _cut(text, room) for text in (title, " · ".join(short), long) if text]


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _show(
    result: KnnResult,
    request: KnnRequest,
    exact: Neighbours | None,
    compared: Judged | None,
    notes: tuple[str, ...],
) -> None:
    width = shutil.get_terminal_size().columns  # 80 where there is no terminal
    for rank, hit in enumerate(result.hits, 1):
        say("\n".join(_block(rank, hit, width, breaks_filter=hit.key in result.outside)))
    count = len(result.hits)
    say(f"{count} {'hit' if count == 1 else 'hits'} in {result.took_ms:.1f} ms")
    for note in notes:
        say(f"Note: {note}")
    if exact is not None and compared is not None:
        missed = [k for k, there in zip(exact.keys[0], compared.retrieved, strict=True) if not there]
        if compared.places:
            say(f"Recall {compared.recall:.3f} against all {exact.looked_at:,} vectors under the filter")
        else:
            say("No vector under the filter to be a true neighbour, so there is no recall")
        for key in missed:
            say(f"missed: {line(key)}")
        for note in exact.notes:
            say(f"Note: {note}")


def _distance(value: float) -> str:
    # Plus zero: what rounds to it has no sign.
    return f"{round(value, 4) + 0.0:.4f}" if math.isfinite(value) else "none"
