"""A conversation that is one text: the marks of models' templates, or lines that begin with who speaks.

<|im_start|>user          User: How are you?
How are you?<|im_end|>    Assistant: Fine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from memdb.sessions.roles import ANSWERS, ASKS, CLASSES, ROLES

_HEAD, _HEAD_END = r"<\|(?:start_header_id|header_start)\|>", r"<\|(?:end_header_id|header_end)\|>"
_ZEPHYR = r"<\|(?:system|user|assistant|tool)\|>"
# Templates: who speaks, perhaps a channel, and what is said up to its end, the next, or the end of all.
_TEMPLATES = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"<\|im_start\|>[ \t]*(?P<role>\w+)[^\n]{0,80}\n(?P<said>.*?)(?:<\|im_end\|>|(?=<\|im_start\|>)|\Z)",
        rf"{_HEAD}(?P<role>\w+){_HEAD_END}(?P<said>.*?)(?:<\|(?:eot_id|eom_id|eot|eom)\|>|(?={_HEAD})|\Z)",
        r"<start_of_turn>(?P<role>\w+)\n(?P<said>.*?)(?:<end_of_turn>|(?=<start_of_turn>)|\Z)",
        r"<\|start\|>(?P<role>\w+)[^<]*(?:<\|channel\|>(?P<channel>\w+)[^<]*)?(?:<\|constrain\|>[^<]*)?"
        r"<\|message\|>(?P<said>.*?)(?:<\|(?:end|return|call)\|>|(?=<\|start\|>)|\Z)",
        rf"<\|(?P<role>system|user|assistant|tool)\|>(?P<said>.*?)"
        rf"(?:<\|end\|>|<\|endoftext\|>|</s>|(?={_ZEPHYR})|\Z)",
    )
)
_LLAMA = re.compile(r"(\[/?INST\]|<</?SYS>>|</?s>)")
_LLAMA_ROLES = {"[INST]": "user", "<<SYS>>": "system", "<</SYS>>": "user", "[/INST]": "assistant"}
_WORDS = "|".join(sorted(map(re.escape, ROLES - CLASSES.keys()), key=len, reverse=True))
_LINE = re.compile(
    r"^[ \t>#*_-]{0,8}(?:\[(?P<time>[^\]\n]{4,40})\][ \t]*)?[*_]{0,3}"
    rf"(?P<role>{_WORDS})(?:[ \t]*\([^)\n]{{1,60}}\))?[*_]{{0,3}}[ \t]*[:\uff1a][*_]{{0,3}}[ \t]*",
    re.MULTILINE | re.IGNORECASE,
)


_HEADING = re.compile(
    rf"^#{{1,6}}[ \t]+(?P<role>{_WORDS})[ \t]*(?P<time>[^\n\w][^\n]{{0,60}})?$", re.MULTILINE | re.IGNORECASE
)


def messages_in(text: str) -> list[dict[str, str]]:
    """The messages of a conversation that is one text, each with role and content; none where it is none.

    The first line must begin with a role, and both sides have to speak: a log has words and colons too.
    """
    if "<" in text[:200] or "[INST]" in text[:4_000]:
        for template in _TEMPLATES:
            if messages := [_message(part) for part in template.finditer(text)]:
                return messages if any(message["role"].lower() in ROLES for message in messages) else []
        if messages := list(_llama(text)):
            return messages
    return _lines(text)


def _message(part: re.Match[str]) -> dict[str, str]:
    fields = part.groupdict()
    text = part["said"].strip()
    if fields.get("channel") in ("analysis", "thinking"):
        return {"role": part["role"], "content": "", "thinking": text}
    return {"role": part["role"], "content": text}


def _llama(text: str) -> Iterator[dict[str, str]]:
    """Llama 2's and Mistral's: what stands between [INST] and [/INST] was asked, what follows answers."""
    before = ""
    for place, piece in enumerate(_LLAMA.split(text)):
        if place % 2:
            before = piece
            continue
        role = _LLAMA_ROLES.get(before, "")
        if role and (content := piece.strip()):
            yield {"role": role, "content": content}


def _lines(text: str) -> list[dict[str, str]]:
    start = len(text) - len(text.lstrip())
    begins = next((pattern for pattern in (_LINE, _HEADING) if pattern.match(text, start)), None)
    if begins is None:
        return []
    parts = list(begins.finditer(text))
    speak = {part["role"].lower() for part in parts}
    if not (speak & ASKS and speak & ANSWERS):
        return []
    ends = [part.start() for part in parts[1:]] + [len(text)]
    messages = []
    for part, end in zip(parts, ends, strict=True):
        message = {"role": part["role"], "content": text[part.end() : end].strip()}
        messages.append({**message, "timestamp": part["time"]} if part["time"] else message)
    return messages
