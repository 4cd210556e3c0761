"""The way out of every command: JSON, tables and sentences; notes, errors and progress on the standard error.

What was stored, or came from a server, passes `memdb.display`: a terminal obeys none of it.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from memdb.display import line, plain
from memdb.errors import MemDBError
from memdb.json_text import json_text

_LONGEST = 20_000  # characters of one sentence
_NARROWEST = 8  # characters of a column that gave way
_WORD = 16  # characters of a word that is not broken within a table; longer ones are keys and paths
_PIECE = 10  # the same where an id beside it would be broken else
_ADDRESS = 40  # the same of an address: a port in two lines is read as another port


def print_json(value: object) -> None:
    """One JSON document on the standard output, in UTF-8; null for what is not a finite number."""
    print(json_text(value, indent=2, ascii_only=False))


def print_error(error: MemDBError, *, as_json: bool) -> None:
    """One line on the standard error; for a program that reads JSON, an object on the standard output too."""
    if as_json:
        print_json({"error": str(error), "hint": error.hint})
    note(f"memdb: {error.full()}")


def say(text: str) -> None:
    """A sentence, or several lines, on the standard output. A terminal gets them wrapped between words."""
    print(_wrapped(plain(text, _LONGEST), sys.stdout))


def write(text: str) -> None:
    """A text for a program, as it is, on the standard output at once: a URL, a template, metrics."""
    print(text, flush=True)


def note(text: str) -> None:
    """One line for people on the standard error, at once."""
    print(_wrapped(line(text, _LONGEST), sys.stderr), file=sys.stderr, flush=True)


def _wrapped(text: str, stream: TextIO) -> str:
    """As wide as the terminal; into a pipe or a file as it is. An indented line is something to copy."""
    if not stream.isatty():
        return text
    width = _console(stderr=stream is sys.stderr).width
    return "\n".join(
        each
        if each.startswith(" ") or cell_len(each) <= width
        else textwrap.fill(each, width, break_long_words=False, break_on_hyphens=False)
        for each in text.split("\n")
    )


def print_table(
    title: str,
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Iterable[int] = (),
    whole: Iterable[int] = (),
) -> None:
    """A table as wide as the terminal. No value is read as markup.

    Args:
        title: above it; empty for none.
        head: of each column.
        rows: a text for each column.
        right: columns with numbers.
        whole: columns whose texts are copied, as ids are: other words are broken before these.

    What is too wide makes the widest column narrower, then the next; no header is broken within a word. A
    table whose columns are too many for that is printed as blocks, a line for each value.
    """
    console, numbers = _console(), set(right)
    names = [line(name) for name in head]
    cells = [[line(cell) for cell in row] for row in rows]
    columns = [[name, *(row[i] for row in cells)] for i, name in enumerate(names)]
    wanted, whole_columns = [max(map(cell_len, column)) for column in columns], set(whole)
    for word in (_WORD, _PIECE) if whole_columns else (_WORD,):
        least = [
            wanted[i] if i in whole_columns else _longest_word(column, word)
            for i, column in enumerate(columns)
        ]
        widths = fitting(wanted, least, console.width - 3 * len(names) - 1)
        if widths is not None:
            break
    if widths is None:
        _print_blocks(console, line(title), names, cells)
        return
    table = Table(title=line(title) or None, title_justify="left", header_style="bold")
    for i, (name, width) in enumerate(zip(names, widths, strict=True)):
        table.add_column(name, justify="right" if i in numbers else "left", overflow="fold", width=width)
    for row in cells:
        table.add_row(*row)
    console.print(table)


def fitting(wanted: Sequence[int], least: Sequence[int], room: int) -> list[int] | None:
    """Widths of columns in `room`: the widest gives way first, none below its need. None: they are too many.

    Args:
        wanted: of each column, its longest value.
        least: of each column, what it needs.
        room: for all of them together.
    """
    widths = list(wanted)
    low = [min(w, max(need, _NARROWEST)) for w, need in zip(wanted, least, strict=True)]
    while (over := sum(widths) - room) > 0:
        able = [i for i, width in enumerate(widths) if width > low[i]]
        if not able:
            return None
        widest = max(able, key=widths.__getitem__)
        # Down to the next widest at once, from there on in turn.
        below = max((widths[i] for i in able if i != widest), default=0)
        floor = max(low[widest], min(below, widths[widest] - 1))
        widths[widest] = max(floor, widths[widest] - over)
    return widths


def _longest_word(column: Sequence[str], most: int) -> int:
    """Of a header, whatever its length, and of the cells below it: only keys and the like are broken."""
    header, *cells = (text.split() for text in column)
    whole = [
        word for cell in cells for word in cell if cell_len(word) <= (_ADDRESS if "://" in word else most)
    ]
    return max(map(cell_len, [*header, *whole]), default=1)


def _print_blocks(console: Console, title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if title:
        console.print(title, style="italic")
    for row in rows:
        table = Table.grid(padding=(0, 2))
        table.add_column(width=min(max(map(cell_len, names)), console.width // 3), overflow="fold")
        table.add_column(overflow="fold")
        for name, cell in zip(names, row, strict=True):
            if cell:
                table.add_row(Text(name, style="bold"), cell)
        console.print(table)
        console.print()


def _console(*, stderr: bool = False) -> Console:
    """A terminal that prints values as they are: `doc:ram:x` is a key, no emoji, and `[b]` no style."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


class ProgressBar:
    """Progress of long work on the standard error: bar, rate and time left of the current stage.

    Its `report` is a `memdb.jobs.Report`. The bar appears with the first one; where the standard error is no
    terminal, nothing is drawn: a pipe or a log holds results and notes.
    """

    def __init__(self) -> None:
        self._console = _console(stderr=True)
        self._live = self._console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(compact=True),
            console=self._console,
            disable=not self._live,
            transient=not _console().is_terminal,  # what goes into a pipe has no bars left above it
        )
        self._task: TaskID | None = None
        self._stage = ""

    def report(self, stage: str, steps: int, total: int) -> None:
        """Where the work is."""
        new = stage != self._stage
        if self._live:
            if new or self._task is None:
                if self._task is None:
                    self._progress.start()
                else:  # the stage before is over; its last report may have been a step earlier
                    self._progress.update(self._task, completed=self._progress.tasks[-1].total)
                self._task = self._progress.add_task(stage, total=total or None)
            self._progress.update(self._task, completed=steps, total=total or None)
        self._stage = stage

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(text, soft_wrap=True)

    def finish(self, *, complete: bool = False) -> None:
        """The work has ended, perhaps before it was complete."""
        if self._task is not None:
            if complete:  # its last report may have been a step earlier
                self._progress.update(self._task, completed=self._progress.tasks[-1].total)
            self._progress.stop()
            self._task = None
        self._stage = ""

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(complete=kind is None)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")
