"""From labels and settings to an evaluation: every question asked under every setting, whatever came kept.

run = evaluate(client, EvaluationRequest((Setting("idx:docs"),)), judgements(load(home)), embedder)
print(conclusion(run))
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from memdb.cluster.client import Client
from memdb.display import line
from memdb.embedding import Embedded, Embedder, Spent
from memdb.errors import BadInput, Cancelled, MemDBError
from memdb.jobs import Report, silent
from memdb.relevance import ask, store
from memdb.relevance.ask import Way
from memdb.relevance.exchange import MOST_QUESTIONS
from memdb.relevance.labels import Judgements
from memdb.relevance.run import MOST_HITS, Evaluation, EvaluationRequest, Setting, SettingAnswers
from memdb.shelf import now_and_then
from memdb.vectors.anew import Watched
from memdb.vectors.index import IndexInfo, index_info

AT_ONCE = 500  # questions that are embedded and asked together; what is lost where something fails
_LOOKED_AT_ONCE = 1_000
_STAGE = "Asking questions"

# The model of a setting on its index.
EmbedderOf = Callable[[Setting, IndexInfo], Embedder]


def evaluate(
    client: Client,
    request: EvaluationRequest,
    judged: Judgements,
    embedder: EmbedderOf,
    *,
    report: Report = silent,
    keep: Callable[[Evaluation], None] | None = None,
) -> Evaluation:
    """Ask every question under every setting. Nothing is written to the server.

    Args:
        client: the server.
        request: the settings, and what counts.
        judged: questions with graded documents.
        embedder: which model a setting asks with, where it needs one.
        report: progress; may raise Cancelled.
        keep: called with the evaluation so far after every batch.

    Returns:
        The evaluation. `partial` where a model or the server failed after a batch was complete: it is of the
        questions that all settings were asked, and its notes say why it ended.

    Raises:
        BadInput: no question can be judged, or a setting does not fit its index; nothing was asked.
        MemDBError: a model or the server failed before the first batch was complete.
        Cancelled: from `report`.
    """
    work = _prepared(client, request, judged, embedder)
    partial = False
    try:
        work.ask(report, keep)
    except Cancelled:
        raise
    except MemDBError as exc:
        if not work.done:
            raise
        why = str(exc).rstrip(".")
        work.notes.append(f"It ended after {work.done:,} of {len(work.ids):,} questions: {why}.")
        partial = True
        with contextlib.suppress(MemDBError):  # the server itself may be what failed
            return work.without_gone(partial=partial)
    return work.made(partial=partial) if partial else work.without_gone(partial=partial)


def run_saved(
    client: Client,
    request: EvaluationRequest,
    judged: Judgements,
    embedder: EmbedderOf,
    home: Path,
    *,
    report: Report = silent,
    keep: Callable[[Evaluation], None] | None = None,
) -> Evaluation:
    """As `evaluate`; the result is kept on disk, also of a cancelled one, and what a killed process had.

    Raises:
        Cancelled: from `report`; the questions asked until then are saved.
        MemDBError: nothing could be asked, or the result could not be saved.
    """
    last: list[Evaluation] = []
    under_way: Callable[[Evaluation], None] = now_and_then(lambda run: store.save(run, home))

    def remember(run: Evaluation) -> None:
        last[:] = [run]
        under_way(run)
        if keep is not None:
            keep(run)

    try:
        run = evaluate(client, request, judged, embedder, report=report, keep=remember)
    except (Cancelled, KeyboardInterrupt):
        if last:
            store.save(last[0], home)
        raise
    store.save(run, home)
    return run


@dataclass(eq=False)
class _Work:
    client: Client
    request: EvaluationRequest
    source: str
    ways: tuple[Way, ...]
    ids: tuple[str, ...]
    questions: tuple[str, ...]
    grades: tuple[Mapping[str, int], ...]
    notes: list[str]
    unfinished: set[str]  # indexes that lacked documents
    id: str = ""
    began: float = field(default_factory=time.monotonic)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.id = f"{self.started:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
        self.done = 0  # questions that every setting was asked
        self.hits: list[list[tuple[str, ...]]] = [[] for _ in self.ways]
        self.took = [0.0 for _ in self.ways]
        self.spent: dict[str, Spent] = {}  # by model
        self.cut: dict[str, int] = {}
        self.watched = {way.setting.index: Watched(self.client, way.info) for way in self.ways}

    def ask(self, report: Report, keep: Callable[[Evaluation], None] | None) -> None:
        """All questions, batch by batch; where a model is elsewhere, it has the next batch meanwhile."""
        # Each once, though several settings ask with it.
        of_ways = [None if way.embedder is None else way.embedder.identity for way in self.ways]
        answered_of = {
            name: way.embedder
            for name, way in zip(of_ways, self.ways, strict=True)
            if name is not None and way.embedder is not None
        }
        names, models = list(answered_of), list(answered_of.values())
        total = len(self.questions) * len(self.ways)
        report(_STAGE, 0, total)
        with ThreadPoolExecutor(1, "embed") as thread:
            ahead = self._ahead(thread, models, 0)
            try:
                while self.done < len(self.questions):
                    start = self.done
                    texts = self.questions[start : start + AT_ONCE]
                    embedded = [
                        ahead[place].result() if place in ahead else model.ask(texts)
                        for place, model in enumerate(models)
                    ]
                    ahead = self._ahead(thread, models, start + AT_ONCE)
                    batch: list[ask.Hits] = []
                    for place, (way, name) in enumerate(zip(self.ways, of_ways, strict=True)):
                        began = time.monotonic()
                        vectors = None if name is None else embedded[names.index(name)].vectors
                        batch.append(ask.hits(way, texts, vectors))
                        self.took[place] += time.monotonic() - began
                        report(_STAGE, start * len(self.ways) + len(texts) * (place + 1), total)
                    for of_setting, more in zip(self.hits, batch, strict=True):
                        of_setting.extend(more)
                    for model, each in zip(models, embedded, strict=True):
                        self.spent[model.name] = self.spent.get(model.name, Spent()) + each.spent
                        self.cut[model.name] = self.cut.get(model.name, 0) + len(each.cut)
                    self.done = start + len(texts)
                    self._look()
                    if keep is not None:
                        keep(self.made(partial=True))
            finally:
                for future in ahead.values():  # ended early: nobody waits for these
                    future.cancel()

    def _look(self) -> None:
        """Tell once of each index that documents are missing: a build may begin while questions are asked,
        and end."""
        for name in sorted({way.setting.index for way in self.ways} - self.unfinished):
            with contextlib.suppress(MemDBError):  # what is wrong stops the next search, and is told there
                current, watched = index_info(self.client, name), self.watched[name]
                again = watched.certain(current)
                if missing := current.unfinished or again:
                    self.unfinished.add(name)
                    self.notes.append(f"While questions were asked: {missing}")
                elif perhaps := watched.possible():
                    self.notes.append(f"While questions were asked: {perhaps}")

    def without_gone(self, *, partial: bool) -> Evaluation:
        """The evaluation without labels of documents that no setting can return since they are gone.

        What came back is there; of the other relevant documents the server is asked.

        Raises:
            BadInput: no question has a relevant document that is still there.
            MemDBError: the server does not answer.
        """
        run = self.made(partial=partial)
        wanted = list(
            dict.fromkeys(key for judged in run.grades for key, grade in judged.items() if grade > 0)
        )
        keys_present: dict[
            str, set[str]
        ] = {}  # by what is left out of keys: the labelled documents that are there
        for answered in run.answers:
            keys_present.setdefault(answered.setting.strip, set()).update(*answered.hits)
        for strip, there in keys_present.items():
            keys = [key for key in wanted if key not in there]
            for start in range(0, len(keys), _LOOKED_AT_ONCE):
                some = keys[start : start + _LOOKED_AT_ONCE]
                replies = self.client.pipeline([("EXISTS", f"{strip}{key}") for key in some])
                there.update(key for key, reply in zip(some, replies, strict=True) if reply)
        present = []  # of each way: those that are there and under the prefixes of its index
        for way in self.ways:
            strip, prefixes = way.setting.strip, tuple(way.info.prefixes) or ("",)
            there = keys_present[strip]
            present.append({key for key in wanted if key in there and f"{strip}{key}".startswith(prefixes)})
        somewhere = set().union(*present)
        notes = list(run.notes)
        lost = {key for key in wanted if key not in somewhere}
        if lost:
            gone = [key for key in wanted if key in lost]
            notes.append(_absent(gone, wanted, "gone, or in none of these indexes", "They count for nothing"))
        for name in dict.fromkeys(way.info.name for way in self.ways):
            own = set().union(
                *(some for way, some in zip(self.ways, present, strict=True) if way.info.name == name)
            )
            if lacking := [key for key in wanted if key in somewhere and key not in own]:
                notes.append(_absent(lacking, wanted, f"not in '{line(name, 80)}'", "It cannot return them"))
        if not lost:
            return replace(run, notes=tuple(notes))
        grades = tuple({key: g for key, g in judged.items() if key not in lost} for judged in run.grades)
        rows = [
            row
            for row, judged in enumerate(grades)
            if any(grade >= run.request.relevant for grade in judged.values())
        ]
        if not rows:
            raise BadInput(
                f"None of the {len(grades):,} questions has a relevant document that is still there.",
                notes[-1],
            )
        if without := len(grades) - len(rows):
            notes.append(
                f"{without:,} of {len(grades):,} questions have none of their documents left: left out."
            )
        return replace(
            run,
            ids=tuple(run.ids[row] for row in rows),
            questions=tuple(run.questions[row] for row in rows),
            grades=tuple(grades[row] for row in rows),
            answers=tuple(replace(each, hits=tuple(each.hits[row] for row in rows)) for each in run.answers),
            notes=tuple(notes),
        )

    def _ahead(
        self, thread: ThreadPoolExecutor, models: Sequence[Embedder], start: int
    ) -> dict[int, Future[Embedded]]:
        """The next batch at the models that are elsewhere, by place. One of this machine would only take the
        processor from the search."""
        texts = self.questions[start : start + AT_ONCE]
        return {
            place: thread.submit(model.ask, texts)
            for place, model in enumerate(models)
            if texts and model.model.sends_to
        }

    def made(self, *, partial: bool) -> Evaluation:
        """The evaluation of the questions asked so far."""
        return Evaluation(
            id=self.id,
            started=self.started.isoformat(timespec="seconds"),
            target=self.client.target.address,
            engine=self.client.server.title,
            request=self.request,
            source=self.source,
            ids=self.ids[: self.done],
            questions=self.questions[: self.done],
            grades=self.grades[: self.done],
            answers=tuple(
                SettingAnswers(way.setting, tuple(hits[: self.done]), took)
                for way, hits, took in zip(self.ways, self.hits, self.took, strict=True)
            ),
            notes=(*self.notes, *(_cut(name, count) for name, count in self.cut.items() if count)),
            embedded=tuple(f"{name}: {spent.words}" for name, spent in self.spent.items()),
            partial=partial,
            took_s=time.monotonic() - self.began,
            memdb_version=_version(),
        )


def _prepared(client: Client, request: EvaluationRequest, judged: Judgements, embedder: EmbedderOf) -> _Work:
    infos = {name: index_info(client, name) for name in {each.index for each in request.settings}}
    ways = tuple(
        ask.prepared(
            client,
            infos[setting.index],
            setting,
            request,
            None if setting.by == "words" else embedder(setting, infos[setting.index]),
        )
        for setting in request.settings
    )
    notes = [*judged.notes, *(info.unfinished for info in infos.values() if info.unfinished)]
    grades = judged.grades
    able = {
        identity: judged
        for identity, judged in grades.items()
        if any(grade >= request.relevant for grade in judged.values())
    }
    if not able:
        raise BadInput(
            f"None of the {len(grades):,} questions has a document of grade {request.relevant} or more.",
            "Judge some hits, or give labels of these documents.",
        )
    if without := len(grades) - len(able):
        notes.append(
            f"{without:,} of {len(grades):,} questions have no document of grade {request.relevant} or more: "
            "left out, since no setting can answer them."
        )
    if len(able) > MOST_QUESTIONS or len(able) * len(ways) * request.k > MOST_HITS:
        raise BadInput(
            f"{len(able):,} questions × {len(ways)} settings × {request.k} hits are too many.",
            f"Give at most {MOST_QUESTIONS:,} questions, and {MOST_HITS:,} hits in all.",
        )
    texts = judged.texts
    return _Work(
        client,
        request,
        judged.source,
        ways,
        tuple(able),
        tuple(texts[identity] for identity in able),
        tuple(able.values()),
        notes,
        {name for name, info in infos.items() if info.unfinished},
    )


def _absent(keys: Sequence[str], wanted: Sequence[str], why: str, then: str) -> str:
    count = f"{len(keys):,} of {len(wanted):,} labelled documents {'is' if len(keys) == 1 else 'are'}"
    return f"{count} {why}, e.g. '{line(keys[0], 80)}'. {then}."


def _cut(model: str, count: int) -> str:
    are = (
        "question is longer than it takes: its" if count == 1 else "questions are longer than it takes: their"
    )
    return f"{model}: {count:,} {are} beginning counted."


@cache
def _version() -> str:
    try:
        return version("memdb-explorer")
    except PackageNotFoundError:
        return "source"
