"""Imports point one way: library, kit, page families, pages; and no command names above the library."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from memdb import errors
from memdb.cluster import dialects
from tests.unit.source import nodes, tree

ROOT = Path(__file__).parent.parent.parent
UI = ROOT / "memdb" / "ui"
FAMILIES = {folder.name for folder in UI.iterdir() if (folder / "__init__.py").exists()} - {"kit"}
# A command of the server as a literal of its own, or something that sends one.
COMMANDS = re.compile(
    r"\.execute\(|\.pipeline\(|[\"'](FT\.[A-Z_]+|[HM]?GET(ALL)?|[HP]?SET|PTTL|SCAN|INFO|PING|DEL|TYPE|JSON\.\w+)[\"'\s]"
)


def python(*places: str) -> list[Path]:
    return sorted(
        path
        for place in places
        for path in ((ROOT / place).rglob("*.py") if (ROOT / place).is_dir() else [ROOT / place])
    )


def imports(source: str) -> set[str]:
    """Every module a source imports, also inside functions; `from a import b` gives a and a.b."""
    return _imported(ast.walk(ast.parse(source)))


@cache
def imports_of(path: Path) -> set[str]:
    return _imported(nodes(path))


def _imported(walked: Iterable[ast.AST]) -> set[str]:
    names: set[str] = set()
    for node in walked:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def family_of(name: str) -> str | None:
    """The page family a module belongs to."""
    parts = name.split(".")
    return parts[2] if parts[:2] == ["memdb", "ui"] and len(parts) > 2 and parts[2] in FAMILIES else None


def families_inside(names: set[str]) -> set[str]:
    """Modules of a page family other than its face, that is, other than the package itself."""
    inside = set()
    for name in names:
        parts = name.split(".")
        if family_of(name) is not None and len(parts) > 3:
            package = UI / parts[2]
            if (package / f"{parts[3]}.py").exists():
                inside.add(".".join(parts[:4]))
    return inside


def broken_rules(path: Path, source: str, names: set[str]) -> list[str]:
    """What a file imports or names against the rules of its place."""
    place = path.relative_to(ROOT).parts
    told = []
    if place[:2] != ("memdb", "ui"):
        if place[0] == "memdb":
            told += [f"{path} knows Streamlit" for name in names if name.split(".")[0] == "streamlit"]
            told += [f"{path} imports {name}" for name in names if name.split(".")[:2] == ["memdb", "ui"]]
        return told
    if place[2] == "kit":
        told += [f"{path} imports {n}" for n in names if family_of(n) is not None or n == "memdb.ui.frame"]
    elif place[2] in FAMILIES:
        told += [f"{path} imports {n}" for n in families_inside(names) if n.split(".")[2] != place[2]]
    elif place[2] != "entry.py":  # the entry puts everything together
        told += [f"{path} imports {n}" for n in families_inside(names)]
    if place[2] == "frame.py":
        told += [f"{path} imports {n}" for n in names if family_of(n) is not None]
    if (found := COMMANDS.search(source)) is not None:
        told.append(f"{path} names a command: {found.group()}")
    return told


def test_every_file_keeps_the_rules_of_its_place() -> None:
    files = python("memdb")
    assert len(files) > 250
    assert [told for path in files for told in broken_rules(path, path.read_text(), imports_of(path))] == []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("memdb/ui/kit/parts.py", "from memdb.ui.map import points"),
        ("memdb/ui/kit/parts.py", "def f():\n    import memdb.ui.tune.cached"),
        ("memdb/ui/kit/parts.py", "from memdb.ui import frame"),
        ("memdb/ui/map/page.py", "from memdb.ui.tune import cached"),
        ("memdb/ui/map/page.py", "from memdb.ui.tune.cached import listed"),
        ("memdb/ui/home.py", "from memdb.ui.durability import local"),
        ("memdb/ui/frame.py", "from memdb.ui import metrics"),
        ("memdb/ui/map/page.py", "client.execute(name)"),
        ("memdb/ui/map/page.py", "x = ('PTTL', key)"),
        ("memdb/ui/map/page.py", 'x = f"FT.DROPINDEX {name}"'),
        ("memdb/maps/run.py", "import streamlit as st"),
        ("memdb/maps/run.py", "from memdb.ui import kit"),
    ],
)
def test_a_broken_rule_is_seen(place: str, source: str) -> None:
    assert broken_rules(ROOT / place, source, imports(source))


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("memdb/ui/plan/costs.py", "from memdb.ui import tune\nfrom memdb.ui.tune import listed"),
        ("memdb/ui/map/page.py", "from memdb.ui.map import cached\nfrom memdb.ui.kit import parts"),
        (
            "memdb/ui/present/steps.py",
            "from memdb.ui import durability\nfrom memdb.ui.durability import start",
        ),
    ],
)
def test_a_face_may_be_used(place: str, source: str) -> None:
    assert broken_rules(ROOT / place, source, imports(source)) == []


def test_the_library_has_no_circle() -> None:
    """Packages may know each other; modules import in one direction when they are loaded."""
    graph: dict[str, set[str]] = {}
    for path in python("memdb"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        graph[name] = _at_load(path)
    done: set[str] = set()

    def walk(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " → ".join((*above, name))
        if name not in done:
            for below in sorted(graph[name] & graph.keys() - {name}):
                walk(below, (*above, name))
            done.add(name)

    for name in graph:
        if "__init__" not in name and not _is_package(name):
            walk(name, ())


def _at_load(path: Path) -> set[str]:
    names: set[str] = set()
    for node in tree(path).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.startswith("memdb.") and not _is_package(name)}


@cache
def _is_package(name: str) -> bool:
    return ROOT.joinpath(*name.split(".")).is_dir()


def _holding(kind: str) -> set[str]:
    """Files under memdb whose source does this; text within strings does nothing."""
    return {
        str(path.relative_to(ROOT / "memdb"))
        for path in python("memdb")
        if any(_is(kind, node) for node in nodes(path))
    }


def _is(kind: str, node: ast.AST) -> bool:
    if kind == "print":
        return isinstance(node, ast.Call) and _name(node.func) in {"print", "sys.stdout.write"}
    return isinstance(node, ast.Attribute) and _name(node) in {"st.cache_data", "st.cache_resource"}


def _name(node: ast.AST) -> str:
    """`a.b.c` of names and attributes; of anything else nothing."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _importing(module: str) -> set[str]:
    return {
        str(path.relative_to(ROOT / "memdb"))
        for path in python("memdb")
        if any(name == module or name.startswith(module + ".") for name in imports_of(path))
    }


def test_the_command_line_prints_in_one_place() -> None:
    assert _holding("print") == {"cli/output.py"}


def test_formulas_of_intervals_have_one_home() -> None:
    # Fisher's test of the map's regions is no interval.
    assert _importing("scipy.stats") | _importing("scipy.special") == {"intervals.py", "maps/drift.py"}


def test_cached_reads_live_where_the_decision_says() -> None:
    """docs/decisions/0005-cache-keys.md names those beside kit/cached.py and <family>/cached.py."""
    elsewhere = {name for name in _holding("cached read") if not name.endswith("/cached.py")}
    text = (ROOT / "docs" / "decisions" / "0005-cache-keys.md").read_text()
    assert elsewhere == set(re.findall(r"`memdb/(ui/[\w/]+\.py)`", text)) - {"ui/kit/cached.py"}


def test_pages_are_a_few_lines() -> None:
    pages = python("pages")
    assert len(pages) == 15
    for path in pages:
        source = path.read_text()
        assert len(source.splitlines()) <= 12, path
        assert not COMMANDS.search(source), path
        assert {n for n in imports_of(path) if not n.startswith("memdb.ui")} == set(), path


def test_no_html_is_ever_switched_on() -> None:
    """Stylesheets of ours are handed over by their path; no text is ever read as HTML."""
    sources = python("memdb", "pages", "streamlit_app.py")
    switched = [
        (p.relative_to(ROOT).as_posix(), what)
        for p in sources
        for what in re.findall(r"unsafe_allow_html|st\.html\([^)]*\)|components\.v1", p.read_text())
    ]
    assert switched == [
        ("memdb/ui/frame.py", "st.html(LOOK)"),
        ("memdb/ui/frame.py", "st.html(DARK)"),
        ("memdb/ui/present/page.py", "st.html(LOOK)"),
    ]
    assert (
        'LOOK, DARK = Path(__file__).with_name("look.css"), Path(__file__).with_name("dark.css")'
        in (UI / "frame.py").read_text()
    )
    assert 'LOOK = Path(__file__).with_name("present.css")' in (UI / "present" / "page.py").read_text()


ENGINES = set(get_args(dialects.Name)) - {"none"}


def _engine_is_compared(node: ast.AST) -> bool:
    """A comparison with an engine's name written out."""
    parts = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
    words = [e for part in parts for e in (part.elts if isinstance(part, ast.Tuple | ast.Set) else [part])]
    return any(isinstance(word, ast.Constant) and word.value in ENGINES for word in words)


def test_each_fact_is_known_in_the_places_that_say_so() -> None:
    """What docstrings claim: who knows redis-py, who reads the environment, where engines are branched on."""
    redis, environment, engines = set(), set(), set()
    for path in python("memdb"):
        place = path.relative_to(ROOT / "memdb").as_posix()
        if any(name.split(".")[0] == "redis" for name in imports_of(path)):
            redis.add(place)
        for node in nodes(path):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
                environment.add(place)
            if _engine_is_compared(node):
                engines.add(place)
    assert {place for place in redis if not place.startswith("cluster/")} == {"durability/drill.py"}
    assert environment == {"settings.py"}
    assert {place for place in engines if not place.startswith("sizing/")} == {
        "cluster/dialects.py",
        "operations/index_memory.py",
        "operations/memory.py",
    }


def test_the_guide_names_the_rooms_that_are_there() -> None:
    guide = (ROOT / "docs" / "architecture.md").read_text()
    tree = guide.split("```")[1]
    packages = {folder.name for folder in (ROOT / "memdb").iterdir() if (folder / "__init__.py").exists()}
    assert set(re.findall(r"^  (\w+)/", tree, re.M)) == packages
    assert set(re.findall(r"(\w+)/", tree.split("  ui/")[1])) >= FAMILIES | {"kit"}
    for name in re.findall(r"`((?:memdb|pages)/[\w/]+\.py)`", guide):
        assert (ROOT / name).exists(), name
    alone = {path.stem for path in (ROOT / "memdb").glob("*.py")} - {"__init__", "__main__"}
    assert set(re.findall(r"`(\w+)`", guide.split("Files directly in")[1].split("## ")[0])) == alone


# Words that say that something was done and not what a thing is: how often each may name a local, a parameter
# or a function. `left` stands beside `right`, `now` is a time, `done` stands beside `total`.
VAGUE = {
    "told": 10,
    "made": 7,
    "shown": 9,
    "kept": 6,
    "asked": 6,
    "known": 10,
    "said": 3,
    "held": 4,
    "left": 72,
    "now": 52,
    "seen": 9,
    "given": 0,
    "done": 8,
    "found": 0,
    "one": 2,
    "taken": 13,
}


def test_names_say_what_they_hold() -> None:
    names = [name for path in python("memdb", "pages") for name in _bound_names(tree(path), inside=False)]
    counts = Counter(name for name in names if name in VAGUE)
    assert {word: counts[word] for word, most in VAGUE.items() if counts[word] > most} == {}


def _bound_names(node: ast.AST, *, inside: bool) -> Iterable[str]:
    """Names of functions and parameters, and of locals once each time they are bound."""
    for child in ast.iter_child_nodes(node):
        within = inside
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child.name
            within = True
        elif isinstance(child, ast.ClassDef):
            within = False
        elif isinstance(child, ast.arg):
            yield child.arg
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store) and inside:
            yield child.id
        yield from _bound_names(child, inside=within)


def test_the_tree_of_errors_is_whole() -> None:
    above: list[str] = []
    bases: dict[str, str] = {}
    for indent, name in re.findall(r"^((?:[│├└─ ]{4})*)([A-Z]\w+)  ", errors.__doc__ or "", re.M):
        above = [*above[: len(indent) // 4], name]
        bases[name] = above[-2] if len(above) > 1 else "Exception"
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.MemDBError)]
    assert bases == {c.__name__: c.__bases__[0].__name__ for c in classes}


def test_a_text_of_digits_becomes_a_number_in_one_place() -> None:
    """`"²".isdigit()` is true and `int("²")` fails, as of thousands of digits: `numerals.whole_number` is asked."""
    asked = {
        str(path.relative_to(ROOT))
        for path in python("memdb")
        for node in nodes(path)
        if isinstance(node, ast.Attribute) and node.attr in ("isdigit", "isdecimal", "isnumeric")
    }
    # A folder of the package's data, lines of our own process, and words that are left out.
    own = {"memdb/numerals.py", "memdb/demo/corpus.py", "memdb/maps/plain.py", "memdb/maps/region.py"}
    assert asked <= own
