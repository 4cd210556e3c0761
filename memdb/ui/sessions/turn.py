"""One turn of a conversation as a chat message: its texts, tool calls, results, media and whatever else.

Everything stored goes through `memdb.display`; no stored image is drawn and no address fetched.
"""

from __future__ import annotations

import json

import streamlit as st

from memdb.display import Markdown, code, markdown, plain
from memdb.json_text import json_text
from memdb.sessions.roles import side
from memdb.sessions.turns import Media, Other, Part, Text, Thinking, ToolCall, ToolResult, Turn, media_text

CONTENT = 4_000  # characters of a text
PARTS = 40  # of one turn
ONE_LINE = 70  # characters of JSON that need no laying out
OPEN = 400  # characters of a call or result that stands open; longer ones are folded
_LOOKS = {
    "user": ("user", ":material/person:"),
    "assistant": ("assistant", ":material/smart_toy:"),
    "system": ("system", ":material/settings:"),
    "developer": ("system", ":material/settings:"),
    "tool": ("tool", ":material/build:"),
    "function": ("tool", ":material/build:"),
    "memory": ("memory", ":material/bookmark:"),
    "state": ("state", ":material/data_object:"),
}
_MEDIA = {
    "image": ":material/image:",
    "audio": ":material/volume_up:",
    "video": ":material/movie:",
    "file": ":material/attach_file:",
}


def turn_shown(turn: Turn) -> None:
    """One turn as a chat message."""
    name, icon = _LOOKS.get(side(turn.role) or turn.role.lower(), ("other", ":material/help:"))
    with st.chat_message(name, avatar=icon):
        plainly = turn.role.lower() in ("user", "assistant")
        heading = [] if plainly else [markdown(turn.role, 60) or "no role"]
        heading += [markdown(turn.name, 60)] if turn.name else []
        heading += [f"{turn.at:%Y-%m-%d %H:%M:%SZ}"] if turn.at is not None else []
        if heading:
            st.caption(" · ".join(heading))
        for part in turn.parts[:PARTS]:
            part_shown(part)
        if len(turn.parts) > PARTS:
            st.caption(f"{len(turn.parts) - PARTS:,} more parts: the export has all.")
        if not turn.parts:
            st.caption("(empty)")


def part_shown(part: Part) -> None:
    """One part of a turn."""
    match part:
        case Text(text):
            st.text(plain(text, CONTENT) or "(empty)")
        case Thinking(text):
            with st.expander("Thinking", icon=":material/psychology:"):
                st.text(plain(text, CONTENT) or "The provider does not show it.")
        case ToolCall(name, arguments, id_):
            _folded(f"calls **{markdown(name, 80) or 'a tool'}**", id_, ":material/build:", arguments)
        case ToolResult(text, call, name, failed):
            which = f" of **{markdown(name, 80)}**" if name else ""
            icon = ":material/error:" if failed else ":material/output:"
            _folded(f"{'error' if failed else 'result'}{which}", call, icon, text)
        case Media():
            st.caption(f"{_MEDIA.get(part.kind, _MEDIA['file'])} {markdown(media_text(part), 500)}")
        case Other(kind, text):
            with st.expander(markdown(kind, 80) or "other", icon=":material/data_object:"):
                st.code(_pretty(text), language="json", wrap_lines=True)


def _folded(title: Markdown, id_: str, icon: Markdown, text: str) -> None:
    """A call or a result: open where it is short."""
    mark = f" &nbsp; {code(id_, 60)}" if id_ else ""
    if len(text) <= OPEN:
        st.markdown(f"{icon} {title}{mark}")
        if text:
            st.code(_pretty(text), language="json", wrap_lines=True)
        return
    with st.expander(f"{title}{mark}", icon=icon):
        st.code(_pretty(text), language="json", wrap_lines=True)


def _pretty(text: str) -> str:
    """JSON laid out where it is too long for a line, anything else as it is; safe to show."""
    if ONE_LINE < len(text) <= CONTENT:
        try:
            return plain(json_text(json.loads(text), indent=1, ascii_only=False), CONTENT)
        except (ValueError, RecursionError):
            pass
    return plain(text, CONTENT) or " "
