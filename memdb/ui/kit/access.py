"""Who may do what in the app: addresses entered by visitors, and the optional login."""

from __future__ import annotations

import importlib.util
import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from memdb import http_address
from memdb.cluster.target import LOOPBACK
from memdb.display import Markdown, markdown
from memdb.settings import Settings

_FORWARDED = ("x-forwarded-for", "x-forwarded-host", "forwarded", "x-real-ip", "via")


def may_enter_addresses(settings: Settings) -> bool:
    """Whether this visitor may name servers: on this very machine, or where it was switched on."""
    return settings.allow_addresses or is_local(
        str(st.get_option("server.address") or ""), dict(st.context.headers)
    )


def on_this_machine() -> bool:
    """Whether this visitor sits at this machine, or there is none; else the app is served beyond it."""
    headers = dict(st.context.headers)
    return not headers or (st.context.ip_address is None and is_local("localhost", headers))


def is_local(listens_on: str, headers: Mapping[str, str]) -> bool:
    """Whether app and browser are on one machine, with no proxy between them.

    Args:
        listens_on: the address the app listens on; empty is every one of this machine.
        headers: of the visitor's request. A proxy on this machine reaches the app by loopback too; what it
            adds, or a host name that is not this machine's (also as the page's origin), gives it away.
    """
    low = {name.lower(): value for name, value in headers.items()}
    names = [_host(f"http://{low.get('host', '')}"), *([_host(low["origin"])] if "origin" in low else [])]
    return listens_on in LOOPBACK and LOOPBACK.issuperset(names) and not any(n in low for n in _FORWARDED)


def _host(address: str) -> str:
    parts = http_address.parts_of(address)
    return (parts.hostname if parts is not None else None) or ""


def login_missing() -> bool:
    """Whether a login is configured and this visitor has not logged in."""
    return login_configured() and not bool(st.user.get("is_logged_in"))


def login_screen(title: Markdown) -> None:
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


def login_panel(may: Markdown = "") -> None:
    """In the sidebar: who is logged in, what they may, and the way out."""
    if not login_configured():
        return
    name = str(st.user.get("email") or st.user.get("name") or "Logged in")
    st.caption(f":material/person: {markdown(name)}")
    if may:
        st.caption(f":material/shield_person: {may}")
    st.button("Log out", icon=":material/logout:", on_click=st.logout, key="access.logout", type="tertiary")


def login_configured() -> bool:
    """Whether visitors have to log in."""
    # Without a secrets file Streamlit shows an error for every look at st.secrets.
    return bool(st.secrets.load_if_toml_exists()) and "auth" in st.secrets


def login_unreadable() -> bool:
    """Whether there is a secrets file that Streamlit cannot read: a login may stand in it."""
    there = any(Path(file).exists() for file in st.get_option("secrets.files"))
    return there and not st.secrets.load_if_toml_exists()


def claims() -> Mapping[str, Any]:
    """What the login's provider says of this visitor; nothing without a login."""
    return dict(st.user.to_dict()) if login_configured() else {}


def is_loopback(address: str) -> bool:
    """Whether what listens on this address is reached from this very machine alone; empty is everywhere."""
    if address in LOOPBACK or address.startswith("/"):  # a path: of a unix socket
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False
