"""The Sessions page's formats: what was recognised, and a mapping of one's own with a preview."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import line, markdown
from memdb.errors import MemDBError
from memdb.sessions import format_file
from memdb.sessions.detect import Detected
from memdb.sessions.listing import open_session, page
from memdb.sessions.mapping import HOLDS, STORED, Format
from memdb.sessions.strategy import Budget
from memdb.settings import Settings
from memdb.ui.kit import cached, parts
from memdb.ui.sessions import panel
from memdb.ui.sessions.listing import columns, refresh, table_of

PREVIEW = Budget(keys=20_000)
PATHS = ("messages", "role", "text", "time", "user", "session")
HELP = {
    "messages": "Path of the list of messages in the value; empty: the value is the list.",
    "role": "In a message.",
    "text": "In a message.",
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
            "is `body.parts[0].text`. A text on the way that is JSON is read as what it says."
        )
        mine = _form(chosen)
    if mine is not None:
        _preview(target, mine)


def _recognised(target: Target, detected: Detected) -> None:
    st.markdown("**Recognised on this server**")
    st.caption(detected.words)
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
            "keys": [line(f.format.keys, 60) for f in detected.formats],
            about: [f.keys for f in detected.formats],
            "in the sample": [f.sampled for f in detected.formats],
            "value": [f.format.stored for f in detected.formats],
            "a key holds": [f"one {f.format.holds}" for f in detected.formats],
        }
    )
    st.dataframe(frame, hide_index=True)
    st.caption(detected.rest)
    for group in detected.unread[:5]:
        st.caption(f"Not looked into: {markdown(group)}")
    parts.export(frame, "session-formats", {"target": target.address}, key="sessions.formats.export")


def _form(chosen: Format) -> Format | None:
    key = f"sessions.own.{chosen.token}"
    with st.form("sessions.own", border=True):
        name_place, prefix_place = st.columns(2)
        name = name_place.text_input("Name", chosen.name if chosen.own else "", key=f"{key}.name")
        prefix = prefix_place.text_input("Keys begin with", chosen.prefix, key=f"{key}.prefix")
        stored_place, holds_place, newest_place = st.columns([1, 1, 1], vertical_alignment="bottom")
        stored = stored_place.selectbox("Value", STORED, STORED.index(chosen.stored), key=f"{key}.stored")
        holds = holds_place.selectbox("A key holds one", HOLDS, HOLDS.index(chosen.holds), key=f"{key}.holds")
        newest = newest_place.toggle("Newest first", chosen.newest_first, key=f"{key}.newest")
        places = st.columns(2)
        typed = {
            part: places[i % 2].text_input(
                part.capitalize(), ", ".join(getattr(chosen, part)), key=f"{key}.{part}", help=HELP[part]
            )
            for i, part in enumerate(PATHS)
        }
        with st.container(horizontal=True):
            tried = st.form_submit_button("Preview", icon=":material/visibility:", type="primary")
            saved = st.form_submit_button("Save", icon=":material/save:")
    if not (tried or saved):
        return None
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
        ).checked()
        if saved:
            if not name.strip():
                st.error("The format has no name. Give it one to save it.", icon=":material/error:")
                return None
            format_file.save(Settings.from_env(), mine)
            refresh()
            st.toast(f"Saved as {markdown(mine.name)}. It is offered above.", icon=":material/check:")
    except MemDBError as exc:
        parts.show_error(exc)
        return None
    return mine


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
            frame = table_of(listing.sessions, 0.0).drop(columns=["TTL", "context"])
            st.dataframe(frame, hide_index=True, placeholder="–", column_config=columns(frame))
        else:
            parts.empty("No such key", "Check the prefix and the kind of value.", ":material/search_off:")
        st.caption("As the settings file says it:")
        st.code(format_file.to_toml(mine), language="toml")
    if listing.sessions:
        with right, parts.errors_shown(target):
            id_ = listing.sessions[0].id
            session = open_session(cached.client(target), mine, id_, budget=PREVIEW).session
            panel.head(session)
            panel.conversation(session)
