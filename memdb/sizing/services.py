"""What services cost a month for the same vectors, queries and writes, ElastiCache in three modes. Pure.

docs/sizing.md works each by hand.

GB and TB are 2^30 and 2^40 bytes, as AWS bills storage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from memdb.errors import BadInput
from memdb.sizing import facts
from memdb.sizing.catalogue import HOURS, Catalogue, Flavour, PriceGrade, least_sure
from memdb.sizing.choose import Choice, Choices, choose
from memdb.sizing.constraints import (
    DURABLE_FAMILIES,
    MODES,
    RESERVE,
    Constraint,
    Durability,
    Load,
    Where,
    broken,
    constraints,
    durable_shards,
)
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
MODE_TITLES: dict[Durability, str] = {
    "disabled": "ElastiCache for Valkey",
    "async": "ElastiCache for Valkey, async",
    "sync": "ElastiCache for Valkey, sync",
}
_FILTERABLE = int(
    facts.value("s3vectors/filterable")
)  # bytes of metadata S3 Vectors can filter by; a query reads them, not the rest
_RESULT_LEAST = 256  # bytes counted for a result of S3 Vectors, at least
_RESULTS_FREE = 512 * 1024  # bytes of a query's results that are free
CLASSIC, NEXTGEN = "CLASSIC", "NEXTGEN"  # generations of OpenSearch Serverless, as its API names them
_OCU_BYTES = 6 * GB
_OCU_VECTORS = 0.5  # share of an OCU's memory for graphs; ours, after the k-NN plugin's circuit breaker


@dataclass(frozen=True, slots=True)
class Line:
    """One item of a bill and how it was calculated."""

    item: str
    usd: float
    how: str
    grade: PriceGrade
    off: float = 0.0  # share of it by which the price could be off, either way


@dataclass(frozen=True, slots=True)
class Bill:
    """A service's month. `monthly_usd` is None where it cannot be told; `why` says so.

    `unknown` names charges whose price was not found: the month costs more than `monthly_usd` by them.
    """

    service: Where
    title: str
    lines: tuple[Line, ...]
    constraints: tuple[Constraint, ...]
    why: str = ""
    notes: tuple[str, ...] = ()
    choice: Choice | None = None
    mode: Durability | None = None  # of ElastiCache
    unknown: tuple[str, ...] = ()

    @property
    def interval_usd(self) -> tuple[float, float] | None:
        """Between what the month could cost for what is known of its prices; None as `monthly_usd`."""
        if self.monthly_usd is None:
            return None
        off = sum(line.usd * line.off for line in self.lines)
        return self.monthly_usd - off, self.monthly_usd + off

    @property
    def words(self) -> str:
        """The month as it is shown, e.g. "at least $720 (third party)"; empty where there is none."""
        if self.monthly_usd is None or (interval := self.interval_usd) is None:
            return ""
        low, high = interval
        least = "at least " if self.unknown else ""
        between = f", ${low:,.0f} to ${high:,.0f}" if high - low >= 1 else ""
        return f"{least}${self.monthly_usd:,.0f} ({self.grade}{between})"

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
    whole("Tenants", load.tenants, 1, 100_000_000)
    whole("Documents written together", load.written_together, 1, int(facts.value("s3vectors/put_vectors")))
    return load


def written_bytes_s(shape: Shape | None, sessions: Sessions, load: Load) -> float:
    """Bytes written a second: documents and sessions, each once. No documents: none is written."""
    documents = load.written_per_s * document_bytes(shape) if shape and shape.vectors else 0.0
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
    notes = (f"Not verified: {facts.fact('memorydb/price_error').text}.",) if lines[0].off else ()
    return Bill("memorydb", TITLES["memorydb"], lines, limits, "", notes, choices.first)


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


def elasticache(
    shape: Shape,
    sessions: Sessions,
    load: Load,
    catalogue: Catalogue,
    wishes: Wishes,
    mode: Durability = "disabled",
) -> Bill:
    """Node hours of as many shards as memory and, with durability, writes need; backups are not counted.

    What `sync` costs beside the nodes was not found: it stands in `unknown`.
    """
    written = written_bytes_s(shape, sessions, load)
    limits = constraints("elasticache", shape, load, written / 1e6, mode=mode)
    needed = predict(shape, BUILT_IN["elasticache"], sessions).total_bytes
    durable = mode != "disabled"
    choices = choose(
        needed,
        catalogue,
        service="elasticache",
        flavour="valkey",
        region=wishes.region,
        replicas=load.replicas,
        reserve=wishes.reserve,
        families=DURABLE_FAMILIES if durable else (),
        least_shards=durable_shards(written) if durable else 1,
    )
    title, why = MODE_TITLES[mode], _why(choices, limits)
    if choices.first is None or why:
        return Bill("elasticache", title, (), limits, why, choices.instead, mode=mode)
    unknown = (facts.fact("elasticache/sync/price").text,) if mode == "sync" else ()
    notes = {
        "disabled": "A cache without durability.",
        "async": f"Durability costs {facts.fact('elasticache/async/price').text}.",
        "sync": f"Not counted: {facts.fact('elasticache/sync/price').text}.",
    }[mode]
    return Bill(
        "elasticache",
        title,
        (_nodes(choices.first),),
        limits,
        "",
        (notes, "No snapshots counted. Memory by the elasticache profile."),
        choices.first,
        mode,
        unknown,
    )


def s3vectors(
    shape: Shape, load: Load, catalogue: Catalogue, wishes: Wishes, sessions: Sessions | None = None
) -> Bill:
    """Storage, PUTs, queries, and what each query reads: the whole index it asks, whatever K.

    With `load.tenants` the vectors are in so many indexes of equal size, and each query asks one of them.
    """
    limits = constraints("s3vectors", shape, load, 0.0, sessions=sessions)
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
    asked_n = n / load.tenants  # vectors of the index that a query asks
    each = (
        min(asked_n, 100_000) * price["processed_first"].value
        + max(0.0, min(asked_n, 10_000_000) - 100_000) * price["processed_next"].value
        + max(0.0, asked_n - 10_000_000) * price["processed_above"].value
    ) * (read / TB)
    result = load.query_k * max(_RESULT_LEAST, shape.key_bytes + shape.metadata_bytes + shape.text_bytes)
    returned = max(0, result - _RESULTS_FREE) * queries / GB

    def line(item: str, usd: float, how: str, name: str) -> Line:
        return Line(item, usd, how, price[name].grade)

    each_put = load.written_per_s * SECONDS / puts if puts else 1.0
    many = f" of {each_put:,.4g} documents" if each_put > 1 else ""
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
            f"{puts:,.0f} PUTs{many}, {put_gb:,.1f} GB × ${price['put'].value:g}",
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
            f"{queries / 1e6:,.2f} million × {asked_n * read / GB:,.2f} GB, ${each * 1e6:,.2f} a million"
            + (f" ({load.tenants:,} indexes of {asked_n:,.0f})" if load.tenants > 1 else ""),
            "processed_first",
        ),
        line(
            "data returned",
            returned * price["returned"].value,
            f"{returned:,.1f} GB beyond the free 512 KB a query",
            "returned",
        ),
    )
    notes = [f"Not counted: {facts.fact('s3vectors/text_price').text}."] if shape.text_bytes else []
    if load.tenants == 1 and asked_n > 100_000:
        notes.append(
            "Every query reads all vectors: where a query knows its tenant, an index for each reads less."
        )
    return Bill("s3vectors", TITLES["s3vectors"], lines, limits, "", tuple(notes))


def _puts(shape: Shape, load: Load, least_kb: float) -> tuple[float, float]:
    """PUT requests a month and the GB they count: what an index gets in a second goes in one, 500 at most.

    A request writes to one index, so that documents of several tenants share none.
    """
    each = load.written_per_s / load.tenants
    together = max(load.written_together, min(facts.value("s3vectors/put_vectors"), each))
    puts = load.written_per_s * SECONDS / together
    return puts, puts * max(document_bytes(shape) * together, least_kb * 1024) / GB


def opensearch(
    shape: Shape,
    load: Load,
    catalogue: Catalogue,
    wishes: Wishes,
    sessions: Sessions | None = None,
    *,
    next_gen: bool = False,
) -> Bill:
    """OCU hours for graphs in memory, each twice for redundancy, and storage.

    The next generation has no verified unit price: its bill is empty until the user gives one
    (`opensearch/ocu_nextgen`); it scales to zero when idle, so hours without queries cost nothing.
    """
    title = TITLES["opensearch"] + (f" ({NEXTGEN})" if next_gen else f" ({CLASSIC})")
    limits = constraints("opensearch", shape, load, 0.0, sessions=sessions)
    if broken(limits):
        return Bill("opensearch", title, (), limits, _broken_text(limits))
    ocu = catalogue.find("opensearch/ocu_nextgen" if next_gen else "opensearch/ocu", wishes.region)
    storage = catalogue.find("opensearch/storage", wishes.region)
    if ocu is None or storage is None:
        what = "The unit price of NEXTGEN was not found" if next_gen else "There is no price"
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
    shape: Shape,
    sessions: Sessions,
    load: Load,
    needed_bytes: float,
    catalogue: Catalogue,
    wishes: Wishes,
    modes: tuple[Durability, ...] = MODES,
) -> tuple[Bill, ...]:
    """All of them, for the same inputs; of ElastiCache one for each mode."""
    checked(load)
    return (
        memorydb(shape, sessions, load, needed_bytes, catalogue, wishes),
        *(elasticache(shape, sessions, load, catalogue, wishes, mode) for mode in modes),
        s3vectors(shape, load, catalogue, wishes, sessions),
        opensearch(shape, load, catalogue, wishes, sessions),
        opensearch(shape, load, catalogue, wishes, sessions, next_gen=True),
    )


def _nodes(choice: Choice) -> Line:
    how = f"{choice.nodes} × {choice.node.name} × {HOURS:g} h × ${choice.price.value:g}"
    if choice.shards > 1:
        how += f" ({choice.shards} shards)"
    guessed = choice.price.grade == "estimate" and choice.node.service == "memorydb"
    off = facts.value("memorydb/price_error") if guessed else 0.0
    return Line("nodes", choice.monthly_usd, how, choice.price.grade, off)


def _why(choices: Choices, limits: tuple[Constraint, ...]) -> str:
    return _broken_text(limits) or choices.why_none


def _broken_text(limits: tuple[Constraint, ...]) -> str:
    return " ".join(c.text for c in broken(limits))


def with_vectors(shape: Shape, vectors: int) -> Shape:
    """The same shape with another number of vectors, for break-even lines."""
    return replace(shape, vectors=max(1, vectors))


__all__ = [
    "GB",
    "MODE_TITLES",
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
