"""umap-learn itself as a layout, in the background job: `umap.UMAP(...).fit`, nothing of it replaced."""

from __future__ import annotations

from memdb.errors import BadInput
from memdb.jobs import Report, silent
from memdb.vectors.distance import Floats

METRICS = {"COSINE": "cosine", "L2": "euclidean"}  # of an index → of umap-learn
SEARCH = "umap-learn's neighbours (Cancel waits for them)"
EPOCHS = "umap-learn's epochs"


def check(metric: str) -> None:
    """Whether umap-learn can lay out this metric.

    Raises:
        BadInput: it has none that ranks by inner products.
    """
    if metric not in METRICS:
        raise BadInput(
            f"umap-learn has no metric for {metric}: its own are {' and '.join(METRICS.values())} here.",
            "Choose the layout from exact neighbours.",
        )


def fit(
    vectors: Floats,
    metric: str,
    dimensions: int,
    *,
    neighbours: int = 15,
    min_dist: float = 0.1,
    seed: int = 0,
    report: Report = silent,
) -> Floats:
    """umap-learn's layout of some vectors.

    Args:
        vectors: (n, d), prepared for the metric.
        metric: COSINE or L2.
        dimensions: 2 or 3.
        neighbours: umap-learn's n_neighbors, which counts the point itself; at most n - 1.
        min_dist: how close points may lie.
        seed: its random_state; the same seed gives the same layout.
        report: progress; may raise Cancelled, which ends the fit before it or at its next epoch. The
            neighbour search in between reports nothing.

    Returns:
        (n, dimensions) float32.

    Raises:
        BadInput: umap-learn has no such metric.
    """
    check(metric)
    report(SEARCH, 0, 1)
    # Importing it compiles pynndescent's functions where numba has nothing cached: only who asks for it pays.
    import umap

    n = len(vectors)
    model = umap.UMAP(
        n_neighbors=max(2, min(neighbours, n - 1)),
        n_components=dimensions,
        metric=METRICS[metric],
        min_dist=min_dist,
        random_state=seed,
        n_jobs=1,  # what a seed makes of it anyway; said, it does not warn
        init="spectral" if n > 2 * (dimensions + 1) else "random",  # a few points have too few eigenvectors
        tqdm_kwds={
            "disable": False,
            "file": _Epochs(report),
            "bar_format": "{n}/{total}",
            "mininterval": 0,
            "miniters": 1,
            "leave": False,
        },
    )
    placed: Floats = model.fit_transform(vectors)
    return placed


class _Epochs:
    """What umap-learn's progress bar writes to: each line tells how many epochs are done."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def write(self, text: str) -> None:
        passed, _, total = text.strip().partition("/")
        if passed.isdigit() and total.isdigit():
            self._report(EPOCHS, int(passed), int(total))

    def flush(self) -> None:
        """Nothing is held back."""
