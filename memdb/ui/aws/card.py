"""The AWS page's card: what the cluster is, and the checklist."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from memdb.display import line, markdown
from memdb.operations import elasticache_card
from memdb.operations.aws_card import Card, checklist
from memdb.sizing.constraints import Durability
from memdb.ui.aws import choice
from memdb.ui.aws.choice import MADE, ChosenCluster
from memdb.ui.kit import parts

_MARKS = {
    "pass": ":green[:material/check_circle:]",
    "fail": ":orange[:material/error:]",
    "unknown": ":gray[:material/help:]",
}
_WORDS = {"pass": "passes", "fail": "**fails**", "unknown": "not available"}


def view(chosen: ChosenCluster) -> None:
    """Draw it."""
    card = choice.whole_card(chosen)
    _facts(card)
    for missing in card.absent:
        choice.absent(missing)
    snapshots, now = choice.snapshots(chosen), datetime.now(UTC)
    if chosen.service == "elasticache":
        checks = elasticache_card.checklist(card, snapshots, now, _needs())
    else:
        checks = checklist(card, snapshots, now)
    failed = [check for check in checks if check.outcome == "fail"]
    passed = sum(check.outcome == "pass" for check in checks)
    st.markdown("#### Production checklist")
    st.markdown(f"{passed} of {len(checks)} pass, {len(failed)} to fix.")
    with st.container(border=True, gap="small"):
        for check in checks:
            mark, name, saw, wanted = st.columns([1, 2, 4, 4], vertical_alignment="center")
            mark.markdown(f"{_MARKS[check.outcome]} {_WORDS[check.outcome]}")
            name.markdown(f"**{markdown(check.name)}**")
            saw.markdown(markdown(check.saw))
            wanted.caption(f"should be: {markdown(check.wanted)}")
    if failed:
        st.markdown("#### How to fix")
    for check in failed:
        with st.expander(markdown(check.name), icon=":material/build:"):
            st.markdown(markdown(check.fix))
            parts.code_block(check.command, "bash")
    frame = pd.DataFrame(
        [(c.name, c.outcome, c.saw, c.wanted, c.fix, c.command) for c in checks],
        columns=["check", "outcome", "is", "should be", "how to fix", "command"],
    )
    parts.export(frame, "checklist", {"cluster": chosen.name}, key="aws.card")
    _code(chosen)
    _nodes(card)


def _needs() -> Durability:
    """What may be lost, which says what durability is needed."""
    words: dict[Durability, str] = {
        "sync": "nothing that was acknowledged",
        "async": "the last 10 s",
        "disabled": "everything: it is a cache",
    }
    return st.selectbox(
        "When a node dies, this may be lost",
        list(words),
        format_func=words.__getitem__,
        key="aws.needs",
        bind="query-params",
        width=320,
    )


def _facts(card: Card) -> None:
    about = card.cluster
    facts = (
        ("Shards", str(about.shards)),
        ("Nodes", f"{about.nodes} × {about.node_type}"),
        ("Zones", ", ".join(card.zones) or "not available"),
        ("Engine", f"{about.engine} {about.version}"),
        ("Status", about.status),
        ("TLS", "on" if about.tls else "off"),
        ("ACL", about.acl or "not available"),
        ("Parameter group", about.parameter_group or "not available"),
        ("Search", about.search_words),
        ("Durability", about.durability_words),
        ("Maintenance (UTC)", card.maintenance_window or "not available"),
        ("Snapshots (UTC)", card.snapshot_window or "not available"),
        ("Kept", f"{card.snapshot_days} days" if card.snapshot_days else "no daily snapshots"),
    )
    with st.container(border=True):
        for start in range(0, len(facts), 4):
            for place, (name, value) in zip(st.columns(4), facts[start : start + 4], strict=False):
                place.caption(markdown(name))
                place.markdown(f"**{markdown(value)}**")


def _nodes(card: Card) -> None:
    st.markdown("#### Nodes")
    if not card.nodes:
        st.caption("AWS lists no nodes yet.")
        return
    frame = pd.DataFrame(
        {
            "shard": [line(n.shard) for n in card.nodes],
            "node": [line(n.name) for n in card.nodes],
            "zone": [line(n.zone) for n in card.nodes],
            "status": [line(n.status) for n in card.nodes],
            "made": [n.made for n in card.nodes],
        }
    )
    st.dataframe(frame, hide_index=True, key="aws.nodes", column_config=MADE)
    st.caption(
        "AWS does not say here which node is a primary: the metric IsPrimary (ElastiCache: IsMaster) does."
    )
    parts.export(frame, "nodes", {"cluster": card.cluster.name}, key="aws.nodes_export")


def _code(chosen: ChosenCluster) -> None:
    with st.expander("The same on the command line", icon=":material/terminal:"):
        parts.code_block(
            f"memdb aws card --service {chosen.service} --region {chosen.card.cluster.region} --cluster "
            f"{chosen.name} --json",
            "bash",
        )
