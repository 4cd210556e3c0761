"""A conversation as every format gives it: turns, each with a role, a time where one is known, and parts.

Nothing here is fetched, rendered or run: an image is its kind and size, what a tool was given is a text. All
texts are as stored; show them through `memdb.display`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from memdb.display import bytes_text, line
from memdb.sessions.roles import side


@dataclass(frozen=True, slots=True)
class Text:
    """What was said."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """What a model thought before it answered; empty where the provider hides it."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that a model wants to be run."""

    name: str
    arguments: str  # JSON mostly, or the text that the model wrote
    id: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back."""

    text: str
    call: str = ""  # id of the call that it answers
    name: str = ""  # of the tool, where it is told
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Media:
    """An image, a sound, a video or a file. Its bytes stay where they are."""

    kind: str  # image, audio, video or file
    media_type: str = ""
    size_bytes: int | None = None  # None: it is elsewhere, or its size is not told
    name: str = ""
    address: str = ""  # where it lies, if not in the message; never fetched


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else, as the JSON or text that it is."""

    kind: str
    json: str


Part = Text | Thinking | ToolCall | ToolResult | Media | Other


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation. The role is empty where the message tells none."""

    role: str
    parts: tuple[Part, ...]
    at: datetime | None = None
    name: str = ""  # of who speaks, where it is another word than the role

    @property
    def content(self) -> str:
        """What was said: the texts among the parts, one below the other."""
        return "\n".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def words(self) -> str:
        """Everything that can be searched: all parts but the bytes of media."""
        return "\n".join(_words(part) for part in self.parts)

    @property
    def line(self) -> str:
        """The turn on one line, safe to show: what was said, else what else is in it."""
        text = line(self.content, 500)
        return text or " ".join(part_line(part, 200) for part in self.parts[:5])


def said(role: str, text: str, at: datetime | None = None) -> Turn:
    """A turn that is a text."""
    return Turn(role, (Text(text),), at)


def opening(turns: Sequence[Turn]) -> Turn | None:
    """What a conversation began with: the first that a user said, else its first turn."""
    users = (turn for turn in turns if side(turn.role) == "user" and turn.content.strip())
    return next(users, turns[0] if turns else None)


def part_line(part: Part, limit: int = 2_000) -> str:
    """A part on one line, safe to show: a text as it is, everything else named in square brackets."""
    match part:
        case Text(text):
            return line(text, limit)
        case Thinking(text):
            return f"[thinking: {line(text, limit) or 'not shown by the provider'}]"
        case ToolCall(name, arguments, id_):
            return f"[calls {line(name, 80) or 'a tool'}({line(arguments, limit)}){_of(id_)}]"
        case ToolResult(text, call, name, failed):
            which = f" of {line(name, 80)}" if name else ""
            return f"[{'error' if failed else 'result'}{which}{_of(call)}: {line(text, limit) or 'empty'}]"
        case Media():
            return f"[{media_text(part)}]"
        case Other(kind, json):
            return f"[{line(kind, 60) or 'other'}: {line(json, limit)}]"


def media_text(media: Media) -> str:
    """What is known of an image or file, safe to show."""
    size = bytes_text(media.size_bytes) if media.size_bytes is not None else ""
    facts = (media.kind, line(media.media_type, 80), line(media.name, 120), size, line(media.address, 200))
    return ", ".join(fact for fact in facts if fact)


def part_object(part: Part) -> dict[str, object]:
    """A part as JSON has it: its kind and what it holds."""
    match part:
        case Text(text):
            return {"kind": "text", "text": text}
        case Thinking(text):
            return {"kind": "thinking", "text": text}
        case ToolCall(name, arguments, id_):
            return {"kind": "tool call", "name": name, "arguments": arguments, "id": id_}
        case ToolResult(text, call, name, failed):
            return {"kind": "tool result", "text": text, "call": call, "name": name, "failed": failed}
        case Media(kind, media_type, size, name, address):
            return {
                "kind": kind,
                "media_type": media_type,
                "size_bytes": size,
                "name": name,
                "address": address,
            }
        case Other(kind, json):
            return {"kind": "other", "what": kind, "json": json}


def turn_object(turn: Turn) -> dict[str, object]:
    """A turn as JSON has it; `content` is what was said, once more."""
    turn_json: dict[str, object] = {"role": turn.role, "content": turn.content}
    if turn.at is not None:
        turn_json["time"] = turn.at.isoformat()
    if turn.name:
        turn_json["name"] = turn.name
    return turn_json | {"parts": [part_object(part) for part in turn.parts]}


def turn_rows(turns: Iterable[Turn], first: int = 1) -> list[dict[str, object]]:
    """Turns as rows of a table, one a turn, safe to show; `first` is the number of the first of them."""
    return [
        {
            "turn": number,
            "time": turn.at.isoformat() if turn.at is not None else "",
            "role": line(turn.role, 80),
            "name": line(turn.name, 80),
            "text": line(turn.content, 100_000),
            "other parts": " ".join(part_line(p, 20_000) for p in turn.parts if not isinstance(p, Text)),
        }
        for number, turn in enumerate(turns, first)
    ]


def _of(id_: str) -> str:
    return f" {line(id_, 80)}" if id_ else ""


def _words(part: Part) -> str:
    match part:
        case Text(text) | Thinking(text):
            return text
        case ToolCall(name, arguments, _):
            return f"{name} {arguments}"
        case ToolResult(text, _, name, _):
            return f"{name} {text}"
        case Media(_, media_type, _, name, address):
            return f"{media_type} {name} {address}"
        case Other(kind, json):
            return f"{kind} {json}"
