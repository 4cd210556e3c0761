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
130 after Ctrl-C. Commands that open a server take `--url`, and a page as it opens asks for what its command asks for
without options.

```bash
memdb search --index idx:embeddings --text "restore a table" --k 5 --ef 64 --filter '@service:{{dynamodb}}' --json
memdb sessions --user user001 --words backup --json
memdb recall --index idx:embeddings --target 0.95 --queries 500 --json
memdb map --index idx:embeddings --sample 20000 --out map.parquet        # coordinates, clusters, kept neighbours
memdb drill --seconds 20 --writers 4 --json                              # kill two engines: what is lost?
memdb size --vectors 1000000 --dim 1536 --metadata-bytes 1024 --json     # bytes, nodes, dollars
memdb calibrate --index idx:embeddings                                   # a sizing profile from what is there
memdb engine start --port 7000 --dir ./data --cluster                    # a one-shard cluster node
memdb load --docs 60000 --sessions 5000
memdb app --url redis://localhost:6379
memdb serve --address 0.0.0.0 --path /explorer/                          # for others: needs a login
memdb doctor --url rediss://user@host:6379 --json
memdb check --json
memdb memory --json
memdb exporter
memdb targets --discover eu-west-1
memdb aws card --region eu-west-1 --cluster orders --json
```
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
