"""Nodes and prices, each with source, date, region and grade. Kept in catalogue.toml, changed by the user."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from memdb.errors import BadInput
from memdb.sizing.shape import number

Service = Literal["memorydb", "elasticache"]
PriceGrade = Literal["quoted", "third party", "estimate", "price list", "yours"]
Flavour = Literal["valkey", "redis"]
# From the surest to the least sure: a sum is as sure as its least sure part.
GRADES: tuple[PriceGrade, ...] = ("price list", "quoted", "third party", "yours", "estimate")
HOURS = 730.0  # of a month, as AWS reckons
CURRENCY = "USD"


@dataclass(frozen=True, slots=True)
class NodeType:
    """A node type. Network is the baseline, 0 where it is not known."""

    service: Service
    name: str
    memory_bytes: int
    vcpu: int
    gbps: float
    search: bool
    grade: str
    source: str
    date: str

    @property
    def size(self) -> str:
        """Its name without the service's prefix, e.g. r7g.large."""
        return self.name.split(".", 1)[1]

    @property
    def family(self) -> str:
        """E.g. r7g."""
        return self.name.split(".")[1]


@dataclass(frozen=True, slots=True)
class Price:
    """One price. `id` is service/item or service/node/engine."""

    id: str
    value: float
    unit: str
    region: str
    currency: str
    grade: PriceGrade
    source: str
    date: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All nodes and the prices of every region."""

    nodes: tuple[NodeType, ...]
    prices: tuple[Price, ...]

    def find(self, price_id: str, region: str) -> Price | None:
        """A price in a region, the last one given if there are several; None where none is known."""
        return next((p for p in reversed(self.prices) if p.id == price_id and p.region == region), None)

    def price(self, price_id: str, region: str) -> Price:
        """The same.

        Raises:
            BadInput: there is none.
        """
        price = self.find(price_id, region)
        if price is None:
            raise BadInput(
                f"There is no price of {price_id} in {region}.",
                f"Regions with prices: {', '.join(self.regions())}. Enter one, or refresh from AWS.",
            )
        return price

    def regions(self) -> tuple[str, ...]:
        """Regions with any price, those with most first."""
        counts: dict[str, int] = {}
        for price in self.prices:
            counts[price.region] = counts.get(price.region, 0) + 1
        return tuple(sorted(counts, key=lambda region: (-counts[region], region)))

    def of(self, service: Service) -> tuple[NodeType, ...]:
        """Nodes of one service, smallest first."""
        return tuple(sorted((n for n in self.nodes if n.service == service), key=lambda n: n.memory_bytes))

    def with_prices(self, prices: Iterable[Price]) -> Catalogue:
        """The same with more prices, which stand before those of the same id and region."""
        return replace(self, prices=(*self.prices, *prices))

    def changed(self, values: Mapping[str, float | None], region: str) -> Catalogue:
        """The same with prices the user gives, by id; None takes one away.

        Raises:
            BadInput: a price is no finite number or negative.
        """
        prices = [p for p in self.prices if not (p.region == region and p.id in values)]
        units = {p.id: p.unit for p in self.prices}
        for price_id, value in values.items():
            if value is not None:
                number(f"The price of {price_id}", value, 0, 1e9)
                prices.append(
                    Price(price_id, value, units.get(price_id, ""), region, CURRENCY, "yours", "you", "")
                )
        return replace(self, prices=tuple(prices))


def load() -> Catalogue:
    """The catalogue of this package."""
    return _read(Path(__file__).with_name("catalogue.toml"))


def needs_region(catalogue: Catalogue, region: str) -> str:
    """The region, if it has prices.

    Raises:
        BadInput: it has none.
    """
    if region not in catalogue.regions():
        raise BadInput(
            f"There are no prices for the region '{region}'.",
            f"Regions with prices: {', '.join(catalogue.regions())}. With AWS credentials the prices of any "
            "region can be refreshed.",
        )
    return region


def least_sure(grades: Iterable[PriceGrade]) -> PriceGrade:
    """The grade of a sum."""
    return max(grades, key=GRADES.index, default="estimate")


@lru_cache(maxsize=2)
def _read(path: Path) -> Catalogue:
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    return Catalogue(
        tuple(NodeType(**entry) for entry in tables["nodes"]),
        tuple(Price(**entry) for entry in tables["prices"]),
    )
