"""What a map is asked for, and what it is. A map is an object: kept, reopened, exported, compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memdb.errors import BadInput, OutOfRange
from memdb.vectors.distance import Doubles, Floats
from memdb.vectors.evidence import Evidence

By = Literal["random", "stratified", "all"]
Layout = Literal["graph", "umap", "pca"]
Method = Literal["PCA", "coarse", "UMAP", "umap-learn"]
How = Literal["auto", "exact", "approximate"]
LAYOUTS: dict[Layout, str] = {
    "graph": "UMAP from the neighbours in the index's metric.",
    "umap": "umap-learn itself, with its own neighbour search. The first one compiles for half a minute.",
    "pca": "the plane of largest spread: large distances are kept best, small groups lie over each other.",
}
GRAPHS: dict[How, str] = {
    "auto": "exact for few points, approximate for many.",
    "exact": "all pairs are compared: time grows with the square.",
    "approximate": "NN-descent; its recall is measured and shown.",
}
Ints = NDArray[np.int32]

MOST = 1_000_000  # points of a map
LEAST = 4  # documents that make a picture
MOST_NEIGHBOURS = 200


@dataclass(frozen=True, slots=True)
class MapRequest:
    """Which documents, laid out how. Hashable and printable: part of a kept map's name."""

    index: str
    field: str = ""
    condition: str = "*"  # in the engine's words
    params: tuple[tuple[str, str], ...] = ()
    by: By = "random"
    count: int = 20_000
    stratum: str = ""  # a TAG field, for stratified
    seed: int = 0
    neighbours: int = 15
    min_dist: float = 0.1
    dimensions: int = 2
    layout: Layout = "graph"
    layout_seed: int = 0
    graph: How = "auto"

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("Points", self.count, LEAST, MOST),
            ("Neighbours", self.neighbours, 2, MOST_NEIGHBOURS),
            ("min_dist", self.min_dist, 0.0, 0.99),
            ("Dimensions", self.dimensions, 2, 3),
            ("Seed", self.seed, 0, 2**31 - 1),
            ("Layout seed", self.layout_seed, 0, 2**31 - 1),
        ):
            if not low <= value <= high:
                raise OutOfRange(name, value, low, high, "the map")
        if self.layout not in LAYOUTS:
            raise BadInput(f"There is no layout '{self.layout}'.", f"Choose one of {', '.join(LAYOUTS)}.")
        if self.graph not in GRAPHS:
            raise BadInput(f"There is no graph '{self.graph}'.", f"Choose one of {', '.join(GRAPHS)}.")
        if self.by == "stratified" and not self.stratum:
            raise BadInput("A stratified sample needs a TAG field.", "Choose one, or sample at random.")


@dataclass(frozen=True, slots=True)
class GraphRecall:
    """How many of the exact neighbours an approximate graph holds, measured on a sample of its points."""

    mean: float
    low: float  # of the 95 % interval
    high: float
    sample: int  # points that were compared with all others

    @property
    def words(self) -> str:
        """`approximate neighbours, recall 0.985 (0.981 to 0.988, 500 points)`."""
        return (
            f"approximate neighbours, recall {self.mean:.3f} ({self.low:.3f} to {self.high:.3f}, "
            f"{self.sample:,} points)"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Quality:
    """How far a map keeps neighbourhoods, over `neighbours` of each point.

    Trustworthiness falls where the map puts points together that are not near; continuity where it tears
    apart what is near. Source: Venna and Kaski 2001; as scikit-learn computes it.
    """

    trustworthiness: float
    continuity: float
    sample: int  # points these two are computed for; each against all others
    kept: Floats  # (n,) share of each point's neighbours in the graph that are neighbours on the map
    neighbours: int
    kept_of_exact: float | None = None  # of the sample's exact neighbours, where the graph is approximate
    rank_correlation: float = float("nan")  # Spearman's, of the distances of random pairs here and there

    @property
    def mean_kept(self) -> float:
        """Of all points; where the graph is approximate, estimated by exact neighbours of the sample."""
        if self.kept_of_exact is not None:
            return self.kept_of_exact
        return float(self.kept.mean()) if len(self.kept) else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """Finer clusters than those that colour the map."""

    labels: Ints  # (n,) cluster, -1 for none
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """Points of a map. The first `method` is PCA, at once; then that of the layout."""

    request: MapRequest
    method: Method
    keys: tuple[str, ...]
    xy: Floats  # (n, 2) or (n, 3)
    total: int  # documents that match; n of them are shown
    metric: str
    fingerprint: str  # of the index when it was read
    seconds: tuple[tuple[str, float], ...]  # stage → seconds
    graph: Ints = field(default_factory=lambda: np.empty((0, 0), np.int32))  # (n, k) neighbours in the sample
    graph_distances: Doubles = field(default_factory=lambda: np.empty((0, 0)))
    graph_recall: GraphRecall | None = None  # of an approximate graph; None: it is exact
    quality: Quality | None = None
    labels: Ints = field(default_factory=lambda: np.empty(0, np.int32))  # (n,) cluster, -1 for none
    names: tuple[str, ...] = ()  # of the clusters
    finer: tuple[Level, ...] = ()  # clusters within them, from coarse to fine
    axes: Floats = field(default_factory=lambda: np.empty((0, 0), np.float32))  # (2|3, d) of PCA
    mean: Floats = field(default_factory=lambda: np.empty(0, np.float32))  # (d,)
    notes: tuple[str, ...] = ()
    made_at: float = 0.0  # Unix seconds, when its documents had been read
    evidence: Evidence | None = None  # tells later whether its documents are what they were; None: not kept

    @property
    def state(self) -> str:
        """Differs between maps of different data: part of the keys of what is read for its points."""
        return self.evidence.name if self.evidence is not None else self.fingerprint

    @property
    def words(self) -> str:
        """`20,000 of 1,204,331, random, seed 7`."""
        n = len(self.keys)
        if n >= self.total:
            return f"all {n:,}"
        how = self.request.by if self.request.by != "stratified" else f"stratified by {self.request.stratum}"
        return f"{n:,} of {self.total:,}, {how}, seed {self.request.seed}"
