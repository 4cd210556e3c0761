"""`memdb search` by words or both, and two ways beside each other: options, JSON, output."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from memdb import files
from memdb.asking.beside import Comparison, Question, compared, prefixes, question
from memdb.asking.side import Answer, By, OpenSide, Side, ask, opened, spent
from memdb.cli.arguments import InWords, count, say_what_leaves
from memdb.cli.interrupt import Interrupt
from memdb.cli.options import option
from memdb.cli.output import ProgressBar, print_json, print_table, say
from memdb.cluster.client import open_for_work
from memdb.cluster.find import find_target
from memdb.display import line
from memdb.errors import BadInput
from memdb.settings import Settings
from memdb.vectors.fusion import FUSION, Fusion, Method, Place
from memdb.vectors.titles import title_of

_MOST_BYTES = 4 << 20  # of a file of questions
_SHOWN = 20  # questions of a comparison on a terminal


@dataclass(frozen=True, kw_only=True)
class TwoSides(InWords):
    """Options of a second way to ask, and of ways besides vectors."""

    by: By = option("--by", default="vectors", choices=get_args(By), help="what --text is searched by")
    fusion: Method = option(
        "--fusion", default=FUSION.method, choices=get_args(Method), help="how --by both puts them together"
    )
    weight: float = option(
        "--weight",
        default=FUSION.weight,
        type=float,
        metavar="W",
        help="share of the vectors in --fusion weighted, 0 to 1",
    )
    beside_index: str | None = option("--beside-index", metavar="NAME", help="beside it: another index")
    beside_field: str | None = option("--beside-field", metavar="F", help="beside it: another vector field")
    beside_url: str | None = option("--beside-url", metavar="URL", help="beside it: on another server")
    beside_embedder: str | None = option(
        "--beside-embedder", metavar="MODEL", help="beside it: by another model"
    )
    beside_ef: int | None = option(
        "--beside-ef", type=count(0), metavar="N", help="beside it: another EF_RUNTIME; 0: the index's own"
    )
    beside_filter: str | None = option("--beside-filter", metavar="EXPR", help="beside it: another filter")
    beside_by: By | None = option("--beside-by", choices=get_args(By), help="beside it: searched by this")

    @property
    def two(self) -> bool:
        """Whether a second way is named."""
        return any(getattr(self, name) is not None for name in vars(self) if name.startswith("beside_"))


def run(sides: TwoSides, side: Side, text: str | None, questions: str | None, *, as_json: bool) -> int:
    """Ask one way by words or both, or two ways.

    Args:
        sides: the options.
        side: the first way, as the options of the command say it.
        text: one question, or None.
        questions: a file of them, one a line, or None.
        as_json: print JSON.

    Raises:
        MemDBError: something does not fit, or does not answer.
    """
    settings = Settings.from_env()
    if text is None and questions is None:
        raise BadInput(
            "Two sides are compared by a question in words, and so are words searched.",
            "Give --text, or --questions with a file of one a line.",
        )
    if questions is not None and not sides.two:
        raise BadInput(
            "Say what to compare with.", "Add --beside-index, --beside-embedder, --beside-by or another."
        )
    side = replace(side, by=sides.by, fusion=Fusion(sides.fusion, weight=sides.weight))
    with ExitStack() as stack:
        client = stack.enter_context(open_for_work(sides.find(settings)))
        first = opened(client, side, settings, tell=say_what_leaves)
        if not sides.two:
            _one(ask(first, text or ""), as_json=as_json)
            return 0
        other = client
        if sides.beside_url is not None:
            other = stack.enter_context(open_for_work(find_target(settings, sides.beside_url)))
        second = opened(other, _second(sides, side), settings, tell=say_what_leaves)
        if questions is not None:
            bar, interrupt = stack.enter_context(ProgressBar()), stack.enter_context(Interrupt())
            comparison = compared(first, second, _read(questions), report=interrupt.watching(bar.report))
            bar.finish(complete=True)
            _many(comparison, as_json=as_json)
        else:
            answers = ask(first, text or ""), ask(second, text or "")
            _both(first, second, text or "", answers, as_json=as_json)
    return 0


def _second(sides: TwoSides, side: Side) -> Side:
    """The first side with what is said beside it; another index, field or server may have another model."""
    elsewhere = any(name is not None for name in (sides.beside_index, sides.beside_field, sides.beside_url))
    model = sides.beside_embedder if sides.beside_embedder is not None else "" if elsewhere else side.model
    field = "" if sides.beside_index is not None else side.field
    return replace(
        side,
        index=side.index if sides.beside_index is None else sides.beside_index,
        field=field if sides.beside_field is None else sides.beside_field,
        model=model,
        ef_runtime=side.ef_runtime if sides.beside_ef is None else sides.beside_ef or None,
        filter=side.filter if sides.beside_filter is None else sides.beside_filter,
        by=side.by if sides.beside_by is None else sides.beside_by,
    )


def _read(name: str) -> list[str]:
    path = Path(name).expanduser()
    try:
        return files.text(path, most=_MOST_BYTES).splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        why = files.reason(exc) if isinstance(exc, OSError) else "it is not UTF-8"
        raise BadInput(
            f"The file of questions '{name}' cannot be read: {why}.", "Give a text file, one question a line."
        ) from None


def _one(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        print_json(_answer(answer))
        return
    width = shutil.get_terminal_size().columns
    for row, hit in enumerate(_hits(answer), 1):
        legs = "  ".join(
            f"{name} {leg['rank']} ({leg['score']:.4f})" if (leg := hit.get(name)) else f"{name} –"
            for name in ("vectors", "words")
            if answer.legs
        )
        say(f"{row:>3}  {hit['score']:.4f}  {line(hit['key'])}  {legs}".rstrip())
        say(f"     {line(hit['title'], max(20, width - 5))}")
    say(f"{len(answer.keys)} hits in {answer.took_ms:.1f} ms; score: {answer.scored}")
    _ends(answer.notes, answer)


def _both(
    first: OpenSide, second: OpenSide, text: str, answers: tuple[Answer, Answer], *, as_json: bool
) -> None:
    answered = question(text, *answers, prefixes(first, second))
    names = first.words(second), second.words(first)
    if as_json:
        print_json(
            {
                "first": {"side": names[0], **_answer(answers[0])},
                "second": {"side": names[1], **_answer(answers[1])},
                "moves": [{"key": m.name, "first": m.first, "second": m.second} for m in answered.moves],
                **asdict(answered.overlap),
            }
        )
        return
    titles = {
        key.removeprefix(prefix): title_of(fields, key)
        for answer, prefix in zip(answers, prefixes(first, second), strict=True)
        for key, fields in zip(answer.keys, answer.fields, strict=True)
    }
    rows = [
        (_rank(m.first), _rank(m.second), _moved(m.moved), titles[m.name], m.name) for m in answered.moves
    ]
    print_table(text, (names[0], names[1], "moved", "title", "key"), rows, right=(0, 1, 2))
    say(f"{answered.overlap.words}.")
    for answer in answers:
        _ends(answer.notes, answer)


def _many(comparison: Comparison, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "first": comparison.first,
                "second": comparison.second,
                "words": comparison.words,
                "jaccard": float(np.mean(comparison.jaccard)),
                "rbo": float(np.mean(comparison.rbo)),
                "questions": [_question(each) for each in comparison.questions],
                "embedding": asdict(comparison.spent),
                "notes": list(comparison.notes),
            }
        )
        return
    rows = [
        (f"{each.overlap.rbo:.2f}", f"{each.overlap.jaccard:.2f}", f"{each.overlap.shared}", each.text)
        for each in comparison.questions[:_SHOWN]
    ]
    print_table(
        f"{comparison.first} beside {comparison.second}",
        ("RBO", "Jaccard", "shared", "question"),
        rows,
        right=range(3),
    )
    if len(comparison.questions) > _SHOWN:
        say(f"The {_SHOWN} that differ most, of {len(comparison.questions):,}; --json has all.")
    say(comparison.words)
    for text in comparison.notes:
        say(f"Note: {text}")
    if comparison.spent.texts:
        say(f"Embedded: {comparison.spent.words}")


def _question(each: Question) -> dict[str, object]:
    return {"text": each.text, **asdict(each.overlap), "first": list(each.first), "second": list(each.second)}


def _hits(answer: Answer) -> list[dict[str, Any]]:
    hits = []
    for place, (key, score, fields) in enumerate(
        zip(answer.keys, answer.scores.tolist(), answer.fields, strict=True)
    ):
        hit: dict[str, Any] = {"key": key, "score": score, "title": title_of(fields, key)}
        if answer.legs:
            leg = answer.legs[place]
            hit |= {"vectors": _leg(leg.vectors), "words": _leg(leg.words)}
        hits.append(hit)
    return hits


def _answer(answer: Answer) -> dict[str, object]:
    return {
        "hits": _hits(answer),
        "score": answer.scored,
        "took_ms": round(answer.took_ms, 3),
        "commands": [command.redis_cli() for command in answer.commands],
        "embedding": asdict(spent([answer])),
        "notes": list(answer.notes),
    }


def _leg(place: Place | None) -> dict[str, float] | None:
    return None if place is None else asdict(place)


def _ends(notes: Sequence[str], answer: Answer) -> None:
    for text in notes:
        say(f"Note: {text}")
    if answer.embedded is not None:
        say(f"Embedded: {answer.embedded.spent.words}")


def _rank(rank: int | None) -> str:
    return "–" if rank is None else str(rank)


def _moved(ranks: int | None) -> str:
    return "" if not ranks else f"{ranks:+d}"
