"""Which texts a Streamlit call shows, and whether each is ours or went through memdb.display: a walk over sources.

A text is *ours* where it is written out in the source, a number, or put together from such texts. Everything
else may come from a server, a file, AWS, a link or a visitor, and has to go through the one way:
`markdown` or `code` where Streamlit reads Markdown, also `line` or `plain` where it does not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from tests.unit.source import tree

ROOT = Path(__file__).parent.parent.parent
MARKDOWN, TEXT = "markdown", "text"
_BODY, _LABEL = {0: MARKDOWN, "body": MARKDOWN}, {0: MARKDOWN, "label": MARKDOWN}
_TITLED = {**_BODY, "title": MARKDOWN}
_TYPED = {**_LABEL, "placeholder": TEXT}
_BOX = {**_TYPED, 1: TEXT, "options": TEXT, "format_func": TEXT}
_BUTTONS = {**_LABEL, 1: MARKDOWN, "options": MARKDOWN, "format_func": MARKDOWN, "captions": MARKDOWN}
_PLAIN = {0: TEXT, "body": TEXT}
_HEAD = {0: TEXT, "label": TEXT}
# What a call shows, by place or name of the argument; `help` is Markdown everywhere.
SHOWN: dict[str, dict[int | str, str]] = {
    **dict.fromkeys(
        ("markdown", "caption", "title", "header", "subheader", "badge", "toast", "write"), _BODY
    ),
    **dict.fromkeys(("info", "warning", "error", "success"), _TITLED),
    **dict.fromkeys(("button", "form_submit_button", "popover", "expander", "status", "page_link"), _LABEL),
    **dict.fromkeys(("checkbox", "toggle", "slider", "number_input", "file_uploader"), _LABEL),
    **dict.fromkeys(("text_input", "text_area", "date_input", "time_input"), _TYPED),
    **dict.fromkeys(("selectbox", "multiselect"), _BOX),
    **dict.fromkeys(("radio", "segmented_control", "pills", "select_slider"), _BUTTONS),
    **dict.fromkeys(("text", "code", "json"), _PLAIN),
    **dict.fromkeys(("Column", "TextColumn", "NumberColumn", "ProgressColumn", "DatetimeColumn"), _HEAD),
    **dict.fromkeys(("CheckboxColumn", "ListColumn", "SelectboxColumn"), _HEAD),
    "tabs": {0: MARKDOWN, "tabs": MARKDOWN},
    "metric": {**_LABEL, 1: MARKDOWN, "value": MARKDOWN, 2: MARKDOWN, "delta": MARKDOWN},
    "progress": {1: MARKDOWN, "text": MARKDOWN},
    "spinner": {0: MARKDOWN, "text": MARKDOWN},
    "dialog": {0: MARKDOWN, "title": MARKDOWN},
    "chat_message": {0: TEXT, "name": TEXT},
    "chat_input": {0: TEXT, "placeholder": TEXT},
    "download_button": {**_LABEL, 2: TEXT, "file_name": TEXT},
    "link_button": {**_LABEL, 1: TEXT, "url": TEXT},
    "image": {1: MARKDOWN, "caption": MARKDOWN},
    "plotly_chart": {"alt": TEXT},
    "set_page_config": {0: TEXT, "page_title": TEXT},
    "Page": {"title": MARKDOWN},
}
NUMBERS = {"int", "float", "bool", "None", "complex", "date", "datetime", "timedelta"}
SAFE = {MARKDOWN: {"markdown", "code"}, TEXT: {"markdown", "code", "line", "plain", "figure_text", "labels"}}
COUNTING = {
    "len",
    "round",
    "int",
    "float",
    "sum",
    "abs",
    "bytes_text",
    "duration",
    "bool",
    "isoformat",
    "strftime",
}
KEEPING = {
    "replace",
    "strip",
    "lower",
    "upper",
    "capitalize",
    "removesuffix",
    "removeprefix",
    "rstrip",
    "lstrip",
}


@dataclass(frozen=True)
class Shown:
    """One text that a call shows."""

    path: Path
    line: int
    call: str
    argument: str
    source: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} {self.call}({self.argument}={self.source})"


@dataclass(frozen=True, eq=False)
class Module:
    """A source with what it defines and imports."""

    path: Path
    tree: ast.Module

    @cached_property
    def functions(self) -> dict[str, ast.FunctionDef]:
        return {node.name: node for node in self.tree.body if isinstance(node, ast.FunctionDef)}

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        return {node.name: node for node in self.tree.body if isinstance(node, ast.ClassDef)}

    @cached_property
    def values(self) -> dict[str, ast.expr]:
        made: dict[str, ast.expr] = {}
        for node in self.tree.body:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    made |= dict(_bound(target, node.value))
            elif (
                isinstance(node, ast.AnnAssign)
                and node.value is not None
                and isinstance(node.target, ast.Name)
            ):
                made[node.target.id] = node.value
        return made

    @cached_property
    def imports(self) -> dict[str, str]:
        """Name here → dotted name there, of this package only."""
        names: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "memdb":
                names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                names |= {(a.asname or a.name): a.name for a in node.names if a.name.split(".")[0] == "memdb"}
        return names

    @cached_property
    def others(self) -> set[str]:
        """Names of imported modules that are not Streamlit: their `table` and `title` are no calls of it."""
        names = set(self.imports)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names |= {(a.asname or a.name).split(".")[0] for a in node.names}
        return names - {"st"}


@dataclass(frozen=True, eq=False)
class Scope:
    """A function (or a whole module) in which names are looked up."""

    module: Module
    function: ast.FunctionDef | ast.Lambda | None
    outer: Scope | None = None
    depth: int = 0
    seen: frozenset[object] = field(default_factory=frozenset)

    @cached_property
    def assigned(self) -> dict[str, list[tuple[ast.expr | None, bool]]]:
        """Name → what it is given, and whether it is one of what the expression gives."""
        given: dict[str, list[tuple[ast.expr | None, bool]]] = {}

        def note(target: ast.expr, value: ast.expr | None, each: bool) -> None:
            if isinstance(target, ast.Name):
                given.setdefault(target.id, []).append((value, each))
            elif isinstance(target, ast.Tuple | ast.List):
                for place, part in enumerate(target.elts):
                    if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts) and not each:
                        note(part, value.elts[place], each=False)
                    elif (
                        each
                        and isinstance(value, ast.Tuple | ast.List)
                        and all(
                            isinstance(e, ast.Tuple) and len(e.elts) == len(target.elts) for e in value.elts
                        )
                    ):
                        for e in value.elts:
                            note(part, e.elts[place], each=False)  # type: ignore[attr-defined]
                    else:
                        note(part, value, each=True)
            elif isinstance(target, ast.Starred):
                note(target.value, value, each)

        body = self.function.body if isinstance(self.function, ast.FunctionDef) else []
        for node in _inside(body):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    note(target, node.value, each=False)
            elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
                if node.value is not None:
                    note(node.target, node.value, each=False)
            elif isinstance(node, ast.For | ast.comprehension):
                note(node.target, node.iter, each=True)
            elif isinstance(node, ast.With):
                for item in node.items:
                    if item.optional_vars is not None:
                        note(item.optional_vars, None, each=False)
            elif (isinstance(node, ast.ExceptHandler) and node.name) or (
                isinstance(node, ast.MatchAs) and node.name
            ):
                given.setdefault(node.name, []).append((None, False))
        return given

    @cached_property
    def parameters(self) -> dict[str, ast.arg]:
        if self.function is None:
            return {}
        args = self.function.args
        every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
        return {arg.arg: arg for arg in every if arg is not None}


def _inside(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """All nodes of a function's body but those of functions within."""
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            for child in ast.iter_child_nodes(node):
                yield from _deeper(child)


def _deeper(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
        for child in ast.iter_child_nodes(node):
            yield from _deeper(child)


def _bound(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for part, given in zip(target.elts, value.elts, strict=False):
            yield from _bound(part, given)


@cache
def module(dotted: str) -> Module | None:
    path = ROOT.joinpath(*dotted.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return Module(file, tree(file))
    return None


@cache
def attributes() -> dict[str, list[tuple[Module, ast.expr | None]]]:
    """Name of a field, property or method of any class of the package → what it is declared to give."""
    declared: dict[str, list[tuple[Module, ast.expr | None]]] = {}
    for path in sorted((ROOT / "memdb").rglob("*.py")):
        home = Module(path, tree(path))
        for node in ast.walk(home.tree):
            if isinstance(node, ast.ClassDef):
                for part in node.body:
                    if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                        declared.setdefault(part.target.id, []).append((home, part.annotation))
                    elif isinstance(part, ast.FunctionDef):
                        declared.setdefault(part.name, []).append((home, part.returns))
    return declared


def counts(annotation: ast.expr | None, home: Module) -> bool:
    """Whether a type holds nothing but numbers, switches, times, and words written out in the source."""
    if annotation is None:
        return False
    if isinstance(annotation, ast.Constant):
        if isinstance(annotation.value, str):
            return counts(ast.parse(annotation.value, mode="eval").body, home)
        return annotation.value is None
    if isinstance(annotation, ast.BinOp):
        return counts(annotation.left, home) and counts(annotation.right, home)
    if isinstance(annotation, ast.Subscript):
        name = ast.unparse(annotation.value)
        parts = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        if name == "Literal":
            return True
        return name in {"tuple", "list", "dict", "Sequence", "Mapping", "Iterable"} and all(
            counts(part, home) or (isinstance(part, ast.Constant) and part.value is ...) for part in parts
        )
    if isinstance(annotation, ast.Name):
        if annotation.id in NUMBERS or annotation.id in {"IntArray", "FloatArray"}:
            return True
        alias = home.values.get(annotation.id)
        if isinstance(alias, ast.Subscript):
            return counts(alias, home)
        origin = home.imports.get(annotation.id)
        if origin is not None and (there := module(origin.rpartition(".")[0])) is not None:
            alias = there.values.get(origin.rpartition(".")[2])
            return isinstance(alias, ast.Subscript) and counts(alias, there)
    return False


def ours(node: ast.expr | None, scope: Scope, kind: str, *, each: bool = False) -> bool:
    """Whether an expression gives only texts of ours, or such as went through the one way.

    Args:
        node: the expression; None is what cannot be judged.
        scope: where its names are looked up.
        kind: MARKDOWN or TEXT.
        each: it is a collection whose members are shown.
    """
    if node is None or scope.depth > 12:
        return False

    def all_of(*nodes: ast.expr | None) -> bool:
        return all(ours(part, scope, kind, each=each) for part in nodes)

    match node:
        case ast.Constant():
            return True
        case ast.JoinedStr(values=values):
            return all_of(*values)
        case ast.FormattedValue(value=value, format_spec=spec):
            return (spec is not None and _numeric(spec)) or ours(value, scope, kind)
        case ast.IfExp(body=body, orelse=orelse):
            return all_of(body, orelse)
        case ast.BoolOp(values=values):
            return all_of(*values)
        case ast.Compare() | ast.UnaryOp():
            return True
        case ast.BinOp(op=ast.Add() | ast.Mult() | ast.BitOr(), left=left, right=right):
            return all_of(left, right)
        case ast.BinOp(op=op):
            return not isinstance(op, ast.Mod) or all_of(node.left, node.right)
        case ast.Tuple(elts=elts) | ast.List(elts=elts) | ast.Set(elts=elts):
            return all_of(*elts)
        case ast.Dict(keys=keys, values=values):
            return all_of(*(keys if each else [*values]))
        case ast.Starred(value=value):
            return ours(value, scope, kind, each=True)
        case ast.GeneratorExp() | ast.ListComp() | ast.SetComp():
            return ours(node.elt, scope, kind)
        case ast.DictComp():
            return ours(node.key if each else node.value, scope, kind)
        case ast.NamedExpr(value=value):
            return ours(value, scope, kind, each=each)
        case ast.Subscript(value=value):
            return ours(value, scope, kind, each=each) or _values_of(value, scope, kind)
        case ast.Lambda(body=body):
            return ours(body, Scope(scope.module, node, scope, scope.depth + 1, scope.seen), kind)
        case ast.Call():
            return _call(node, scope, kind, each=each)
        case ast.Attribute(value=value, attr="__getitem__"):  # handed on, as in format_func=
            return _values_of(value, scope, kind) or (
                isinstance(value, ast.DictComp) and ours(value, scope, kind)
            )
        case ast.Attribute(value=ast.Constant(), attr="format"):
            return True
        case ast.Attribute(attr=attr):
            if isinstance(node.value, ast.Name) and (home := _module_of(node.value.id, scope)) is not None:
                return _constant(attr, home, scope, kind, each=each)
            return _all_declared(attr)
        case ast.Name(id=name):
            return _name(name, scope, kind, each=each)
    return False


def _numeric(spec: ast.expr) -> bool:
    text = "".join(str(part.value) for part in ast.walk(spec) if isinstance(part, ast.Constant))
    return bool(text) and (text[-1] in "dfge%," or text.endswith("n"))


def _module_of(name: str, scope: Scope) -> Module | None:
    origin = scope.module.imports.get(name)
    return module(origin) if origin is not None else None


def _values_of(value: ast.expr, scope: Scope, kind: str) -> bool:
    """A look-up in a collection of ours gives a text of ours."""
    if isinstance(value, ast.Name) and value.id in scope.assigned:
        given = [part for part, _ in scope.assigned[value.id]]
        return all(isinstance(part, ast.Dict) and ours_all(part.values, scope, kind) for part in given)
    if isinstance(value, ast.Name):
        constant, home = scope.module.values.get(value.id), scope.module
        if constant is None and (origin := scope.module.imports.get(value.id)) is not None:
            there = module(origin.rpartition(".")[0])
            constant, home = (there.values.get(origin.rpartition(".")[2]), there) if there else (None, home)
        if isinstance(constant, ast.Dict) and home is not None:
            return all(ours(part, Scope(home, None), kind, each=False) for part in constant.values)
    return False


def ours_all(nodes: list[ast.expr], scope: Scope, kind: str) -> bool:
    """Whether each of the expressions is ours."""
    return all(ours(node, scope, kind) for node in nodes)


def _constant(name: str, home: Module, scope: Scope, kind: str, *, each: bool) -> bool:
    key = (home.path, name)
    if key in scope.seen:
        return False
    if name in home.values:
        there = Scope(home, None, None, scope.depth + 1, scope.seen | {key})
        return ours(home.values[name], there, kind, each=each)
    if (origin := home.imports.get(name)) is not None and (
        place := module(origin.rpartition(".")[0])
    ) is not None:
        return _constant(origin.rpartition(".")[2], place, scope, kind, each=each)
    return False


def _name(name: str, scope: Scope, kind: str, *, each: bool) -> bool:
    key = (id(scope.function), name)
    if name in scope.assigned:
        if key in scope.seen:
            return True  # put together from itself: `text += …`
        inner = Scope(scope.module, scope.function, scope.outer, scope.depth + 1, scope.seen | {key})
        given = [ours(value, inner, kind, each=each or many) for value, many in scope.assigned[name]]
        if name in scope.parameters:
            given.append(counts(scope.parameters[name].annotation, scope.module))
        return all(given)
    if name in scope.parameters:
        return _declared(scope.parameters[name], scope.module)
    if scope.outer is not None:
        return _name(name, scope.outer, kind, each=each)
    if name in scope.module.functions:  # handed on, as in format_func=
        return _function(scope.module.functions[name], scope.module, scope, kind)
    origin = scope.module.imports.get(name)
    if origin is not None and origin.rpartition(".")[0] == "memdb.display":
        return name in SAFE[kind] | {"bytes_text", "duration"}
    if name == "str":
        return False
    if origin is not None and (there := module(origin.rpartition(".")[0])) is not None:
        short = origin.rpartition(".")[2]
        if short in there.functions:
            return _function(there.functions[short], there, scope, kind)
        return _constant(short, there, scope, kind, each=each)
    return _constant(name, scope.module, scope, kind, each=each)


def _declared(parameter: ast.arg, home: Module) -> bool:
    """A number, or `Markdown`: then the callers are judged in its place."""
    return _is_declared(parameter.annotation, home)


def _is_declared(annotation: ast.expr | None, home: Module) -> bool:
    return (annotation is not None and ast.unparse(annotation) in MARKDOWN_TYPES) or counts(annotation, home)


MARKDOWN_TYPES = {"Markdown", "Markdown | None", "tuple[Markdown, ...]", "Sequence[Markdown]"}


def _call(node: ast.Call, scope: Scope, kind: str, *, each: bool) -> bool:
    function = node.func
    arguments = [*node.args, *(k.value for k in node.keywords)]
    if isinstance(function, ast.Name):
        name = function.id
        origin = scope.module.imports.get(name, "")
        if origin.rpartition(".")[0] == "memdb.display":
            return name in SAFE[kind] | {"bytes_text", "duration"}
        if name in COUNTING or name == "get_args":
            return True
        if name == "partial":
            return ours(node.args[0], scope, kind)
        if name in {
            "str",
            "sorted",
            "reversed",
            "list",
            "tuple",
            "set",
            "min",
            "max",
            "zip",
            "enumerate",
            "next",
            "iter",
        }:
            return all(ours(part, scope, kind, each=each) for part in arguments)
        if name == "range":
            return True
        if name == "map":
            return ours(node.args[0], scope, kind) or (
                isinstance(node.args[0], ast.Name) and node.args[0].id in COUNTING
            )
        if name == "cast":
            return ours(node.args[1], scope, kind, each=each)
        home = scope.module
        if name not in home.functions and (there := module(origin.rpartition(".")[0])) is not None:
            home, name = there, origin.rpartition(".")[2]
        if name in home.functions:
            return _function(home.functions[name], home, scope, kind)
        return False
    if isinstance(function, ast.Attribute):
        if function.attr == "join":
            return ours(function.value, scope, kind) and all(
                ours(p, scope, kind, each=True) for p in arguments
            )
        if function.attr in KEEPING:
            return ours(function.value, scope, kind) and all(ours(p, scope, kind) for p in arguments)
        if function.attr == "get" and _values_of(function.value, scope, kind):
            return all(ours(part, scope, kind) for part in node.args[1:])
        if function.attr in {"keys", "items", "values"}:
            return ours(function.value, scope, kind, each=True)
        if function.attr in COUNTING:
            return True
        if (
            isinstance(function.value, ast.Name)
            and (home := _module_of(function.value.id, scope)) is not None
        ):
            if home.path.name == "display.py":
                return function.attr in SAFE[kind] | {"bytes_text", "duration"}
            if function.attr in home.functions:
                return _function(home.functions[function.attr], home, scope, kind)
        return _all_declared(function.attr)
    return False


def _all_declared(attribute: str) -> bool:
    """Whether every class that has this attribute declares it a number, or `Markdown`."""
    declared = attributes().get(attribute)
    return declared is not None and all(_is_declared(annotation, home) for home, annotation in declared)


def _function(function: ast.FunctionDef, home: Module, scope: Scope, kind: str) -> bool:
    if counts(function.returns, home):
        return True
    if (home.path, function.name) in scope.seen:
        return False
    inner = Scope(home, function, None, scope.depth + 1, scope.seen | {(home.path, function.name)})
    returned = [n.value for n in _inside(function.body) if isinstance(n, ast.Return) and n.value is not None]
    return bool(returned) and all(ours(value, inner, kind) for value in returned)


def unescaped(path: Path, source: str | None = None) -> list[Shown]:
    """Every text that a Streamlit call of this file shows and that is neither ours nor went through display."""
    home = Module(path, tree(path) if source is None else ast.parse(source))
    told: list[Shown] = []

    def visit(node: ast.AST, scope: Scope) -> None:
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            for decorator in getattr(node, "decorator_list", []):
                visit(decorator, scope)
            inner = Scope(home, node, scope)
            for child in node.body if isinstance(node.body, list) else [node.body]:
                visit(child, inner)
            return
        if isinstance(node, ast.Call):
            told.extend(_told(node, scope))
        for child in ast.iter_child_nodes(node):
            visit(child, scope)

    for child in home.tree.body:
        visit(child, Scope(home, None))
    return told


def _told(node: ast.Call, scope: Scope) -> Iterator[Shown]:
    shown, name = _shown_by(node, scope)
    if not shown:
        return
    given: dict[int | str, ast.expr] = dict(enumerate(node.args))
    given |= {k.arg: k.value for k in node.keywords if k.arg is not None}
    for place, value in given.items():
        kind = shown.get(place) or ("" if place != "help" else MARKDOWN)
        if place in {1, "options"} and "format_func" in given and name.rpartition(".")[2] in LISTING:
            continue  # shown as that function says
        if kind and not ours(
            value, scope, kind, each=place in {1, 0, "options", "tabs"} and name.rpartition(".")[2] in LISTING
        ):
            yield Shown(scope.module.path, value.lineno, name, str(place), ast.unparse(value))


LISTING = {"selectbox", "multiselect", "radio", "segmented_control", "pills", "select_slider", "tabs"}


def _shown_by(node: ast.Call, scope: Scope) -> tuple[dict[int | str, str], str]:
    function = node.func
    if isinstance(function, ast.Attribute) and function.attr in SHOWN:
        base = function.value
        while isinstance(base, ast.Attribute):
            base = base.value
        if isinstance(base, ast.Name) and base.id in scope.module.others:
            return _marked(node, scope)
        return SHOWN[function.attr], f"{ast.unparse(function.value)}.{function.attr}"
    return _marked(node, scope)


def _marked(node: ast.Call, scope: Scope) -> tuple[dict[int | str, str], str]:
    """A function of ours that takes Markdown by declaration: its callers are judged."""
    function, home = node.func, scope.module
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        there = _module_of(function.value.id, scope)
        if there is None:
            return {}, ""
        home, name = there, function.attr
    elif isinstance(function, ast.Name):
        name = function.id
        if name not in {*home.functions, *home.classes} and (origin := home.imports.get(name)) is not None:
            there = module(origin.rpartition(".")[0])
            if there is None:
                return {}, ""
            home, name = there, origin.rpartition(".")[2]
    else:
        return {}, ""
    while (
        name not in home.functions and name not in home.classes and name in home.imports
    ):  # a package's face
        origin = home.imports[name]
        there = module(origin.rpartition(".")[0])
        if there is None:
            return {}, ""
        home, name = there, origin.rpartition(".")[2]
    taken: dict[int | str, str] = {}
    if (made := home.classes.get(name)) is not None:
        fields = [part for part in made.body if isinstance(part, ast.AnnAssign)]
        for place, part in enumerate(fields):
            if ast.unparse(part.annotation) in MARKDOWN_TYPES:
                taken |= {place: MARKDOWN, ast.unparse(part.target): MARKDOWN}
    defined = home.functions.get(name)
    if defined is None:
        return taken, name
    for place, parameter in enumerate([*defined.args.posonlyargs, *defined.args.args]):
        if parameter.annotation is not None and ast.unparse(parameter.annotation) in MARKDOWN_TYPES:
            taken[place] = MARKDOWN
            taken[parameter.arg] = MARKDOWN
    for parameter in defined.args.kwonlyargs:
        if parameter.annotation is not None and ast.unparse(parameter.annotation) in MARKDOWN_TYPES:
            taken[parameter.arg] = MARKDOWN
    return taken, name
