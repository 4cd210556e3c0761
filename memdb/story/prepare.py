"""What the steps of the presentation need, made in their order; maps and sweeps are kept under MEMDB_HOME."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from memdb.cluster.client import Client
from memdb.errors import BadInput, Cancelled, MemDBError
from memdb.jobs import Report, silent
from memdb.maps import run as maps
from memdb.maps.request import Map, MapRequest
from memdb.sessions.users import UserRecord
from memdb.story import leaning
from memdb.tuning import ask, candidates, shadow, store, truth
from memdb.tuning.run import Run, SweepRequest
from memdb.tuning.source import Unseen
from memdb.vectors import index
from memdb.vectors.index import IndexInfo

POINTS = 2_000  # of the map
QUERIES = 400
PARTS = {"users": "two users", "map": "the map", "curve": "the curve of recall"}


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What is ready. A part that could not be made stands in `problems`, the reason with it."""

    users: tuple[UserRecord, UserRecord] | None = None
    map: Map | None = None
    curve: Run | None = None
    problems: dict[str, MemDBError] = field(default_factory=dict)

    def ready(self, part: str) -> bool:
        """Whether one of PARTS is there."""
        return getattr(self, part) is not None


def fitting_index(client: Client, dim: int) -> str:
    """The index that a presentation is about where nobody chose one: the largest whose vectors have `dim`
    numbers, else the largest with vectors at all; shadow indexes are left aside.

    Raises:
        BadInput: there is no index with vectors.
        MemDBError: the server does not answer.
    """
    infos = [
        index.index_info(client, name) for name in index.index_names(client) if not shadow.is_shadow(name)
    ]
    able = [info for info in infos if info.of_kind("VECTOR")]
    if not able:
        raise BadInput("This target has no index with vectors.", "Load the demo data, or create an index.")
    best = max(able, key=lambda info: (info.vector_field()[1].dim == dim, info.documents))
    return best.name


def prepare(
    client: Client,
    info: IndexInfo,
    home: Path,
    *,
    save: bool = True,
    report: Report = silent,
    keep: Callable[[Prepared], None] | None = None,
) -> Prepared:
    """Make every part, or take it from what is kept. Nothing is written to the server.

    Args:
        client: of the target.
        info: the index, with a vector field.
        home: MEMDB_HOME.
        save: keep a new sweep among the runs, which others see.
        report: progress; may raise Cancelled.
        keep: given what is ready after each part.

    Raises:
        NoVectorField: the index has none.
        Cancelled: from `report`.
    """
    vector_field, params = info.vector_field()
    prepared = Prepared()
    makers: dict[str, Callable[[], object]] = {
        "users": lambda: leaning.pair(client, params.dim),
        "map": lambda: maps.make(client, info, map_request(info), home=home, report=report),
        "curve": lambda: _curve(client, info, vector_field.name, home, report, save=save),
    }
    for part, make in makers.items():
        report(f"Preparing {PARTS[part]}", 0, 0)
        try:
            prepared = replace(prepared, **{part: make()})  # type: ignore[arg-type]  # each of its own type
        except Cancelled:
            raise
        except MemDBError as exc:
            prepared = replace(prepared, problems={**prepared.problems, part: exc})
        if keep is not None:
            keep(prepared)
    return prepared


def map_request(info: IndexInfo) -> MapRequest:
    """The map of the presentation."""
    return MapRequest(info.name, count=POINTS)


def measured_index(client: Client, info: IndexInfo, field_name: str) -> IndexInfo:
    """The index over these documents whose recall depends most on EF_RUNTIME: that with the fewest links.

    Raises:
        BadInput: none of them has EF_RUNTIME.
        MemDBError: the server does not answer.
    """
    every = (info, *shadow.shadows_of(client, info.name, field_name))
    able = [each for each in every if each.vector_field(field_name)[1].has_ef]
    if not able:
        raise BadInput(
            f"'{info.name}' has no EF_RUNTIME: {info.vector_field(field_name)[1].without_ef}",
            "Choose an HNSW index.",
        )
    return min(able, key=lambda each: each.vector_field(field_name)[1].m or shadow.DEFAULT_M)


def _curve(
    client: Client, info: IndexInfo, field_name: str, home: Path, report: Report, *, save: bool
) -> Run:
    measured = measured_index(client, info, field_name)
    request = SweepRequest(measured.name, field_name, concurrency=(), source=Unseen(QUERIES, 0, extend=False))
    stored_run = candidates.newest_like(store.listed(home), client.target.address, request)
    if stored_run is not None:
        run = store.load(home, stored_run.id)
        if run.definition.m == measured.vector_field(field_name)[1].m and truth.still(
            client, measured, run, home
        ):
            return run
    measure = ask.run_saved if save else ask.recall
    return measure(client, measured, request, home=home, report=report)
