"""`memdb labels`: the user's own labels listed, and as files of others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from memdb import files
from memdb.cli.options import Command, option
from memdb.cli.output import note, print_json, print_table, say
from memdb.errors import BadInput
from memdb.relevance import exchange, labels
from memdb.relevance.exchange import Format
from memdb.settings import Settings


@dataclass(frozen=True, kw_only=True)
class List(Command):
    """`memdb labels list`."""

    json: bool = option("--json", default=False, help="print every label as JSON")

    def run(self) -> int:
        """The questions with how many hits of each grade."""
        stored = labels.load(Settings.from_env().home)
        if self.json:
            rows = [{"question": e.question, "key": e.key, "grade": e.grade, "time": e.time} for e in stored]
            print_json({"labels": rows})
            return 0
        counts: dict[str, Counter[int]] = {}
        for each in stored:
            counts.setdefault(each.question, Counter())[each.grade] += 1
        rows_ = [(text, *(str(of[grade]) for grade in labels.GRADES)) for text, of in counts.items()]
        head = ("question", *(f"grade {grade}" for grade in labels.GRADES))
        if rows_:
            print_table("", head, rows_, right=range(1, len(head)))
        say(
            f"{len(stored):,} labels of {len(counts):,} questions in {labels.path(Settings.from_env().home)}."
        )
        return 0


@dataclass(frozen=True, kw_only=True)
class Import(Command):
    """`memdb labels import`."""

    qrels: str = option(
        "--qrels", required=True, metavar="FILE", help="TREC qrels, BEIR's .tsv, or a .csv of labels"
    )
    queries: str = option(
        "--queries", default="", metavar="FILE", help="the questions: BEIR's .jsonl, .tsv or .csv"
    )

    def run(self) -> int:
        """Add the labels of files to one's own; each replaces an earlier one of its question and key.

        Raises:
            BadInput: a file is damaged, or a grade is not 0 to 3; nothing is kept then.
        """
        queries = (self.queries, exchange.content_of(self.queries)) if self.queries else None
        judged = exchange.read(queries, (self.qrels, exchange.content_of(self.qrels)))
        more = exchange.to_labels(judged)
        total = labels.add(Settings.from_env().home, more)
        for text in judged.notes:
            note(text)
        say(
            f"Imported {len(more):,} labels of {len(judged.grades):,} questions; "
            f"there are {len(total):,} now."
        )
        return 0


@dataclass(frozen=True, kw_only=True)
class Export(Command):
    """`memdb labels export`."""

    kind: Format = option("--as", default="csv", choices=get_args(Format), help="layout")
    out: str = option("--out", default="", metavar="FILE", help="default: named after the layout, here")

    def run(self) -> int:
        """Write the labels to a file.

        Raises:
            BadInput: there are none, or the layout cannot hold a key.
        """
        stored = labels.load(Settings.from_env().home)
        if not stored:
            raise BadInput("You have no labels yet.", "Judge hits on the Search page, or import some.")
        named, content = exchange.export(stored, self.kind)
        where = Path(self.out).expanduser() if self.out else Path(named)
        files.write(where, content)
        say(f"Wrote {len(stored):,} labels to {where}.")
        return 0
