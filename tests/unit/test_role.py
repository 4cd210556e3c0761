"""What changes or starts something in the app asks who may, in one place: a walk over the sources of all pages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.unit import source

ROOT = Path(__file__).parent.parent.parent
UI = ROOT / "memdb" / "ui"
Name = tuple[str, str]  # a module, and a function of it
# What alone reaches the disk, a process or a server of this machine.
WRITES = {"unlink", "rmtree", "kill", "Popen", "write_text", "write_bytes"}
SHELF = {"delete", "prune"}  # of a folder in which the newest stay
# Jobs that read and keep nothing but caches, in the browser's own slot. Everything else that is started asks.
READ = {
    ("metrics/probe.py", "_start"),
    ("search/beside.py", "_start"),
    ("search/exact.py", "_start_exact"),
    ("sessions/listing.py", "_search"),
    ("sessions/overview.py", "_start"),
    ("sessions/bulk.py", "_plan"),
    ("sessions/bulk.py", "_read"),
    ("tune/slices.py", "_start"),
    ("map/form.py", "start"),
    ("map/two.py", "_start"),
    ("present/cached.py", "preparing"),
}
# The client refuses these on a target that is not writable, which a look-only visitor's never is.
OF_THE_SERVER = {
    ("home.py", "_start"),
    ("home.py", "_begin_again"),
    ("sessions/bulk.py", "_do"),
    ("tune/indexes.py", "_start_build"),
    ("relevance/another.py", "_start"),
    ("relevance/another.py", "_remove"),
}
# Caches, made again where they are gone.
CACHES = {("map/query.py", "live"), ("search/exact.py", "_truth")}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports(path: Path) -> dict[str, Name]:
    """Local name → module and, where a function was imported, its name."""
    told: dict[str, Name] = {}
    for node in source.nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("memdb"):
            for alias in node.names:
                whole = ROOT.joinpath(*f"{node.module}.{alias.name}".split("."))
                is_module = whole.with_suffix(".py").exists() or whole.is_dir()
                told[alias.asname or alias.name] = (
                    (f"{node.module}.{alias.name}", "") if is_module else (node.module, alias.name)
                )
    return told


def called(path: Path, function: ast.AST) -> Iterator[Name]:
    """Functions of the package that it calls or hands on, by name."""
    known = imports(path)
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
            yield known[node.value.id][0], node.attr
        elif isinstance(node, ast.Name):
            yield known.get(node.id, (module_of(path), node.id))


@cache
def writers() -> frozenset[Name]:
    """Functions below the pages that write into the home or start a process, by themselves or by others."""
    calls: dict[Name, set[Name]] = {}
    direct: set[Name] = set()
    for path in (ROOT / "memdb").rglob("*.py"):
        if path.is_relative_to(UI) or path.name == "files.py":  # reading sets a damaged file aside
            continue
        for node in source.tree(path).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            name = (module_of(path), node.name)
            calls[name] = set(called(path, node))
            attributes = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
            shelves = {
                n.attr
                for n in ast.walk(node)
                if isinstance(n, ast.Attribute) and ast.unparse(n.value).isupper()
            }
            if attributes & WRITES or shelves & SHELF or ("memdb.files", "write") in calls[name]:
                direct.add(name)
    reached = set(direct)
    while more := {name for name, others in calls.items() if others & reached} - reached:
        reached |= more
    return frozenset(reached)


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    yield from (node for node in source.tree(path).body if isinstance(node, ast.FunctionDef))


def asks(function: ast.FunctionDef) -> bool:
    return any(ast.unparse(each) == "role.changes" for each in function.decorator_list)


def starts(function: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "start"
        and (ast.unparse(node.func.value).isupper() or "jobs()" in ast.unparse(node.func.value))
        for node in ast.walk(function)
    )


def pages() -> Iterator[tuple[str, Path]]:
    for path in sorted(UI.rglob("*.py")):
        if path.parent.name != "kit" and path.name not in ("served.py", "logs.py", "entry.py"):
            yield str(path.relative_to(UI)), path


def test_every_job_of_a_page_asks_or_only_reads() -> None:
    free = {(name, f.name) for name, path in pages() for f in functions(path) if starts(f) and not asks(f)}
    assert free - OF_THE_SERVER == READ


def test_everything_that_keeps_something_for_all_asks() -> None:
    reached = writers()
    assert {("memdb.tuning.store", "delete"), ("memdb.relevance.labels", "judge")} <= reached
    assert {("memdb.tuning.ask", "run_saved"), ("memdb.watch.series", "switch")} <= reached
    assert ("memdb.durability.drill", "run") in reached
    free = {
        (name, function.name): sorted(set(called(path, function)) & reached)
        for name, path in pages()
        for function in functions(path)
        if not asks(function) and set(called(path, function)) & reached
    }
    assert not {place: what for place, what in free.items() if place not in OF_THE_SERVER | CACHES | READ}


def test_a_widget_of_something_that_asks_shows_that_it_is_locked() -> None:
    asking = {
        (module_of(path), function.name)
        for _, path in pages()
        for function in functions(path)
        if asks(function)
    }
    assert len(asking) >= 18
    widgets: dict[str, bool] = {}
    for name, path in pages():
        for node in source.nodes(path):
            if not isinstance(node, ast.Call):
                continue
            given = {word.arg: word.value for word in node.keywords}
            shown = ast.unparse(given.get("disabled", ast.Constant(value=False)))
            events = [given[event] for event in ("on_click", "on_change", "on_submit") if event in given]
            if ast.unparse(node.func) == "parts.start_button":
                events.append(node.args[1])
            elif ast.unparse(node.func) == "kept_runs.open_or_delete":  # which locks what deletes
                events.append(node.args[3])
                locking = (UI / "kit" / "kept_runs.py").read_text()
                shown = locking.split("on_click=delete_it")[0].split("on_click=")[-1]
            if any(set(called(path, event)) & asking for event in events):
                widgets[f"{name}:{node.lineno}"] = "role.locked()" in shown
    assert len(widgets) >= 17
    assert [place for place, locked in widgets.items() if not locked] == []
