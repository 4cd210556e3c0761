"""How valkey-search 1.2 reads a query: its signs, escapes, names and errors.

Written from the recorded replies and from the public source of valkey-search (src/commands/filter_parser.cc,
ft_search_parser.cc, src/indexes/tag.cc). Where a release differs from the recorded one it is the stricter way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.standins.resp import Refusal
from tests.standins.schema import Field, Index

_SPACE = " \t\n\v\f\r"
_NUMBER = re.compile(r"-?(?:\d|\.)*(?:[eE][+-]?(?:\d|\.)*)?")
MAX_K, MAX_EF, FUZZY, TAG_PREFIX, MAX_NODES = 10_000, 1_000_000, 3, 2, 1_000


@dataclass(frozen=True)
class Tags:
    """Any of these values, or one that begins with any of the prefixes."""

    field: Field
    values: frozenset[str]
    prefixes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Span:
    """A range of numbers."""

    field: Field
    low: float
    high: float
    with_low: bool
    with_high: bool


@dataclass(frozen=True)
class Word:
    """Words of TEXT fields: this one, or those that begin, end or nearly read like it."""

    fields: tuple[Field, ...]
    text: str
    how: str = "term"  # term, exact, prefix, suffix, fuzzy
    distance: int = 0


@dataclass(frozen=True)
class Both:
    """All of them; with `slop` or `inorder` the words also stand near each other, or in this order."""

    parts: tuple[Node, ...]
    slop: int | None = None
    inorder: bool = False


@dataclass(frozen=True)
class Either:
    """Any of them."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Without:
    """All documents of the index but these."""

    part: Node


Node = Tags | Span | Word | Both | Either | Without


@dataclass(frozen=True)
class Knn:
    """The vector clause: what stands there, and what its parameters say."""

    field: Field
    k: int
    blob: bytes
    ef: int | None
    score: str


@dataclass(frozen=True)
class Query:
    """A query as read: no filter is every document."""

    text: str
    filter: Node | None
    knn: Knn | None


@dataclass(frozen=True)
class Rules:
    """What a relative of valkey-search reads otherwise."""

    star: bool = False  # `*` alone is a filter
    words: bool = True  # TEXT fields can be searched
    negation: bool = True
    escaped_names: bool = False  # a backslash before a sign of a name
    tag_prefixes: bool = True  # a star at a value's end, behind a backslash too, makes it a beginning
    inline_numbers: bool = False  # K and EF_RUNTIME as numbers alone


VALKEY = Rules()


@dataclass
class Options:
    """What the command's words say that changes how its query is read."""

    params: dict[str, bytes] = field(default_factory=dict)
    verbatim: bool = False
    inorder: bool = False
    slop: int | None = None
    used: set[str] = field(default_factory=set)

    def value(self, word: str) -> bytes:
        """A word, or what the parameter of this name holds."""
        if not word.startswith("$"):
            return word.encode("latin-1")
        if word[1:] not in self.params:
            raise Refusal(f"Parameter {word[1:]} not found.")
        self.used.add(word[1:])
        return self.params[word[1:]]


def read_query(text: str, index: Index, options: Options, rules: Rules = VALKEY) -> Query:
    """Read a query.

    Raises:
        Refusal: In valkey-search's words.
    """
    before, _, after = text.partition("=>")
    before, after = before.strip(_SPACE), after.strip(_SPACE)
    if (options.inorder or options.slop is not None) and not index.offsets:
        raise Refusal("Index does not support offsets")
    try:
        node = _Filter(before, index, options, rules).read()
    except Refusal as exc:
        raise Refusal(f"Invalid filter expression: `{before}`. {exc}") from None
    if not after and node is None and not (rules.star and before):
        raise Refusal("Invalid query string syntax")
    knn = _knn(after, index, options, rules) if after else None
    unused = [name for name in options.params if name not in options.used]
    if unused:
        raise Refusal(f"Parameter `{unused[0]}` not used.")
    return Query(before, node, knn)


def _knn(text: str, index: Index, options: Options, rules: Rules) -> Knn:
    start = "Error parsing vector similarity parameters: "
    try:
        parts = _clause(text, rules)
        ef, score = None, ""
        rest = iter(parts[4:])
        for word in rest:
            if word.upper() not in {"EF_RUNTIME", "AS"}:
                raise Refusal(f"Unexpected argument `{word}`")
            if (value := next(rest, None)) is None:
                raise Refusal(f"{word.upper()} argument is missing")
            if word.upper() == "AS":
                score = options.value(value).decode("latin-1")
            else:
                ef = options.value(value)
                _inline(value, rules)
        _inline(parts[1], rules)
    except Refusal as exc:
        raise Refusal(f"{start}`{text}`. {exc}") from None
    name = _plain(parts[2][1:]) if rules.escaped_names else parts[2][1:]
    if (vector := index.field(name)) is None:
        raise Refusal(f"Index field `{name}` does not exist")
    if vector.kind != "VECTOR":
        raise Refusal(f"Index field `{name}` is not a Vector index ")
    try:
        k, blob = options.value(parts[1]), options.value(parts[3])
    except Refusal as exc:
        raise Refusal(f"{start}{exc}") from None
    number = bounded(k.decode("latin-1"), MAX_K, "KNN parameter")
    effort = None if ef is None else bounded(ef.decode("latin-1"), MAX_EF, "`EF_RUNTIME`")
    if len(blob) != 4 * vector.dimensions:
        raise Refusal(
            f"{start}query vector blob size ({len(blob)}) does not match index's expected size "
            f"({4 * vector.dimensions})."
        )
    return Knn(vector, number, blob, effort, score or f"__{name}_score")


def _inline(word: str, rules: Rules) -> None:
    if rules.inline_numbers and word.startswith("$"):
        raise Refusal("A number is expected after KNN and EF_RUNTIME")


def _plain(text: str) -> str:
    """Without backslashes before signs."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _clause(text: str, rules: Rules) -> list[str]:
    body = text.rstrip(_SPACE)
    if body[-1:] != "]":
        raise Refusal(f"Expecting ']' got '{body[-1:]}'")
    if body[:1] != "[":
        raise Refusal(f"Expecting '[' got '{body[:1]}'")
    parts = re.findall(r"(?:\\.|[^ ])+" if rules.escaped_names else "[^ ]+", body[1:-1])
    if not parts:
        raise Refusal("Missing parameters")
    if parts[0].upper() != "KNN":
        raise Refusal(f"`{parts[0]}`. Expecting `KNN`")
    for size, missing in ((1, "KNN"), (2, "Vector field"), (3, "Blob attribute")):
        if len(parts) == size:
            raise Refusal(f"{missing} argument is missing")
        if size == 2 and (parts[2][0] != "@" or len(parts[2]) == 1):
            raise Refusal(
                f"Unexpected argument `{parts[2]}`. Expecting a vector field name, starting with '@'"
            )
    return parts


def bounded(text: str, most: int, name: str) -> int:
    """A whole number of a range.

    Raises:
        Refusal: It is none, or out of the range.
    """
    if not re.fullmatch(r"\d+", text):
        raise Refusal(f"`{text}` is not a valid numeric value")
    value = int(text)
    if not 1 <= value <= most:
        side = "below minimum" if value < 1 else "above maximum"
        raise Refusal(
            f"Invalid range: Value {side}; {name} must be a positive integer greater than 0 "
            f"and cannot exceed {most}."
        )
    return value


class _Filter:
    """One filter, read from left to right."""

    def __init__(self, text: str, index: Index, options: Options, rules: Rules) -> None:
        self.text, self.index, self.options, self.rules, self.at = text, index, options, rules, 0
        self.nodes = 0

    def read(self) -> Node | None:
        if self._all():
            return None
        self.at = 0
        node = self._expression(0)
        if self.at < len(self.text):
            raise self._unexpected(self.at)
        return node

    def _all(self) -> bool:
        """Whether it is `*` or `(*)`."""
        opened = closed = starred = False
        self.at = 0
        while self.at < len(self.text):
            if self._takes("*"):
                if starred or closed:
                    raise self._unexpected(self.at - 1)
                starred = True
            elif self._takes("("):
                if starred or closed:
                    raise self._unexpected(self.at - 1)
                if opened:
                    return False
                opened = True
            elif self._takes(")"):
                if closed or not (starred and opened):
                    raise self._unexpected(self.at - 1)
                closed = True
            else:
                break
        if not starred or self.at < len(self.text):
            return False
        if opened != closed:
            raise Refusal("Missing `)`")
        return True

    def _expression(self, level: int) -> Node | None:
        if level >= 1000:
            raise Refusal("Query string is too complex")
        before: Node | None = None
        self._blank()
        while self.at < len(self.text) and self._sign() != ")":
            negated = self._takes("-")
            if negated and not self.rules.negation:
                raise self._unexpected(self.at - 1)
            if self._takes("("):
                inner = self._expression(level + 1)
                if not self._takes(")"):
                    raise Refusal(f"Expected ')' after expression got '{self._sign()}'. Position: {self.at}")
                if inner is None:
                    raise Refusal(f"Empty brackets detected at Position: {self.at - 1}")
                before = self._joined(before, inner, negated)
            elif self._takes("|"):
                if negated:
                    raise self._unexpected(self.at - 1)
                other = self._expression(level + 1)
                if other is None or before is None:
                    raise Refusal("Missing OR term")
                self.nodes += 1
                before = Either((before, other))
            else:
                before = self._joined(before, self._condition(), negated)
            self._blank()
            if self.nodes > MAX_NODES:
                raise Refusal(f"Query string is too complex: max number of terms can't exceed {MAX_NODES}")
        return before

    def _joined(self, before: Node | None, node: Node, negated: bool) -> Node:
        node = Without(node) if negated else node
        if before is None:
            return node
        self.nodes += 1
        slop, inorder = self.options.slop, self.options.inorder
        parts = before.parts if isinstance(before, Both) and before.slop == slop else (before,)
        return Both((*parts, node), slop, inorder)

    def _condition(self) -> Node:
        name = None
        if self._sign() == "@":
            name = self._name()
            self.nodes += 1
            if self._takes("["):
                return self._span(name)
            if self._takes("{"):
                return self._tags(name)
            self.nodes -= 1
        return self._words(name)

    def _name(self) -> str:
        self.at += 1
        start = self.at
        while self.at < len(self.text) and self._sign() not in ":" + _SPACE:
            self.at += 2 if self.rules.escaped_names and self._sign() == "\\" else 1
        name = self.text[start : self.at]
        name = _plain(name) if self.rules.escaped_names else name
        self._blank()
        if self._sign() != ":":
            raise Refusal(f"Unexpected character at position {self.at + 1}: `{self._sign()}`, expecting `:`")
        self.at += 1
        return name

    def _indexed(self, name: str, kind: str) -> Field:
        known = self.index.field(name)
        if known is None or known.kind != kind:
            raise Refusal(f"`{name}` is not indexed as a {kind.lower()} field")
        return known

    def _span(self, name: str) -> Span:
        known = self._indexed(name, "NUMERIC")
        with_low = not self._takes("(")
        low = self._number()
        if not self._takes(" ", blank=False) and not self._takes(","):
            raise Refusal(
                f"Expected space or `,` between start and end values of a numeric field. Position: {self.at}"
            )
        with_high = not self._takes("(")
        high = self._number()
        if not self._takes("]"):
            raise Refusal(f"Expected ']' got '{self._sign()}'. Position: {self.at}")
        if low > high or (low == high and not (with_low and with_high)):
            raise Refusal(
                f"Start and end values of a numeric field indicate an empty range. Position: {self.at}"
            )
        return Span(known, low, high, with_low, with_high)

    def _number(self) -> float:
        self._blank()
        infinite = re.compile(r"([+-]?)inf").match(self.text, self.at)
        if infinite:
            self.at = infinite.end()
            return float("-inf") if infinite.group(1) == "-" else float("inf")
        match = _NUMBER.match(self.text, self.at)
        word = match.group() if match else ""
        self.at += len(word)
        try:
            return float(word)
        except ValueError:
            raise Refusal(f"Invalid number: {word}") from None

    def _tags(self, name: str) -> Tags:
        known = self._indexed(name, "TAG")
        self._blank()
        match = re.compile(r"(?:\\.|[^}\\]|\\(?=$))*?(?=})", re.DOTALL).match(self.text, self.at)
        if match is None:
            raise Refusal("Missing closing TAG bracket, '}'")
        self.at = match.end() + 1
        raws = [raw.strip(_SPACE) for raw in re.findall(r"(?:\\.|[^|\\]|\\$)+", match.group(), re.DOTALL)]
        if not self.rules.tag_prefixes:
            # Here a blank behind a backslash belongs to the value, and a star behind one is a star.
            raws = [raw + " " if re.search(r"(?<!\\)(?:\\\\)*\\$", raw) else raw for raw in raws]
            for raw in raws:
                if re.search(r"(?<!\\)(?:\\\\)*\*$", raw):
                    raise Refusal(f"Tag string `{raw}` ends with a star.")
            return Tags(known, frozenset(_plain(raw) for raw in raws if raw))
        for raw in raws:
            if raw.endswith("**"):
                raise Refusal(f"Tag string `{raw}` ends with multiple *.")
            if raw.endswith("*") and len(raw) <= TAG_PREFIX:
                raise Refusal(f"Tag string `{raw}` is too short for prefix wildcard.")
        texts = frozenset(_plain(raw) for raw in raws if raw)
        beginnings = frozenset(text[:-1] for text in texts if text.endswith("*"))
        return Tags(known, frozenset(text for text in texts if not text.endswith("*")), beginnings)

    def _words(self, name: str | None) -> Node:
        if not self.rules.words or not any(known.kind == "TEXT" for known in self.index.fields):
            raise Refusal("Index does not have any text field")
        words: list[Word] = []
        quoted = phrase = False
        while self.at < len(self.text):
            if self._sign() == '"':
                quoted = not quoted
                self.at += 1
                if quoted and not words:
                    phrase = True
                    continue
                break
            start = self.at
            word, ended = self._quoted(name) if quoted else self._unquoted(name)
            if word:
                words.append(word)
                if not phrase:
                    break
            if ended:
                break
            if self.at == start:
                self.at += 1
        if not words:
            raise Refusal("Invalid Query Syntax")
        self.nodes += len(words) + (len(words) > 1)
        if len(words) == 1:
            return words[0]
        if not self.index.offsets:
            raise Refusal("Index does not support offsets")
        return Both(tuple(words), 0, True)

    def _escape(self) -> tuple[bool, str]:
        """Whether the word goes on, and the sign that a backslash kept in it."""
        if not self._takes("\\", blank=False):
            return True, ""
        if self.at == len(self.text):
            raise Refusal("Invalid escape sequence: backslash at end of input")
        sign = self._sign()
        if sign == "\\" or self.index.parts_words(sign) or not self.index.parts_words("\\"):
            self.at += 1
            return True, sign
        return False, ""

    def _quoted(self, name: str | None) -> tuple[Word | None, bool]:
        content = ""
        while self.at < len(self.text):
            goes_on, kept = self._escape()
            content += kept
            sign = self._sign()
            if not goes_on or sign == '"':
                break
            if sign == "\\" or not sign:
                continue
            if self.index.parts_words(sign):
                break
            content += sign
            self.at += 1
        if not content:
            return None, False
        return Word(self._fields(name), lowered(content), "exact"), False

    def _unquoted(self, name: str | None) -> tuple[Word | None, bool]:
        content, star, ends, leading, trailing, ended = "", False, False, 0, 0, False
        while self.at < len(self.text):
            goes_on, kept = self._escape()
            content += kept
            if not goes_on:
                break
            sign = self._sign()
            if not sign:
                break
            if sign in ")|(@" or (sign == "-" and not content):
                ended = True
                break
            if sign in "{}[]:;$":
                raise self._unexpected(self.at)
            if sign == '"':
                break
            if sign == "%":
                if content:
                    while trailing < leading and self._takes("%", blank=False):
                        trailing += 1
                    break
                while leading <= FUZZY and self._takes("%", blank=False):
                    leading += 1
                continue
            if self._takes("*", blank=False):
                if content or star:
                    ends = True
                    break
                star = True
                continue
            if sign == "\\":
                continue
            if self.index.parts_words(sign):
                break
            content += sign
            self.at += 1
        return self._word(name, lowered(content), star, ends, (leading, trailing)), ended

    def _word(
        self, name: str | None, text: str, star: bool, ends: bool, percent: tuple[int, int]
    ) -> Word | None:
        if percent[0]:
            if percent[0] != percent[1] or percent[0] > FUZZY:
                raise Refusal("Invalid fuzzy '%' markers")
            if not text:
                raise Refusal("Empty fuzzy token")
            return Word(self._fields(name), text, "fuzzy", percent[0])
        if (star or ends) and not text:
            raise Refusal("Invalid wildcard '*' markers")
        if star:
            fields = self._fields(name, lambda known: known.suffixes)
            if ends:
                raise Refusal("Unsupported query operation")
            return Word(fields, text, "suffix")
        if ends:
            return Word(self._fields(name), text, "prefix")
        if not text or text in self.index.stop_words:
            return None
        return Word(self._fields(name), text, "exact" if self.options.verbatim else "term")

    def _fields(self, name: str | None, wanted: Callable[[Field], bool] | None = None) -> tuple[Field, ...]:
        if name is None:
            every = tuple(
                known for known in self.index.fields if known.kind == "TEXT" and (not wanted or wanted(known))
            )
            if not every:
                raise Refusal("No fields support suffix search")
            return every
        known = self.index.field(name)
        if known is None or known.kind != "TEXT":
            raise Refusal("Index does not have any text field")
        if wanted and not wanted(known):
            raise Refusal("Field does not support suffix search")
        return (known,)

    def _sign(self) -> str:
        return self.text[self.at : self.at + 1]

    def _blank(self) -> None:
        while self._sign() and self._sign() in _SPACE:
            self.at += 1

    def _takes(self, sign: str, *, blank: bool = True) -> bool:
        if blank:
            self._blank()
        if self._sign() != sign:
            return False
        self.at += 1
        return True

    def _unexpected(self, at: int) -> Refusal:
        return Refusal(f"Unexpected character at position {at + 1}: `{self.text[at : at + 1]}`")


def lowered(text: str) -> str:
    """Lower case, of text that has one character a byte."""
    return (
        text.encode("latin-1")
        .decode("utf-8", "surrogateescape")
        .casefold()
        .encode("utf-8", "surrogateescape")
        .decode("latin-1")
    )
