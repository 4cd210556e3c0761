"""`memdb map`: coordinates of an index's documents as a file, with what made them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from memdb import export
from memdb.cli.arguments import OnIndex, amount, count
from memdb.cli.options import option
from memdb.cli.output import ProgressBar, print_json, print_table, say
from memdb.cluster.client import open_for_work
from memdb.display import line
from memdb.errors import BadInput
from memdb.maps import run, two
from memdb.maps.request import GRAPHS, LAYOUTS, MOST, By, How, Layout, MapRequest
from memdb.maps.request import Map as Made
from memdb.numerals import whole_number
from memdb.settings import Settings
from memdb.vectors.index import index_info

if TYPE_CHECKING:
    import pandas as pd

_DEFAULT = MapRequest("")
ENDINGS = (".csv", ".json", ".parquet")


@dataclass(frozen=True, kw_only=True)
class Map(OnIndex):
    """`memdb map`."""

    out: str = option("--out", required=True, metavar="FILE", help="to write: .csv, .json or .parquet")
    sample: str = option("--sample", default=str(_DEFAULT.count), metavar="N|all", help="documents")
    stratify: str = option(
        "--stratify", default="", metavar="TAG", help="as many of each value of this TAG field"
    )
    seed: int = option("--seed", default=_DEFAULT.seed, type=count(0), metavar="N", help="of the sample")
    neighbours: int = option("--neighbours", default=_DEFAULT.neighbours, type=count(2), metavar="N")
    min_dist: float = option(
        "--min-dist", default=_DEFAULT.min_dist, type=amount, metavar="D", help="0 to 0.99"
    )
    dimensions: int = option("--dimensions", default=_DEFAULT.dimensions, type=int, choices=(2, 3))
    layout: Layout = option(
        "--layout",
        default=_DEFAULT.layout,
        choices=tuple(LAYOUTS),
        help=" ".join(f"{name}: {words}" for name, words in LAYOUTS.items()),
    )
    graph: How = option(
        "--graph",
        default=_DEFAULT.graph,
        choices=tuple(GRAPHS),
        help=f"neighbours: auto is {GRAPHS['auto']} approximate: {GRAPHS['approximate']}",
    )
    layout_seed: int = option("--layout-seed", default=_DEFAULT.layout_seed, type=count(0), metavar="N")
    against: str = option(
        "--against", default="", metavar="INDEX", help="put this index on the same map, and say what differs"
    )
    since: int = option(
        "--since",
        default=0,
        type=count(0),
        metavar="N",
        help="put the index as it was on the same map: 1 is its map that was kept last, 2 the one before",
    )
    json: bool = option("--json", default=False, help="print what was made as JSON")

    @property
    def request(self) -> MapRequest:
        """What to draw.

        Raises:
            BadInput: the sample cannot be meant so.
        """
        whole = self.sample == "all"
        count = MOST if whole else whole_number(self.sample.replace(",", "").replace("_", ""))
        if count is None:
            raise BadInput(
                f"--sample is '{self.sample}', which is no number of documents.",
                "Give how many documents, or `all`.",
            )
        if whole and self.stratify:
            raise BadInput("All documents cannot be stratified.", "Give a number with --sample.")
        return MapRequest(
            self.index,
            field=self.field,
            condition=self.filter,
            by="all" if whole else "stratified" if self.stratify else "random",
            count=count,
            stratum=self.stratify,
            seed=self.seed,
            neighbours=self.neighbours,
            min_dist=self.min_dist,
            dimensions=self.dimensions,
            layout=self.layout,
            graph=self.graph,
            layout_seed=self.layout_seed,
        )

    def run(self) -> int:
        """Make the map, write it, print how far it can be believed.

        Raises:
            BadInput: the ending or the folder of --out, or the request, cannot be used.
            MemDBError: the server does not answer.
        """
        path = Path(self.out).expanduser()
        if path.suffix.lower() not in ENDINGS:
            raise BadInput(
                f"'{self.out}' does not say which format is meant.", "End it in .csv, .json or .parquet."
            )
        if not path.absolute().parent.is_dir():
            raise BadInput(
                f"There is no folder '{path.absolute().parent}'.", "Make it, or write elsewhere with --out."
            )
        settings = Settings.from_env()
        request = self.request
        if self.against or self.since:
            return self._two(settings, request, path)
        with open_for_work(self.find(settings)) as client, ProgressBar() as bar:
            info = index_info(client, self.index)
            new_map = run.make(client, info, request, home=settings.home, report=bar.report)
        about: dict[str, object] = {
            "request": asdict(request),
            "sample": new_map.words,
            "metric": new_map.metric,
            "fingerprint": new_map.fingerprint,
            "method": new_map.method,
            "seconds": {stage: round(s, 3) for stage, s in new_map.seconds},
            "graph": _graph(new_map),
            "quality": _quality(new_map),
            "clusters": list(new_map.names),
            "notes": list(new_map.notes),
        }
        _write(path, table(new_map), about)
        if self.json:
            print_json({**about, "out": str(path), "points": len(new_map.keys)})
        else:
            _show(new_map, path)
        return 0

    def _two(self, settings: Settings, request: MapRequest, path: Path) -> int:
        if self.against and self.since:
            raise BadInput("Both --against and --since are given.", "Give one of them.")
        if self.dimensions != _DEFAULT.dimensions:
            raise BadInput("Two on one map are drawn in 2-D.", "Leave --dimensions out.")
        with open_for_work(self.find(settings)) as client, ProgressBar() as bar:
            info = index_info(client, self.index)
            if self.since:
                before = two.earlier(client, settings.home, request, self.since)
                after = two.read(client, info, request, f"{info.name} now", report=bar.report)
            else:
                other = index_info(client, self.against)
                order: By = "all" if request.by == "all" else "random"
                beside = replace(
                    request, index=other.name, field="", condition="*", params=(), by=order, stratum=""
                )
                before = two.read(client, info, request, info.name, report=bar.report)
                after = two.read(client, other, beside, other.name, report=bar.report)
            both = two.lay(client, info, request, before, after, report=bar.report)
        about: dict[str, object] = {
            "request": asdict(request),
            "before": both.names[0],
            "after": both.names[1],
            "difference": None if both.difference is None else asdict(both.difference),
            "beyond_chance": None if both.difference is None else both.difference.beyond_chance,
            "points": {
                "before": int(both.before.sum()),
                "after": int(both.after.sum()),
                "same": int((both.before & both.after).sum()),
                "other_vector": both.moved,
            },
            "regions": [asdict(region) for region in both.regions],
            "notes": list(both.notes),
        }
        _write(path, two_table(both), about)
        if self.json:
            print_json({**about, "out": str(path)})
            return 0
        say(line(both.words, 2_000))
        rows = [
            (
                line(r.name, 50),
                r.verdict,
                f"{r.before:,}",
                f"{r.after:,}",
                f"{r.share_before:.1%}",
                f"{r.share_after:.1%}",
                f"{r.p_value:.3g}",
            )
            for r in both.regions
        ]
        heads = ("region", "what happened", "before", "after", "share before", "share after", "p (Holm)")
        print_table("", heads, rows, right=(2, 3, 4, 5, 6))
        for note in both.notes:
            say(f"Note: {note}")
        say(f"Written to {path}.")
        return 0


def two_table(both: two.TwoOnOne) -> pd.DataFrame:
    """One row a point: key, side (before, after, both), x, y, and its region (empty between regions)."""
    import pandas as pd

    sides = [
        "both" if x and y else "before" if x else "after"
        for x, y in zip(both.before, both.after, strict=True)
    ]
    return pd.DataFrame(
        {
            "key": pd.Series(both.keys, dtype=object),
            "side": sides,
            "x": both.xy[:, 0],
            "y": both.xy[:, 1],
            "region": [both.clusters[i] if i >= 0 else "" for i in both.labels.tolist()],
        }
    )


def _write(path: Path, rows: pd.DataFrame, about: dict[str, object]) -> None:
    ending = path.suffix.lower()
    if ending == ".csv":
        content = export.to_csv(rows)
    else:
        content = export.to_json(rows, about) if ending == ".json" else export.to_parquet(rows, about)
    try:
        path.write_bytes(content)
    except OSError as exc:
        raise BadInput(f"'{path}' cannot be written: {exc.strerror}.", "Write elsewhere with --out.") from exc


def table(drawn_map: Made) -> pd.DataFrame:
    """One row a point: key, x, y (z), cluster (empty between clusters) and the share of kept neighbours."""
    import pandas as pd

    # As objects: pandas' own texts hold no bytes that are not UTF-8.
    columns: dict[str, object] = {"key": pd.Series(drawn_map.keys, dtype=object)}
    for i, name in enumerate("xyz"[: drawn_map.xy.shape[1]]):
        columns[name] = drawn_map.xy[:, i]
    if len(drawn_map.labels):
        columns["cluster"] = [drawn_map.names[i] if i >= 0 else "" for i in drawn_map.labels.tolist()]
    if drawn_map.quality is not None:
        columns["kept"] = drawn_map.quality.kept
    return pd.DataFrame(columns)


def _graph(drawn_map: Made) -> dict[str, object]:
    recall = drawn_map.graph_recall
    if recall is None:
        return {"how": "exact", "recall": 1.0}
    figures = {"recall": recall.mean, "low": recall.low, "high": recall.high}
    rounded = {name: round(value, 5) for name, value in figures.items()}
    return {"how": "approximate", **rounded, "sample": recall.sample}


def _quality(drawn_map: Made) -> dict[str, float | int | None] | None:
    quality = drawn_map.quality
    if quality is None:
        return None
    return {
        "trustworthiness": round(quality.trustworthiness, 5),
        "continuity": round(quality.continuity, 5),
        "rank_correlation": round(quality.rank_correlation, 5)
        if math.isfinite(quality.rank_correlation)
        else None,
        "sample": quality.sample,
        "kept": round(quality.mean_kept, 5),
        "neighbours": quality.neighbours,
    }


def _show(drawn_map: Made, path: Path) -> None:
    print_table("", ("stage", "seconds"), [(s, f"{t:.2f}") for s, t in drawn_map.seconds], right=(1,))
    say(f"{line(drawn_map.request.index)}: {drawn_map.words}.")
    quality = drawn_map.quality
    if drawn_map.graph_recall is not None:
        say(f"Laid out from {drawn_map.graph_recall.words}.")
    if quality is not None:
        say(
            f"Trustworthiness {quality.trustworthiness:.3f}, continuity {quality.continuity:.3f} "
            f"({quality.sample:,} points against all); "
            f"{quality.mean_kept:.0%} of {quality.neighbours} true neighbours are neighbours on the map."
        )
    for note in drawn_map.notes:
        say(f"Note: {note}")
    say(f"Written to {path}.")
