"""The Sessions page's filter bar: widgets → a SessionFilter. All of it is in the link."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time

import streamlit as st

from memdb.display import line
from memdb.sessions import listing
from memdb.sessions.filters import SessionFilter, words_of
from memdb.sessions.mapping import Format
from memdb.sessions.strategy import Powers
from memdb.ui.kit import state

# Steps of the TTL slider, in seconds. Beyond the last one are sessions that never expire.
NEVER = "never"
TTL_STEPS: dict[str, float] = {
    "now": 0.0,
    "1 min": 60.0,
    "5 min": 300.0,
    "15 min": 900.0,
    "30 min": 1_800.0,
    "1 h": 3_600.0,
    "3 h": 3 * 3_600.0,
    "6 h": 6 * 3_600.0,
    "12 h": 12 * 3_600.0,
    "1 day": 86_400.0,
    "7 days": 7 * 86_400.0,
    NEVER: math.inf,
}
USER, CONTEXT, WORDS, TTL = "sessions.user", "sessions.context", "sessions.words", "sessions.ttl"
ID, WHOLE, SINCE, UNTIL = "sessions.id", "sessions.whole", "sessions.since", "sessions.until"
CONTEXTS = "sessions.contexts"  # contexts seen on pages so far, offered to choose from
CONTEXTS_KEPT = 100


def bar(format_: Format) -> SessionFilter:
    """Draw the bar: what sessions of this format can be filtered by."""
    can = listing.powers(format_)
    widths = {"user": 1.0, "context": 1.1, "words": 1.3, "ttl": 1.7, "more": 0.95}
    drawn = {
        name: width
        for name, width in widths.items()
        if (name != "user" or can.user) and (name != "context" or can.context)
    }
    with st.container(border=True):
        columns = st.columns(list(drawn.values()), gap="medium", vertical_alignment="bottom")
    place = dict(zip(drawn, columns, strict=True))
    user = context = ""
    if can.user:
        user = place["user"].text_input(
            "User", key=USER, bind="query-params", placeholder="any", icon=":material/person:"
        )
    if can.context:
        contexts: list[str] = state.keep(CONTEXTS, [])
        context = (
            place["context"].selectbox(
                "Context",
                _with_chosen(contexts),
                index=None,
                key=CONTEXT,
                bind="query-params",
                placeholder="any",
                accept_new_options=True,
                format_func=line,
                icon=":material/label:",
            )
            or ""
        )
    words = place["words"].text_input(
        "Words in the conversation",
        key=WORDS,
        bind="query-params",
        placeholder="all of these words",
        icon=":material/search:",
    )
    low, high = place["ttl"].select_slider(
        "Expires in",
        list(TTL_STEPS),
        value=("now", NEVER),
        key=TTL,
        bind="query-params",
        help="Both ends at “never”: only sessions without a time to live.",
    )
    with place["more"]:
        id_part, whole, created = _more(can)
    return SessionFilter(
        user=user.strip(),
        context=context.strip(),
        partial=not whole,
        words=words_of(words),
        ttl_from_s=0.0 if low == NEVER else TTL_STEPS[low],
        ttl_to_s=TTL_STEPS[high],
        expires=False if low == NEVER else None,
        created_from=created[0],
        created_to=created[1],
        id_part=id_part.strip(),
    )


def remember_contexts(contexts: set[str]) -> None:
    """Offer these contexts from now on."""
    earlier: list[str] = state.keep(CONTEXTS, [])
    new = {text for text in contexts if text.isprintable() and 0 < len(text) <= 80} - set(earlier)
    if new:
        st.session_state[CONTEXTS] = sorted({*earlier, *new})[:CONTEXTS_KEPT]


def only_user(user: str) -> None:
    """A callback: list this user's sessions."""
    st.session_state[USER], st.session_state[WHOLE] = user, True
    st.session_state[CONTEXT] = None
    st.session_state[WORDS] = st.session_state[ID] = ""
    st.session_state[TTL] = ("now", NEVER)


def reset() -> None:
    """A callback: every session again."""
    only_user("")
    st.session_state[WHOLE] = False
    st.session_state[SINCE] = st.session_state[UNTIL] = None


def _with_chosen(contexts: list[str]) -> list[str]:
    chosen = st.session_state.get(CONTEXT)
    return sorted({*contexts, chosen}) if isinstance(chosen, str) and chosen else contexts


def _more(can: Powers) -> tuple[str, bool, tuple[datetime | None, datetime | None]]:
    # The label is drawn before the widgets: what a link just brought is not in the state yet.
    active = sum(
        bool(st.session_state.get(name) or st.query_params.get(name)) for name in (ID, WHOLE, SINCE, UNTIL)
    )
    with st.popover(f"More ({active})" if active else "More", icon=":material/tune:", width="stretch"):
        id_part = st.text_input(
            "Part of the session's id",
            key=ID,
            bind="query-params",
            placeholder="as it is written",
            help="No character is a wildcard.",
        )
        whole = st.toggle(
            "User and context whole, in this case",
            key=WHOLE,
            bind="query-params",
            help="Off: they need only contain what was typed, in upper or lower case.",
        )
        since = until = None
        if can.created:
            since_place, until_place = st.columns(2)
            since = since_place.date_input("Created from (UTC)", None, key=SINCE, bind="query-params")
            until = until_place.date_input("until", None, key=UNTIL, bind="query-params")
        st.button("Clear all filters", icon=":material/filter_alt_off:", on_click=reset, width="stretch")
    return id_part, whole, (_start(since), _end(until))


def _start(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)


def _end(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time.max, UTC)
