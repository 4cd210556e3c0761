"""An evaluation for others: tables, JSON, and the command that repeats it. Pure."""

from __future__ import annotations

import shlex

import numpy as np
import pandas as pd

from memdb.display import line
from memdb.relevance import compare
from memdb.relevance.measures import MEASURES, name
from memdb.relevance.run import Evaluation, EvaluationRequest, Setting
from memdb.vectors.fusion import FUSION

_DEFAULT = EvaluationRequest((Setting(""),))


def means_frame(run: Evaluation) -> pd.DataFrame:
    """A row for each setting: every measure's mean, and the interval of nDCG."""
    rows = []
    for place, answered in enumerate(run.answers):
        ndcg = compare.mean(run, place)
        means = {name(m, run.request.k): float(compare.values(run, place, m).mean()) for m in MEASURES}
        rows.append(
            {
                "name": run.names[place],
                "setting": line(answered.setting.words, 200),
                **means,
                "low": ndcg.low,
                "high": ndcg.high,
                "seconds": answered.took_s,
            }
        )
    return pd.DataFrame(rows)


def differences_frame(run: Evaluation, measure: str = "ndcg") -> pd.DataFrame:
    """A row for each pair of settings: the mean difference with its interval."""
    pairs = compare.differences(run, measure)
    return pd.DataFrame(
        {
            "less": [f"{run.names[d.second]} less {run.names[d.first]}" for d in pairs],
            "difference": [d.interval.mean for d in pairs],
            "low": [d.interval.low for d in pairs],
            "high": [d.interval.high for d in pairs],
            "verdict": ["clear" if d.clear else "may be chance" for d in pairs],
        }
    )


def questions_frame(run: Evaluation, measure: str = "ndcg") -> pd.DataFrame:
    """A row for each question: the measure under each setting, and how much it changed."""
    columns: dict[str, object] = {
        "id": [line(identity, 80) for identity in run.ids],
        "question": [line(text, 300) for text in run.questions],
        "relevant": [sum(g >= run.request.relevant for g in judged.values()) for judged in run.grades],
    }
    values = [compare.values(run, place, measure) for place in range(len(run.answers))]
    columns |= dict(zip(run.names, values, strict=True))
    if len(values) > 1:
        columns["change"] = values[1] - values[0]
        columns["in both"] = [
            len(set(a) & set(b)) for a, b in zip(run.answers[0].hits, run.answers[1].hits, strict=True)
        ]
    return pd.DataFrame(columns)


def as_json(run: Evaluation) -> dict[str, object]:
    """The shape that pipelines rely on."""
    settings = []
    for place, answered in enumerate(run.answers):
        interval = compare.mean(run, place)
        measures = {m: round(float(np.mean(compare.values(run, place, m))), 5) for m in MEASURES}
        settings.append(
            {
                "name": run.names[place],
                "index": answered.setting.index,
                "field": answered.setting.field,
                "by": answered.setting.by,
                "embedder": answered.setting.embedder,
                "ef_runtime": answered.setting.ef_runtime,
                **measures,
                "ndcg_low": round(interval.low, 5),
                "ndcg_high": round(interval.high, 5),
                "took_s": round(answered.took_s, 3),
            }
        )
    return {
        "settings": settings,
        "differences": [
            {
                "first": run.names[d.first],
                "second": run.names[d.second],
                "ndcg": round(d.interval.mean, 5),
                "low": round(d.interval.low, 5),
                "high": round(d.interval.high, 5),
                "clear": d.clear,
            }
            for d in compare.differences(run)
        ],
        "conclusion": compare.conclusion(run),
        "questions": len(run.questions),
        "k": run.request.k,
        "filter": run.request.filter,
        "relevant": run.request.relevant,
        "confidence": run.request.confidence,
        "source": run.source,
        "notes": list(run.notes),
        "embedded": list(run.embedded),
        "partial": run.partial,
        "run": run.id,
    }


def about(run: Evaluation) -> dict[str, object]:
    """What made an evaluation: goes into every exported file."""
    return {"started": run.started, "target": run.target, "engine": run.engine, **as_json(run)}


# What an option need not say for all settings alike.
_DEFAULTS = ("", "vectors", "0", FUSION.method, f"{FUSION.weight:g}")


def command_line(request: EvaluationRequest, labels: str = "") -> str:
    """`memdb evaluate …` that repeats it; `labels` are the words that name questions and labels."""
    words = ["memdb", "evaluate"]
    for option, values in (
        ("--index", [each.index for each in request.settings]),
        ("--field", [each.field for each in request.settings]),
        ("--by", [each.by for each in request.settings]),
        ("--embedder", [each.embedder for each in request.settings]),
        ("--ef", [str(each.ef_runtime or 0) for each in request.settings]),
        ("--strip", [each.strip for each in request.settings]),
        ("--fusion", [each.fusion.method for each in request.settings]),
        ("--weight", [f"{each.fusion.weight:g}" for each in request.settings]),
    ):
        same = len(set(values)) == 1
        for value in [values[0]] * (values[0] not in _DEFAULTS) if same else values:
            words += [option, value]
    words += ["--k", str(request.k)] if request.k != _DEFAULT.k else []
    words += ["--filter", request.filter] if request.filter not in ("", "*") else []
    words += ["--relevant", str(request.relevant)] if request.relevant != _DEFAULT.relevant else []
    if request.confidence != _DEFAULT.confidence:
        words += ["--confidence", f"{request.confidence:g}"]
    return shlex.join(words) + (f" {labels}" if labels else "")
