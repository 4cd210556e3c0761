"""What four services cost a month for the same vectors, queries and writes. Pure.

docs/sizing.md works each by hand.

GB and TB are 2^30 and 2^40 bytes, as AWS bills storage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from memdb.errors import BadInput
from memdb.sizing.catalogue import HOURS, Catalogue, Flavour, PriceGrade, least_sure
from memdb.sizing.choose import Choice, Choices, choose
from memdb.sizing.constraints import RESERVE, Constraint, Load, Where, broken, constraints
from memdb.sizing.model import predict
from memdb.sizing.profiles import BUILT_IN
from memdb.sizing.shape import Sessions, Shape, number, whole

GB, TB = float(2**30), float(2**40)
SECONDS = HOURS * 3_600  # of a month
TITLES: dict[Where, str] = {
    "memorydb": "MemoryDB",
    "elasticache": "ElastiCache for Valkey",
    "s3vectors": "S3 Vectors",
    "opensearch": "OpenSearch Serverless",
}
_FILTERABLE = 2_048  # bytes of metadata S3 Vectors can filter by; a query reads them, not the rest
_RESULT_LEAST = 256  # bytes counted for a result of S3 Vectors, at least
_RESULTS_FREE = 512 * 1024  # bytes of a query's results that are free
_OCU_BYTES = 6 * GB
_OCU_VECTORS = 0.5  # share of an OCU's memory for graphs; ours, after the k-NN plugin's circuit breaker


@dataclass(frozen=True, slots=True)
class Line:
    """One item of a bill and how it was calculated."""

    item: str
    usd: float
    how: str
    grade: PriceGrade


@dataclass(frozen=True, slots=True)
class Bill:
    """A service's month. `monthly_usd` is None where it cannot be told; `why` says so."""

    service: Where
    title: str
    lines: tuple[Line, ...]
    constraints: tuple[Constraint, ...]
    why: str = ""
    notes: tuple[str, ...] = ()
    choice: Choice | None = None

    @property
    def monthly_usd(self) -> float | None:
        """Sum of the lines; None where the service cannot do it, or has no price."""
        return None if self.why or not self.lines else sum(line.usd for line in self.lines)

    @property
    def grade(self) -> PriceGrade:
        """As sure as the least sure of its lines."""
        return least_sure(line.grade for line in self.lines)


@dataclass(frozen=True, slots=True)
class Wishes:
    """Where, with which engine, and how much is kept free."""

    region: str = "us-east-1"
    flavour: Flavour = "valkey"
    reserve: float = RESERVE


def checked(load: Load) -> Load:
    """The same, if its numbers can be used.

    Raises:
        BadInput: one is no number, negative or absurd.
    """
    number("Queries a second", load.queries_per_s, 0, 1e7)
    number("Documents written a second", load.written_per_s, 0, 1e7)
    whole("Neighbours a query", load.query_k, 1, 100_000)
    whole("Indexes", load.indexes, 1, 100_000)
    whole("Replicas", load.replicas, 0, 5)
    whole("Snapshot days", load.snapshot_days, 0, 35)
    return load


def written_bytes_s(shape: Shape | None, sessions: Sessions, load: Load) -> float:
    """Bytes written a second: documents and sessions, each once."""
    documents = load.written_per_s * document_bytes(shape) if shape else 0.0
    return documents + sessions.per_second * sessions.bytes


def document_bytes(shape: Shape) -> int:
    """What one document is as it is sent: key, vector, metadata and text."""
    return shape.key_bytes + shape.vector_bytes + shape.metadata_bytes + shape.text_bytes


def memorydb(
    shape: Shape, sessions: Sessions, load: Load, needed_bytes: float, catalogue: Catalogue, wishes: Wishes
) -> Bill:
    """The cheapest fitting node × hours × nodes, data written, snapshots beyond what is free."""
    written = written_bytes_s(shape, sessions, load)
    limits = constraints("memorydb", shape, load, written / 1e6)
    choices = choose(
        needed_bytes,
        catalogue,
        flavour=wishes.flavour,
        region=wishes.region,
        replicas=load.replicas,
        reserve=wishes.reserve,
    )
    why = _why(choices, limits)
    if choices.first is None or why:
        return Bill("memorydb", TITLES["memorydb"], (), limits, why, choices.instead)
    lines = memorydb_lines(choices.first, written, needed_bytes, load, catalogue, wishes)
    return Bill("memorydb", TITLES["memorydb"], lines, limits, choice=choices.first)


def memorydb_lines(
    choice: Choice,
    written_bytes: float,
    needed_bytes: float,
    load: Load,
    catalogue: Catalogue,
    wishes: Wishes,
) -> tuple[Line, ...]:
    """The bill of one choice of nodes."""
    lines = [_nodes(choice)]
    price = catalogue.price(f"memorydb/written/{wishes.flavour}", wishes.region)
    free = catalogue.find(f"memorydb/written_free_tb/{wishes.flavour}", wishes.region)
    month = written_bytes * SECONDS / GB
    billed = max(0.0, month - (free.value * 1024 if free else 0.0))
    lines.append(
        Line(
            "data written",
            billed * price.value,
            f"{month:,.0f} GB a month"
            + (f", {free.value:g} TB free" if free else "")
            + f", ${price.value:g}/GB",
            price.grade,
        )
    )
    price = catalogue.price("memorydb/snapshot", wishes.region)
    # One copy's worth is free; each daily snapshot holds everything once.
    beyond = max(0, load.snapshot_days - 1) * needed_bytes / GB
    lines.append(
        Line(
            "snapshots",
            beyond * price.value,
            f"{load.snapshot_days} kept, the first free: {beyond:,.0f} GB × ${price.value:g}",
            price.grade,
        )
    )
    return tuple(lines)


def elasticache(shape: Shape, sessions: Sessions, load: Load, catalogue: Catalogue, wishes: Wishes) -> Bill:
    """Node hours of as many shards as are needed; backups are not counted."""
    written = written_bytes_s(shape, sessions, load)
    limits = constraints("elasticache", shape, load, written / 1e6)
    needed = predict(shape, BUILT_IN["elasticache"], sessions).total_bytes
    choices = choose(
        needed,
        catalogue,
        service="elasticache",
        flavour="valkey",
        region=wishes.region,
        replicas=load.replicas,
        reserve=wishes.reserve,
    )
    why = _why(choices, limits)
    if choices.first is None or why:
        return Bill("elasticache", TITLES["elasticache"], (), limits, why, choices.instead)
    notes = ("No snapshots counted. Memory by the elasticache profile.",)
    return Bill(
        "elasticache", TITLES["elasticache"], (_nodes(choices.first),), limits, "", notes, choices.first
    )


def s3vectors(shape: Shape, load: Load, catalogue: Catalogue, wishes: Wishes) -> Bill:
    """Storage, PUTs, queries, and what each query reads: the whole index, whatever K."""
    limits = constraints("s3vectors", shape, load, 0.0)
    why = _broken_text(limits)
    if why:
        return Bill("s3vectors", TITLES["s3vectors"], (), limits, why)
    try:
        price = {
            name: catalogue.price(f"s3vectors/{name}", wishes.region)
            for name in (
                "storage",
                "put",
                "put_least_kb",
                "query",
                "processed_first",
                "processed_next",
                "processed_above",
                "returned",
            )
        }
    except BadInput as exc:
        return Bill("s3vectors", TITLES["s3vectors"], (), limits, exc.full())
    n = shape.vectors
    stored = document_bytes(shape) * n / GB
    puts, put_gb = _puts(shape, load, price["put_least_kb"].value)
    queries = load.queries_per_s * SECONDS
    read = shape.key_bytes + shape.vector_bytes + min(shape.metadata_bytes, _FILTERABLE)
    each = (
        min(n, 100_000) * price["processed_first"].value
        + max(0, min(n, 10_000_000) - 100_000) * price["processed_next"].value
        + max(0, n - 10_000_000) * price["processed_above"].value
    ) * (read / TB)
    result = load.query_k * max(_RESULT_LEAST, shape.key_bytes + shape.metadata_bytes + shape.text_bytes)
    returned = max(0, result - _RESULTS_FREE) * queries / GB

    def line(item: str, usd: float, how: str, name: str) -> Line:
        return Line(item, usd, how, price[name].grade)

    lines = (
        line(
            "storage",
            stored * price["storage"].value,
            f"{stored:,.1f} GB × ${price['storage'].value:g}",
            "storage",
        ),
        line(
            "writes",
            put_gb * price["put"].value,
            f"{puts:,.0f} PUTs, {put_gb:,.1f} GB × ${price['put'].value:g}",
            "put",
        ),
        line(
            "queries",
            queries / 1e6 * price["query"].value,
            f"{queries / 1e6:,.2f} million × ${price['query'].value:g}",
            "query",
        ),
        line(
            "data read by queries",
            queries * each,
            f"{queries / 1e6:,.2f} million × {n * read / GB:,.2f} GB, ${each * 1e6:,.2f} a million",
            "processed_first",
        ),
        line(
            "data returned",
            returned * price["returned"].value,
            f"{returned:,.1f} GB beyond the free 512 KB a query",
            "returned",
        ),
    )
    return Bill("s3vectors", TITLES["s3vectors"], lines, limits)


def _puts(shape: Shape, load: Load, least_kb: float) -> tuple[float, float]:
    """PUT requests a month and the GB they count: one request a second at most, 500 vectors each."""
    together = max(1.0, min(500.0, load.written_per_s))
    puts = load.written_per_s * SECONDS / together
    return puts, puts * max(document_bytes(shape) * together, least_kb * 1024) / GB


def opensearch(
    shape: Shape, load: Load, catalogue: Catalogue, wishes: Wishes, *, next_gen: bool = False
) -> Bill:
    """OCU hours for graphs in memory, each twice for redundancy, and storage.

    The next generation has no verified unit price: its bill is empty until the user gives one
    (`opensearch/ocu_nextgen`); it scales to zero when idle, so hours without queries cost nothing.
    """
    title = TITLES["opensearch"] + (" (next generation)" if next_gen else " (classic)")
    limits = constraints("opensearch", shape, load, 0.0)
    if broken(limits):
        return Bill("opensearch", title, (), limits, _broken_text(limits))
    ocu = catalogue.find("opensearch/ocu_nextgen" if next_gen else "opensearch/ocu", wishes.region)
    storage = catalogue.find("opensearch/storage", wishes.region)
    if ocu is None or storage is None:
        what = "The unit price of the next generation was not found" if next_gen else "There is no price"
        return Bill(
            "opensearch",
            title,
            (),
            limits,
            f"{what} in {wishes.region}; enter yours on the Sizing page under Prices.",
        )
    graphs = 1.1 * (4 * shape.dim + 8 * shape.m) * shape.vectors
    search = max(0.5, math.ceil(2 * graphs / (_OCU_BYTES * _OCU_VECTORS)) / 2)
    ocus = 2 * (search + 0.5)
    stored = document_bytes(shape) * shape.vectors / GB
    lines = (
        Line(
            "OCU hours",
            ocus * HOURS * ocu.value,
            f"2 × ({search:g} search + 0.5 indexing) OCUs × {HOURS:g} h × ${ocu.value:g}",
            least_sure((ocu.grade, "estimate" if search > 0.5 else ocu.grade)),
        ),
        Line("storage", stored * storage.value, f"{stored:,.1f} GB × ${storage.value:g}", storage.grade),
    )
    notes = (
        "Graphs in memory by 1.1 × (4·dim + 8·M) bytes (OpenSearch k-NN documentation), half of an OCU's "
        "6 GB; quantisation or on-disk vectors need less.",
    )
    return Bill("opensearch", title, lines, limits, "", notes)


def bills(
    shape: Shape, sessions: Sessions, load: Load, needed_bytes: float, catalogue: Catalogue, wishes: Wishes
) -> tuple[Bill, ...]:
    """All of them, for the same inputs."""
    checked(load)
    return (
        memorydb(shape, sessions, load, needed_bytes, catalogue, wishes),
        elasticache(shape, sessions, load, catalogue, wishes),
        s3vectors(shape, load, catalogue, wishes),
        opensearch(shape, load, catalogue, wishes),
        opensearch(shape, load, catalogue, wishes, next_gen=True),
    )


def _nodes(choice: Choice) -> Line:
    how = f"{choice.nodes} × {choice.node.name} × {HOURS:g} h × ${choice.price.value:g}"
    if choice.shards > 1:
        how += f" ({choice.shards} shards)"
    return Line("nodes", choice.monthly_usd, how, choice.price.grade)


def _why(choices: Choices, limits: tuple[Constraint, ...]) -> str:
    return _broken_text(limits) or choices.why_none


def _broken_text(limits: tuple[Constraint, ...]) -> str:
    return " ".join(c.text for c in broken(limits))


def with_vectors(shape: Shape, vectors: int) -> Shape:
    """The same shape with another number of vectors, for break-even lines."""
    return replace(shape, vectors=max(1, vectors))


__all__ = [
    "GB",
    "TB",
    "TITLES",
    "Bill",
    "Line",
    "Wishes",
    "bills",
    "checked",
    "document_bytes",
    "elasticache",
    "memorydb",
    "memorydb_lines",
    "opensearch",
    "s3vectors",
    "with_vectors",
    "written_bytes_s",
]
