"""Filters: conditions on TAG, NUMERIC and TEXT fields → the engine's query string, rightly escaped.

    And((Tag("service", ("s3",)), Range("year", low=2015)))  →  (@service:{s3} @year:[2015 +inf])

Conditions are frozen and hashable, so a filter can be part of a cache key. Escaping was established on
the engines themselves; tests/server/test_filters.py sends generated values through them.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache

from memdb.cluster.dialects import REDISEARCH_SPLITS, STOP_WORDS, Dialect
from memdb.display import numbers_apart
from memdb.errors import BadFilter, RefusedFilter, UnknownField, UnsupportedFeature
from memdb.vectors import expression
from memdb.vectors.conditions import EVERYTHING, And, Condition, Not, Or, Range, Raw, Tag, Text
from memdb.vectors.index import Field, IndexInfo, Kind

_FIELD = re.compile(r"(?<!\\)@((?:\\.|[\w|])+)\s*:")
_NAMED = re.compile(r"(?<!\\)@(?:\\.|[\w|])+\s*:")
_BLOCKS = re.compile(r'\{(?:\\.|[^}\\])*\}|\[[^\]]*\]|"(?:\\.|[^"\\])*"', re.DOTALL)
_NOT_WORDS = re.compile(r'[{\["%*=<>$]')  # what makes more of a filter than words alone
_OPEN_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\$")
_QUOTED = re.compile(r'(?<!\\)"(?:\\.|[^"\\])*"')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_NAMES = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f]"
)  # behind a backslash RediSearch reads tabs and line breaks
# Where a name ends in a query that takes no escapes in names: in a filter, and in a KNN clause.
_NAME_ENDS, _CLAUSE_NAME_ENDS = re.compile(r"[ \t\n\v\f\r:]|=>"), re.compile(" |=>")
_ENDING = {" ": "a blank", "\t": "a tab", "\n": "a line break", "\r": "a line break"}
_KEPT = re.compile(r"\\(.?)", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_VALUE = "memdbnosuchvalue"  # of letters only: nothing to escape, and of no document
_CLAUSE_BYTES = 400  # for "=>[KNN …]" behind a filter
# Signs that mean something among valkey-search's words (ParseUnquotedTextToken of its filter_parser.cc).
_VALKEY_SIGNS = '()|@"{}[]:;$%*-~'
BLANKS = " \t\n\r\v\f"  # dropped around a TAG value that a separator cuts out


@dataclass(frozen=True, slots=True)
class Rendered:
    """A filter in the engine's words. `params` are bound by PARAMS (only where nothing else can say it)."""

    query: str
    params: tuple[tuple[str, str], ...] = ()

    @property
    def everything(self) -> bool:
        """Whether it lets every document through."""
        return self.query == "*"


@dataclass(slots=True)
class _Writer:
    dialect: Dialect
    info: IndexInfo | None
    params: dict[str, str] = field(default_factory=dict)

    def write(self, condition: Condition) -> str:
        match condition:
            case Tag():
                return self.tag(condition)
            case Range():
                return self.range(condition)
            case Text():
                return self.text(condition)
            case And():
                parts = [part for c in condition.conditions if (part := self.write(c)) != "*"]
                return "*" if not parts else parts[0] if len(parts) == 1 else f"({' '.join(parts)})"
            case Or():
                return self.either(condition)
            case Not():
                return self.negated(condition)
            case Raw():
                self.params.update(condition.params)
                return self.raw(condition.expression)

    def name(self, name: str, kind: Kind) -> str:
        if self.info is not None:
            self.info.field(name, kind)
        return attribute(name, self.dialect)

    def tag(self, condition: Tag) -> str:
        name = self.name(condition.field, "TAG")
        tag_field = None if self.info is None else self.info.field(condition.field, "TAG")
        # Blanks around a value are dropped where a separator cuts; of JSON without one they belong to it.
        whole = tag_field is not None and not tag_field.separator
        values = [value if whole else value.strip(BLANKS) for value in condition.values]
        if not values or not (all(values) or (tag_field is not None and tag_field.index_empty)):
            raise BadFilter(
                f"The condition on '{condition.field}' has an empty value.",
                "Choose at least one value, or leave the condition out."
                + (
                    " Empty values are in the index only where it was created with INDEXEMPTY."
                    if values
                    else ""
                ),
            )
        return (
            f"{name}:{{{' | '.join(self.tag_value(tag_field, condition.field, value) for value in values)}}}"
        )

    def tag_value(self, tag_field: Field | None, name: str, value: str) -> str:
        if not value:
            return '""'
        options_known = self.info is not None and self.info.tag_options_told
        if options_known and tag_field is not None and tag_field.separator and tag_field.separator in value:
            raise BadFilter(
                f"'{value}' holds '{tag_field.separator}', which separates the values of '{name}'.",
                "Choose the parts as values of their own.",
            )
        if not self.dialect.escaped_stars and value.endswith("*"):
            raise BadFilter(
                f"'{value}' ends with a star, which {self.dialect.title} reads as a prefix, escaped or not.",
                "Filter on another value.",
            )
        if not _CONTROL.search(value) or (self.dialect.escaped_controls and "\x00" not in value):
            return _escaped(value)
        if not self.dialect.bound_values or "\x00" in value:
            raise BadFilter(
                f"A value of '{name}' holds a control character that this engine's queries cannot express.",
                "Filter on another field.",
            )
        # No escape reaches a control character in RediSearch's parser; a parameter does. Its backslashes
        # are still read as escapes.
        param = f"tag{len(self.params)}"
        self.params[param] = value.replace("\\", "\\\\")
        return f"${param}"

    def range(self, condition: Range) -> str:
        name = self.name(condition.field, "NUMERIC")
        # An open end takes in what lies at infinity; one that was named may leave it out.
        with_low = condition.include_low or condition.low is None
        with_high = condition.include_high or condition.high is None
        low = -math.inf if condition.low is None else float(condition.low)
        high = math.inf if condition.high is None else float(condition.high)
        if low > high:
            text = numbers_apart((low, high))
            raise BadFilter(
                f"The range of '{condition.field}' runs from {text[low]} to {text[high]}.",
                "Put the smaller number first.",
            )
        if low == high and not (with_low and with_high) and not self.dialect.empty_ranges:
            raise BadFilter(
                f"The range of '{condition.field}' leaves out its only number, {low:g}.",
                f"Let it hold a number; {self.dialect.title} takes no empty range.",
            )
        return f"{name}:[{_bound(low, with_low)} {_bound(high, with_high)}]"

    def text(self, condition: Text) -> str:
        name = self.name(condition.field, "TEXT")
        if not self.dialect.text_search:
            raise self.unsearched(f"'{condition.field}'")
        splits = splits_of(self.dialect, self.info)
        words = indexed_words(condition.words, splits)
        own = None if self.info is None else self.info.rules.stop_words
        stopped = self.dialect.stop_words(own)
        searched = [word for word in words if self.dialect.lower(word) not in stopped]
        if words and condition.mode == "prefix" and self.dialect.lower(words[-1]) in stopped:
            searched.append(words[-1])  # as a start, "in" means "index"
        if not searched:
            raise _wordless(condition.words, stopped)
        if condition.mode == "phrase":
            return f'{name}:"{" ".join(self.quoted(word, splits) for word in searched)}"'
        escaped = [self.word(word, splits) for word in searched]
        if condition.mode == "prefix":
            if len(searched[-1]) < 2:
                raise BadFilter(f"'{searched[-1]}*' is too short for a prefix.", "Type two letters or more.")
            escaped[-1] += "*"
        if self.dialect.grouped_words:
            return f"{name}:({('|' if condition.mode == 'any' else ' ').join(escaped)})"
        parts = [f"{name}:{word}" for word in escaped]
        if len(parts) == 1 and parts[0][-1] not in BLANKS:  # a blank at the end of a query is cut off
            return parts[0]
        return f"({(' | ' if condition.mode == 'any' else ' ').join(parts)})"

    def word(self, word: str, splits: str) -> str:
        """A word with its signs escaped: where grouped words are, all; else those that mean something or part
        words, since a backslash before any other parts them itself."""
        if self.dialect.grouped_words:
            return _escaped(word)
        return self.backslashed(word, splits, _VALKEY_SIGNS)

    def quoted(self, word: str, splits: str) -> str:
        """A word of a phrase."""
        if not self.dialect.grouped_words:
            return self.backslashed(word, splits, '"')
        # Between quotes nothing is escaped there, and nothing needs to be: no sign in it parts words.
        if any(sign in splits or sign in BLANKS or sign == "\\" for sign in word):
            raise BadFilter(
                f"'{word}' holds a sign that a phrase cannot express.", "Search for all words instead."
            )
        return word

    def backslashed(self, word: str, splits: str, signs: str) -> str:
        """A word with a backslash before what parts words, and before these signs where one is read there."""
        reads = splits + BLANKS + "\\"
        if "\\" not in splits:
            reads += signs + "="  # the sign of "=>", which begins the KNN clause
        unsaid = [sign for sign in word if sign in signs and sign not in reads]
        if unsaid or ("=>" in word and "=" not in reads):
            raise BadFilter(
                f"'{word}' holds '{''.join(unsaid[:1]) or '=>'}', which no query of this index can say on "
                f"{self.dialect.title}.",
                "Use other words; an index whose PUNCTUATION holds this sign parts words there.",
            )
        return "".join(f"\\{sign}" if sign in reads else sign for sign in word)

    def raw(self, text: str) -> str:
        if self.info is not None and self.dialect.small_grammar:
            # Tells what is wrong and how it is written there; the engine tells a position at best.
            written = _raw(text)
            try:
                read = expression.conditions(text, self.dialect, self.info)  # also raises UnknownField
            except RefusedFilter:
                if not self.dialect.later:
                    raise
                _closed(written)
                return written
            if not self.dialect.text_search and expression.holds_text(read):
                raise self.unsearched(f"'{text}'")
            return written
        written = _raw(text)
        _closed(written)
        if self.info is not None:
            # RediSearch answers an unknown field with an empty result and no error: tell it here.
            field_names = {f.name for f in self.info.fields}
            for names in _FIELD.findall(_QUOTED.sub('""', written)):
                for name in names.split("|"):
                    plain = name.replace("\\", "")
                    if plain not in field_names and not plain.startswith("__"):
                        raise UnknownField(plain, self.info.name, tuple(sorted(field_names)))
            if not self.dialect.text_search and self.asks_words(text):
                raise self.unsearched(f"'{text}'")
        return written

    def asks_words(self, text: str) -> bool:
        """Whether an expression asks for words, also stop words; what is not read is left to the engine."""
        if self.info is None or not self.info.of_kind("TEXT"):
            return False
        if _bare_words(text, splits_of(self.dialect, self.info)):
            return True
        try:
            return expression.holds_text(expression.conditions(text, self.dialect, self.info))
        except BadFilter:
            return False

    def unsearched(self, what: str) -> UnsupportedFeature:
        return UnsupportedFeature(
            f"Searching the words of {what}",
            f"{self.dialect.title} returns TEXT fields but does not search them",
            "Use TAG or NUMERIC fields.",
        )

    def either(self, condition: Or) -> str:
        if not condition.conditions:
            raise BadFilter("An 'or' of no conditions matches nothing.", "Add a condition.")
        parts = [self.write(c) for c in condition.conditions]
        if "*" in parts:
            return "*"
        return parts[0] if len(parts) == 1 else f"({' | '.join(parts)})"

    def negated(self, condition: Not) -> str:
        if not self.dialect.negation:
            raise UnsupportedFeature(
                "'Not' in a filter",
                f"{self.dialect.title}'s documented grammar has no negation",
                "List the values that should match instead.",
            )
        inner = self.write(condition.condition)
        if inner == "*":
            raise BadFilter("'Not everything' matches nothing.", "Negate a condition.")
        return f"(-{inner})"


def render(condition: Condition | str, dialect: Dialect, info: IndexInfo | None = None) -> Rendered:
    """A condition in the engine's words.

    Args:
        condition: a condition, or a raw expression as text ("" and "*" are every document).
        dialect: what the engine accepts.
        info: if given, fields are checked against it.

    Raises:
        BadFilter: it cannot be said, e.g. an empty value or brackets that do not match.
        UnknownField: the index has no such field of that kind.
        UnsupportedFeature: this engine has no such condition.
    """
    expression.shallow(condition)
    writer = _Writer(dialect, info)
    query = writer.write(Raw(condition) if isinstance(condition, str) else condition)
    _asking(query, dialect, info)
    _within(query, dialect, info)
    return Rendered(query, tuple(writer.params.items()))


def _asking(query: str, dialect: Dialect, info: IndexInfo | None) -> None:
    """Refuse words that are all stop words: RediSearch finds nothing by them, and all beside a KNN clause."""
    if not dialect.text_search or dialect.small_grammar or _NOT_WORDS.search(query):
        return
    stopped = dialect.stop_words(None if info is None else info.rules.stop_words)
    words = _bare_words(query, splits_of(dialect, info))
    if words and all(dialect.lower(word) in stopped for word in words):
        raise _wordless(query, stopped)


def _bare_words(text: str, splits: str) -> list[str]:
    """The words of a filter that stand in no brackets but round ones."""
    plain = _NAMED.sub(" ", _BLOCKS.sub(" ", text))
    return indexed_words(re.sub(r"(?<!\\)[()|~-]", " ", plain), splits)


def _wordless(what: str, stopped: frozenset[str]) -> BadFilter:
    return BadFilter(
        f"'{what}' holds no word that is indexed.",
        "Use other words; punctuation"
        + (" is not in the index." if not stopped else f" and stop words ({_some(stopped)}) are not in it."),
    )


def _within(query: str, dialect: Dialect, info: IndexInfo | None) -> None:
    """Refuse a filter that is longer than the engine reads, room for a KNN clause included."""
    most, size = dialect.limits.query_bytes, len(query.encode("utf-8", "surrogateescape"))
    if most is not None and size + _CLAUSE_BYTES > most:
        raise BadFilter(
            f"The filter takes {size:,} bytes; {dialect.title} reads queries of {most:,}.",
            "Choose fewer values, or a tag of their own for documents that belong together.",
        )
    most = dialect.limits.nodes
    # Each takes two bytes or more: what is shorter need not be counted.
    if most is not None and size > most and (number := _nodes(query, dialect, info)) > most:
        raise BadFilter(
            f"The filter has {number:,} parts (conditions, and what joins them); {dialect.title} takes "
            f"{most:,}.",
            "Leave some out; several values of a tag are one condition.",
        )


def _nodes(query: str, dialect: Dialect, info: IndexInfo | None) -> int:
    """How many parts the engine counts in a filter, at most, where it cannot be read here."""
    if info is not None:
        with suppress(BadFilter):
            return expression.nodes(expression.conditions(query, dialect, info))
    return max(2 * len(_FIELD.findall(_QUOTED.sub('""', query))) - 1, 0)


def all_documents(dialect: Dialect, info: IndexInfo) -> str:
    """A filter that every document of the index passes, for a query without a KNN clause.

    Where a star is no filter, a negation of what no document holds; a range alone would leave out who has
    no such number.

    Raises:
        UnsupportedFeature: the engine has none for an index of these fields.
    """
    if dialect.bare_star:
        return "*"
    if tags := _sayable(info, "TAG", dialect):
        return f"-{tags[0]}:{{{_NO_VALUE}}}"
    if numbers := _sayable(info, "NUMERIC", dialect):
        return f"({numbers[0]}:[-inf +inf] | -{numbers[0]}:[-inf +inf])"
    if (texts := _sayable(info, "TEXT", dialect)) and dialect.text_search:
        return f"-{texts[0]}:{_NO_VALUE}"
    raise UnsupportedFeature(
        "A list of all documents without their vectors",
        f"{dialect.title} takes no '*' there, and '{info.name}' has no field for another filter",
        "Add a TAG or NUMERIC field to the index.",
    )


def _sayable(info: IndexInfo, kind: Kind, dialect: Dialect) -> list[str]:
    """The fields of a kind that queries can name, as they name them."""
    names: list[str] = []
    for of_kind in info.of_kind(kind):
        with suppress(BadFilter):
            names.append(attribute(of_kind.name, dialect))
    return names


def may_be_broken(condition: Condition | str, dialect: Dialect, info: IndexInfo, field: str = "") -> bool:
    """Whether the engine is known to return hits that break such a filter.

    valkey-search 1.2 ignores TEXT inside an AND and in a phrase while it walks an HNSW graph. One word alone
    was right; so are FLAT, tags and numbers.

    Raises:
        BadFilter: the filter does not parse.
    """
    if not dialect.text_leaks or not info.vector_field(field)[1].has_ef:
        return False
    # As it is sent: a condition may hold raw expressions anywhere.
    try:
        read = expression.conditions(render(condition, dialect, info).query, dialect, info)
    except RefusedFilter:  # of a later release, which was not refused
        return True
    if isinstance(read, Text):
        return read.mode == "phrase" and " " in read.words
    return expression.holds_text(read)


def splits_of(dialect: Dialect, info: IndexInfo | None) -> str:
    """The signs, beside blanks, that part the words of an index."""
    return dialect.word_ends(None if info is None else info.rules.punctuation)


def attribute(name: str, dialect: Dialect, *, in_clause: bool = False) -> str:
    """A field's name as a query takes it, with its @.

    Args:
        name: of the field.
        dialect: of the server.
        in_clause: whether it stands in a KNN clause, not in a filter.

    Raises:
        BadFilter: no query can say it: it is empty, holds a control character or a byte that is no text, or,
            where names are written as they are, a sign that ends them.
    """
    if not name or _NOT_IN_NAMES.search(name) or _SURROGATE.search(name):
        raise BadFilter(
            f"A query cannot name the field '{name}'.",
            "Names are of letters, digits and signs; create the index again with AS and another name.",
        )
    ends = _CLAUSE_NAME_ENDS if in_clause else _NAME_ENDS
    if not dialect.escaped_names and (end := ends.search(name)):
        sign = _ENDING.get(end[0], f"'{end[0]}'")
        raise BadFilter(
            f"The field '{name}' cannot be queried on {dialect.title}: its name holds {sign}, where a name "
            "ends there, and no escape is read.",
            "Create the index again with an alias of letters, digits and _ (AS in FT.CREATE).",
        )
    return dialect.attribute(name)


def indexed_words(text: str, splits: str = REDISEARCH_SPLITS) -> list[str]:
    """A text as the engine's tokenizer cuts it; a backslash makes the next sign part of the word.

    Args:
        text: of a document, or of a person who searches.
        splits: signs that part words, beside blanks.
    """
    cut = (_KEPT.sub(r"\1", word) for word in _word(splits).findall(text))
    return [word for word in cut if word]


@lru_cache(maxsize=32)
def _word(splits: str) -> re.Pattern[str]:
    """A word: signs that part none, and any behind a backslash that is not one of those itself."""
    # Blanks of ASCII alone: a no-break space, or the blank of Japanese texts, is part of a word everywhere.
    ends = re.escape(BLANKS + splits)
    escaped = rf"[{ends}\\]" if "\\" in splits else "."
    return re.compile(rf"(?:\\{escaped}|[^{ends}])+", re.DOTALL)


def _escaped(value: str) -> str:
    """Every ASCII character that is not a letter or digit behind a backslash."""
    return "".join(f"\\{c}" if c.isascii() and not c.isalnum() else c for c in value)


def _some(words: frozenset[str]) -> str:
    examples = sorted(words, key=lambda word: (word not in {"the", "of"}, word))[:3]
    return ", ".join(examples) + (", …" if len(words) > 3 else "")


def _bound(number: float, included: bool) -> str:
    if math.isnan(number):
        raise BadFilter("A bound of a range is not a number.", "Enter a number or leave it open.")
    sign = "" if included else "("
    if math.isinf(number):
        return f"{sign}{'+inf' if number > 0 else '-inf'}"
    # Digits alone: releases of valkey-search read no exponent (ParseNumber of its filter_parser.cc).
    return sign + format(Decimal(repr(number)), "f").removesuffix(".0")


def _raw(expression: str) -> str:
    """An expression as it is sent, in brackets; an arrow would end it."""
    text = expression.strip(BLANKS) or "*"
    if _OPEN_ESCAPE.search(text):
        text += expression.lstrip(BLANKS)[len(text) :][:1]  # a blank behind a backslash belongs to a word
    if text.replace(" ", "") == "(*)":
        text = "*"
    if "=>" in text:
        raise BadFilter(
            f"'{text}' holds '=>': the KNN part is added by the search itself.",
            "Write only the filter, e.g. @service:{s3} @year:[2015 +inf].",
            expression=text,
        )
    return text if text == "*" else f"({text})"


def _closed(written: str) -> None:
    """Refuse brackets and quotes that do not match, which an engine would answer with a puzzling offset."""
    text = written if written == "*" else written[1:-1]
    stack: list[tuple[str, int]] = []
    closing = {")": "(", "]": "[", "}": "{"}
    quoted = False
    i = 0
    while i < len(text):
        character = text[i]
        if character == "\\":
            i += 1
        elif character == '"':
            quoted = not quoted
        elif not quoted and character in "([{":
            # An exclusive bound, [(2015 2020], opens no bracket of its own.
            if not (character == "(" and stack and stack[-1][0] == "["):
                stack.append((character, i))
        elif not quoted and character in closing:
            if not stack or stack[-1][0] != closing[character]:
                raise BadFilter(
                    f"The filter has a '{character}' at position {i + 1} that nothing opens.",
                    "Check its brackets.",
                    expression=text,
                )
            stack.pop()
        i += 1
    if stack or quoted:
        what, where = ('"', text.find('"')) if quoted else stack[-1]
        raise BadFilter(
            f"The filter opens '{what}' at position {where + 1} and never closes it.",
            "Check its brackets and quotes.",
            expression=text,
        )


__all__ = [
    "EVERYTHING",
    "STOP_WORDS",
    "And",
    "Condition",
    "Not",
    "Or",
    "Range",
    "Raw",
    "Rendered",
    "Tag",
    "Text",
    "all_documents",
    "attribute",
    "indexed_words",
    "may_be_broken",
    "render",
    "splits_of",
]
