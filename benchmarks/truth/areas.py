"""Every area, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from benchmarks.truth import bills, distances, intervals, maps, rates, recall, sizing, tags, unseen
from benchmarks.truth.row import Row

AREAS: dict[str, Callable[[], Iterable[Row]]] = {
    "distances": distances.rows,
    "recall": recall.rows,
    "unseen": unseen.rows,
    "intervals": intervals.rows,
    "tags": tags.rows,
    "maps": maps.rows,
    "rates": rates.rows,
    "sizing": sizing.rows,
    "bills": bills.rows,
}
