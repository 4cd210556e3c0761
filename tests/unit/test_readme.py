"""README and docs tell the truth about what can be checked: settings, commands, links, and code that runs."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memdb.cli import main
from memdb.cli.entry import COMMANDS, GROUPS, command, parse
from memdb.settings import SETTINGS, Settings

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
REFERENCE: dict[str, Any] = runpy.run_path(str(DOCS / "reference.py"))


def test_the_lists_of_commands_and_settings_are_those_of_the_code() -> None:
    """Where this fails: `make docs`."""
    assert (DOCS / "cli.md").read_text() == REFERENCE["cli"]()
    page = (DOCS / "settings.md").read_text()
    assert page == REFERENCE["with_settings"](page)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_docs_name_the_options_that_help_prints(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*name.split(), "--help"])
    printed = re.findall(r"^  (--[\w-]+)", capsys.readouterr().out, re.MULTILINE)
    section = (DOCS / "cli.md").read_text().partition(f"\n## memdb {name}\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(--[\w-]+)", section, re.MULTILINE) == printed


def test_every_variable_that_is_named_exists() -> None:
    names = {row.name for row in SETTINGS.values()}
    sources = [*PAGES, ROOT / "Makefile", *DOCS.glob("*.py")]
    sources += [path for folder in ("memdb", "pages", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    named = {
        (match[0], path.name)
        for path in sources
        for match in re.finditer(r"MEMDB_[A-Z_]+\*?", path.read_text())
    }
    assert {name for name, _ in named} >= names
    unknown = {
        (name, file)
        for name, file in named - {("MEMDB_", "settings.py")}
        if name not in names and not (name.endswith("*") and any(n.startswith(name[:-1]) for n in names))
    }
    assert unknown == set()


def test_a_default_of_the_table_is_what_the_reader_gives() -> None:
    bare = Settings.from_env({})
    for field, row in SETTINGS.items():
        if row.default is not None:
            assert getattr(bare, field) == row.default, field
            assert Settings.from_env({row.name: row.default_text}) == bare, field


def _blocks(text: str) -> Iterator[str]:
    """Lines of code blocks, continued lines as one."""
    for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()


def _examples() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        for line in _blocks(page.read_text()):
            if line.strip().startswith("memdb "):
                lexer = shlex.shlex(line, posix=True, punctuation_chars="|>&;")
                lexer.whitespace_split = True
                words = list(lexer)
                end = next((i for i, word in enumerate(words) if set(word) <= set("|>&;")), len(words))
                yield page.name, words[1:end]


def test_every_example_can_be_run_as_it_stands() -> None:
    examples = list(_examples())
    assert len(examples) > 20
    for page, words in examples:
        assert parse(words), (page, words)


def test_every_command_named_in_a_sentence_exists_with_its_options() -> None:
    named = [
        (page.name, " ".join(words.split()))  # a sentence may break its line within a command
        for page in PAGES
        if page.name != "cli.md"
        for words in re.findall(r"`memdb ([^`]+)`", page.read_text())
    ]
    assert len(named) > 20
    for page, words in named:
        name = next((name for name in (*COMMANDS, *GROUPS) if f"{words} ".startswith(f"{name} ")), "")
        assert name or words.split()[0] in ("COMMAND", "--help"), (page, words)
        options = {option.name for option, _ in command(name).options()} if name in COMMANDS else set()
        assert set(re.findall(r"--[\w-]+", words)) <= options | {"--help"}, (page, words)


def _anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_link_leads_somewhere() -> None:
    count = 0
    for page in PAGES:
        text = page.read_text()
        links = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", text)
        for link in (first or second for first, second in links):
            if "://" in link:
                continue
            count += 1
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), (page.name, link)
            assert not anchor or anchor in _anchors(target), (page.name, link)
    assert count > 40


def test_every_guide_is_in_the_index() -> None:
    index = (DOCS / "index.md").read_text()
    assert [
        page.name for page in DOCS.glob("*.md") if page.name != "index.md" and f"({page.name})" not in index
    ] == []


def test_every_script_it_names_exists() -> None:
    named = {
        (page.name, file)
        for page in PAGES
        for file in re.findall(r"`((?:benchmarks|memdb|docs)/[\w/]+\.py)", page.read_text())
    }
    assert len(named) > 10
    assert [pair for pair in sorted(named) if not (ROOT / pair[1]).is_file()] == []


def test_the_article_is_introduced_where_it_is_first_named() -> None:
    text = (ROOT / "README.md").read_text()
    assert text.index("## The article") == re.search(r"the article|The article", text).start() - len("## ")


def test_every_decision_that_is_referred_to_exists() -> None:
    numbers = {file.name[:4] for file in (DOCS / "decisions").glob("*.md")}
    named = {
        (page.name, number)
        for page in PAGES
        for number in re.findall(r"[(:,] ?(00\d\d)\b(?!-)", page.read_text().partition("\n")[2])
    }
    assert len(named) > 3
    assert {pair for pair in named if pair[1] not in numbers} == set()


def test_every_decision_says_why_and_what() -> None:
    files = sorted((DOCS / "decisions").glob("*.md"))
    numbers = [file.name[:4] for file in files]
    assert len(numbers) == len(set(numbers)) > 20
    for file in files:
        assert file.read_text().startswith(f"# {file.name[:4]}: ")
        text = file.read_text()
        assert "**Context" in text, file.name
        assert "**Choice" in text, file.name
        assert len(text.split()) <= 600, file.name
