"""The Connect page's list of MemoryDB's and ElastiCache's clusters, as AWS tells them to this machine."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from memdb.cluster import discover, elasticache
from memdb.cluster.discover import OPEN_ACCESS, Cluster
from memdb.cluster.elasticache import Found
from memdb.display import labels, line, markdown
from memdb.errors import MemDBError
from memdb.ui.connect import doctor
from memdb.ui.kit import parts, state, targets

_REGION = "connect.aws_region"
_ASKED, _RUN = "connect.aws_asked", "connect.aws_run"
_LOGINS = ("User and password", "IAM", "No login (open-access)")


@st.cache_data(ttl="5m", max_entries=8, show_spinner="Asking AWS")
def _clusters(region: str, run: int) -> Found:
    return elasticache.everything(region)


def panel() -> None:
    """Ask AWS, choose a cluster, log in, test or open it."""
    st.markdown("#### Clusters of MemoryDB and ElastiCache")
    if not targets.may_enter_addresses():
        st.caption("Where visitors cannot enter addresses, AWS is not asked for them either.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Region", key=_REGION, placeholder="of AWS_REGION or the profile")
        st.button("Ask AWS", icon=":material/travel_explore:", key="connect.aws", on_click=_ask)
    region = st.session_state.get(_ASKED)
    if region is None:
        st.caption(
            "Asked with the AWS credentials of this machine: memorydb:DescribeClusters, "
            "elasticache:DescribeReplicationGroups, elasticache:DescribeCacheClusters and "
            "elasticache:DescribeServerlessCaches. Without one of these permissions its clusters are not "
            "listed. Nothing is changed."
        )
        return
    with parts.errors_shown():
        discovered = _clusters(region, state.reading(_RUN))
        clusters = discovered.clusters
        for problem in discovered.problems:
            parts.show_error(problem)
        if not clusters:
            parts.empty(
                "No cluster in this Region",
                "Name another Region, or check which account the credentials belong to.",
                ":material/cloud_off:",
            )
            return
        _table(clusters)
        _choice(clusters)


def _ask() -> None:
    state.read_again(_RUN)
    st.session_state[_ASKED] = st.session_state[_REGION].strip()


def _table(clusters: tuple[Cluster, ...]) -> None:
    frame = pd.DataFrame(
        {
            "cluster": [line(c.name) for c in clusters],
            "service": [discover.TITLES[c.service] for c in clusters],
            "durability": [c.durability_words for c in clusters],
            "search": [c.search_words for c in clusters],
            "engine": [line(f"{c.engine} {c.version}") for c in clusters],
            "shards": [c.shards for c in clusters],
            "nodes": [c.nodes for c in clusters],
            "node type": [line(c.node_type) for c in clusters],
            "TLS": ["yes" if c.tls else "no" for c in clusters],
            "ACL": [line(c.acl) for c in clusters],
            "status": [line(c.status) for c in clusters],
            "endpoint": [line(c.host) for c in clusters],
        }
    )
    st.dataframe(frame, hide_index=True, key="connect.clusters")
    parts.export(frame, "clusters", {"region": clusters[0].region}, key="connect.clusters_export")


def _choice(clusters: tuple[Cluster, ...]) -> None:
    names = [c.title for c in clusters]
    with st.form("connect.aws_form"):
        name = st.selectbox("Cluster", names, key="connect.aws_cluster", format_func=labels(names, 80))
        cluster = next(c for c in clusters if c.title == name)
        login = st.segmented_control(
            "Login", _LOGINS, default=_LOGINS[0], required=True, key="connect.aws_login"
        )
        left, right = st.columns(2)
        user = left.text_input("User", key="connect.aws_user")
        password = right.text_input(
            "Password",
            type="password",
            key="connect.aws_password",
            autocomplete="off",
            help="Not needed with IAM: a token is signed with this machine's AWS credentials.",
        )
        with st.container(horizontal=True):
            test = st.form_submit_button("Test", icon=":material/stethoscope:", key="connect.aws_test")
            use = st.form_submit_button(
                "Open", type="primary", icon=":material/login:", key="connect.aws_open"
            )
    if not (test or use):
        return
    try:
        if login == "IAM":
            target = cluster.target(user.strip(), iam=True)
        else:
            target = replace(cluster.target(user.strip()), password=password if login == _LOGINS[0] else "")
    except MemDBError as exc:
        parts.show_error(exc)
        return
    if login == _LOGINS[2] and cluster.acl != OPEN_ACCESS:
        st.caption(f"Its ACL is {markdown(cluster.acl)}, not {OPEN_ACCESS}: it will want a login.")
    if use:
        targets.add_mine(cluster.name, target)
    else:
        doctor.ask_for(cluster.name, target)
    st.rerun()
