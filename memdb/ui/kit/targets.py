"""Which targets can be chosen, and which one is: the sidebar's choice, kept in the link by its name.

A target that was entered in the app, with its password, is in this browser's session only: it is in no link,
no file and no export, and gone with the tab.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

import streamlit as st

from memdb.cluster import rights as of_claims
from memdb.cluster import targets as library
from memdb.cluster.find import app_target, known, offered
from memdb.cluster.rights import Rights
from memdb.cluster.target import Target
from memdb.cluster.targets import Named, Password
from memdb.display import Markdown, is_utf8, labels, markdown
from memdb.errors import BadSettings, MemDBError
from memdb.settings import Settings
from memdb.ui.kit import access, cached
from memdb.ui.kit.job import Started

CHOSEN = "target"  # the choice of the sidebar and of the link
MINE = "targets.mine"  # name → Target, entered here
_LAST = "targets.last"
_ASIDE = "targets.aside"
_NEXT = "targets.next"
# What a page shows of one server, beside jobs: it must not be shown of another.
_OF_ONE_TARGET = ("recall.run", "sessions.open", "sessions.trail", "sessions.trail_of")


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """Of the environment; it does not change while the app runs."""
    return Settings.from_env()


@st.cache_data(ttl="10m", max_entries=32, show_spinner=False, hash_funcs={Named: repr})
def _resolved(named: Named) -> Target:
    # A secret is asked for once in ten minutes, and again after a refused login (`forget`).
    return library.resolve(named)


def forget() -> None:
    """Read passwords anew, e.g. after one was refused: it may have been changed at its source."""
    _resolved.clear()


def rights() -> Rights | None:
    """What `[access]` says of visitors; None where it says nothing, or nobody needs to be told apart.

    That is who sits at this machine where no login is configured: the settings file is theirs.

    Raises:
        BadSettings: the settings file does not parse. Then nothing is opened.
    """
    if not access.login_configured() and access.on_this_machine():
        return None
    table = library.access_table(settings())
    return None if table is None else of_claims.parse(table, [named.name for named in _every()])


def _every() -> tuple[Named, ...]:
    # MEMDB_URL takes the place of a target of the file at the same address; the file's name still counts.
    return (*library.read(settings()), *known(settings()))


def may() -> Markdown:
    """What this visitor may do, in words; empty where `[access]` says nothing."""
    rights_said = rights()
    if rights_said is None:
        return ""
    return (
        "may write where the target is writable"
        if rights_said.may_write(access.claims())
        else "may look only"
    )


def may_see(address: str) -> bool:
    """Whether what was kept of the server at this address is for this visitor, e.g. a saved run.

    Raises:
        BadSettings: the settings file does not parse.
    """
    rights_said = rights()
    return rights_said is None or of_claims.server_of(address) not in rights_said.closed(
        _every(), access.claims()
    )


def may_see_of(address: str) -> bool:
    """The same where the address may not be known, "": then only who may open every server sees it.

    Raises:
        BadSettings: the settings file does not parse.
    """
    if address:
        return may_see(address)
    rights_said = rights()
    return rights_said is None or not rights_said.closed(_every(), access.claims())


class _OfTarget(Protocol):
    @property
    def target(self) -> str: ...


_Kept = TypeVar("_Kept", bound=_OfTarget)


def visible(entries: Iterable[_Kept]) -> tuple[_Kept, ...]:
    """What was kept of the servers that are for this visitor.

    Raises:
        BadSettings: the settings file does not parse.
    """
    every = tuple(entries)
    allowed = {address: may_see(address) for address in {entry.target for entry in every}}
    return tuple(entry for entry in every if allowed[entry.target])


def may_enter_addresses() -> bool:
    """Whether this visitor may name servers: not where `[access]` says who may open which target."""
    try:
        rights_said = rights()
    except MemDBError:
        return False  # told in the sidebar
    return access.may_enter_addresses(settings()) and not (rights_said is not None and rights_said.targets)


def listed() -> tuple[Named, ...]:
    """All that this visitor can choose, the app's own first; read-only what they may only look at.

    Raises:
        BadSettings: MEMDB_URL or the settings file does not parse.
    """
    named = list(known(settings()) if access.on_this_machine() else offered(settings()))
    mine: dict[str, Target] = st.session_state.get(MINE, {})
    for name, target in mine.items():
        password = Password("here") if target.password else Password()
        named.append(Named(name, target, "entered here", password))
    rights_said = rights()
    return tuple(named) if rights_said is None else rights_said.allowed(_every(), named, access.claims())


def current() -> Target:
    """The target of all pages.

    Raises:
        MemDBError: there is none, or its password cannot be had.
    """
    named = chosen()
    if named is not None:
        return open_named(named)
    if rights() is not None:
        raise BadSettings(
            "No server is offered to you here.",
            "Who runs this app says in its settings file, under [access], who may open which.",
        )
    if access.on_this_machine():
        return openable(app_target(settings()))
    raise BadSettings(
        "No server is offered to visitors of this app.",
        "Who runs it names one in the settings file, or starts the app with MEMDB_URL.",
    )


def chosen() -> Named | None:
    """The choice, whether it can be opened or not; None where there is none to choose."""
    try:
        every = listed()
    except MemDBError:
        return None  # a settings file that is wrong is told in the sidebar
    wanted = st.session_state.get(CHOSEN)
    return next((named for named in every if named.name == wanted), every[0] if every else None)


def open_named(named: Named) -> Target:
    """A target with its password.

    Raises:
        MemDBError: its settings are wrong, or the password cannot be had.
    """
    return openable(_resolved(named) if named.password.source == "secret" else library.resolve(named))


def openable(target: Target) -> Target:
    """A target that pages can open: their caches take texts alone.

    Raises:
        BadSettings: its password or the path of its socket holds bytes that are not UTF-8.
    """
    if not (is_utf8(target.password) and is_utf8(target.path)):
        raise BadSettings(
            "The password or the socket's path holds bytes that are not UTF-8, which no page can open.",
            "The command line can: `memdb doctor`. Here, choose another password.",
        )
    return target


def selector() -> None:
    """The choice in the sidebar, where there is one."""
    try:
        every = listed()
    except MemDBError as exc:
        st.warning(markdown(exc.hint), title=markdown(str(exc)), icon=":material/settings_alert:")
        return
    names = [named.name for named in every]
    wanted = st.session_state.pop(_NEXT, None)
    if wanted in names:
        st.session_state[CHOSEN] = wanted
    elif st.session_state.get(CHOSEN) not in names:
        st.session_state.pop(CHOSEN, None)
    linked = st.query_params.get(CHOSEN, "")
    if linked and linked not in names:
        st.warning(
            f"This link is about {markdown(linked)}, which is not among the targets here.",
            icon=":material/link_off:",
        )
    if len(names) > 1:
        st.selectbox("Target", names, format_func=labels(names), key=CHOSEN, bind="query-params")
    chosen_name = str(st.session_state.get(CHOSEN) or (names[0] if names else ""))
    _set_aside(chosen_name)


def choose(name: str) -> None:
    """A callback: open this target from the next run on."""
    st.session_state[_NEXT] = name


def add_mine(name: str, target: Target) -> None:
    """Keep a target that was entered here, for this session, under a name of its own, and open it."""
    mine: dict[str, Target] = dict(st.session_state.get(MINE, {}))
    taken = {named.name for named in known(settings())}
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    mine[free] = target
    st.session_state[MINE] = mine
    choose(free)


def drop_mine(name: str) -> None:
    """A callback: forget a target that was entered here, with its password."""
    mine: dict[str, Target] = dict(st.session_state.get(MINE, {}))
    target = mine.pop(name, None)
    st.session_state[MINE] = mine
    if target is not None:
        cached.client.clear(target)  # its connections know the password too


def _set_aside(chosen_name: str) -> None:
    """Put away what pages show of the target before, and bring back what they showed of this one."""
    last = st.session_state.get(_LAST)
    st.session_state[_LAST] = chosen_name
    if last is None or last == chosen_name:
        return
    aside: dict[str, dict[str, object]] = dict(st.session_state.get(_ASIDE, {}))
    widgets = {}
    for key in [str(key) for key in st.session_state]:
        if key in _OF_ONE_TARGET or (not key.startswith(("targets.", "plan.")) and _is_job(key)):
            widgets[key] = st.session_state.pop(key)
    aside[last] = widgets
    st.session_state[_ASIDE] = aside
    for key, value in aside.get(chosen_name, {}).items():
        st.session_state[key] = value


def _is_job(key: str) -> bool:
    return isinstance(st.session_state[key], Started)
