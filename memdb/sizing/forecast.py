"""Growth over months, what a time to live does to memory and bill, and where services break even. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from memdb.sizing import services
from memdb.sizing.catalogue import Catalogue
from memdb.sizing.choose import Choice, choose, usable
from memdb.sizing.constraints import Durability, Load
from memdb.sizing.model import Profile, predict
from memdb.sizing.services import Bill, Wishes
from memdb.sizing.shape import MOST_VECTORS, Sessions, Shape, number

MONTHS = 24
_ONE: tuple[Durability, ...] = (
    "disabled",
)  # of ElastiCache: async costs the same, what sync adds is not known
TTLS_S = (300, 900, 1_800, 3_600, 4 * 3_600, 12 * 3_600, 86_400, 3 * 86_400, 7 * 86_400, 30 * 86_400)


@dataclass(frozen=True, slots=True)
class Month:
    """One month of the forecast. Bytes of one node; `fits` is about the node chosen today."""

    month: int
    vectors: int
    bytes: float
    low_bytes: float
    high_bytes: float
    fits: bool
    choice: Choice | None  # the cheapest that fits then


@dataclass(frozen=True, slots=True)
class Forecast:
    """Months 0 … MONTHS and when today's choice ends."""

    months: tuple[Month, ...]

    @property
    def first_unfit(self) -> int | None:
        """The month when today's node no longer holds it; None within the forecast."""
        return next((m.month for m in self.months if not m.fits), None)


def forecast(
    shape: Shape,
    sessions: Sessions,
    profile: Profile,
    load: Load,
    catalogue: Catalogue,
    wishes: Wishes,
    *,
    growth: float = 0.05,
    added: int = 0,
) -> Forecast:
    """Vectors and sessions grow by a share each month, vectors also by a number.

    Raises:
        OutOfRange: growth below −50 % or above 100 % a month.
    """
    number("Growth a month", growth, -0.5, 1.0)
    number("Vectors added a month", added, 0, MOST_VECTORS)
    months: list[Month] = []
    today: Choice | None = None
    vectors, more = float(shape.vectors), 1.0
    for month in range(MONTHS + 1):
        grown = replace(shape, vectors=min(MOST_VECTORS, round(vectors)))
        need = predict(grown, profile, _more(sessions, more))
        choice = choose(
            need.total_bytes,
            catalogue,
            flavour=wishes.flavour,
            region=wishes.region,
            replicas=load.replicas,
            reserve=wishes.reserve,
            count=1,
        ).first
        if month == 0:
            today = choice
        fits = today is not None and need.total_bytes <= usable(today.node, wishes.reserve)
        months.append(
            Month(month, grown.vectors, need.total_bytes, need.low_bytes, need.high_bytes, fits, choice)
        )
        vectors = vectors * (1 + growth) + added
        more *= 1 + growth
    return Forecast(tuple(months))


def _more(sessions: Sessions, factor: float) -> Sessions:
    return replace(
        sessions,
        per_second=min(sessions.per_second * factor, 1e7),
        kept=min(round(sessions.kept * factor), MOST_VECTORS),
    )


@dataclass(frozen=True, slots=True)
class TtlPoint:
    """Sessions with one time to live."""

    ttl_s: float
    live: int
    session_bytes: float  # of all of them
    total_bytes: float
    choice: Choice | None


def by_ttl(
    shape: Shape,
    sessions: Sessions,
    profile: Profile,
    load: Load,
    catalogue: Catalogue,
    wishes: Wishes,
    ttls_s: Sequence[float] = TTLS_S,
) -> tuple[TtlPoint, ...]:
    """Memory and node for each time to live, all else equal."""
    points = []
    for ttl in sorted({*ttls_s, sessions.ttl_s}):
        need = predict(shape, profile, replace(sessions, ttl_s=ttl))
        choice = choose(
            need.total_bytes,
            catalogue,
            flavour=wishes.flavour,
            region=wishes.region,
            replicas=load.replicas,
            reserve=wishes.reserve,
            count=1,
        ).first
        live = replace(sessions, ttl_s=ttl).live
        points.append(TtlPoint(ttl, live, need.components["sessions"], need.total_bytes, choice))
    return tuple(points)


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Monthly dollars of each service along one axis; NaN where a service cannot do it."""

    axis: str
    values: tuple[float, ...]
    series: tuple[tuple[str, tuple[float, ...]], ...]
    crossings: tuple[tuple[float, str, str], ...]  # (value, cheapest before, cheapest after)


def over_queries(
    shape: Shape, sessions: Sessions, load: Load, needed_bytes: float, catalogue: Catalogue, wishes: Wishes
) -> BreakEven:
    """Cost over queries a second, 0.01 to 10,000. Nodes are not added for the load: see the page's note."""
    values = tuple(float(v) for v in np.geomspace(0.01, 10_000, 37))
    monthly = [
        services.bills(shape, sessions, replace(load, queries_per_s=v), needed_bytes, catalogue, wishes, _ONE)
        for v in values
    ]
    return _lines("queries a second", values, monthly)


def over_vectors(
    shape: Shape, sessions: Sessions, load: Load, profile: Profile, catalogue: Catalogue, wishes: Wishes
) -> BreakEven:
    """Cost over the number of vectors, 10,000 to 100 million."""
    values = tuple(float(round(v)) for v in np.geomspace(1e4, 1e8, 33))
    monthly = []
    for value in values:
        sized = services.with_vectors(shape, int(value))
        needed = predict(sized, profile, sessions).total_bytes
        monthly.append(services.bills(sized, sessions, load, needed, catalogue, wishes, _ONE))
    return _lines("vectors", values, monthly)


def _lines(axis: str, values: tuple[float, ...], monthly: Sequence[Sequence[Bill]]) -> BreakEven:
    titles = [bill.title for bill in monthly[0]]
    costs = np.array([[_usd(bill) for bill in bills] for bills in monthly])
    finite = [i for i in range(len(titles)) if np.isfinite(costs[:, i]).any()]
    series = tuple((titles[i], tuple(float(v) for v in costs[:, i])) for i in finite)
    crossings = []
    cheapest = [_cheapest(row) for row in costs]
    for before, after, value in zip(cheapest, cheapest[1:], values[1:], strict=False):
        if before != after and before is not None and after is not None:
            crossings.append((value, titles[before], titles[after]))
    return BreakEven(axis, values, series, tuple(crossings))


def _usd(bill: Bill) -> float:
    return float("nan") if bill.monthly_usd is None else bill.monthly_usd


def _cheapest(row: np.ndarray) -> int | None:
    return int(np.nanargmin(row)) if np.isfinite(row).any() else None
