"""Writes docs/cli.md and the table in docs/settings.md from the code: `make docs`. A test holds both against it."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from memdb.cli.entry import COMMANDS, command
from memdb.settings import SETTINGS

DOCS = Path(__file__).parent
BEGIN = "<!-- made by `make docs` -->\n"
CLI = f"""\
# Commands
{BEGIN}
What `memdb COMMAND --help` says, in one place. The exit status is 0; 1 where a command says so below; 2 after an
error, which is one line on the standard error, and with `--json` also `{{"error": …, "hint": …}}` on the output;
130 after Ctrl-C. Commands that open a server take `--url`.
"""


def cli() -> str:
    """The text of docs/cli.md."""
    parts = [CLI]
    for name, what in COMMANDS.items():
        options = command(name).options()
        rows = [(f"`{option.usage}`", option.text(field.default)) for option, field in options]
        parts.append(f"## memdb {name}\n\n{what[:1].upper()}{what[1:]}.\n")
        if rows:
            parts.append(_table(("option", "meaning"), rows))
    return "\n".join(parts)


def settings() -> str:
    """What docs/settings.md holds after BEGIN."""
    parts = []
    for part, group in groupby(SETTINGS.values(), key=lambda row: row.part):
        rows = [(f"`{row.name}`", row.kind.words, row.default_text, row.help) for row in group]
        parts.append(f"## {part}\n\n" + _table(("variable", "kind", "default", "meaning"), rows))
    return "\n".join(parts)


def with_settings(text: str) -> str:
    """The text of docs/settings.md with its table as the code says."""
    return text.partition(BEGIN)[0] + BEGIN + "\n" + settings()


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    (DOCS / "cli.md").write_text(cli())
    page = DOCS / "settings.md"
    page.write_text(with_settings(page.read_text()))
