"""A question and its answer in one entry, or in a pair."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from memdb.sessions.parts import parts_of
from memdb.sessions.times import moment
from memdb.sessions.turns import Text, Turn
from memdb.sessions.wrapped import PLAIN, time_in

# A question and its answer in one entry, by their names; the latter pairs are those of other records too.
_SIDES = (
    frozenset(("user", "human", "customer")),
    frozenset("assistant ai bot model llm gpt agent chatbot".split()),
)
_SAID = ("message", "response", "output", "reply", "text", "content")
_ANSWERED = tuple(
    f"{by}_{what}" for by in ("assistant", "ai", "bot", "llm", "model", "agent") for what in _SAID
)
_PAIRS = (
    *(
        ("user_" + question, answer)
        for question in (*_SAID, "input")
        for answer in (*_ANSWERED, "response", "answer")
    ),
    *(("human_" + question, answer) for question in (*_SAID, "input") for answer in _ANSWERED),
    ("prompt", "response"),
    ("prompt", "completion"),
    ("queryText", "fulfillmentText"),
)
_TIMED_PAIRS = (("question", "answer"), ("query", "response"), ("query", "answer"), ("question", "response"))
_LOOSE_PAIRS = (
    *_TIMED_PAIRS,
    *(("input", "output"), ("inputs", "outputs"), ("request", "response"), ("instruction", "response")),
)
_ASKED = frozenset(question for question, _ in (*_PAIRS, *_LOOSE_PAIRS))
_SESSIONS = frozenset(
    "session_id sessionId session conversation_id conversationId thread_id threadId chat_id chatId".split()
)


def is_exchange(value: Any) -> bool:
    """Whether an entry holds a question and its answer under the names of who said them."""
    return isinstance(value, dict) and _sides(value) != ("", "")


def exchanges(value: Any) -> list[dict[str, Any]]:
    """Pairs of a question and its answer, in a list that is named as a conversation, as entries; else none.

    `[["Hi", "Hello"], …]`, as Gradio's, and {"input": …, "output": …} are some where their place says so.
    """
    if not isinstance(value, list) or not value:
        return []
    entries: list[dict[str, Any]] = []
    for pair in value:
        if isinstance(pair, list) and len(pair) == 2 and all(map(_said_by_one, pair)):
            said_by = zip(("user", "assistant"), pair, strict=True)
            entries += ({"role": role, "content": text} for role, text in said_by if text is not None)
            continue
        names = next(
            (
                p
                for p in _LOOSE_PAIRS
                if isinstance(pair, dict) and all(_utterance(pair.get(name)) for name in p)
            ),
            None,
        )
        if names is None:
            return []
        beside = {name: content for name, content in pair.items() if name in PLAIN}
        entries.append({**beside, "user": _uttered(pair[names[0]]), "assistant": _uttered(pair[names[1]])})
    return entries


def exchange_turns(entry: Mapping[str, Any]) -> list[Turn]:
    """A question and its answer in one entry, {"user": "Hi", "assistant": "Hello"}, as two turns."""
    question, answered = _sides(entry)
    if not question:
        return []
    at = time_in(entry)
    turns = []
    for name, usual in ((question, "user"), (answered, "assistant")):
        text, role = entry[name], name if name.lower() in _SIDES[0] | _SIDES[1] else usual
        turns.append(Turn(role, (Text(text),) if isinstance(text, str) else tuple(parts_of(text)), at))
    return turns


def _sides(entry: Mapping[str, Any]) -> tuple[str, str]:
    """The names of a question and its answer in one entry; empty where it is no such pair."""
    by_role = [name for name in entry if name.lower() in _SIDES[0] | _SIDES[1]]
    asks = [name for name in by_role if name.lower() in _SIDES[0]]
    answers = [name for name in by_role if name.lower() not in _SIDES[0]]
    if asks and answers:
        others = entry.keys() - PLAIN - set(by_role) - _SESSIONS
        # A line of a log has a user and an agent too, and mostly more.
        record = (asks[0].lower(), answers[0].lower()) in (("user", "agent"), ("user", "model")) or (
            others and answers[0].lower() in ("agent", "model", "bot")
        )
        texts = all(isinstance(entry[name], str) for name in by_role)
        return (asks[0], answers[0]) if texts and not record else ("", "")
    if "role" in entry or entry.keys().isdisjoint(_ASKED):
        return "", ""
    beside = _LOOSE_PAIRS if _SESSIONS & entry.keys() else _TIMED_PAIRS if time_in(entry) else ()
    pairs = (*_PAIRS, *beside)
    return next((p for p in pairs if all(_utterance(entry.get(name)) for name in p)), ("", ""))


def _utterance(value: Any) -> bool:
    """Whether a value can be what was said: a text, or an object with one, as Griptape's artifacts."""
    return isinstance(value, str) or (isinstance(value, dict) and isinstance(value.get("value"), str))


def _said_by_one(value: Any) -> bool:
    """Whether one side of a pair can be what was said, or nothing: no number and no time."""
    if not isinstance(value, str):
        return value is None
    return not re.fullmatch(r"\s*[-+]?[\d.,]+%?\s*", value) and moment(value) is None


def _uttered(value: Any) -> Any:
    return value if isinstance(value, str) else value["value"]
