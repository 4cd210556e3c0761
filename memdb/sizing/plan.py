"""Everything a plan says, from its inputs: memory, nodes, bills, limits. What CLI and pages show."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from memdb.sizing import services
from memdb.sizing.catalogue import Catalogue, least_sure, needs_region
from memdb.sizing.choose import Choice, Choices, choose
from memdb.sizing.constraints import Constraint, Load, constraints
from memdb.sizing.model import Estimate, Profile, predict
from memdb.sizing.services import Line, Wishes
from memdb.sizing.shape import Sessions, Shape


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the user says. Hashable."""

    shape: Shape
    sessions: Sessions = field(default_factory=Sessions)
    load: Load = field(default_factory=Load)
    wishes: Wishes = field(default_factory=Wishes)


@dataclass(frozen=True, slots=True)
class Option:
    """A choice of nodes with its whole bill."""

    choice: Choice
    lines: tuple[Line, ...]

    @property
    def monthly_usd(self) -> float:
        """All lines."""
        return sum(line.usd for line in self.lines)

    @property
    def interval_usd(self) -> tuple[float, float]:
        """Between what it could cost: node prices of MemoryDB that nobody verified are estimates."""
        off = sum(line.usd * line.off for line in self.lines)
        return self.monthly_usd - off, self.monthly_usd + off


@dataclass(frozen=True, slots=True)
class SizingPlan:
    """The answer."""

    inputs: Inputs
    estimate: Estimate
    choices: Choices
    options: tuple[Option, ...]
    limits: tuple[Constraint, ...]


def plan(inputs: Inputs, profile: Profile, catalogue: Catalogue) -> SizingPlan:
    """Memory of one node, the cheapest fitting nodes of MemoryDB with their bills, and the limits.

    Raises:
        BadInput: a number cannot be used, or the region has no prices.
    """
    load = services.checked(inputs.load)
    wishes = inputs.wishes
    needs_region(catalogue, wishes.region)
    estimate = predict(inputs.shape, profile, inputs.sessions)
    choices = choose(
        estimate.total_bytes,
        catalogue,
        flavour=wishes.flavour,
        region=wishes.region,
        replicas=load.replicas,
        reserve=wishes.reserve,
    )
    written = services.written_bytes_s(inputs.shape, inputs.sessions, load)
    options = tuple(
        Option(
            choice,
            services.memorydb_lines(choice, written, estimate.total_bytes, load, catalogue, wishes),
        )
        for choice in choices.options
    )
    limits = constraints("memorydb", inputs.shape, load, written / 1e6)
    return SizingPlan(inputs, estimate, choices, options, limits)


def as_json(sizing: SizingPlan) -> dict[str, object]:
    """The plan as `memdb size --json` prints it; bytes and dollars, `choice` null where no node fits."""
    estimate = sizing.estimate
    first = sizing.options[0] if sizing.options else None
    return {
        "total_bytes": round(estimate.total_bytes),
        "components": {name: round(size) for name, size in estimate.components.items()},
        "interval": [round(estimate.low_bytes), round(estimate.high_bytes)],
        "profile": {
            "name": estimate.profile.name,
            "grade": estimate.profile.grade,
            "source": estimate.profile.source,
        },
        "choice": None if first is None else _option(first),
        "alternatives": [_option(option) for option in sizing.options[1:]],
        "why_no_choice": sizing.choices.why_none,
        "instead": list(sizing.choices.instead),
        "limits": [{"text": c.text, "ok": c.ok, "source": c.source} for c in sizing.limits],
        "reserve": sizing.inputs.wishes.reserve,
        "region": sizing.inputs.wishes.region,
        "notes": list(estimate.notes),
        "inputs": {
            "shape": asdict(sizing.inputs.shape),
            "sessions": asdict(sizing.inputs.sessions),
            "load": asdict(sizing.inputs.load),
        },
    }


def _option(option: Option) -> dict[str, object]:
    choice = option.choice
    return {
        "node": choice.node.name,
        "nodes": choice.nodes,
        "monthly_usd": round(option.monthly_usd, 2),
        "grade": least_sure(line.grade for line in option.lines if line.usd or line.item == "nodes"),
        "interval_usd": [round(usd, 2) for usd in option.interval_usd],
        "used_share": round(choice.used_share, 4),
        "price": {
            "usd_an_hour": choice.price.value,
            "region": choice.price.region,
            "grade": choice.price.grade,
            "source": choice.price.source,
            "date": choice.price.date,
        },
        "bill": [
            {"item": line.item, "usd": round(line.usd, 2), "how": line.how, "grade": line.grade}
            for line in option.lines
        ],
    }
