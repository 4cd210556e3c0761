"""An evaluation of two indexes against a bare client: 1,000 questions, both times the same commands.

    python benchmarks/evaluate.py              the demo's labelled set and a second index over it
    python benchmarks/evaluate.py --rounds 3

Ours: questions embedded, asked of both indexes, labelled documents looked for, measured, compared. The bare
client: the same texts embedded in one go, the same commands in pipelines on two redis-py connections, keys
read from the replies, nothing measured. By turns; goal: median of the ratios at least 0.85.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import redis

from memdb.cluster import engine
from memdb.cluster.client import Arg, Client, connect
from memdb.demo import labelled
from memdb.embedding import local
from memdb.relevance import compare, evaluate, models
from memdb.relevance.labels import Judgements
from memdb.relevance.run import EvaluationRequest, Setting
from memdb.settings import Settings
from memdb.tuning import load
from memdb.tuning.run import SweepRequest
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexSpec, index_info

QUESTIONS, K, EF, GOAL = 1_000, 10, 100, 0.85
SECOND = "idx:labelled:second"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder) / "engine", log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            labelled.load(client, home=Path(folder) / "home")
            judged = labelled.judgements(client)
            second = HnswField("embedding", local.DIMENSION, "COSINE", m=8, ef_construction=100)
            index.create(client, IndexSpec(SECOND, (second,), (labelled.PREFIX,)))
            while not index_info(client, SECOND).build.ready:
                time.sleep(0.1)
            told = _compared(client, judged, options.rounds)
    print(json.dumps(told, indent=1))
    good = float(str(told["ratio_median"])) >= GOAL
    print("goal met" if good else f"GOAL MISSED ({GOAL:.0%} of a bare client)")
    return 0 if good else 1


def _compared(client: Client, judged: Judgements, rounds: int) -> dict[str, object]:
    request = EvaluationRequest(
        (Setting(labelled.INDEX.name, ef_runtime=EF), Setting(SECOND, ef_runtime=EF)), k=K
    )
    embedder = models.of_settings(client, Settings.from_env())
    texts = list(judged.texts.values())
    assert len(texts) == QUESTIONS
    target = client.target
    raw = redis.Redis(host=target.host, port=target.port, password=target.password, protocol=2)
    raw.response_callbacks.clear()
    local.embed(texts[:10])  # the model is loaded
    evaluate.evaluate(client, request, judged, embedder)
    _bare(raw, client, request, texts)
    ours, bare, same = [], [], True
    for _ in range(rounds):
        began = time.perf_counter()
        run = evaluate.evaluate(client, request, judged, embedder)
        said = compare.conclusion(run)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        keys = _bare(raw, client, request, texts)
        bare.append(time.perf_counter() - began)
        same = same and keys == [[list(row) for row in answered.hits] for answered in run.answers]
    ratios = [b / o for o, b in zip(ours, bare, strict=True)]
    return {
        "questions": len(texts),
        "settings": len(request.settings),
        "ef_runtime": EF,
        "ours_s": round(statistics.median(ours), 3),
        "bare_s": round(statistics.median(bare), 3),
        "ratio_median": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "same_hits": same,
        "conclusion": said,
    }


def _bare(
    raw: redis.Redis, client: Client, request: EvaluationRequest, texts: list[str]
) -> list[list[list[str]]]:
    vectors = local.embed(texts)
    answers = []
    for setting in request.settings:
        info = index_info(client, setting.index)
        made = load.questions(client, info, SweepRequest(info.name), vectors, EF, k=request.k, condition="*")
        commands = [made.command(place) for place in range(len(made))]
        answers.append(_asked(raw, commands))
    return answers


def _asked(raw: redis.Redis, commands: list[tuple[Arg, ...]]) -> list[list[str]]:
    def ask(start: int) -> list[list[str]]:
        with raw.pipeline(transaction=False) as pipe:
            for command in commands[start : start + load.BATCH]:
                pipe.execute_command(*command)
            return [[key.decode() for key in reply[1::2]] for reply in pipe.execute()]

    with ThreadPoolExecutor(2) as threads:
        parts = threads.map(ask, range(0, len(commands), load.BATCH))
        return [row for part in parts for row in part]


if __name__ == "__main__":
    sys.exit(main())
