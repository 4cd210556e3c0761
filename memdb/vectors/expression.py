"""Reading a filter in an engine's words: the way back from `filters.render`, as far as it was recorded.

valkey-search's grammar is read whole, MemoryDB's as documented; of RediSearch's, which is far larger, what
the recordings show. tests/unit/test_conformance.py holds it against every filter recorded of two engines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from memdb.cluster.dialects import REDISEARCH_SPLITS, Dialect
from memdb.errors import RefusedFilter, UnknownField
from memdb.vectors.conditions import And, Condition, Not, Or, Range, Raw, Tag, Text, Words
from memdb.vectors.index import IndexInfo, Kind

_NUMBER = re.compile(r"[+-]?(?:inf(?:inity)?|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)", re.IGNORECASE)
_COMPARED = re.compile(r"(==|!=|>=|<=|>|<)\s*\(?\s*")
_VALKEY_NUMBER = re.compile(r"[+-]?inf|-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_VALKEY_TAG = re.compile(r"((?:\\.|[^\\}])*)\}", re.DOTALL)
_VALKEY_VALUES = re.compile(r"(?:\\.|[^\\|])*", re.DOTALL)
_SHORTEST_PREFIX = 2  # signs of a tag's value that ends with a star, its star too, are too few
_MOST_EDITS = 3  # of a word between percent signs
_BLANKS = " \t\n\r\v\f"
# Signs that RediSearch's parser takes for its own inside the braces of a tag; others part its words.
_TAG_SIGNS = frozenset('{}[]":;@%()-~*$')


_CONTROL = "".join(map(chr, (*range(9), *range(14, 32), 127)))
# Signs behind a backslash, quoted words, ranges and values: no bracket in them opens a level.
_STRUCTURE = re.compile(r'\\.|"(?:\\.|[^"\\])*"|\[[^\]]*\]|\{(?:\\.|[^}\\])*\}', re.DOTALL)
_NOTHING = Not(And())  # what RediSearch finds where it should have refused


MOST_DEEP = 100  # levels of a filter; RediSearch's parser takes some 140, valkey-search's 1,000


def shallow(condition: Condition | str) -> None:
    """Refuse a filter that is nested deeper than it is read and written here.

    Args:
        condition: a condition, or an expression in the engine's words.

    Raises:
        RefusedFilter: it is.
    """
    levels = _depth(condition) if isinstance(condition, str) else 0
    unvisited = [] if isinstance(condition, str) else [(condition, 1)]
    while unvisited:
        part, level = unvisited.pop()
        levels = max(levels, level)
        if isinstance(part, And | Or):
            unvisited += [(each, level + 1) for each in part.conditions]
        elif isinstance(part, Not):
            unvisited.append((part.condition, level + 1))
        elif isinstance(part, Raw):
            levels = max(levels, level + _depth(part.expression))
    if levels > MOST_DEEP:
        raise RefusedFilter(
            f"The filter is nested in {levels:,} levels; {MOST_DEEP} are read here.",
            "Leave out brackets, or put what belongs together side by side.",
            expression=condition if isinstance(condition, str) else "",
        )


def _depth(text: str) -> int:
    """How many brackets and signs of a negation stand around the deepest part of an expression."""
    deepest = signs = 0
    opened = [0]  # levels around each bracket that is open
    for sign in _STRUCTURE.sub("", text):
        if sign in "-~":
            signs += 1
        elif sign == "(":
            opened.append(opened[-1] + signs + 1)
            signs = 0
        elif sign == ")" and len(opened) > 1:
            opened.pop()
        elif sign not in _BLANKS:
            signs = 0
        deepest = max(deepest, opened[-1] + signs)
    return deepest


def conditions(expression: str, dialect: Dialect, info: IndexInfo) -> Condition:
    """A filter in the engine's words as conditions.

    A tag value that ends with a star stands for a prefix; a `Text` without a field is of all TEXT fields, and
    words with `%` around them are taken by likeness.

    Args:
        expression: without a KNN clause.
        dialect: whose words they are.
        info: the index; fields are looked up in it.

    Raises:
        RefusedFilter: the engine refuses it; the message says why and the hint how it is written there.
        UnknownField: the index has no field of that name, and the engine refuses such a filter.
    """
    if expression.strip(_BLANKS) in ("*", "(*)"):
        return And()
    shallow(expression)
    reader = (_Reader if dialect.grouped_words else _ValkeyReader)(expression, dialect, info)
    condition = reader.union()
    reader.blanks()
    if not reader.ended:
        raise reader.refusal(
            f"has a '{reader.sign}' that nothing opens" if reader.sign in ")]}" else "ends there"
        )
    return condition


def holds_text(condition: Condition) -> bool:
    """Whether any part of a condition looks at words."""
    match condition:
        case And() | Or():
            return any(map(holds_text, condition.conditions))
        case Not():
            return holds_text(condition.condition)
    return isinstance(condition, Text)


def nodes(condition: Condition) -> int:
    """How many parts valkey-search counts in a filter: conditions, words of phrases, and what joins them."""
    match condition:
        case And() | Or():
            return sum(map(nodes, condition.conditions)) + len(condition.conditions) - 1
        case Not():
            return nodes(condition.condition)
        case Text(mode="phrase"):
            words = len(condition.words.split())
            return words + (words > 1)
    return 1


@dataclass(slots=True)
class _Reader:
    text: str
    dialect: Dialect
    info: IndexInfo
    at: int = 0

    @property
    def ended(self) -> bool:
        return self.at >= len(self.text)

    @property
    def sign(self) -> str:
        return self.text[self.at : self.at + 1]

    def blanks(self) -> None:
        while not self.ended and self.sign in _BLANKS:
            self.at += 1

    def take(self, sign: str) -> bool:
        self.blanks()
        if self.sign != sign:
            return False
        self.at += 1
        return True

    def refusal(self, what: str, hint: str = "Check its brackets and signs.") -> RefusedFilter:
        return RefusedFilter(
            f"The filter {what} (position {self.at + 1}); {self.dialect.title} refuses it.",
            hint,
            expression=self.text,
        )

    def union(self) -> Condition:
        parts = [self.all_of()]
        while self.take("|"):
            parts.append(self.all_of())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def all_of(self) -> Condition:
        parts: list[Condition] = []
        while True:
            self.blanks()
            if self.ended or self.sign in "|)":
                break
            parts.append(self.one())
        if not parts:
            raise self.refusal("has an empty part")
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def one(self) -> Condition:
        if self.take("-"):
            return Not(self.one())
        if self.take("~"):
            self.one()
            return And()
        if self.take("("):
            inner = self.union()
            if not self.take(")"):
                raise self.refusal("opens '(' and never closes it")
            return inner
        if self.sign == "@":
            return self.field()
        return self.words("")

    def field(self) -> Condition:
        self.at += 1
        start, name = self.at, self.name()
        if self.dialect.escaped_names and (match := _COMPARED.match(self.text, self.at)):
            self.at = match.end()
            return self.compared(name, match[1])
        if not self.take(":"):
            for field in self.info.fields:
                begins = field.name.startswith(tuple(name + blank for blank in _BLANKS))
                if begins and self.text.startswith(field.name, start):
                    raise self.refusal(
                        f"names the field '{field.name}', which no query can: a blank ends a name",
                        "Create the index again with an alias of letters, digits and _ (AS in FT.CREATE).",
                    )
            raise self.refusal(
                f"compares '{name}' without a colon",
                "Write a range: @field:[low high], one number twice for equal.",
            )
        self.blanks()
        if self.sign == "[":
            return self.range(name)
        if self.sign == "{":
            return self.tag(name)
        return self.words(name)

    def name(self) -> str:
        """Up to the colon, a comparison or a blank; a backslash is part of it where it escapes nothing."""
        start, name = self.at, ""
        escapes = self.dialect.escaped_names
        while not self.ended and self.sign not in _BLANKS and self.sign != ":":
            if escapes and self.sign in "=!<>":
                break
            if escapes and self.sign == "\\":
                self.at += 1
            elif escapes and self.sign.isascii() and not (self.sign.isalnum() or self.sign in "_|"):
                raise self.refusal(f"has a '{self.sign}' in a field's name", "Put a backslash before it.")
            name += self.sign
            self.at += 1
        if not name:
            self.at = start
            raise self.refusal("has an @ without a field")
        return name

    def known(self, name: str, kind: Kind, words: str) -> bool:
        """Whether the index has such a field; RediSearch finds nothing by one that it has not."""
        if any(f.name == name and f.kind == kind for f in self.info.fields):
            return True
        if self.dialect.escaped_names:
            return False
        plain = name.replace("\\", "")
        hint = f"It has: {', '.join(f.name for f in self.info.of_kind(kind)) or 'none'}."
        if plain != name and any(f.name == plain and f.kind == kind for f in self.info.fields):
            hint = f"Names take no backslash there: write @{plain}."
        elif all(f.name != name for f in self.info.fields):
            raise UnknownField(name, self.info.name, tuple(sorted(f.name for f in self.info.fields)))
        raise self.refusal(f"takes '{name}' for {words}, which it is not in this index", hint)

    def range(self, name: str) -> Condition:
        is_number = self.known(name, "NUMERIC", "a NUMERIC field")
        self.at += 1
        low, low_included = self.bound(name)
        parted = self.parted()
        self.blanks()
        if self.dialect.empty_ranges and self.sign == "]":
            high, high_included = low, low_included
        elif not parted:
            raise self.refusal(f"has one number for '{name}'", f"Write both ends: @{name}:[{low:g} {low:g}].")
        else:
            high, high_included = self.bound(name)
        if not self.take("]"):
            raise self.refusal("opens '[' and never closes it")
        if not self.dialect.empty_ranges and (
            low > high or (low == high and not (low_included and high_included))
        ):
            raise self.refusal(
                f"has a range of '{name}' that holds no number", "Put the smaller number first."
            )
        if not is_number:
            return _NOTHING
        return Range(name, low, high, low_included, high_included)

    def parted(self) -> bool:
        """Pass what stands between two numbers; whether there was anything."""
        parted = not self.ended and (self.sign in _BLANKS or self.sign == ",")
        self.blanks()
        if self.sign == ",":
            self.at += 1
        return parted

    def bound(self, name: str) -> tuple[float, bool]:
        self.blanks()
        included = self.sign != "("
        self.at += not included
        self.blanks()
        match = _NUMBER.match(self.text, self.at)
        if not match:
            raise self.refusal(f"has no number in the range of '{name}'", "Write numbers, -inf or +inf.")
        self.at = match.end()
        return float(match[0]), included

    def compared(self, name: str, sign: str) -> Condition:
        match = _NUMBER.match(self.text, self.at)
        if not match:
            raise self.refusal(f"has no number to compare '{name}' with")
        self.at = match.end()
        number = float(match[0])
        if not self.known(name, "NUMERIC", "a NUMERIC field"):
            return _NOTHING
        match sign:
            case "==":
                return Range(name, number, number)
            case "!=":
                return Not(Range(name, number, number))
            case ">" | ">=":
                return Range(name, number, None, include_low=sign == ">=")
        return Range(name, None, number, include_high=sign == "<=")

    def tag(self, name: str) -> Condition:
        is_tag = self.known(name, "TAG", "a TAG field")
        self.at += 1
        values: list[str] = [""]
        stars: list[int] = []  # of the value so far: places of stars that stand for something
        while not self.ended and self.sign != "}":
            sign = self.sign
            self.at += 1
            if sign == "\\" and not self.ended:
                values[-1] += self.escaped()
                self.at += 1
            elif sign == "|":
                values[-1] = self.tag_value(values[-1], stars)
                values.append("")
                stars = []
            elif sign == '"' and not values[-1].strip():
                end = self.text.find('"', self.at)
                if end < 0:
                    raise self.refusal("opens a quote and never closes it")
                values[-1] += self.text[self.at : end]
                self.at = end + 1
            elif sign == "*":
                stars.append(len(values[-1].lstrip()))
                values[-1] += sign
            elif sign in _TAG_SIGNS:
                raise self.refusal(f"has a '{sign}' in a value of '{name}'", "Put a backslash before it.")
            elif sign in REDISEARCH_SPLITS or sign in _CONTROL or sign in _BLANKS:
                if sign == "'" and not values[-1].strip():
                    raise self.refusal(
                        f"has a quote at the start of a value of '{name}'", "Write it without."
                    )
                values[-1] += " "
            else:
                values[-1] += sign
        if self.ended:
            raise self.refusal("opens '{' and never closes it")
        self.at += 1
        values[-1] = self.tag_value(values[-1], stars)
        if not all(values):
            raise self.refusal(
                f"has an empty value of '{name}'", "Choose a value, or leave the condition out."
            )
        return Tag(name, tuple(values)) if is_tag else _NOTHING

    def escaped(self) -> str:
        """What a backslash before this sign of a tag's value stands for."""
        sign = self.sign
        if sign in _CONTROL or (sign.isascii() and sign.isalnum()):
            return " " + sign.strip(_CONTROL)  # RediSearch: no escape, and words part there
        return sign if sign.isascii() else "\\" + sign

    def tag_value(self, value: str, stars: list[int]) -> str:
        value = value.strip(_BLANKS)
        if any(0 < place < len(value) - 1 for place in stars):
            raise self.refusal("has a star inside a value", "Put a backslash before it.")
        return value

    def words(self, name: str) -> Condition:
        """Words of a field, of all TEXT fields where none is named."""
        is_text = self.text_field(name)
        if self.sign == "(":
            self.at += 1
            inner = self.grouped(name)
            return inner if is_text else _NOTHING
        if self.sign == "-" and name:
            self.at += 1
            inner = self.words(name)
            return Not(inner)
        if self.sign == '"':
            end = self.text.find('"', self.at + 1)
            if end < 0:
                raise self.refusal("opens a quote and never closes it")
            phrase = self.text[self.at + 1 : end]
            self.at = end + 1
            return Text(name, phrase, "phrase") if is_text else _NOTHING
        word, mode = self.word(name)
        if self.stopped(word) and mode == "all":
            return _NOTHING
        return Text(name, word, mode) if is_text else _NOTHING

    def grouped(self, name: str) -> Condition:
        """RediSearch's words in brackets: all of them, or any between bars."""
        either: list[Condition] = []
        every: list[Condition] = []
        while not self.take(")"):
            if self.ended:
                raise self.refusal("opens '(' and never closes it")
            if self.take("|"):
                either.append(And(tuple(every)))
                every = []
            else:
                every.append(self.words(name))
        if not every:
            raise self.refusal("has empty brackets")
        either.append(And(tuple(every)))
        return either[0] if len(either) == 1 else Or(tuple(either))

    def text_field(self, name: str) -> bool:
        if not name:
            return bool(self.info.of_kind("TEXT"))
        return all(self.known(part, "TEXT", "a TEXT field") for part in name.split("|"))

    def word(self, name: str) -> tuple[str, Words]:
        """One word with the signs around it that mean something."""
        start = self.at
        splits = self.dialect.word_ends(self.info.rules.punctuation)
        fuzzy = 0
        while self.sign == "%":
            fuzzy, self.at = fuzzy + 1, self.at + 1
        before = self.sign == "*"
        self.at += before
        word = ""
        while not self.ended and self.sign not in _BLANKS:
            if self.sign == "\\" and self.at + 1 < len(self.text):
                self.at += 1
            elif self.sign in splits:
                break
            word += self.sign
            self.at += 1
        after = bool(word) and self.sign == "*"
        self.at += after
        for _ in range(fuzzy):
            if self.sign != "%":
                raise self.refusal("opens '%' and never closes it")
            self.at += 1
        if not word:
            self.at = start
            what = (
                f"has a '{self.sign}' where a word is expected"
                if self.sign
                else "ends where a word is expected"
            )
            raise self.refusal(what)
        if fuzzy:
            return f"{'%' * fuzzy}{word}{'%' * fuzzy}", "all"
        if before:
            return f"*{word}" + "*" * after, "all"
        return word, "prefix" if after else "all"

    def stopped(self, word: str) -> bool:
        return self.dialect.lower(word) in self.dialect.stop_words(self.info.rules.stop_words)


class _ValkeyReader(_Reader):
    """valkey-search's filters, as its parser reads them (filter_parser.cc and tag.cc of 1.2).

    Two things that it takes are refused, since nobody means them: a quote that is never closed, and a `~`,
    which RediSearch reads and which is a sign between words there.
    """

    def one(self) -> Condition:
        self.blanks()
        if self.sign == "~":
            raise self.refusal("makes a condition optional with '~'", "Leave the condition out.")
        if not self.take("-"):
            return super().one()
        self.blanks()
        if self.sign == "-":
            raise self.refusal("negates twice", "Leave both signs out.")
        return Not(self.one())

    def bound(self, name: str) -> tuple[float, bool]:
        included = not self.take("(")
        self.blanks()
        match = _VALKEY_NUMBER.match(self.text, self.at)
        if not match:
            raise self.refusal(
                f"has no number in the range of '{name}'", "Write numbers without a plus, -inf or +inf."
            )
        self.at = match.end()
        return float(match[0]), included

    def parted(self) -> bool:
        if self.sign == " ":
            self.at += 1
            return True
        return self.take(",")

    def tag(self, name: str) -> Condition:
        self.known(name, "TAG", "a TAG field")
        match = _VALKEY_TAG.match(self.text, self.at + 1)
        if match is None:
            raise self.refusal("opens '{' and never closes it")
        values = []
        for written in _VALKEY_VALUES.findall(match[1]):
            value = written.strip(_BLANKS)
            if value.endswith("**"):
                raise self.refusal(f"has '{value}', which ends with two stars", "Leave one out.")
            if value.endswith("*") and len(value) <= _SHORTEST_PREFIX:
                raise self.refusal(
                    f"has '{value}', which is too short for a prefix", "Give two letters or more."
                )
            values.append(re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL))
        self.at = match.end()
        return Tag(name, tuple(filter(None, values)))

    def words(self, name: str) -> Condition:
        """The first word of what follows, or a phrase: signs and stop words before it are left out."""
        if "|" in name:
            raise self.refusal("names two fields at once", "Write (@a:word | @b:word).")
        self.text_field(name)
        passed = ""
        while not self.ended:
            if self.sign == '"':
                return self.phrase(name)
            start = self.at
            word, mode = self.word(name)
            if word and not (mode == "all" and self.stopped(word)):
                return Text(name, word, mode)
            passed = word or passed
            if self.at == start:
                if self.sign in "()|@-":
                    break
                self.at += 1
        if passed:
            raise self.refusal(
                f"asks for '{passed}', a stop word that is not in the index", "Use other words."
            )
        raise self.refusal(
            f"has a '{self.sign}' where a word is expected" if self.sign else "ends where a word is expected",
            "One word is one condition there: (@f:first @f:second), (@f:first | @f:second)."
            if self.sign == "("
            else "Check its brackets and signs.",
        )

    def phrase(self, name: str) -> Condition:
        """What stands between quotes: stop words are looked for too."""
        words: list[str] = [""]
        self.at += 1
        while not self.ended and self.sign != '"':
            if self.sign == "\\":
                words[-1] += self.behind_backslash() or " "
                continue
            if self.parts(self.sign):
                words.append("")
            else:
                words[-1] += self.sign
            self.at += 1
        if self.ended:
            raise self.refusal("opens a quote and never closes it")
        self.at += 1
        phrase = " ".join(filter(None, words))
        if not phrase.strip():
            raise self.refusal("has a phrase without words", "Write words between the quotes.")
        return Text(name, phrase, "phrase")

    def word(self, name: str) -> tuple[str, Words]:
        """The next word with the signs around it that mean something; "" for none."""
        word, before, after, opened, closed = "", False, False, 0, 0
        while not self.ended:
            sign = self.sign
            if sign == "\\":
                character = self.behind_backslash()
                word += character
                if not character:
                    break
                continue
            if sign in '()|@"' or (sign == "-" and not word):
                break
            if sign in "{}[]:;$":
                raise self.refusal(f"has a '{sign}' among words", "Put a backslash before it.")
            if sign == "%":
                counted = len(self.text[self.at :]) - len(self.text[self.at :].lstrip("%"))
                if word:
                    closed = min(counted, opened)
                    self.at += closed
                    break
                opened += counted
                self.at += counted
                continue
            if sign == "*":
                self.at += 1
                if word or before:
                    after = True
                    break
                before = True
                continue
            if self.parts(sign):
                break
            word += sign
            self.at += 1
        if opened:
            if not word or opened != closed or opened > _MOST_EDITS:
                raise self.refusal(
                    "has '%' that do not pair around a word", "Write one to three on each side: %word%."
                )
            return f"{'%' * opened}{word}{'%' * opened}", "all"
        if (before or after) and not word:
            raise self.refusal("has a star without a word", "Write the start of a word before it.")
        if before and (after or not self.suffixes(name)):
            raise self.refusal(
                f"asks for the {'middle' if after else 'end'} of a word, for which the field has no index",
                "Ask for its start.",
            )
        return (f"*{word}", "all") if before else (word, "prefix" if after else "all")

    def behind_backslash(self) -> str:
        """The sign that a backslash makes part of a word; "" where the backslash parts words itself."""
        following = self.text[self.at + 1 : self.at + 2]
        if not following:
            raise self.refusal("ends with a backslash", "Leave it out.")
        if following == "\\" or self.parts(following) or not self.parts("\\"):
            self.at += 2
            return following
        self.at += 1
        return ""

    def parts(self, sign: str) -> bool:
        """Whether a sign parts words."""
        return sign == " " or sign in self.dialect.word_ends(self.info.rules.punctuation)

    def suffixes(self, name: str) -> bool:
        return any(f.suffix_trie for f in self.info.of_kind("TEXT") if not name or f.name == name)
