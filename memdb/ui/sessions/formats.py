"""The Sessions page's formats: what was recognised, and a mapping of one's own with a preview."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import line, markdown, plain
from memdb.errors import BadInput, MemDBError
from memdb.sessions import format_file
from memdb.sessions.detect import Detected
from memdb.sessions.listing import open_session, page
from memdb.sessions.mapping import HOLDS, STORED, Format
from memdb.sessions.redact import hidden_summary
from memdb.sessions.strategy import Budget
from memdb.settings import Settings
from memdb.ui.kit import cached, parts, privacy, role
from memdb.ui.sessions import panel
from memdb.ui.sessions.listing import columns, refresh, table_of

PREVIEW = Budget(keys=20_000)
LINES, LINES_PROBLEM = "sessions.own.lines", "sessions.own.problem"
PREFIX = (
    "As it is, without a wildcard. Empty: keys without a colon, as where the session's id is the whole key."
)
TAIL = "What follows the session's id in a key, e.g. :messages; * stands for anything."
ROLES = "Where roles are stored as other words or numbers: 1 = user, 2 = assistant."
HELP = {
    "messages": "Path of the list in the value, e.g. runs[*].messages. Empty: the value is the list.",
    "role": "In a message. Empty: told by the message's shape.",
    "text": "In a message. Empty: told by its shape. `subject + body.text` joins two texts.",
    "time": "In a message or in the value.",
    "user": "In a message or in the value.",
    "session": "Path of the session's id in the value. Needed where each key is one message or state.",
}


def view(target: Target, detected: Detected, chosen: Format) -> None:
    """Draw it."""
    left, right = st.columns([1.2, 1], gap="medium")
    with left:
        _recognised(target, detected)
    with right:
        st.markdown("**A format of your own**")
        st.caption(
            "It begins as the one chosen above. Several paths, parted by commas, are tried in order; a path "
            "is `body.parts[0].text`, or with every entry of a list `parts[*].text`. A text on the way that "
            "is JSON is read as what it says. The preview below follows what is typed."
        )
        mine = _form(chosen)
    if mine is not None:
        _preview(target, mine)


def _recognised(target: Target, detected: Detected) -> None:
    st.markdown("**Recognised on this server**")
    st.caption(markdown(detected.words))
    if not detected.formats:
        parts.empty(
            "No format was recognised",
            "Describe your own beside this, or load the demo data on the Home page.",
            ":material/help:",
        )
        return
    about = "keys" if detected.whole else "keys, about"
    frame = pd.DataFrame(
        {
            "format": [line(f.format.title, 80) for f in detected.formats],
            "named": [line(f.format.keys, 60) for f in detected.formats],
            about: [f.keys for f in detected.formats],
            "in the sample": [f.sampled for f in detected.formats],
            "value": [f.format.stored for f in detected.formats],
            "a key holds": [f"one {f.format.holds}" for f in detected.formats],
        }
    )
    st.dataframe(frame, hide_index=True)
    st.caption(markdown(detected.rest))
    for group in detected.unread[:5]:
        st.caption(f"Not looked into: {markdown(group)}")
    parts.export(frame, "session-formats", {"target": target.address}, key="sessions.formats.export")


def _form(chosen: Format) -> Format | None:
    """Draw the fields of a mapping; returns it where it can be and differs from the format chosen above."""
    key = f"sessions.own.{chosen.token}"
    for part, value in _fields(chosen).items():
        st.session_state.setdefault(f"{key}.{part}", value)
    with st.container(border=True):
        name_place, prefix_place, tail_place = st.columns([1, 1, 0.8])
        name = name_place.text_input("Name", key=f"{key}.name")
        prefix = prefix_place.text_input("Keys begin with", key=f"{key}.prefix", help=PREFIX)
        tail = tail_place.text_input("and end with", key=f"{key}.tail", help=TAIL)
        stored_place, holds_place, newest_place = st.columns([1, 1, 1], vertical_alignment="bottom")
        stored = stored_place.selectbox("Value", STORED, key=f"{key}.stored")
        holds = holds_place.selectbox("A key holds one", HOLDS, key=f"{key}.holds")
        newest = newest_place.toggle("Newest first", key=f"{key}.newest")
        places = st.columns(2)
        typed = {
            part: places[i % 2].text_input(markdown(part.capitalize()), key=f"{key}.{part}", help=HELP[part])
            for i, part in enumerate(format_file.PATHS)
        }
        roles = st.text_input("Roles mean", key=f"{key}.roles", help=ROLES)
        with st.container(horizontal=True, vertical_alignment="center"):
            saved = st.button(
                "Save",
                icon=":material/save:",
                key="sessions.own.save",
                type="primary",
                disabled=role.locked(),
            )
            with st.popover("From lines", icon=":material/content_paste:"):
                st.text_area("Lines of a mapping", key=LINES, placeholder=plain(to_paste(chosen)), height=180)
                st.button("Use them", on_click=_take, args=(key,), key="sessions.own.use")
        if problem := st.session_state.pop(LINES_PROBLEM, ""):
            st.error(markdown(problem), icon=":material/error:")
    paths = {part: tuple(p.strip() for p in text.split(",") if p.strip()) for part, text in typed.items()}
    try:
        mine = Format(
            name.strip() or "preview",
            name.strip() or "preview",
            prefix,
            stored,
            holds,
            messages=paths["messages"],
            role=paths["role"],
            text=paths["text"],
            time=paths["time"],
            user=paths["user"],
            session=paths["session"],
            newest_first=newest,
            own=True,
            tail=tail.strip(),
            roles=_table(roles),
        ).checked()
        if saved:
            if not name.strip():
                st.error("The format has no name. Give it one to save it.", icon=":material/error:")
                return None
            _save(mine)
    except MemDBError as exc:
        parts.show_error(exc)
        return None
    alike = replace(chosen, name=mine.name, title=mine.title, own=True, strategy="values", state=())
    return mine if saved or mine != alike else None


@role.changes
def _save(mine: Format) -> None:
    format_file.save(Settings.from_env(), mine)
    refresh()
    st.toast(f"Saved as {markdown(mine.name)}. It is offered above.", icon=":material/check:")


def to_paste(format_: Format) -> str:
    """A mapping's lines, as an example."""
    return format_file.to_toml(replace(format_, name="desk", title="desk"))[:400]


def _take(key: str) -> None:
    """A callback: fill the fields from lines that were pasted."""
    try:
        mine = format_file.of_toml(st.session_state.get(LINES, ""))
    except MemDBError as exc:
        st.session_state[LINES_PROBLEM] = exc.full()
        return
    for name, value in _fields(mine).items():
        st.session_state[f"{key}.{name}"] = value


def _fields(format_: Format) -> dict[str, object]:
    """What the fields say for a format."""
    values: dict[str, object] = {part: ", ".join(getattr(format_, part)) for part in format_file.PATHS}
    values |= {"name": format_.name if format_.own else "", "prefix": format_.prefix, "tail": format_.tail}
    values |= {"stored": format_.stored, "holds": format_.holds, "newest": format_.newest_first}
    return values | {"roles": _table_text(format_.roles)}


def _table(text: str) -> tuple[tuple[str, str], ...]:
    """`1 = user, 2 = assistant` as pairs.

    Raises:
        BadInput: a pair has no `=`.
    """
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if any(not sign or not stored.strip() or not role.strip() for stored, sign, role in pairs):
        raise BadInput(f"'{line(text, 60)}' (roles) is no table.", "Write 1 = user, 2 = assistant.")
    return tuple((stored.strip(), role.strip()) for stored, _, role in pairs)


def _table_text(roles: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{stored} = {role}" for stored, role in roles)


def _preview(target: Target, mine: Format) -> None:
    st.divider()
    left, right = st.columns([1.2, 1], gap="medium")
    with left, parts.errors_shown(target):
        st.markdown("**Preview**")
        listing = page(cached.client(target), mine, size=10, budget=PREVIEW)
        st.caption(
            f"{len(listing.sessions)} sessions, {listing.scanned:,} of {listing.keys:,} keys looked at."
        )
        if listing.sessions:
            hide = privacy.hiding(target)
            rows = [hidden_summary(s) for s in listing.sessions] if hide else listing.sessions
            frame = table_of(rows, 0.0).drop(columns=["TTL", "context"])
            st.dataframe(frame, hide_index=True, placeholder="–", column_config=columns(frame))
        else:
            parts.empty("No such key", "Check the prefix and the kind of value.", ":material/search_off:")
        st.caption("As the settings file says it:")
        parts.code_block(format_file.to_toml(mine), "toml")
    if listing.sessions:
        with right, parts.errors_shown(target):
            id_ = listing.sessions[0].id
            stored = open_session(cached.client(target), mine, id_, budget=PREVIEW).session
            session = privacy.session(target, stored)
            panel.head(session)
            panel.conversation(session)
