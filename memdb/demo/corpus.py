"""The demo's documents: real documentation that is on this machine anyway.

`aws_docs`: every operation in botocore's service models. `redis_docs`: the server's own COMMAND DOCS.
`python_docs`: docstrings of installed packages, read from their source without importing them. Beyond these,
the descriptions of data types in botocore's models, so that up to 60,000 documents can be loaded.
"""

from __future__ import annotations

import ast
import contextlib
import gzip
import hashlib
import importlib.metadata
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import botocore

from memdb import files
from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.demo import kept
from memdb.errors import DamagedFile, MemDBError
from memdb.jobs import Report, silent

MOST = 60_000
MAIN_AT_LEAST = 20_000  # operations and docstrings are more than this; beyond it data types are read too
LONGEST = 2_000  # characters of content; the longest operation's would fill 60 KB and hide the others
SHORTEST = 40  # a description below this says no more than its name
PACKAGES = ("redis", "boto3", "botocore", "numpy", "pandas", "streamlit", "umap")
_DISTRIBUTIONS = {"umap": "umap-learn"}  # where a package is installed under another name
A_PACKAGE = 400  # docstrings of one package at most, so that none outweighs the rest
_PACKAGE_STEPS = 60  # a package takes as long to read as about so many services
# Services that people ask about first: in a small corpus they come earlier than their size would have it.
FAMILIAR = frozenset(
    "s3 dynamodb lambda iam sqs sns kms secretsmanager rds memorydb elasticache bedrock-runtime s3vectors "
    "cloudwatch logs stepfunctions ecs".split(" ")
)
VERBS = frozenset(
    "accept add associate attach batch cancel copy create delete describe disable disassociate enable "
    "execute export generate get import invoke list modify publish put query register reject remove reset "
    "restore search send set start stop tag update untag upload".split(" ")
)
_BLOCKS = frozenset("p li ul ol dt dd br note important tr td h1 h2 h3".split(" "))
_HIDDEN = frozenset("tests test testing vendor vendored _vendor proto conftest.py docs".split(" "))


@dataclass(frozen=True, slots=True)
class Document:
    """One document, without its embedding."""

    key: str
    title: str
    content: str  # plain text on one line: RediSearch glues words around a line break
    service: str
    verb: str
    source: str
    year: int | None  # of the API version; only AWS documents have one

    @property
    def text(self) -> str:
        """What is embedded: the name says much, and the beginning says most."""
        return f"{self.title}. {self.content[:1_000]}"


def documents(
    client: Client | None = None,
    *,
    count: int | None = None,
    home: Path | None = None,
    report: Report = silent,
) -> list[Document]:
    """The corpus, in an order that is the same on every run with the same packages.

    A shorter corpus is the beginning of a longer one, mixed over all services and sources.

    Args:
        client: asked for COMMAND DOCS; without it there are no `redis_docs`.
        count: how many at most; None is all operations, commands and docstrings.
        home: MEMDB_HOME; what was read is kept there, and read from there as long as the packages are of
            the same versions.
        report: told how far the reading is.

    Returns:
        Documents with unique keys.
    """
    main = _installed("main", home, report)
    if client is not None:
        main = _ordered([*main, *_unique(list(_redis(client)))])
    if count is None or count <= MAIN_AT_LEAST:
        return main[:count]
    return (main + _installed("types", home, report))[: min(count, MOST)]


# What the installed packages hold: "main" are operations and docstrings, "types" are data types.
_read: dict[str, list[Document]] = {}


def _installed(part: str, home: Path | None, report: Report) -> list[Document]:
    """One part of what the installed packages hold.

    Read once a process, and with a home once for all processes: it takes seconds of one core, just when the
    engine loads its data and the app starts.
    """
    if part in _read:
        return _read[part]
    file = home / "corpus" / f"{part}.json" if home else None
    stored = _stored(file, part) if file else None
    if stored is None:
        _read[part] = documents = _from_packages(part, report)
        if file:
            kept.keep_rows(file, _edition(), {part: [list(astuple(d)) for d in documents]})
    else:
        _read[part] = stored
    return _read[part]


def _stored(file: Path, part: str) -> list[Document] | None:
    names = [each.name for each in fields(Document)]
    with contextlib.suppress(DamagedFile):
        rows = kept.rows(file, _edition())
        if rows is not None:
            with files.reading(file):
                documents: list[Document] = files.typed(
                    [dict(zip(names, row, strict=True)) for row in rows[part]], list[Document]
                )
                return documents
    return None


def _edition() -> str:
    """Changes with anything the documents follow from: this file, Python and the packages' versions."""
    versions = [
        f"{package} {importlib.metadata.version(_DISTRIBUTIONS.get(package, package))}"
        for package in PACKAGES
        if importlib.util.find_spec(package)
    ]
    edition = "\n".join([sys.version, *versions, Path(__file__).read_text(encoding="utf-8")])
    return hashlib.sha256(edition.encode()).hexdigest()


def _from_packages(part: str, report: Report) -> list[Document]:
    documents: list[Document] = []
    folders, packages = _services(), PACKAGES if part == "main" else ()
    of_service = _operations if part == "main" else _types
    steps = len(folders) + len(packages) * _PACKAGE_STEPS
    for step, (service, folder) in enumerate(folders):
        report("Reading documentation", step, steps)
        documents += of_service(service, int(folder.name[:4]), _model(folder))
    for step, package in enumerate(packages):
        report("Reading documentation", len(folders) + step * _PACKAGE_STEPS, steps)
        documents += _python(package)
    return _ordered(_unique(documents))


def _services() -> list[tuple[str, Path]]:
    base = Path(botocore.__file__).parent / "data"
    newest = []
    for folder in sorted(base.iterdir()):
        versions = sorted(v for v in folder.iterdir() if v.name[:4].isdigit()) if folder.is_dir() else []
        versions = [v for v in versions if list(v.glob("service-2.json*"))]
        if versions:
            newest.append((folder.name, versions[-1]))
    return newest


def _model(folder: Path) -> dict[str, Any]:
    file = next(iter(sorted(folder.glob("service-2.json*"))))
    raw = file.read_bytes()
    model: dict[str, Any] = json.loads(gzip.decompress(raw) if file.suffix == ".gz" else raw)
    return model


def _operations(service: str, year: int, model: dict[str, Any]) -> Iterator[Document]:
    name = _service_name(service, model)
    for operation, described in model["operations"].items():
        # Some operations have a line, a few none: they are operations all the same.
        content = plain_text(described.get("documentation", "")) or f"{name}: {operation}"
        yield Document(
            f"doc:{service}:{operation}",
            f"{name}: {operation}",
            content,
            service,
            _verb(operation),
            "aws_docs",
            year,
        )


def _types(service: str, year: int, model: dict[str, Any]) -> Iterator[Document]:
    name = _service_name(service, model)
    for shape, described in model["shapes"].items():
        content = plain_text(described.get("documentation", ""))
        if len(content) >= SHORTEST:
            yield Document(
                f"doc:{service}:type:{shape}",
                f"{name}: {shape} (data type)",
                content,
                service,
                "type",
                "aws_docs",
                year,
            )
        for member, member_json in described.get("members", {}).items():
            html = member_json.get("documentation", "")
            # Most are short, and a text is no longer than its HTML: these need not be parsed.
            content = plain_text(html) if len(html) >= 3 * SHORTEST else ""
            if len(content) >= 3 * SHORTEST:
                yield Document(
                    f"doc:{service}:type:{shape}.{member}",
                    f"{name}: {shape}.{member}",
                    content,
                    service,
                    "type",
                    "aws_docs",
                    year,
                )


def _service_name(service: str, model: dict[str, Any]) -> str:
    facts = model.get("metadata", {})
    name: str = facts.get("serviceAbbreviation") or facts.get("serviceFullName") or service
    return name


def _redis(client: Client) -> Iterator[Document]:
    try:
        described_commands = replies.pairs(client.execute("COMMAND", "DOCS"))
    except MemDBError:
        return  # not every server tells; the corpus is whole without it
    for name, described in described_commands.items():
        facts = replies.pairs(described)
        yield from _redis_command(name, facts)
        for sub, inner in replies.pairs(facts.get("subcommands")).items():
            yield from _redis_command(sub.replace("|", " "), replies.pairs(inner))


def _redis_command(name: str, facts: dict[str, Any]) -> Iterator[Document]:
    summary = replies.text(facts.get("summary"))
    if not summary:
        return
    parts = [summary]
    if group := replies.text(facts.get("group")):
        parts.append(f"Group: {group}.")
    if named := [_argument(argument) for argument in replies.items(facts.get("arguments"))]:
        parts.append(f"Arguments: {', '.join(named)}.")
    if facts.get("complexity"):
        parts.append(f"Time complexity: {replies.text(facts['complexity'])}.")
    parts += [
        f"Since {replies.text(change[0])}: {replies.text(change[1])}"
        for change in replies.items(facts.get("history"))
        if isinstance(change, list) and len(change) == 2
    ]
    command = name.upper()
    yield Document(
        f"doc:redis:{command.replace(' ', '-')}",
        f"Redis: {command}",
        " ".join(parts)[:LONGEST],
        "redis",
        _verb(command.split(" ")[-1].capitalize()),
        "redis_docs",
        None,
    )


def _argument(described: replies.Reply) -> str:
    """As the documentation writes it, e.g. `[NX | XX]` or `[EX seconds]`."""
    facts = replies.pairs(described)
    inner = [_argument(argument) for argument in replies.items(facts.get("arguments"))]
    kind, token = replies.text(facts.get("type")), replies.text(facts.get("token"))
    name = (" | " if kind == "oneof" else " ").join(inner) or replies.text(facts.get("name"))
    argument = token if kind == "pure-token" else f"{token} {name}".strip()
    optional = "optional" in map(replies.text, replies.items(facts.get("flags")))
    return f"[{argument}]" if optional else argument


def _python(package: str) -> list[Document]:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return []
    root = Path(spec.submodule_search_locations[0])
    files = (file for file in sorted(root.rglob("*.py")) if _public(file.relative_to(root)))
    return _ordered([d for file in files for d in _docstrings(package, root, file)])[:A_PACKAGE]


def _public(path: Path) -> bool:
    return not any(part in _HIDDEN or (part.startswith("_") and part != "__init__.py") for part in path.parts)


def _docstrings(package: str, root: Path, file: Path) -> Iterator[Document]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return
    module = ".".join([package, *file.relative_to(root).with_suffix("").parts]).removesuffix(".__init__")
    for name, node in _named(tree.body):
        content = _line(ast.get_docstring(node) or "")
        if len(content) >= 2 * SHORTEST:
            yield Document(
                f"doc:{package}:{module}.{name}",
                f"Python: {module}.{name}",
                content,
                package,
                _verb(name.rpartition(".")[2].partition("_")[0].capitalize()),
                "python_docs",
                None,
            )


def _named(
    body: list[ast.stmt], prefix: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if node.name.startswith("_"):
            continue
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef) and not prefix:
            yield from _named(node.body, f"{node.name}.")


def _verb(name: str) -> str:
    match = re.match(r"[A-Z][a-z]+", name)
    verb = match.group().lower() if match else ""
    return verb if verb in VERBS else "other"


def _unique(listed: list[Document]) -> list[Document]:
    return list({document.key: document for document in listed}.values())


def _ordered(listed: list[Document]) -> list[Document]:
    """Mixed, the same on every run: by a hash of the key; familiar services come earlier."""

    def place(document: Document) -> float:
        drawn = int.from_bytes(hashlib.blake2b(document.key.encode(), digest_size=6).digest()) / 2**48
        return drawn / 4 if document.service in FAMILIAR else drawn

    return sorted(listed, key=place)


class _Text(HTMLParser):
    """The text of botocore's HTML; an element that is a block of its own is set off by a blank."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.parts.append(" ")


def plain_text(html: str) -> str:
    """HTML as text on one line, at most LONGEST characters, cut at a word."""
    if "<" not in html and "&" not in html:
        return _line(html)
    parser = _Text()
    # Bit by bit until there is enough: the longest has 60 KB, and a cut through a tag would show its half.
    for start in range(0, len(html), LONGEST):
        parser.feed(html[start : start + LONGEST])
        if sum(map(len, parser.parts)) > 2 * LONGEST:
            break
    else:
        parser.close()
    return _line("".join(parser.parts))


def _line(text: str) -> str:
    joined = " ".join(text.split())
    if len(joined) <= LONGEST:
        return joined
    return joined[:LONGEST].rsplit(" ", 1)[0] + " …"
