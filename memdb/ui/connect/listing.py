"""The Connect page's list of targets: what each is, whether it is the open one, Test and Open."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from memdb.cluster import targets as library
from memdb.cluster.targets import Named
from memdb.display import code, line, markdown
from memdb.errors import MemDBError
from memdb.ui.connect import doctor
from memdb.ui.kit import access, parts, role, targets


def targets_list() -> None:
    """One card for each target that can be chosen."""
    try:
        listed = targets.listed()
    except MemDBError as exc:
        parts.show_error(exc)
        return
    if not listed:
        parts.empty(
            "No server to open yet",
            "`memdb demo` starts one on this machine. Or name yours: in the settings file, in MEMDB_URL, or "
            "below.",
            ":material/cable:",
        )
    opened = st.session_state.get(targets.CHOSEN) or (listed[0].name if listed else "")
    for number, named in enumerate(listed):
        _card(named, number, is_open=named.name == opened)
    st.caption(
        f"Named targets stand in {code(str(library.file_path(targets.settings())))}; passwords do not. "
        "The guide, docs/connect.md, shows such a file."
    )
    if listed:
        with st.expander("As a table", icon=":material/table:"):
            table(listed)


def table(listed: tuple[Named, ...]) -> None:
    """All targets as rows, with their files."""
    frame = pd.DataFrame(
        {
            "name": [line(n.name) for n in listed],
            "address": [line(n.target.address) if n.problem is None else "" for n in listed],
            "kind": [n.target.kind for n in listed],
            "access": ["writable" if n.target.writable else "read-only" for n in listed],
            "login": [line(n.login) for n in listed],
            "TLS": [_tls_words(n) for n in listed],
            "from": [n.origin for n in listed],
            "problem": [line(n.problem.full()) if n.problem else "" for n in listed],
        }
    )
    st.dataframe(frame, hide_index=True, key="connect.table")
    parts.export(frame, "targets", {}, key="connect.export")


def _card(named: Named, number: int, *, is_open: bool) -> None:
    with st.container(border=True, key=f"connect-card-{number}"):
        about, buttons = st.columns([6, 2], vertical_alignment="center")
        with about:
            with st.container(horizontal=True, gap="small", vertical_alignment="center"):
                st.markdown(parts.target_name(named.target), width="content")
                if is_open:
                    st.badge("open", icon=":material/check:", color="blue")
                if named.problem is None:
                    parts.target_badge(named.target)
            if named.problem is not None:
                st.markdown(f":red[:material/error:] {markdown(named.problem.full())}")
            else:
                st.caption(
                    f"{markdown(named.target.address)} · {markdown(named.login)} · from {named.origin}"
                )
        with buttons, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
            if named.origin == "entered here":
                if access.on_this_machine():
                    st.button(
                        "Save",
                        icon=":material/save:",
                        key=f"connect.save.{named.name}",
                        on_click=_save,
                        args=(named,),
                        disabled=role.locked(),
                        help="Into the settings file of this app, without its password.",
                    )
                st.button(
                    "Forget",
                    icon=":material/delete:",
                    key=f"connect.drop.{named.name}",
                    on_click=targets.drop_mine,
                    args=(named.name,),
                )
            st.button(
                "Test",
                icon=":material/stethoscope:",
                key=f"connect.test.{named.name}",
                disabled=named.problem is not None,
                on_click=doctor.ask,
                args=(named.name,),
            )
            if not is_open:
                st.button(
                    "Open",
                    icon=":material/login:",
                    key=f"connect.open.{named.name}",
                    disabled=named.problem is not None,
                    on_click=targets.choose,
                    args=(named.name,),
                )


@role.changes
def _save(named: Named) -> None:
    """A callback: keep a target for the next start."""
    try:
        path = library.save(targets.settings(), named.name, named.target)
    except MemDBError as exc:
        st.toast(markdown(exc.full()), icon=":material/error:")
        return
    targets.drop_mine(named.name)
    st.session_state[targets.CHOSEN] = named.name
    password_words = " Its password is not in it: say there where it is." if named.target.password else ""
    st.toast(f"Saved in {code(str(path))}.{password_words}", icon=":material/check:")


def _tls_words(named: Named) -> str:
    if named.target.scheme != "rediss":
        return "no"
    return "not verified" if named.target.unverified else "verified"
