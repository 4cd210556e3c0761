"""What a docstring must say: the shapes of arrays that come and go, and the errors that are raised."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import memdb
from memdb import errors
from tests.unit.source import tree

ROOT = Path(memdb.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
ERRORS = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.MemDBError)
}
NUMPY = {"NDArray", "ndarray"}
# (n,) or (n, d), also (n, 2|3), (len(texts), dimension) and (n + 1,): a comma, and no words of prose alone.
_AXIS = r"[\w|]+(?:\(\w+(?:, \w+)*\))?(?: [+×·-] \w+)?"
SHAPE = re.compile(rf"\({_AXIS},(?: {_AXIS}(?:, {_AXIS})*)?\)")
_LENGTH = re.compile(r"\b(\w|\w+\(.*\))(?=[,)|]| [+×·-])")


def annotated(trees: list[ast.Module]) -> set[str]:
    """Names that stand for arrays, as `Floats = NDArray[np.float32]` makes one, or hold them."""
    names: set[str] = set()
    while True:
        more = {
            node.targets[0].id
            for tree in trees
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            if isinstance(node.value, ast.Subscript | ast.Name | ast.BinOp) and is_array(node.value, names)
            if not ast.unparse(node.value).startswith("Callable")
        }
        if more <= names:
            return names
        names |= more


def is_array(annotation: ast.expr, names: set[str]) -> bool:
    named = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(annotation)
        if isinstance(node, ast.Attribute | ast.Name)
    }
    return not named.isdisjoint(NUMPY | names)


def tells_a_shape(said: str) -> bool:
    """Whether an axis stands in brackets by its letter, its number or what counts it, or alone as (dim,)."""
    shapes = [shape.group() for shape in SHAPE.finditer(said)]
    return any(shape.endswith(",)") or _LENGTH.search(shape[1:]) for shape in shapes)


def public(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from ((f"{node.name}.{n.name}", n) for n in node.body if isinstance(n, ast.FunctionDef))


def raised(function: ast.FunctionDef, makers: set[str]) -> set[str]:
    """Our errors that leave this function by a `raise` of its own; one that it catches itself does not."""

    def name(node: ast.expr | None) -> str:
        node = node.func if isinstance(node, ast.Call) else node
        return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""

    def walk(node: ast.AST, caught: frozenset[str]) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            return
        if isinstance(node, ast.Raise) and (name(node.exc) in ERRORS | makers):
            if not caught & {name(node.exc), "MemDBError"}:
                yield name(node.exc)
            return
        if isinstance(node, ast.Try):
            types = [h.type.elts if isinstance(h.type, ast.Tuple) else [h.type] for h in node.handlers]
            inner = caught | {name(each) for several in types for each in several}
            for child in node.body:
                yield from walk(child, inner)
            rest: list[ast.AST] = [*node.handlers, *node.orelse, *node.finalbody]
        else:
            rest = list(ast.iter_child_nodes(node))
        for child in rest:
            yield from walk(child, caught)

    return {error for statement in function.body for error in walk(statement, frozenset())}


def silent(tree: ast.Module, arrays: set[str]) -> Iterator[str]:
    """What the docstrings of a module's public functions leave out."""
    makers = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.returns and ast.unparse(node.returns) in ERRORS
    }
    for name, function in public(tree):
        if function.name.startswith("_") or any(
            ast.unparse(d) == "overload" for d in function.decorator_list
        ):
            continue
        said = ast.get_docstring(function) or ""
        given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        annotations = [*(arg.annotation for arg in given), function.returns]
        if any(each is not None and is_array(each, arrays) for each in annotations) and not tells_a_shape(
            said
        ):
            yield f"{name}: no shape"
        if (leaving := raised(function, makers)) and "Raises:" not in said:
            yield f"{name}: raises {', '.join(sorted(leaving))}"


def strange(tree: ast.Module) -> Iterator[str]:
    """Arguments that a docstring tells of and the function does not take."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and "Args:" in (said := ast.get_docstring(node) or ""):
            told = re.split(r"\n(?=\w)", said.split("Args:\n", 1)[-1])[0]
            names = {
                name for line in re.findall(r"^    (\w[\w, *]*): ", told, re.M) for name in line.split(", ")
            }
            arguments = node.args
            taken = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            taken += [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
            yield from (f"{node.name}: no argument {name}" for name in names - {a.arg for a in taken})


def test_public_functions_tell_shapes_and_errors() -> None:
    trees = {path: tree(path) for path in FILES}
    arrays = annotated(list(trees.values()))
    assert {"Floats", "Doubles"} <= arrays
    wrong = [
        f"{path.relative_to(ROOT)}: {what}"
        for path, parsed in trees.items()
        for what in (*silent(parsed, arrays), *strange(parsed))
    ]
    assert not wrong, "\n".join(wrong)


def test_an_argument_that_is_none_is_seen() -> None:
    source = 'def f(x: int) -> None:\n    """Do.\n\n    Args:\n        x: one.\n        y: two.\n    """'
    assert list(strange(ast.parse(source))) == ["f: no argument y"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ('def f(x: Floats) -> None:\n    """Lengths."""', ["f: no shape"]),
        ('def f(x: Floats) -> None:\n    """Lengths (of each, as it came)."""', ["f: no shape"]),
        ('def f(x: Floats) -> None:\n    """Lengths (filters, times)."""', ["f: no shape"]),
        ('def f(x: Floats) -> None:\n    """Lengths of (n, d)."""', []),
        ('class C:\n    def f(self) -> NDArray[np.intp] | None:\n        """Places."""', ["C.f: no shape"]),
        ('def f() -> list[Floats]:\n    """(len(texts), 2|3) of each."""', []),
        ('def _f(x: Floats) -> None:\n    """Private."""', []),
        ('def f() -> None:\n    """Ask."""\n    if x:\n        raise BadInput("x")', ["f: raises BadInput"]),
        ('def f() -> None:\n    """Ask."""\n    raise errors.NotFound', ["f: raises NotFound"]),
        ('def m() -> BadInput: ...\ndef f() -> None:\n    """Ask."""\n    raise m()', ["f: raises m"]),
        (
            'def f() -> None:\n    """Ask.\n\n    Raises:\n        BadInput: x.\n    """\n    raise BadInput("x")',
            [],
        ),
        (
            'def f() -> None:\n    """Ask."""\n    try:\n        raise BadInput\n    except MemDBError: ...',
            [],
        ),
        (
            'def f() -> None:\n    """Ask."""\n    try: ...\n    except OSError:\n        raise Busy',
            ["f: raises Busy"],
        ),
        ('def f() -> None:\n    """Ask."""\n    raise ValueError', []),
    ],
)
def test_a_silent_docstring_is_seen(source: str, told: list[str]) -> None:
    assert list(silent(ast.parse(source), {"Floats"})) == told
