"""Links to the Map page that reopen a kept map."""

from __future__ import annotations

from memdb.maps.request import MapRequest
from memdb.ui.kit import state
from memdb.ui.map import form


def map_link(request: MapRequest) -> dict[str, str]:
    """The query that makes the page's form ask for this map, without its filter.

    A link carries what a box shows.
    """
    return {
        state.INDEX: state.index_in_link(request.index),
        "map.by": form.BY[request.by],
        "map.n": str(request.count),
        "map.seed": str(request.seed),
        "map.layout": form.LAYOUT_NAMES[request.layout],
        "map.graph": form.GRAPH_NAMES[request.graph],
        "map.preset": "Own",
        "map.nn": str(request.neighbours),
        "map.md": f"{request.min_dist:g}",
        "map.lseed": str(request.layout_seed),
        "map.dims": f"{request.dimensions}-D",
        **({"map.stratum": request.stratum} if request.stratum else {}),
    }


def map_values(request: MapRequest) -> dict[str, object]:
    """The same for the form of the page that is open: what its widgets hold."""
    return {
        "map.by": request.by,
        "map.n": request.count,
        "map.seed": request.seed,
        "map.layout": request.layout,
        "map.graph": request.graph,
        "map.preset": "Own",
        "map.nn": request.neighbours,
        "map.md": request.min_dist,
        "map.lseed": request.layout_seed,
        "map.dims": f"{request.dimensions}-D",
        **({"map.stratum": request.stratum} if request.stratum else {}),
    }
