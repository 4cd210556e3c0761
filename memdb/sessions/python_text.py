"""What Python prints of lists, dicts and messages, read without running it: `str(messages)` stored for JSON.

Only the text's shape is looked at, by `ast.parse`: nothing is imported, called or compiled. An object
`AIMessage(content='Hi')` becomes {"type": "AIMessage", "content": "Hi"}, a `datetime` its ISO 8601.
"""

from __future__ import annotations

import ast
import keyword
import re
from datetime import UTC, datetime
from typing import Any

MOST, TOKENS = 2**22, 200_000  # characters, and quotes, names, numbers and signs: a tree of them takes memory
_DEEPEST = 60
# What such a text begins with: brackets, then a quote or a name that is called.
_BEGINS = re.compile(r"\s*(?:[\[{(]\s*){1,4}(?:[bu]?['\"]|[A-Za-z_][\w.]{0,80}\()")
_ALONE = re.compile(r"\s*[A-Za-z_][\w.]{0,60}Message(?:Chunk)?\(\w{1,40}=")  # one message by itself
_WORDS = ("None", "True", "False")
_ENUM = re.compile(r"<[A-Za-z_][\w.]{0,80}: ('[^'\n]{0,80}'|\d{1,9})>")
# All that such a text is made of; anything else, an operator among them, is a program's.
_TOKEN = re.compile(
    r"(?:[bu]?'(?:[^'\\\n]|\\.)*'|[bu]?\"(?:[^\"\\\n]|\\.)*\")|(?P<name>[A-Za-z_]\w{0,80}(?:\.[A-Za-z_]\w{0,80}){0,5})"
    r"|-?\d[\d.eE+-]{0,40}|(?P<sign>[\[\](){},:=])|\s+"
)
_NAMES: dict[str, Any] = {"null": None, "true": True, "false": False, "nan": None, "inf": None}


def loads(text: str) -> Any:
    """The list or dict that a text is, as Python prints it, in JSON's types.

    Raises:
        ValueError: it is none, too long, or nested too deeply.
    """
    if len(text) > MOST or not (_BEGINS.match(text) or _ALONE.match(text)):
        raise ValueError("not what Python prints")
    text = _ENUM.sub(r"\1", text.strip())
    _checked(text)
    try:
        tree = ast.parse(text, mode="eval")
        value = _value(tree.body, 0)
    except (SyntaxError, RecursionError, MemoryError, OverflowError) as exc:
        raise ValueError("not what Python prints") from exc
    if not isinstance(value, list | dict):
        raise ValueError("no list and no dict, as Python prints them")
    return value


def _checked(text: str) -> None:
    """Whether a text has the signs of what is printed alone, so that Python's parser sees nothing that nests.

    Raises:
        ValueError: it has others, a word of the language, a call of what was called, or is nested too deeply.
    """
    at = depth = tokens = 0
    closed = False  # whether a bracket was closed just before
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or (keyword.iskeyword(token["name"] or "") and token["name"] not in _WORDS):
            raise ValueError("not what Python prints")
        at = token.end()
        tokens += 1
        if tokens > TOKENS:
            raise ValueError("longer than what Python prints of a conversation")
        sign = token["sign"] or ""
        if sign and sign in "[({":
            depth += 1
            if depth > _DEEPEST or closed:
                raise ValueError("nested too deeply")
        elif sign and sign in "])}":
            depth -= 1
        closed = bool(sign) and sign in "])}"


def _value(node: ast.expr, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    match node:
        case ast.Constant(value):
            return _constant(value)
        case ast.List(elts) | ast.Tuple(elts) | ast.Set(elts):
            return [_value(each, depth + 1) for each in elts]
        case ast.Dict(keys, values):
            if any(key is None for key in keys):
                raise ValueError("no value that Python prints")
            return {
                str(_value(key, depth + 1)): _value(value, depth + 1)
                for key, value in zip(keys, values, strict=True)
                if key is not None
            }
        case ast.UnaryOp(ast.USub(), ast.Constant(value)) if isinstance(value, int | float):
            return -value
        case ast.Name(name):
            if name not in _NAMES:
                raise ValueError("a name, which is no value that Python prints")
            return _NAMES[name]
        case ast.Attribute():
            return ast.unparse(node)  # a constant: MessageRole.USER
        case ast.Call(ast.Name() | ast.Attribute() as called, args, keywords):
            name = ast.unparse(called).rpartition(".")[2]
            return _called(name, [_value(each, depth + 1) for each in args], keywords, depth)
    raise ValueError("no value that Python prints")


def _called(name: str, arguments: list[Any], keywords: list[ast.keyword], depth: int) -> Any:
    """An object by what it is printed as: its names and values, or what it was made of."""
    if name == "datetime" and len(arguments) >= 3 and all(type(number) is int for number in arguments):
        try:
            moment = datetime(*arguments)
        except (TypeError, ValueError, OverflowError) as exc:
            raise ValueError("no value that Python prints") from exc
        utc = any(k.arg == "tzinfo" and ast.unparse(k.value).lower().endswith("utc") for k in keywords)
        return (moment.replace(tzinfo=UTC) if utc else moment).isoformat()
    named = {k.arg: _value(k.value, depth + 1) for k in keywords if k.arg is not None}
    if not named and len(arguments) == 1:  # UUID('…'), Decimal('1'), OrderedDict([…]), ObjectId('…')
        (only,) = arguments
        pairs = isinstance(only, list) and all(isinstance(e, list) and len(e) == 2 for e in only)
        return {str(key): value for key, value in only} if pairs and "dict" in name.lower() else only
    return {"type": name, **({"args": arguments} if arguments else {}), **named}


def _constant(value: object) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str | int | float | None) else str(value)
