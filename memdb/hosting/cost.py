"""What serving the app costs a month, by the catalogue: on demand, without tax, traffic and NAT."""

from __future__ import annotations

from dataclasses import dataclass

from memdb.hosting.place import Style
from memdb.sizing.catalogue import HOURS, Catalogue, Price, PriceGrade, least_sure

US = "us-east-1"  # whose prices stand for a Region of which none is known
# Price → how much of it a month. Of what depends on use: one capacity unit, 1 GB of logs, 1 GB of files.
_PARTS: dict[Style, tuple[tuple[str, float, str], ...]] = {
    "host": (
        ("deploy/t3.medium", HOURS, "instance t3.medium"),
        ("deploy/gp3", 20.0, "volume of 20 GB"),
        ("deploy/logs", 1.0, "log of 1 GB"),
    ),
    "team": (
        ("deploy/fargate-vcpu", HOURS * 1, "container, 1 vCPU"),
        ("deploy/fargate-gb", HOURS * 4, "container, 4 GB"),
        ("deploy/alb", HOURS, "load balancer"),
        ("deploy/alb-unit", HOURS, "load balancer, one capacity unit"),
        ("deploy/efs", 1.0, "files of 1 GB"),
        ("deploy/secret", 1.0, "secret"),
        ("deploy/logs", 1.0, "log of 1 GB"),
    ),
}


@dataclass(frozen=True, slots=True)
class CostLine:
    """One line of the bill."""

    what: str
    usd: float
    price: Price


@dataclass(frozen=True, slots=True)
class MonthlyCost:
    """A month.

    Attributes:
        region: of the prices, which is another than the cluster's where none of that one is known.
    """

    parts: tuple[CostLine, ...]
    region: str

    @property
    def usd(self) -> float:
        """$ a month."""
        return sum(part.usd for part in self.parts)

    @property
    def grade(self) -> PriceGrade:
        """As sure as its least sure part."""
        return least_sure(part.price.grade for part in self.parts)

    @property
    def oldest(self) -> str:
        """The day of its oldest price."""
        return min(part.price.date for part in self.parts)

    def words(self, region: str) -> str:
        """For people, of a Region."""
        where = "" if self.region == region else f", by prices of {self.region}: none of {region} is known"
        return (
            f"About ${self.usd:,.2f} a month ({self.grade}, oldest price of {self.oldest}{where}), without "
            "traffic, a NAT gateway, endpoints and tax."
        )


def month(style: Style, region: str, book: Catalogue) -> MonthlyCost:
    """What a style costs in a Region."""
    parts = _PARTS[style]
    priced_in = region if all(book.find(price, region) for price, _, _ in parts) else US
    return MonthlyCost(
        tuple(
            CostLine(what, amount * (price := book.price(price_id, priced_in)).value, price)
            for price_id, amount, what in parts
        ),
        priced_in,
    )
