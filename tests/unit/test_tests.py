"""The tests themselves: each claims something, and no claim may stay unmade."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.unit.source import tree

TESTS = Path(__file__).parent.parent
FILES = sorted(TESTS.rglob("*.py"))
# Calls that fail where something is not so; with `assert` they are what a test can claim by.
CLAIMS = {"raises", "warns", "fail", "expect", "until"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def called(node: ast.AST) -> set[str]:
    """Names of what is called by its bare name: functions of the tests, and claims."""
    calls = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
    names = {func.id for func in calls if isinstance(func, ast.Name)}
    of_modules = {func.attr for func in calls if isinstance(func, ast.Attribute)}
    return names | {name for name in of_modules if name in CLAIMS or name.startswith("assert_")}


def claims(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Assert) for part in ast.walk(node)) or any(
        name in CLAIMS or name.startswith("assert_") for name in called(node)
    )


@cache
def helpers_that_claim() -> frozenset[str]:
    """Functions of the tests that claim something, themselves or through another."""
    every = [function for file in FILES for function in functions(tree(file))]
    held = {function.name for function in every if claims(function)}
    calls = {function.name: called(function) for function in every}
    while True:
        more = {name for name, names in calls.items() if names & held} - held
        if not more:
            return frozenset(name for name in held if not name.startswith("test_"))
        held |= more


def without_a_claim(tree: ast.AST, helpers: frozenset[str]) -> list[str]:
    return [
        function.name
        for function in functions(tree)
        if function.name.startswith("test_") and not claims(function) and not called(function) & helpers
    ]


def names_in(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


# Calls that tell nothing new: what they are given is what they depend on.
PLAIN = {
    "len",
    "range",
    "set",
    "enumerate",
    "zip",
    "isinstance",
    "items",
    "values",
    "startswith",
    "endswith",
    "split",
}


def follows_from(node: ast.AST, known: set[str]) -> bool:
    """Whether an expression's value is fixed by these names alone."""
    calls = {ast.unparse(c.func).rpartition(".")[2] for c in ast.walk(node) if isinstance(c, ast.Call)}
    return calls <= PLAIN and names_in(node) <= known | PLAIN


@cache
def of_the_file(tree: ast.Module) -> frozenset[str]:
    """Constants, what is imported, and functions."""
    imported = (line for line in tree.body if isinstance(line, ast.ImportFrom))
    return frozenset(
        {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id.isupper()}
        | {alias.asname or alias.name for line in imported for alias in line.names}
        | {function.name for function in functions(tree)}
    )


def settled(function: Function, tree: ast.Module) -> set[str]:
    """Names whose values the source itself gives: parameters of `parametrize`, constants, literals looped over.

    What is asserted for one of them is asserted on every run.
    """
    known: set[str] = set()
    for mark in function.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.parametrize":
            words = ast.literal_eval(mark.args[0])
            known |= {words} if isinstance(words, str) else set(words)
    known |= of_the_file(tree)
    before = -1
    while before < len(known):  # a name may follow from one that follows from one
        before = len(known)
        for node in ast.walk(function):
            if isinstance(node, ast.For | ast.comprehension) and follows_from(node.iter, known):
                known |= names_in(node.target)
            elif isinstance(node, ast.Assign) and follows_from(node.value, known):
                known |= {name for target in node.targets for name in names_in(target)}
    return known


def may_stay_unmade(tree: ast.Module) -> list[str]:
    """Claims under an `if` that depends on what was measured, with nothing claimed where it does not hold."""
    told = []
    for function in functions(tree):
        if not function.name.startswith("test_"):
            continue
        known = settled(function, tree)
        hooks = [inner for inner in functions(function) if inner is not function]
        inside = {part for hook in hooks for part in ast.walk(hook)}
        for node in ast.walk(function):
            if isinstance(node, ast.If) and node not in inside and not follows_from(node.test, known):
                one, other = (any(map(claims, part)) for part in (node.body, node.orelse))
                if one != other and not isinstance(node.body[-1], ast.Continue):  # what follows is its else
                    told.append(f"{function.name}: if {ast.unparse(node.test)}")
    return told


@pytest.mark.parametrize("file", [f for f in FILES if f.name.startswith("test_")], ids=lambda file: file.stem)
def test_every_test_makes_its_claims(file: Path) -> None:
    parsed = tree(file)
    assert without_a_claim(parsed, helpers_that_claim()) == []
    assert may_stay_unmade(parsed) == []


@pytest.mark.parametrize(
    "source",
    [
        "def test_a():\n    f()",
        "def test_a():\n    guard.check(1)",
        "class T:\n    def test_a(self):\n        x = 1",
    ],
)
def test_a_test_without_a_claim_is_seen(source: str) -> None:
    assert without_a_claim(ast.parse(source), frozenset({"check"})) == ["test_a"]


@pytest.mark.parametrize(
    "body",
    [
        "assert x",
        "with pytest.raises(E):\n        f()",
        "expect(x).to_be_visible()",
        "until(f, 'it is')",
        "np.testing.assert_allclose(x, y)",
        "check(x)",
    ],
)
def test_every_kind_of_claim_counts(body: str) -> None:
    assert without_a_claim(ast.parse(f"def test_a():\n    {body}"), frozenset({"check"})) == []


@pytest.mark.parametrize(
    "body",
    [
        "x = f()\n    if x:\n        assert x",
        "for x in f():\n        if x > 1:\n            assert x",
        "if x:\n        pass\n    else:\n        assert y",
    ],
)
def test_a_claim_that_may_stay_unmade_is_seen(body: str) -> None:
    assert len(may_stay_unmade(ast.parse(f"def test_a(x):\n    {body}"))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "@pytest.mark.parametrize('kind', KINDS)\ndef test_a(kind):\n    if kind == 'a':\n        assert x",
        "def test_a():\n    for n in (0, 1):\n        if n:\n            assert x",
        "def test_a(x):\n    if x:\n        assert x\n    else:\n        assert y",
    ],
)
def test_a_claim_about_a_parameter_is_made(source: str) -> None:
    assert may_stay_unmade(ast.parse(source)) == []
