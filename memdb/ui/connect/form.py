"""The Connect page's form: a server by its address, for this browser's session only."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from memdb.cluster.discover import SERVICES, TITLES
from memdb.cluster.target import COLOURS, KINDS, Iam, Target, Tls
from memdb.errors import BadInput, MemDBError
from memdb.ui.connect import doctor
from memdb.ui.kit import parts, targets

_AUTO = "automatic"


def panel() -> None:
    """The form, or why there is none."""
    st.markdown("#### Another server")
    if not targets.may_enter_addresses():
        st.info(
            "Visitors cannot enter addresses here, so that nobody can look around in a network through this "
            "app. Who runs it may name targets in the settings file, or start it with "
            "MEMDB_ALLOW_ADDRESSES=1 where the file's [access.targets] says nothing.",
            icon=":material/shield:",
        )
        return
    with st.form("connect.form", border=True):
        st.text_input(
            "Address",
            key="connect.url",
            placeholder="rediss://user@host:6379",
            help="redis://, rediss:// with TLS, or unix:///path. The user belongs in it, the password below.",
        )
        st.text_input(
            "Password",
            type="password",
            key="connect.password",
            autocomplete="off",
            help="Stays in this browser session; it is in no link, no file and no export.",
        )
        left, middle, right = st.columns(3)
        left.text_input("Name", key="connect.label", placeholder="the address")
        middle.selectbox(
            "Kind",
            [_AUTO, *KINDS],
            key="connect.kind",
            help="Automatic: local here, else development.",
        )
        right.selectbox(
            "Colour", [_AUTO, *COLOURS], key="connect.colour", help="Automatic: that of the kind."
        )
        with st.expander("TLS, IAM, replicas, writing", icon=":material/tune:"):
            _more()
        with st.container(horizontal=True):
            test = st.form_submit_button("Test", icon=":material/stethoscope:", key="connect.form_test")
            use = st.form_submit_button(
                "Open", type="primary", icon=":material/login:", key="connect.form_open"
            )
    if not (test or use):
        return
    try:
        name, target = _target()
    except MemDBError as exc:
        parts.show_error(exc)
        return
    if use:
        targets.add_mine(name, target)
    else:
        doctor.ask_for(name, target)
    st.rerun()


def _more() -> None:
    st.caption("Paths are of PEM files on the machine where this app runs.")
    st.text_input("Authority (CA) to trust instead of the system's", key="connect.ca")
    left, right = st.columns(2)
    left.text_input("Client certificate", key="connect.cert")
    right.text_input("Its key", key="connect.key")
    st.text_input(
        "Name in the server's certificate",
        key="connect.hostname",
        placeholder="the host of the address",
        help="For a tunnel: the address is localhost, the certificate carries the cluster's name.",
    )
    st.checkbox(
        "Take any certificate (not verified)",
        key="connect.unverified",
        help="Anybody on the way could answer in the server's place. Every page will say so.",
    )
    left, right = st.columns(2)
    left.text_input("IAM: cluster name", key="connect.iam_cluster")
    right.text_input("IAM: Region", key="connect.iam_region", placeholder="eu-west-1")
    left, right = st.columns(2)
    left.selectbox("IAM: service", SERVICES, key="connect.iam_service", format_func=TITLES.__getitem__)
    right.checkbox("IAM: a serverless cache", key="connect.iam_serverless", help="Of ElastiCache.")
    st.checkbox("Replicas may answer reads", key="connect.replicas")
    st.checkbox("Allow writing", key="connect.writable", help="Otherwise the client refuses every write.")


def _target() -> tuple[str, Target]:
    values = st.session_state
    url = values["connect.url"].strip()
    if not url:
        raise BadInput("No address is given.", "Write it like rediss://user@host:6379.")
    kind, colour = values["connect.kind"], values["connect.colour"]
    base = Target.parse(
        url,
        password=values["connect.password"],
        label=values["connect.label"].strip(),
        kind="" if kind == _AUTO else kind,
        writable=values["connect.writable"],
    )
    tls = Tls(
        ca=values["connect.ca"].strip(),
        cert=values["connect.cert"].strip(),
        key=values["connect.key"].strip(),
        hostname=values["connect.hostname"].strip(),
        verify=not values["connect.unverified"],
    )
    cluster, region = values["connect.iam_cluster"].strip(), values["connect.iam_region"].strip()
    target = replace(
        base,
        colour=colour if colour in COLOURS else "",
        tls=tls,
        iam=Iam(cluster, region, values["connect.iam_service"], values["connect.iam_serverless"])
        if cluster or region
        else None,
        read_from_replicas=values["connect.replicas"],
    ).checked()
    return target.name, targets.openable(target)
