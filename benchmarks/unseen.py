"""Made queries against truly unseen documents: recall, recommended EF, and what documents would have said.

    python benchmarks/unseen.py                  # every index, a quarter of an hour on a quiet machine
    python benchmarks/unseen.py --only digits clusters --docs 6000
    python benchmarks/unseen.py --kept results.jsonl --only digits   # in parts: the file says what is done

Each source is split: some documents are indexed on a real engine, the others are asked and are the truth.
Made queries (with several seeds) and documents are asked of the same index. Reported for EF_RUNTIMEs where
the unseen documents' recall is 0.9 or more (and below 0.9995):

- error of made queries, and of documents;
- the error as a share of the missed neighbours where at least SHARE_FROM are missed: root mean square of the
  errors too high and of those too low, which is `unseen.UNCERTAINTY`;
- steps of the sweep's ladder between the EF that is recommended and the smallest that meets the target with
  unseen documents.

Goals: mean error <= 0.01, worst <= 0.02, never more than 0.01 above the truth on real embeddings, EF right or
one step off in 95 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from memdb.cluster import engine
from memdb.cluster.client import Client, connect
from memdb.demo import corpus
from memdb.embedding.local import embed
from memdb.jobs import silent
from memdb.tuning import decide, queries
from memdb.tuning import sweep as sweeps
from memdb.tuning.run import EfPoint, Goal, Queries, SweepRequest
from memdb.tuning.source import Given
from memdb.vectors import index
from memdb.vectors.distance import Floats
from memdb.vectors.index import HnswField, IndexInfo, IndexSpec, TagField

ASKED = 2_000
TARGETS = (0.9, 0.95, 0.98)
LEAST, MOST = 0.9, 0.9995
SHARE_FROM = 0.01
EVERY = decide.ladder(11, 640, ASKED)  # from k + 1, as a sweep


@dataclass(frozen=True)
class Source:
    """Documents of one kind: (n, dim) vectors and a tag each."""

    vectors: Floats
    tags: np.ndarray


@dataclass(frozen=True)
class Case:
    """An index of one source."""

    name: str
    source: Callable[[int], Source]
    metric: str
    m: int
    ef_construction: int = 100
    filter: str = "*"
    real: bool = False


@cache
def _texts(count: int) -> Source:
    documents = corpus.documents(count=max(count, corpus.MAIN_AT_LEAST + 8_000))
    chosen = np.random.default_rng(1).permutation(len(documents))[:count]
    texts = [documents[i].text for i in chosen]
    blocks = [embed(texts[i : i + 512]) for i in range(0, len(texts), 512)]
    return Source(np.concatenate(blocks), np.array([documents[i].verb or "none" for i in chosen]))


@cache
def _titles(count: int) -> Source:
    """Short texts, many nearly alike, of the same model."""
    documents = corpus.documents(count=max(count, corpus.MAIN_AT_LEAST + 8_000))
    chosen = np.random.default_rng(2).permutation(len(documents))[:count]
    texts = [documents[i].title for i in chosen]
    blocks = [embed(texts[i : i + 512]) for i in range(0, len(texts), 512)]
    return Source(np.concatenate(blocks), np.array([documents[i].source for i in chosen]))


def _lengths(count: int) -> Source:
    """Real directions whose length tells how long the text is, as models without normalising give."""
    texts = _texts(count)
    random = np.random.default_rng(3)
    return Source(
        (texts.vectors * np.exp(0.2 * random.normal(size=(len(texts.vectors), 1)))).astype(np.float32),
        texts.tags,
    )


def _digits(count: int) -> Source:
    found = load_digits()
    order = np.random.default_rng(4).permutation(len(found.data))
    return Source(found.data[order].astype(np.float32), found.target[order].astype(str))


def _clusters(count: int) -> Source:
    random = np.random.default_rng(5)
    centres, of = random.normal(size=(50, 64)), random.integers(0, 50, count)
    vectors = centres[of] + 0.7 * random.normal(size=(count, 64))
    return Source(vectors.astype(np.float32), random.integers(0, 4, count).astype(str))


def _uneven(count: int) -> Source:
    """Dense and sparse clusters, far from the origin."""
    random = np.random.default_rng(6)
    centres, of = 2 * random.normal(size=(200, 32)), random.integers(0, 200, count)
    spread = random.gamma(2, 0.5, size=200)[of, None]
    vectors = 20 + centres[of] + spread * random.normal(size=(count, 32))
    return Source(vectors.astype(np.float32), of.astype(str))


def _noise(count: int) -> Source:
    random = np.random.default_rng(7)
    return Source(
        random.normal(size=(count, 16)).astype(np.float32), random.integers(0, 3, count).astype(str)
    )


def _manifold(count: int) -> Source:
    """Eight dimensions bent into 128."""
    random = np.random.default_rng(8)
    inner = random.normal(size=(count, 8)) @ random.normal(size=(8, 128))
    vectors = np.tanh(0.5 * inner) @ (random.normal(size=(128, 128)) / 11)
    return Source(
        (vectors + 0.02 * random.normal(size=vectors.shape)).astype(np.float32),
        random.integers(0, 4, count).astype(str),
    )


def _copies(count: int) -> Source:
    """Real embeddings, nearly half of them copies."""
    texts = _texts(count * 6 // 10)
    random = np.random.default_rng(9)
    places = np.concatenate(
        [np.arange(len(texts.vectors)), random.integers(0, len(texts.vectors), count - len(texts.vectors))]
    )
    places = places[random.permutation(len(places))]
    return Source(texts.vectors[places], texts.tags[places])


CASES = (
    Case("texts, M 4", _texts, "COSINE", 4, real=True),
    Case("texts, M 8", _texts, "COSINE", 8, real=True),
    Case("texts, M 16", _texts, "COSINE", 16, real=True),
    Case("texts, M 32", _texts, "COSINE", 32, 200, real=True),
    Case(
        "texts, M 8, filter",
        _texts,
        "COSINE",
        8,
        filter="@tag:{list|describe|get|create|delete|update|none}",
        real=True,
    ),
    Case("titles, M 8", _titles, "L2", 8, real=True),
    Case("titles, M 16", _titles, "COSINE", 16, real=True),
    Case("lengths, M 16", _lengths, "IP", 16, real=True),
    Case("digits, M 4", _digits, "L2", 4, 40, real=True),
    Case("copies, M 8", _copies, "COSINE", 8),
    Case("clusters, M 8", _clusters, "COSINE", 8),
    Case("clusters, M 8, filter", _clusters, "COSINE", 8, filter="@tag:{0|1}"),
    Case("uneven, M 4", _uneven, "L2", 4),
    Case("noise, M 16", _noise, "L2", 16),
    Case("noise, M 16, IP", _noise, "IP", 16),
    Case("manifold, M 8", _manifold, "L2", 8),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--docs", type=int, default=12_000, help="indexed of each source")
    parser.add_argument("--seeds", type=int, default=1, help="of made queries")
    parser.add_argument("--asked", type=int, default=ASKED, help="made queries of each seed, and documents")
    parser.add_argument("--unseen", type=int, default=6_000, help="documents left out, which are the truth")
    parser.add_argument("--only", nargs="+", default=[""], help="cases whose name begins with one of these")
    parser.add_argument(
        "--kept", type=Path, help="a file of results, a JSON line each; the verdict is of all"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    kept = options.kept.read_text().splitlines() if options.kept and options.kept.exists() else []
    results = [json.loads(line) for line in kept]
    there = {result["case"] for result in results}
    cases = [c for c in CASES if c.name.startswith(tuple(options.only)) and c.name not in there]
    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder), log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            for place, case in enumerate(cases):
                results.append(_case(client, case, f"case{place}", options))
                if options.kept:
                    with options.kept.open("a") as file:
                        file.write(json.dumps(results[-1]) + "\n")
                if options.json:
                    print(json.dumps(results[-1]), flush=True)
                else:
                    _print(results[-1])
    return _verdict(results)


def _case(client: Client, case: Case, name: str, options: argparse.Namespace) -> dict[str, object]:
    source = case.source(options.docs + options.unseen)
    outside = min(options.unseen, len(source.vectors) // 4)
    count = options.asked
    info = _indexed(client, case, name, Source(source.vectors[outside:], source.tags[outside:]))
    wanted = case.filter.removeprefix("@tag:{").removesuffix("}").split("|")
    keep = np.ones(outside, bool) if case.filter == "*" else np.isin(source.tags[:outside], wanted)
    truth = source.vectors[:outside][keep]
    labels = [f"unseen {i}" for i in range(len(truth))]
    request = SweepRequest(info.name, filter=case.filter, ef_min=10, ef_max=640)
    unseen = _points(client, info, request, queries.made(truth, labels, (), Given()), EVERY, until=MOST)
    steps = EVERY[: len(unseen)]
    asked = queries.random_documents(client, info, "", count, 0, request.condition)
    documents = _points(client, info, request, asked, steps)
    runs = []
    for seed in range(options.seeds):
        made = queries.unseen(client, info, "", count, seed, request.condition)
        points = _points(client, info, request, made, steps)
        wider: tuple[EfPoint, ...] = ()
        picks = {}
        for target in TARGETS:
            goal = Goal("recall", target)
            these = points
            if decide.left_open(points, goal, made.uncertainty):
                if not wider:
                    more = queries.unseen(client, info, "", 4 * count, seed, request.condition)
                    wider = _points(client, info, request, more, steps)
                these = wider
            best = next((i for i, p in enumerate(unseen) if p.recall >= target), len(steps))
            found = decide.chosen(these, goal)
            place = len(steps) if found is None else steps.index(found.ef_runtime)
            picks[str(target)] = place - best
        recalls = [p.recall for p in points]
        chance = [float(np.hypot(_error(p), _error(u))) for p, u in zip(points, unseen, strict=True)]
        runs.append(
            {
                "seed": seed,
                "recalls": recalls,
                "chance": chance,
                "uncertainty": made.uncertainty.too_high,
                "steps": picks,
            }
        )
    client.execute("FT.DROPINDEX", info.name, "DD")
    return {
        "documents_indexed": info.documents,
        "case": case.name,
        "metric": case.metric,
        "real": case.real,
        "efs": steps,
        "asked": len(truth),
        "unseen": [p.recall for p in unseen],
        "documents": [p.recall for p in documents],
        "made": runs,
    }


def _indexed(client: Client, case: Case, name: str, source: Source) -> IndexInfo:
    field = HnswField(
        "v",
        source.vectors.shape[1],
        case.metric,  # type: ignore[arg-type]
        m=case.m,
        ef_construction=case.ef_construction,
    )
    index.create(client, IndexSpec(name, (TagField("tag"), field), (f"{name}:",)))
    for start in range(0, len(source.vectors), 500):
        rows = range(start, min(start + 500, len(source.vectors)))
        client.pipeline(
            [
                ("HSET", f"{name}:{i}", "tag", str(source.tags[i]), "v", source.vectors[i].tobytes())
                for i in rows
            ]
        )
    return index.index_info(client, name)


def _points(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    asked: Queries,
    steps: tuple[int, ...],
    until: float = 2.0,
) -> tuple[EfPoint, ...]:
    work = sweeps._Sweep(client, info, replace(request, source=asked.source), asked, silent)
    work.prepare()
    for ef in steps:
        work._recall(ef)
        if work.state.points[ef].recall >= until:
            break
    return tuple(work.state.points[ef] for ef in sorted(work.state.points))


def _error(point: EfPoint) -> float:
    """Standard error of a mean recall."""
    return float(point.recalls.std(ddof=1) / np.sqrt(len(point.recalls)))


def _judged(result: dict[str, object]) -> np.ndarray:
    truth = np.array(result["unseen"])
    return np.asarray((truth >= LEAST) & (truth < MOST))


def _errors(result: dict[str, object], of: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Errors and missed shares where the unseen documents' recall is high."""
    truth, judged = np.array(result["unseen"]), _judged(result)
    return (np.array(of) - truth)[judged], (1 - truth)[judged]


def _print(result: dict[str, object]) -> None:
    made = np.concatenate([_errors(result, run["recalls"])[0] for run in result["made"]])  # type: ignore[attr-defined]
    chance = [np.array(run["chance"])[_judged(result)] for run in result["made"]]  # type: ignore[attr-defined]
    flattering = _errors(result, result["documents"])[0]  # type: ignore[arg-type]
    if not len(made):
        print(f"{result['case']}: recall of unseen documents is nowhere in [{LEAST}, {MOST})", flush=True)
        return
    chance_95 = 2 * max(c.max() for c in chance)
    steps = [list(run["steps"].values()) for run in result["made"]]  # type: ignore[attr-defined]
    curve = " ".join(f"{r:.3f}" for r in result["unseen"])  # type: ignore[attr-defined]
    print(
        f"{result['case']:22s} {result['metric']:6s} unseen {curve}\n"
        f"    made: mean {np.abs(made).mean():.4f}, {made.min():+.4f} to {made.max():+.4f} "
        f"(by chance ±{chance_95:.4f}); documents up to {flattering.max(initial=0):+.4f}; steps off {steps}; "
        f"uncertainty {[round(run['uncertainty'], 3) for run in result['made']]}",  # type: ignore[attr-defined]
        flush=True,
    )


def _verdict(results: list[dict[str, object]]) -> int:
    errors: list[float] = []
    shares: list[float] = []
    above: list[float] = []
    steps: list[int] = []
    for result in results:
        for run in result["made"]:  # type: ignore[attr-defined]
            error, missed = _errors(result, run["recalls"])
            errors += error.tolist()
            shares += (error / missed)[missed >= SHARE_FROM].tolist()
            above += error.tolist() if result["real"] else []
            steps += run["steps"].values()
    off = np.array(steps)
    told = {
        "mean_error": round(float(np.abs(errors).mean()), 4),
        "worst_error": round(float(np.abs(errors).max()), 4),
        "most_above_on_real": round(max(above, default=0.0), 4),
        "share_too_high_rms": round(float(np.sqrt(np.mean(np.square(np.maximum(shares, 0))))), 3),
        "share_too_low_rms": round(float(np.sqrt(np.mean(np.square(np.minimum(shares, 0))))), 3),
        "ef_right_or_one_off": round(float((np.abs(off) <= 1).mean()), 3),
        "ef_more_than_one_below": int((off < -1).sum()),
        "decisions": len(off),
    }
    print(json.dumps(told))
    good = (
        told["mean_error"] <= 0.01
        and told["worst_error"] <= 0.02
        and told["most_above_on_real"] <= 0.01
        and told["ef_right_or_one_off"] >= 0.95
    )
    print("goals met" if good else "GOALS MISSED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
