"""The map on the screen, with what every view asks of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from memdb.cluster.target import Target
from memdb.maps.request import Map, MapRequest
from memdb.ui.map import cached
from memdb.vectors.distance import Floats
from memdb.vectors.index import IndexInfo


@dataclass(frozen=True, slots=True, eq=False)
class MapView:
    """A map, the index as it is now, and the target."""

    target: Target
    info: IndexInfo
    made: Map

    @property
    def key(self) -> tuple[Target, str, MapRequest]:
        """What caches know the map by."""
        return self.target, self.made.state, self.made.request

    @property
    def titles(self) -> list[str]:
        """A short name of each point."""
        return cached.titles(*self.key, self.info, self.made)

    @property
    def labels(self) -> list[str]:
        """The hover card of each point."""
        return cached.labels(*self.key, self.info, self.made)

    @property
    def vectors(self) -> Floats | None:
        """(n, d); None where they are not kept any more."""
        return cached.vectors(*self.key, self.made)

    @property
    def about(self) -> dict[str, object]:
        """Parameters, for an exported file."""
        quality = self.made.quality
        return {
            **{k: v for k, v in asdict(self.made.request).items() if k != "params"},
            "showing": self.made.words,
            "method": self.made.method,
            "metric": self.made.metric,
            "trustworthiness": quality.trustworthiness if quality else None,
            "continuity": quality.continuity if quality else None,
            "rank_correlation": quality.rank_correlation if quality else None,
            "graph_recall": self.made.graph_recall.mean if self.made.graph_recall else 1.0,
            "judged_points": quality.sample if quality else 0,
        }
