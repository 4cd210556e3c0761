"""`memdb evaluate`: whether what indexes return is right, by labels.

Exit status 1 where a bound is missed, or not all questions were asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from memdb import export, files
from memdb.cli.arguments import OnServer, count, share
from memdb.cli.interrupt import Interrupt
from memdb.cli.options import option
from memdb.cli.output import ProgressBar, note, print_json, print_table, say
from memdb.cluster.budget import budget_of
from memdb.cluster.client import Client, open_for_work
from memdb.errors import BadInput, Cancelled
from memdb.relevance import compare, evaluate, exchange, gate, models, report, sources, store
from memdb.relevance.gate import Verdict
from memdb.relevance.labels import Judgements
from memdb.relevance.measures import name
from memdb.relevance.run import By, Evaluation, EvaluationRequest, Setting
from memdb.relevance.sources import Source
from memdb.settings import Settings
from memdb.vectors.fusion import FUSION, Fusion, Method

MISSED = 1
SHOWN = 10  # worst or most changed questions
_DEFAULT = EvaluationRequest((Setting(""),))
_EACH = "; once for all settings, or once for each"


@dataclass(frozen=True, kw_only=True)
class Evaluate(OnServer):
    """`memdb evaluate`."""

    index: tuple[str, ...] = option(
        "--index", many=True, metavar="NAME", help="once, or once for each setting to compare"
    )
    field: tuple[str, ...] = option(
        "--field", many=True, metavar="F", help=f"vector field (default: the first){_EACH}"
    )
    by: tuple[By, ...] = option("--by", many=True, choices=get_args(By), help=f"default: vectors{_EACH}")
    hybrid: bool = option("--hybrid", default=False, help="words and vectors fused; short for --by hybrid")
    embedder: tuple[str, ...] = option(
        "--embedder", many=True, metavar="MODEL", help=f"e.g. titan:1024 (default: the index's own){_EACH}"
    )
    ef: tuple[int, ...] = option(
        "--ef", many=True, type=count(0), metavar="N", help=f"EF_RUNTIME (default: 0, the index's own){_EACH}"
    )
    strip: tuple[str, ...] = option(
        "--strip",
        many=True,
        metavar="TEXT",
        help=f"what keys of the index begin with and those of the labels do not{_EACH}",
    )
    fusion: tuple[Method, ...] = option(
        "--fusion",
        many=True,
        choices=get_args(Method),
        help=f"how --by hybrid puts both lists together (default: rrf){_EACH}",
    )
    weight: tuple[float, ...] = option(
        "--weight",
        many=True,
        type=float,
        metavar="W",
        help=f"share of the vectors in --fusion weighted, 0 to 1 (default: 0.5){_EACH}",
    )
    filter: str = option("--filter", default=_DEFAULT.filter, metavar="EXPR", help="for all settings")
    labels: Source = option(
        "--labels", default="mine", choices=get_args(Source), help="without --qrels", either="qrels"
    )
    qrels: str = option(
        "--qrels", default="", metavar="FILE", help="grades: TREC, BEIR's .tsv, or a .csv", either="qrels"
    )
    queries: str = option(
        "--queries", default="", metavar="FILE", help="the questions of --qrels: BEIR's .jsonl, .tsv or .csv"
    )
    k: int = option("--k", default=_DEFAULT.k, type=count(1), metavar="N", help="hits that count")
    relevant: int = option(
        "--relevant",
        default=_DEFAULT.relevant,
        type=count(1),
        metavar="GRADE",
        help="least grade that is relevant",
    )
    confidence: float = option(
        "--confidence", default=_DEFAULT.confidence, type=share, metavar="C", help="of the intervals"
    )
    ndcg: float | None = option(
        "--ndcg", type=share, metavar="R", help="exit 1 where the mean nDCG of the first setting is below"
    )
    not_below: str = option(
        "--not-below",
        default="",
        metavar="RUN",
        help="exit 1 where nDCG of the first setting is clearly below that of a kept evaluation",
    )
    kept: str = option("--run", default="", metavar="RUN", help="show a kept evaluation instead of asking")
    out: str = option(
        "--out", default="", metavar="FILE", help="write each question's result: .csv, .json or .parquet"
    )
    budget: int | None = option(
        "--budget", type=count(1), metavar="QPS", help="at most so many queries a second"
    )
    json: bool = option("--json", default=False, help="print JSON")

    @property
    def request(self) -> EvaluationRequest:
        """What to evaluate.

        Raises:
            BadInput: no index is named, or options that belong to settings are of different numbers.
        """
        if not self.index:
            raise BadInput("No index is named.", "Give --index, or --run for a kept evaluation.")
        if self.hybrid and self.by:
            raise BadInput("--hybrid and --by say two ways to search.", "Give one of them.")
        ways: tuple[By, ...] = ("hybrid",) if self.hybrid else self.by
        settings_given: dict[str, tuple[Any, ...]] = {
            "index": self.index,
            "field": self.field,
            "by": ways,
            "embedder": self.embedder,
            "ef_runtime": tuple(ef or None for ef in self.ef),
            "strip": self.strip,
            "fusion": self.fusion,
            "weight": self.weight,
        }
        settings = max(map(len, settings_given.values()))
        if wrong := [name for name, values in settings_given.items() if len(values) not in (0, 1, settings)]:
            raise BadInput(
                f"{settings} settings are named, and --{wrong[0].removesuffix('_runtime')} "
                f"{len(settings_given[wrong[0]])} times.",
                "Give an option once for all settings, or once for each.",
            )
        columns = {
            name: values * settings if len(values) == 1 else values for name, values in settings_given.items()
        }
        methods = columns.pop("fusion") or (FUSION.method,) * settings
        weights = columns.pop("weight") or (FUSION.weight,) * settings
        return EvaluationRequest(
            tuple(
                Setting(
                    **{name: values[place] for name, values in columns.items() if values},
                    fusion=Fusion(methods[place], weight=weights[place]),
                )
                for place in range(settings)
            ),
            k=self.k,
            filter=self.filter,
            relevant=self.relevant,
            confidence=self.confidence,
        )

    def judged(self, client: Client, settings: Settings) -> Judgements:
        """The questions with their grades.

        Raises:
            BadInput: a file is damaged, or there are no labels.
        """
        if self.queries and not self.qrels:
            raise BadInput("--queries names questions without grades.", "Give --qrels as well.")
        if self.qrels:
            queries = (self.queries, exchange.content_of(self.queries)) if self.queries else None
            return exchange.read(queries, (self.qrels, exchange.content_of(self.qrels)))
        return sources.judgements(self.labels, client, settings.home)

    def run(self) -> int:
        """Evaluate or open a kept evaluation, print it, hold it against its bounds.

        Raises:
            MemDBError: nothing could be asked, or something named is not there.
        """
        settings = Settings.from_env()
        if self.out and Path(self.out).suffix not in _WRITERS:
            raise BadInput(f"'{self.out}' names no kind of file.", f"End it with {', '.join(_WRITERS)}.")
        earlier = store.load(settings.home, self.not_below) if self.not_below else None
        evaluation = store.load(settings.home, self.kept) if self.kept else self._evaluated(settings)
        verdicts = [gate.at_least(evaluation, self.ndcg)] if self.ndcg is not None else []
        verdicts += [gate.not_below(evaluation, earlier)] if earlier is not None else []
        if self.out:
            where = Path(self.out).expanduser()
            files.write(where, _WRITERS[where.suffix](evaluation))
        if self.json:
            gates = [{"kept": verdict.kept, "words": verdict.words} for verdict in verdicts]
            print_json({**report.as_json(evaluation), "gates": gates})
        else:
            _show(evaluation, verdicts)
        return MISSED if evaluation.partial or not all(verdict.kept for verdict in verdicts) else 0

    def _evaluated(self, settings: Settings) -> Evaluation:
        request, target = self.request, self.find(settings)
        budget = budget_of(target)
        if self.budget is not None:
            budget = replace(budget, queries_per_s=float(self.budget))
        so_far: list[Evaluation] = []
        with open_for_work(target, budget) as client, ProgressBar() as bar, Interrupt() as interrupt:
            judged = self.judged(client, settings)
            embedder = models.of_settings(client, settings)
            for sentence in models.leaving(client, request, embedder):
                note(sentence)
            try:
                return evaluate.run_saved(
                    client,
                    request,
                    judged,
                    embedder,
                    settings.home,
                    report=interrupt.watching(bar.report),
                    keep=so_far.append,
                )
            except Cancelled:
                if so_far:
                    note(f"What was asked is kept as evaluation {so_far[-1].id}.")
                raise


_WRITERS = {
    ".csv": lambda run: export.to_csv(report.questions_frame(run)),
    ".json": lambda run: export.to_json(report.questions_frame(run), report.about(run)),
    ".parquet": lambda run: export.to_parquet(report.questions_frame(run), report.about(run)),
}


def _show(run: Evaluation, verdicts: list[Verdict]) -> None:
    means = report.means_frame(run)
    numbers = means.columns[2:]
    for _, row in means.iterrows():
        say(f"{row['name']}: {row['setting']}")
    # A measure a row: settings stand side by side however narrow the terminal is.
    rows = [(column, *(f"{value:.3f}" for value in means[column])) for column in numbers]
    names = list(means["name"])
    print_table(
        f"{len(run.questions):,} questions of {run.source}",
        ("measure", *names),
        rows,
        right=range(1, 1 + len(names)),
    )
    say(compare.conclusion(run))
    for verdict in verdicts:
        say(verdict.words)
    for text in run.notes:
        say(f"Note: {text}")
    for text in run.embedded:
        say(f"Embedded by {text}.")
    if run.questions:
        _questions(run)
    say(f"Kept as evaluation {run.id}.")


def _questions(run: Evaluation) -> None:
    frame = report.questions_frame(run)
    several = len(run.answers) > 1
    rows = compare.most_changed(run, 0, 1) if several else compare.worst(run, 0)
    what = f"Most changed from {run.names[0]} to {run.names[1]}" if several else "Worst questions"
    lines = [
        (frame["question"][row], *(f"{frame[letter][row]:.3f}" for letter in run.names))
        for row in rows[:SHOWN]
    ]
    head = ("question", *(f"{name('ndcg', run.request.k)} {letter}" for letter in run.names))
    print_table(what, head, lines, right=range(1, len(head)))
