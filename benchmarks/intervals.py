"""How often intervals of a mean recall hold the truth, and their widths: `python -m benchmarks.intervals`.

Every cell of a grid of shapes, neighbours k, queries n, true means and confidences is simulated. A sample is
drawn as counts of the values a shape can take, so that its true mean is exact.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import stdtrit
from scipy.stats import betabinom, binom

from memdb import intervals

Doubles = NDArray[np.float64]
MEANS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
SIZES = (20, 50, 100, 200, 500, 1_000, 4_000)
KS = (1, 10, 100)
CONFIDENCES = (0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Shape:
    """A distribution of a query's recall: (v,) values in [0, 1] and (v,) their probabilities."""

    values: Doubles
    shares: Doubles

    def samples(self, n: int, samples: int, random: np.random.Generator) -> Doubles:
        """(samples, v) how often each value occurs among n queries."""
        return random.multinomial(n, self.shares, size=samples).astype(np.float64)


def independent(mean: float, k: int) -> Shape:
    """Each of the k neighbours is there or not on its own."""
    return Shape(np.arange(k + 1) / k, binom.pmf(np.arange(k + 1), k, mean))


def shared(spread: float) -> Callable[[float, int], Shape]:
    """The neighbours of a query share their fate: beta-binomial, its variance `spread` of the largest."""

    def shape(mean: float, k: int) -> Shape:
        weight = 1 / spread - 1
        return Shape(
            np.arange(k + 1) / k, betabinom.pmf(np.arange(k + 1), k, mean * weight, (1 - mean) * weight)
        )

    return shape


def all_or_nothing(mean: float, k: int) -> Shape:
    """A query returns everything or nothing."""
    return Shape(np.array([0.0, 1.0]), np.array([1 - mean, mean]))


def half_lost(mean: float, k: int) -> Shape:
    """Some queries lose half of what they should return."""
    lost = min(1.0, (1 - mean) / 0.5)
    return Shape(np.array([0.5, 1.0]), np.array([lost, 1 - lost]))


def rare_nothing(mean: float, k: int) -> Shape:
    """All lose a little, the same, and a few everything: a sample without those looks certain."""
    little = (1 - mean) / 2
    rare = little / (1 - little)
    return Shape(np.array([0.0, 1 - little]), np.array([rare, 1 - rare]))


def mixture(mean: float, k: int) -> Shape:
    """Independent neighbours for most queries, any number of them for the others."""
    others = 1 - mean
    most = 1 - (1 - mean - others / 2) / (1 - others)
    any_number = np.full(k + 1, 1 / (k + 1))
    return Shape(
        np.arange(k + 1) / k, others * any_number + (1 - others) * binom.pmf(np.arange(k + 1), k, most)
    )


def power_law(mean: float, k: int) -> Shape:
    """Misses j of k with a probability that falls as a power of j: a heavy tail."""
    missed = np.arange(k + 1)

    def shares(power: float) -> Doubles:
        weights = (missed + 1.0) ** -power
        return np.asarray(weights / weights.sum())

    power = float(brentq(lambda p: float(shares(p) @ missed) / k - (1 - mean), -5.0, 60.0))
    return Shape(1 - missed / k, shares(power))


SHAPES: dict[str, Callable[[float, int], Shape]] = {
    "independent hits": independent,
    "beta, spread 0.05": shared(0.05),
    "beta, spread 0.2": shared(0.2),
    "beta, spread 0.5": shared(0.5),
    "all or nothing": all_or_nothing,
    "half lost or none": half_lost,
    "little lost, rarely all": rare_nothing,
    "independent, some any": mixture,
    "power law": power_law,
}
TWO_VALUES = ("all or nothing", "half lost or none", "little lost, rarely all")  # the same for every k

Ends = tuple[Doubles, Doubles]


def gaffke(values: Doubles, counts: Doubles, k: int, confidence: float) -> Ends:
    """What the product shows."""
    return intervals.bounds(values, counts, confidence)


def wilson(values: Doubles, counts: Doubles, k: int, confidence: float) -> Ends:
    """Wilson's score interval with the queries' own spread and a prior of one missed neighbour."""
    mean, spread, n = _moments(values, counts)
    prior, expected = 1 / k, min(1.0, 0.5 + 1 / k)
    own = np.clip((spread * n + expected * prior) / ((n - 1) * mean * (1 - mean) + prior), 0, 1)
    width = stdtrit(n - 1, 0.5 + confidence / 2) ** 2 * own / n
    centre = (mean + width / 2) / (1 + width)
    half = np.sqrt(width * mean * (1 - mean) + width**2 / 4) / (1 + width)
    low, high = np.minimum(centre - half, mean), np.maximum(centre + half, mean)
    return np.maximum(0, low), np.minimum(1, high)


def student(values: Doubles, counts: Doubles, k: int, confidence: float) -> Ends:
    """Mean ± t · s / √n."""
    mean, spread, n = _moments(values, counts)
    half = stdtrit(n - 1, 0.5 + confidence / 2) * np.sqrt(spread / (n - 1))
    return np.maximum(0, mean - half), np.minimum(1, mean + half)


def bernstein(values: Doubles, counts: Doubles, k: int, confidence: float) -> Ends:
    """Maurer and Pontil's empirical Bernstein bound."""
    mean, spread, n = _moments(values, counts)
    log = math.log(4 / (1 - confidence))
    half = np.sqrt(2 * spread * n / (n - 1) * log / n) + 7 * log / (3 * (n - 1))
    return np.maximum(0, mean - half), np.minimum(1, mean + half)


def betting(values: Doubles, counts: Doubles, k: int, confidence: float) -> Ends:
    """Hedged capital of Waudby-Smith and Ramdas for a fixed n, with their predictable bets; slow."""
    random, grid = np.random.default_rng(0), np.linspace(0.0005, 0.9995, 1_000)[:, None]
    ends = []
    for row in counts:
        x = random.permutation(np.repeat(values, row.astype(int)))
        n, t = len(x), np.arange(1, len(x) + 1)
        mean = (0.5 + np.cumsum(x)) / (t + 1)
        variance = np.r_[0.25, ((0.25 + np.cumsum((x - mean) ** 2)) / (t + 1))[:-1]]
        bet = np.sqrt(2 * math.log(2 / (1 - confidence)) / (n * variance))
        above = np.log1p(np.minimum(bet, 0.5 / grid) * (x - grid)).sum(axis=1)
        below = np.log1p(-np.minimum(bet, 0.5 / (1 - grid)) * (x - grid)).sum(axis=1)
        held = grid[np.maximum(above, below) + math.log(0.5) < -math.log(1 - confidence), 0]
        ends.append((held[0], held[-1]))
    low, high = np.array(ends).T
    return low, high


RIVALS: dict[str, Callable[[Doubles, Doubles, int, float], Ends]] = {
    "Gaffke": gaffke,
    "Wilson, own spread": wilson,
    "Student": student,
}


def _moments(values: Doubles, counts: Doubles) -> tuple[Doubles, Doubles, int]:
    n = int(counts[0].sum())
    mean = counts @ values / n
    return mean, np.maximum(counts @ values**2 / n - mean**2, 0.0), n


@dataclass(frozen=True, slots=True)
class Cell:
    """One shape, k, n, mean and confidence under one formula."""

    shape: str
    k: int
    n: int
    mean: float
    confidence: float
    rival: str
    covers: float
    falsely_meets: float  # how often the whole interval lies above the true mean
    width: float

    @property
    def where(self) -> str:
        """The cell in words."""
        return f"k {self.k}, n {self.n}, mean {self.mean:g}"


def cells(
    samples: int, confidences: tuple[float, ...], *, rivals: Sequence[str] = tuple(RIVALS), seed: int = 0
) -> Iterator[Cell]:
    """Every cell of the grid, by these formulas."""
    for name, make in SHAPES.items():
        for k in KS[:1] if name in TWO_VALUES else KS:
            for n in SIZES:
                for mean in MEANS:
                    # A seed for each cell: independent of the others, and of the order.
                    key = [seed, list(SHAPES).index(name), k, n, round(mean * 1_000)]
                    shape = make(mean, k)
                    counts = shape.samples(n, samples, np.random.default_rng(key))
                    for confidence in confidences:
                        for rival in rivals:
                            low, high = RIVALS[rival](shape.values, counts, k, confidence)
                            held = (low <= mean + 1e-9) & (mean - 1e-9 <= high)
                            yield Cell(
                                name,
                                k,
                                n,
                                mean,
                                confidence,
                                rival,
                                float(held.mean()),
                                float((low > mean + 1e-9).mean()),
                                float((high - low).mean()),
                            )


def main() -> None:
    """Print the grid as tables."""
    add = argparse.ArgumentParser(prog="python -m benchmarks.intervals", description=__doc__)
    add.add_argument("--samples", type=int, default=2_000, help="of each cell; default: 2000")
    add.add_argument("--confidence", type=float, nargs="*", default=list(CONFIDENCES))
    found = add.parse_args()
    every = list(cells(found.samples, tuple(found.confidence)))
    print(f"{len(every) // len(RIVALS):,} cells of {found.samples:,} samples")
    for confidence in found.confidence:
        print(f"\nConfidence {confidence:g}: smallest coverage | how often it falsely meets, at most\n")
        print("| shape | " + " | ".join(RIVALS) + " | smallest coverage of Gaffke at |")
        print("|---|" + "---|" * (len(RIVALS) + 1))
        for shape in SHAPES:
            parts = []
            for rival in RIVALS:
                own = [c for c in every if (c.shape, c.rival, c.confidence) == (shape, rival, confidence)]
                worst = min(own, key=lambda c: c.covers)
                parts.append(f"{worst.covers:.3f} | {max(c.falsely_meets for c in own):.3f}")
                if rival == "Gaffke":
                    where = worst.where
            print(f"| {shape} | " + " | ".join(part.replace(" | ", ", ") for part in parts) + f" | {where} |")
    _widths()


def _widths() -> None:
    print("\nMean width of the 95 % interval\n")
    rivals = {**RIVALS, "betting": betting, "empirical Bernstein": bernstein}
    print("| shape, k, n, mean | " + " | ".join(rivals) + " |")
    print("|---|" + "---|" * len(rivals))
    for name in ("independent hits", "beta, spread 0.2", "all or nothing", "independent, some any"):
        for k, n, mean in ((10, 200, 0.95), (10, 1_000, 0.95), (100, 1_000, 0.95), (10, 4_000, 0.99)):
            shape = SHAPES[name](mean, k)
            counts = shape.samples(n, 50, np.random.default_rng(1))
            widths = []
            for ends in rivals.values():
                low, high = ends(shape.values, counts, k, 0.95)
                widths.append(f"{float((high - low).mean()):.4f}")
            print(f"| {name}, {k}, {n:,}, {mean:g} | " + " | ".join(widths) + " |")


if __name__ == "__main__":
    main()
