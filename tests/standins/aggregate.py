"""FT.AGGREGATE of valkey-search 1.2: its stages, over rows that the search behind it took."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.standins.grammar import Options
from tests.standins.resp import Refusal
from tests.standins.schema import Index

Row = dict[str, Any]
Stage = Callable[[list[Row]], list[Row]]
Value = Callable[[Row], Any]


@dataclass
class Aggregation:
    """A command, read."""

    loads: list[str] = field(default_factory=list)
    load_all: bool = False
    stages: list[Stage] = field(default_factory=list)
    first_limit: int | None = None  # rows that are read where LIMIT comes before any other stage


def read_aggregate(words: list[str], index: Index, options: Options, score: str) -> Aggregation:
    """Read what follows the query; parameters go into the options. `score`: the name of hits' distances.

    Raises:
        Refusal: In valkey-search's words.
    """
    made = Aggregation()
    reader = _Reader(words, index, made)
    reader.created |= {score} - {""}
    while reader.left:
        word = reader.next()
        name = word.upper()
        if name in {"DIALECT", "TIMEOUT", "SLOP"}:
            value = reader.number(name)
            if name == "DIALECT" and not 2 <= value <= 4:
                raise Refusal("Only Dialects 2, 3 and 4 are supported")
            if name == "SLOP":
                options.slop = value
        elif name == "VERBATIM":
            options.verbatim = True
        elif name == "INORDER":
            options.inorder = True
        elif name == "PARAMS":
            for _ in range(-(-reader.number(name) // 2)):
                key = reader.next()
                if not re.fullmatch(r"\w+", key, re.ASCII):
                    raise Refusal(f"Parameter name `{key}` contains an invalid character.")
                options.params[key] = reader.next().encode("latin-1")
        elif name in _STAGES:
            try:
                _STAGES[name](reader)
            except Refusal as exc:
                raise Refusal(f"Error parsing value for the parameter `{name}` - {exc}") from None
        elif name != "ADDSCORES":
            raise Refusal(f"Unexpected argument `{word}`")
    for name in made.loads:
        known = index.field(name)
        if name in {"__key", score}:
            continue
        if known is None:
            raise Refusal(f"Index field `{name}` does not exist")
        if known.kind == "VECTOR":
            raise Refusal(f"Loading of vector fields is not supported (field `{name}`)")
    return made


class _Reader:
    def __init__(self, words: list[str], index: Index, made: Aggregation) -> None:
        self.left, self.index, self.made = words, index, made
        self.created: set[str] = {"__key"}

    def next(self) -> str:
        if not self.left:
            raise Refusal("Missing argument")
        return self.left.pop(0)

    def takes(self, *names: str) -> str:
        if self.left and self.left[0].upper() in names:
            return self.left.pop(0).upper()
        return ""

    def number(self, name: str = "") -> int:
        word = self.next()
        if not (word.isascii() and word.isdigit()):
            raise Refusal(f"`{word}` is not a valid numeric value")
        return int(word)

    def refer(self, name: str) -> str:
        """A field that a stage reads: made by an earlier one, or of the index and not TEXT."""
        if name in self.created:
            return name
        known = self.index.field(name)
        if known is None:
            raise Refusal(f"Index field `{name}` does not exist")
        if known.kind == "TEXT":
            raise Refusal(f"Invalid data type for @{name}")
        return name

    def expression(self, text: str) -> Value:
        if text.startswith("@") and self.index.field(text[1:]):
            name = self.refer(text[1:])  # a name may hold signs that mean something in an expression
            return lambda row: row.get(name)
        return _Expression(text, self).read()


def _load(reader: _Reader) -> None:
    count = reader.next()
    if count == "*":
        reader.made.load_all = True
        return
    if not (count.isascii() and count.isdigit()):
        raise Refusal(f"`{count}` is not a valid numeric value")
    for _ in range(int(count)):
        name = reader.next().removeprefix("@")
        if not name:
            raise Refusal("Empty argument in LOAD clause not allowed")
        reader.made.loads.append(name)


def _apply(reader: _Reader) -> None:
    value = reader.expression(reader.next())
    if not reader.takes("AS"):
        raise Refusal("`AS` argument to APPLY clause is missing/invalid")
    name = reader.next()
    reader.created.add(name)
    reader.made.stages.append(lambda rows: [{**row, name: value(row)} for row in rows])


def _filter(reader: _Reader) -> None:
    value = reader.expression(reader.next())
    reader.made.stages.append(lambda rows: [row for row in rows if truth(value(row))])


def _limit(reader: _Reader) -> None:
    start, count = reader.number(), reader.number()
    if not reader.made.stages:
        reader.made.first_limit = count
    reader.made.stages.append(lambda rows: rows[start : start + count])


def _sort(reader: _Reader) -> None:
    keys: list[tuple[Value, bool]] = []
    left = reader.number()
    while left > 0:
        value = reader.expression(reader.next())
        direction = reader.takes("ASC", "DESC")
        keys.append((value, direction == "DESC"))
        left -= 2 if direction else 1
    most = reader.number() if reader.takes("MAX") else None

    def sort(rows: list[Row]) -> list[Row]:
        for value, down in reversed(keys):
            rows = sorted(rows, key=lambda row: _rank(value(row)), reverse=down)
        return rows[:most]

    reader.made.stages.append(sort)


def _rank(value: Any) -> tuple[int, Any]:
    number = as_number(value)
    if value is None:
        return (2, 0)
    return (1, str(value)) if number is None else (0, number)


def _group(reader: _Reader) -> None:
    count = reader.number()
    if not count:
        raise Refusal("Groupby requires arguments")
    names = []
    for _ in range(count):
        name = reader.next()
        if not name.startswith("@"):
            raise Refusal("Group field reference must start with '@'")
        names.append(reader.refer(name[1:]))
    reducers: list[tuple[str, Callable[[list[Any]], Any], list[Value]]] = []
    while reader.takes("REDUCE"):
        reducers.append(_reducer(reader))
    reader.created |= {name for name, _, _ in reducers}

    def group(rows: list[Row]) -> list[Row]:
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in rows:
            groups.setdefault(tuple(row.get(name) for name in names), []).append(row)
        return [
            {
                **dict(zip(names, values, strict=True)),
                **{
                    name: reduce([arguments[0](row) if arguments else row for row in held])
                    for name, reduce, arguments in reducers
                },
            }
            for values, held in groups.items()
        ]

    reader.made.stages.append(group)


def _reducer(reader: _Reader) -> tuple[str, Callable[[list[Any]], Any], list[Value]]:
    name = reader.next()
    reduce = _REDUCERS.get(name.upper())
    if reduce is None:
        raise Refusal(f"reducer function `{name}` not found")
    arguments = [reader.next() for _ in range(reader.number())]
    if len(arguments) != (name.upper() != "COUNT"):
        raise Refusal(f"Incorrect number of arguments for reducer {name}")
    values = [reader.expression(argument) for argument in arguments]
    alias = reader.next() if reader.takes("AS") else f"{name}({','.join(arguments)})"
    return alias, reduce, values


def _numbers(values: list[Any]) -> list[float]:
    return [number for value in values if (number := as_number(value)) is not None]


_REDUCERS: dict[str, Callable[[list[Any]], Any]] = {
    "COUNT": lambda values: float(len(values)),
    "COUNT_DISTINCT": lambda values: float(len({value for value in values if value is not None})),
    "MIN": lambda values: min(_numbers(values), default=None),
    "MAX": lambda values: max(_numbers(values), default=None),
    "SUM": lambda values: math.fsum(_numbers(values)),
    "AVG": lambda values: statistics.fmean(numbers) if (numbers := _numbers(values)) else 0.0,
    "STDDEV": lambda values: statistics.stdev(numbers) if len(numbers := _numbers(values)) > 1 else 0.0,
}
_STAGES: dict[str, Callable[[_Reader], None]] = {
    "LOAD": _load,
    "APPLY": _apply,
    "FILTER": _filter,
    "LIMIT": _limit,
    "SORTBY": _sort,
    "GROUPBY": _group,
}


def as_number(value: Any) -> float | None:
    """A value as a number, where it reads as one."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


def truth(value: Any) -> bool:
    """Whether a filter keeps a row of this value."""
    number = as_number(value)
    return bool(number) if number is not None else bool(value)


def shown(value: Any) -> str:
    """A value as a reply has it: numbers with eleven digits."""
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.11g}" if isinstance(value, int | float) else str(value)


_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|@(?P<field>[\w\x80-\xff]+)|(?P<name>[A-Za-z_]\w*)"
    r"|\"(?P<double>(?:[^\"\\]|\\.)*)\"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<sign>\|\||&&|[!=<>]=|[-+*/%^<>()!,]))"
)
_LEVELS = (("||",), ("&&",), ("==", "!=", "<", "<=", ">", ">="), ("+", "-"), ("*", "/", "%"), ("^",))


class _Expression:
    """An expression of APPLY, FILTER and SORTBY, read from left to right."""

    def __init__(self, text: str, reader: _Reader) -> None:
        self._tokens = list(_tokens(text))
        self._reader = reader

    def read(self) -> Value:
        value = self._level(0)
        if self._tokens:
            raise Refusal(f"Extra characters at or near `{self._tokens[0][1]}`")
        return value

    def _level(self, level: int) -> Value:
        if level == len(_LEVELS):
            return self._single()
        left = self._level(level + 1)
        while self._tokens and self._tokens[0][0] == "sign" and self._tokens[0][1] in _LEVELS[level]:
            left = _binary(self._tokens.pop(0)[1], left, self._level(level + 1))
        return left

    def _single(self) -> Value:
        if not self._tokens:
            raise Refusal("Invalid or missing expression")
        kind, text = self._tokens.pop(0)
        if kind == "number":
            return lambda row: float(text)
        if kind in {"single", "double"}:
            plain = re.sub(r"\\(.)", r"\1", text)
            return lambda row: plain
        if kind == "field":
            name = self._reader.refer(text)
            return lambda row: row.get(name)
        if kind == "name":
            return self._call(text)
        if text == "(":
            value = self._level(0)
            self._expect(")")
            return value
        if text == "!":
            value = self._single()
            return lambda row: not truth(value(row))
        if text == "-":
            value = self._single()
            return lambda row: _arithmetic("-", 0.0, value(row))
        raise Refusal(f"Invalid or missing expression at or near `{text}`")

    def _call(self, name: str) -> Value:
        function = _FUNCTIONS.get(name.lower())
        if function is None:
            raise Refusal(f"Function {name} is unknown")
        self._expect("(")
        arguments = []
        while self._tokens and self._tokens[0] != ("sign", ")"):
            arguments.append(self._level(0))
            if self._tokens and self._tokens[0] == ("sign", ","):
                self._tokens.pop(0)
        self._expect(")")
        return lambda row: function(*(argument(row) for argument in arguments))

    def _expect(self, sign: str) -> None:
        if not self._tokens or self._tokens.pop(0) != ("sign", sign):
            raise Refusal(f"Expected '{sign}'")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise Refusal(f"Invalid expression at or near `{text[at:]}`")
        at = match.end()
        kind = match.lastgroup or ""
        yield kind, match.group(kind)


def _binary(sign: str, left: Value, right: Value) -> Value:
    if sign == "||":
        return lambda row: truth(left(row)) or truth(right(row))
    if sign == "&&":
        return lambda row: truth(left(row)) and truth(right(row))
    if sign in _LEVELS[2]:
        return lambda row: _compared(sign, left(row), right(row))
    return lambda row: _arithmetic(sign, left(row), right(row))


def _compared(sign: str, left: Any, right: Any) -> bool:
    if left is None or right is None:
        return sign == "!=" if (left is None) != (right is None) else sign == "=="
    numbers = as_number(left), as_number(right)
    pair: tuple[Any, Any] = (str(left), str(right)) if None in numbers else numbers
    a, b = pair
    return {"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[sign]


def _arithmetic(sign: str, left: Any, right: Any) -> float | None:
    a, b = as_number(left), as_number(right)
    if a is None or b is None:
        return None
    try:
        if sign == "+":
            return a + b
        if sign == "-":
            return a - b
        if sign == "*":
            return a * b
        if sign == "/":
            return a / b
        return math.fmod(a, b) if sign == "%" else a**b
    except (ZeroDivisionError, ValueError, OverflowError):
        return math.nan


def _of_number(function: Callable[[float], float]) -> Callable[[Any], float | None]:
    def call(value: Any) -> float | None:
        number = as_number(value)
        return None if number is None else float(function(number))

    return call


def _part(text: Any, start: Any, count: Any) -> str:
    at = int(float(start))
    size = int(float(count))
    return str(text)[at:] if size < 0 else str(text)[at : at + size]


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exists": lambda value: value is not None,
    "abs": _of_number(abs),
    "ceil": _of_number(math.ceil),
    "floor": _of_number(math.floor),
    "exp": _of_number(math.exp),
    "log": _of_number(math.log),
    "log2": _of_number(math.log2),
    "sqrt": _of_number(math.sqrt),
    "lower": lambda value: None if value is None else str(value).lower(),
    "upper": lambda value: None if value is None else str(value).upper(),
    "strlen": lambda value: None if value is None else float(len(str(value))),
    "startswith": lambda text, start: str(text).startswith(str(start)),
    "contains": lambda text, part: float(str(text).count(str(part))),
    "substr": _part,
    "concat": lambda *values: "".join(map(str, values)),
}
