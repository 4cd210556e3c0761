"""A plan as deployment texts, as command line and as Python: the views."""

from __future__ import annotations

import streamlit as st

from memdb.display import labels
from memdb.json_text import json_text
from memdb.sizing import deploy, plan, repeat
from memdb.sizing.deploy import Cluster
from memdb.sizing.plan import SizingPlan
from memdb.ui.kit import parts

_TEXTS = {
    "boto3": ("python", "create_cluster.py"),
    "CloudFormation": ("json", "memorydb.template.json"),
    "Terraform": ("hcl", "memorydb.tf"),
}
_MAKERS = {
    "boto3": deploy.boto3_code,
    "CloudFormation": deploy.cloudformation,
    "Terraform": deploy.terraform,
}


def deploy_view(sizing: SizingPlan) -> None:
    """The chosen nodes as boto3 call, CloudFormation and Terraform. Nothing is created."""
    if not sizing.options:
        st.warning("No node holds this plan, so there is nothing to deploy.", icon=":material/block:")
        return
    left, right = st.columns(2)
    names = [option.choice.node.name for option in sizing.options]
    node = left.selectbox(
        "Node type", names, format_func=labels(names), key="plan.deploy.node", bind="query-params"
    )
    name = right.text_input(
        "Cluster name", value="sessions-and-vectors", key="plan.deploy.name", bind="query-params"
    )
    load = sizing.inputs.load
    cluster = Cluster(
        name.strip(), node or names[0], load.replicas, sizing.inputs.wishes.flavour, load.snapshot_days
    )
    kind = st.segmented_control(
        "As",
        list(_TEXTS),
        default="boto3",
        required=True,
        key="plan.deploy.kind",
        bind="query-params",
        label_visibility="collapsed",
    )
    language, file = _TEXTS[str(kind)]
    text = _MAKERS[str(kind)](cluster)
    parts.code_block(text, language)
    st.download_button(
        file, text, file_name=file, icon=":material/download:", key="plan.deploy.file", on_click="ignore"
    )
    st.caption(
        f"One shard with {load.replicas:,} replicas over the zones of your subnets, TLS, KMS, "
        f"{load.snapshot_days:,} snapshots, maintenance on Sunday 03:00–05:00 UTC, the search parameter "
        "group. Subnets, security group, key and ACL are yours to fill in. This app creates nothing. "
        "An access list named open-access has no login: make one with users."
    )
    if load.replicas == 0:
        st.warning(
            "Without a replica a lost node means an outage until its data is restored from the log.",
            icon=":material/warning:",
        )
    elif load.replicas < 2:
        st.caption(":material/info: The article asks for at least 2 replicas in production.")


def code_view(sizing: SizingPlan) -> None:
    """The same plan on the command line and in Python."""
    kind = st.segmented_control(
        "As",
        ["Command line", "Python", "JSON"],
        default="Command line",
        required=True,
        key="plan.code",
        label_visibility="collapsed",
    )
    if kind == "Command line":
        parts.code_block(repeat.command_line(sizing), "bash")
        st.caption("Fit the profile to your own shape on a local engine, in some seconds:")
        parts.code_block(repeat.calibrate_line(sizing.inputs.shape), "bash")
    elif kind == "Python":
        parts.code_block(repeat.python(sizing), "python")
    else:
        parts.code_block(_json(plan.as_json(sizing)), "json")
    parts_about = plan.as_json(sizing)
    st.download_button(
        "plan.json",
        _json(parts_about),
        file_name="plan.json",
        mime="application/json",
        icon=":material/download:",
        key="plan.code.file",
        on_click="ignore",
    )
    st.caption("The page's address carries all inputs; prices of your own are not in it.")


def _json(value: object) -> str:
    return json_text(value, indent=2, ascii_only=False)
