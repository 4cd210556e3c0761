"""A command's options as the fields of a frozen dataclass: declared once, read as values of their types.

```python
@dataclass(frozen=True, kw_only=True)
class Recall(OnIndex):
    k: int = option("--k", default=10, type=count(1), metavar="N", help="neighbours")

    def run(self) -> int: ...
```

The help ends with the default, so that no text repeats it.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Self

from memdb.cluster.address import NOT_SHOWN
from memdb.errors import BadInput

_KEY = "option"
_NAME = re.compile(r"-[A-Za-z]|--[a-z]+(-[a-z]+)*")  # the shape of an option
# What argparse repeats of a line though no option takes it. It may be a password.
_REPEATED = (
    (re.compile(r"(?<=: )ignored explicit argument .*", re.DOTALL), "it takes no value"),
    (re.compile(r"^(ambiguous option: [^=]*)=.*(?= could match )", re.DOTALL), r"\1"),
    (re.compile(r"^(argument [A-Z]+: invalid choice): .*(?= \(choose from )", re.DOTALL), r"\1"),
)

# Of a message about an option's value: what stands before it, the value, and what is said of it.
_ABOUT_VALUE = re.compile(
    r"(?P<head>argument [^:]+: )(?P<kind>invalid (?:choice|\w+ value): )?"
    r"(?P<quote>['\"])(?P<value>.*)(?P=quote)(?P<rest>[^'\"]*)",
    re.DOTALL,
)
_CHOICES = " (choose from "
_LIKE_A_NUMBER = re.compile(r"[-+]?(?=\S*\d)[\d.,_]{1,15} ?[A-Za-z%]{0,2}|[A-Za-z]{1,3}")


def without_value(message: str) -> str:
    """What argparse says of a value that an option does not take, without the value: a password may have come
    there by mistake. A misspelled number is told, and a word that is close to one of the choices."""
    told, _, listed = message.rpartition(_CHOICES) if _CHOICES in message else (message, "", "")
    about = _ABOUT_VALUE.fullmatch(told)
    if about is None or _LIKE_A_NUMBER.fullmatch(about["value"]):
        return message
    choices = re.findall(r"[\w-]+", listed.lower())
    if difflib.get_close_matches(about["value"].lower(), choices):
        return message
    if about["kind"]:
        told = f"{about['head']}{about['kind'].rstrip(': ')}, {NOT_SHOWN}{about['rest']}"
    else:
        told = f"{about['head']}the value, {NOT_SHOWN}, {about['rest'].lstrip()}"
    return f"{told}{_CHOICES}{listed}" if listed else told


def not_understood(words: Sequence[str], prog: str) -> BadInput:
    """The complaint about words of a line that no option takes: how many they are, and the names of options
    among them. The others are not repeated: one may be a password that came there by mistake."""
    words = [word for word in words if word != "--"]
    names = [word.partition("=")[0] for word in words]
    named = [name for name in names if _NAME.fullmatch(name)]
    hidden = len(words) - len(named)
    sentence = "1 word is not understood" if len(words) == 1 else f"{len(words)} words are not understood"
    if named:
        sentence += f": {', '.join(named)}" + (f" and {hidden} more" if hidden else "")
    if hidden or any("=" in word for word in words):
        sentence += "; values are not shown, as one may be a password"
    return BadInput(f"{sentence}.", f"See `{prog} --help`.")


class Parser(argparse.ArgumentParser):
    """One that words its errors as the rest of the command line does: one line, then the way on."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage, which hides what is wrong.

        Raises:
            BadInput: always, with what is wrong.
        """
        for repeated, instead in _REPEATED:
            message = repeated.sub(instead, message)
        message = without_value(message)
        raise BadInput(f"{message[:1].upper()}{message[1:]}.", f"See `{self.prog} --help`.")

    def joined(self, words: Sequence[str]) -> list[str]:
        """The words with `--filter '-@tag:{x}'` as one: argparse takes a leading dash for an option, while a
        filter, a key or a text may begin with one. What does name an option stays one."""
        valued = {name for name, action in self._option_string_actions.items() if action.nargs is None}
        merged: list[str] = []
        for place, word in enumerate(words):
            if word == "--":
                return [*merged, *words[place:]]
            name = word.split("=", 1)[0]
            option = any(option_string.startswith(name) for option_string in self._option_string_actions)
            before = merged[-1] if merged and len(merged[-1]) > 2 else " "
            takes = any(
                option_string.startswith(before) for option_string in valued
            )  # argparse reads --filt as --filter
            if takes and len(word) > 1 and word.startswith("-") and not option:
                merged[-1] += f"={word}"
            else:
                merged.append(word)
        return merged


@dataclass(frozen=True, kw_only=True)
class Command:
    """What every command is: its options as fields, and `run`."""

    def run(self) -> int:
        """Do it; the exit status."""
        raise NotImplementedError

    @classmethod
    def declare(cls, parser: argparse.ArgumentParser) -> None:
        """Add the options to a parser."""
        groups: dict[str, argparse._MutuallyExclusiveGroup] = {}
        for option, field in cls.options():
            if not option.either:
                option.add(parser, field)
                continue
            if option.either not in groups:
                groups[option.either] = parser.add_mutually_exclusive_group(required=option.required)
            dataclasses.replace(option, required=False).add(groups[option.either], field)

    @classmethod
    def options(cls) -> list[tuple[Option, dataclasses.Field[Any]]]:
        """The options with their fields: the command's own first, then those of the classes it extends."""
        own = inspect.get_annotations(cls)
        ordered = sorted(dataclasses.fields(cls), key=lambda field: field.name not in own)
        return [(field.metadata[_KEY], field) for field in ordered]

    @classmethod
    def of(cls, parsed: argparse.Namespace) -> Self:
        """The command with the values that a parser has read."""
        values = {field.name: getattr(parsed, field.name) for _, field in cls.options()}
        return cls(**values | {f.name: tuple(values[f.name] or ()) for o, f in cls.options() if o.many})


def option(
    name: str,
    *,
    help: str = "",  # noqa: A002  # argparse's word for it
    default: object = None,
    type: Callable[[str], object] | None = None,  # noqa: A002
    metavar: str | None = None,
    choices: Sequence[object] | None = None,
    required: bool = False,
    either: str = "",
    many: bool = False,
) -> Any:
    """A field that is an option, or without leading dashes an argument that may be left out.

    A field of type `bool` is a switch. With `many` the option may be given several times, and the field is
    a tuple. Of the options that share a name in `either` at most one may be given,
    and where they are required, one must be.
    """
    declared = Option(name, help, type, metavar, choices, required, either, many)
    return dataclasses.field(default=() if many else default, metadata={_KEY: declared})


@dataclass(frozen=True)
class Option:
    """How an option is written and what it means; its default is the field's."""

    name: str
    help: str
    type: Callable[[str], object] | None
    metavar: str | None
    choices: Sequence[object] | None
    required: bool
    either: str
    many: bool = False

    @property
    def usage(self) -> str:
        """`--k N`, `--type FLOAT32|FLOAT64`, `--json`, `ID`."""
        value = "|".join(str(choice) for choice in self.choices or ()) or self.metavar or ""
        return f"{self.name} {value}".rstrip() if self.name.startswith("-") else value

    def add(self, parser: argparse._ActionsContainer, field: dataclasses.Field[Any]) -> None:
        """Declare it for the field."""
        if field.type in (bool, "bool"):
            parser.add_argument(self.name, dest=field.name, action="store_true", help=_escaped(self.help))
            return
        words: dict[str, Any] = {"default": field.default, "help": _escaped(self.text(field.default))}
        if self.many:
            words |= {"action": "append", "default": None}
        if self.name.startswith("-"):
            words |= {"dest": field.name, "required": self.required}
        else:
            words |= {"nargs": "?"}
        for key in ("type", "metavar", "choices"):
            if (value := getattr(self, key)) is not None:
                words[key] = value
        parser.add_argument(self.name, **words)

    def text(self, default: object) -> str:
        """The help with the default, where that is a value and the help does not explain it itself."""
        if self.required or default in (None, "", ()) or default is False or "default:" in self.help:
            return self.help
        value = f"{default:g}" if isinstance(default, float) else str(default)
        return f"{self.help} (default: {value})" if self.help else f"default: {value}"


def _escaped(text: str) -> str:
    return text.replace("%", "%%")  # argparse formats its help texts
