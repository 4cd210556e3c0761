"""Who may do what in the app: addresses entered by visitors, and the optional login."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

import streamlit as st

from memdb import http_address
from memdb.cluster.target import LOOPBACK
from memdb.display import markdown
from memdb.settings import Settings

_FORWARDED = ("x-forwarded-for", "x-forwarded-host", "forwarded", "x-real-ip", "via")


def may_enter_addresses(settings: Settings) -> bool:
    """Whether this visitor may name servers: on this very machine, or where it was switched on."""
    return settings.allow_addresses or not served_to_others()


def served_to_others() -> bool:
    """Whether this visitor is on another machine than the app, or may be."""
    return not is_local(str(st.get_option("server.address") or ""), dict(st.context.headers))


def is_local(listens_on: str, headers: Mapping[str, str]) -> bool:
    """Whether app and browser are on one machine, with no proxy between them.

    Args:
        listens_on: the address the app listens on; empty is every one of this machine.
        headers: of the visitor's request. A proxy on this machine reaches the app by loopback too; what it
            adds, or a host name that is not this machine's, gives it away.
    """
    low = {name.lower(): value for name, value in headers.items()}
    parts = http_address.parts_of(f"http://{low.get('host', '')}")
    host = (parts.hostname if parts is not None else None) or ""
    return listens_on in LOOPBACK and host in LOOPBACK and not any(name in low for name in _FORWARDED)


def login_missing() -> bool:
    """Whether a login is configured and this visitor has not logged in."""
    return _configured() and not bool(st.user.get("is_logged_in"))


def login_screen(title: str) -> None:
    """The only thing a visitor without login sees."""
    st.title(title)
    if importlib.util.find_spec("authlib") is None:
        st.error(
            "Install it with `pip install 'Authlib>=1.3.2'` and start the app again.",
            title="A login is configured, but its library is not installed.",
        )
        return
    st.markdown("This explorer is open to people who log in.")
    st.button("Log in", type="primary", icon=":material/login:", on_click=st.login, key="access.login")


def login_panel() -> None:
    """In the sidebar: who is logged in, and the way out."""
    if not _configured():
        return
    name = str(st.user.get("email") or st.user.get("name") or "Logged in")
    st.caption(f":material/person: {markdown(name)}")
    st.button("Log out", icon=":material/logout:", on_click=st.logout, key="access.logout", type="tertiary")


def _configured() -> bool:
    # Without a secrets file Streamlit shows an error for every look at st.secrets.
    return bool(st.secrets.load_if_toml_exists()) and "auth" in st.secrets
