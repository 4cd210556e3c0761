"""A plan as deployment texts, as command line and as Python."""

from __future__ import annotations

import shlex

import streamlit as st

from memdb.json_text import json_text
from memdb.sizing import deploy, plan
from memdb.sizing.deploy import Cluster
from memdb.sizing.plan import Plan

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


def deploy_view(found: Plan) -> None:
    """The chosen nodes as boto3 call, CloudFormation and Terraform. Nothing is created."""
    if not found.options:
        st.warning("No node holds this plan, so there is nothing to deploy.", icon=":material/block:")
        return
    left, right = st.columns(2)
    names = [option.choice.node.name for option in found.options]
    node = left.selectbox("Node type", names, key="plan.deploy.node", bind="query-params")
    name = right.text_input("Cluster name", value="sessions-and-vectors", key="plan.deploy.name",
                            bind="query-params")  # fmt: skip
    load = found.inputs.load
    cluster = Cluster(
        name.strip(), node or names[0], load.replicas, found.inputs.wishes.flavour, load.snapshot_days
    )
    kind = st.segmented_control(
        "As", list(_TEXTS), default="boto3", required=True, key="plan.deploy.kind", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    language, file = _TEXTS[str(kind)]
    text = _MAKERS[str(kind)](cluster)
    st.code(text, language=language, wrap_lines=True)
    st.download_button(
        file, text, file_name=file, icon=":material/download:", key="plan.deploy.file", on_click="ignore"
    )
    st.caption(
        f"One shard with {load.replicas} replicas over the zones of your subnets, TLS, KMS, "
        f"{load.snapshot_days} snapshots, maintenance on Sunday 03:00–05:00 UTC, the search parameter group. "
        "Subnets, security group, key and ACL are yours to fill in. This app creates nothing. "
        "An access list named open-access has no login: make one with users."
    )
    if load.replicas == 0:
        st.warning(
            "Without a replica a lost node means an outage until its data is restored from the log.",
            icon=":material/warning:",
        )
    elif load.replicas < 2:
        st.caption(":material/info: The article asks for at least 2 replicas in production.")


def code_view(found: Plan) -> None:
    """The same plan on the command line and in Python."""
    kind = st.segmented_control(
        "As", ["Command line", "Python", "JSON"], default="Command line", required=True, key="plan.code",
        label_visibility="collapsed",
    )  # fmt: skip
    if kind == "Command line":
        st.code(command_line(found), language="bash", wrap_lines=True)
        st.caption("Fit the profile to your own shape on a local engine, in some seconds:")
        st.code(calibrate_line(found), language="bash", wrap_lines=True)
    elif kind == "Python":
        st.code(python(found), language="python", wrap_lines=True)
    else:
        st.json(plan.as_json(found))
    parts_about = plan.as_json(found)
    st.download_button(
        "plan.json", _json(parts_about), file_name="plan.json", mime="application/json",
        icon=":material/download:", key="plan.code.file", on_click="ignore",
    )  # fmt: skip
    st.caption("The page's address carries all inputs; prices of your own are not in it.")


def command_line(found: Plan) -> str:
    """`memdb size` with these inputs."""
    inputs = found.inputs
    load, wishes, sessions = inputs.load, inputs.wishes, inputs.sessions
    words: list[object] = ["memdb", "size", "--vectors", inputs.shape.vectors, *_shape_words(found)]
    if sessions.live:
        words += ["--sessions-per-second", f"{sessions.per_second:g}", "--session-bytes", sessions.bytes,
                  "--session-ttl", f"{sessions.ttl_s:g}"]  # fmt: skip
    words += ["--queries", f"{load.queries_per_s:g}", "--writes", f"{load.written_per_s:g}", "--replicas",
              load.replicas, "--snapshot-days", load.snapshot_days, "--reserve", f"{wishes.reserve:g}",
              "--region", wishes.region, "--engine", wishes.flavour, "--profile", found.estimate.profile.name,
              "--json"]  # fmt: skip
    return shlex.join(str(word) for word in words)


def calibrate_line(found: Plan) -> str:
    """`memdb calibrate` on samples of this shape."""
    return shlex.join(str(w) for w in ["memdb", "calibrate", *_shape_words(found), "--name", "mine"])


def python(found: Plan) -> str:
    """The same through the library."""
    inputs = found.inputs
    return f"""from memdb.settings import Settings
from memdb.sizing import catalogue, plan, profiles
from memdb.sizing.constraints import Load
from memdb.sizing.plan import Inputs
from memdb.sizing.services import Wishes
from memdb.sizing.shape import Sessions, Shape

inputs = Inputs(
    {inputs.shape!r},
    {inputs.sessions!r},
    {inputs.load!r},
    {inputs.wishes!r},
)
profile = profiles.load({found.estimate.profile.name!r}, Settings.from_env().home)
made = plan.plan(inputs, profile, catalogue.load())
print(made.estimate.total_bytes, made.options[0].monthly_usd if made.options else made.choices.why_none)
"""


def _shape_words(found: Plan) -> list[object]:
    shape = found.inputs.shape
    words: list[object] = ["--dim", shape.dim, "--type", shape.type, "--m", shape.m]
    for option, value, default in (
        ("--algorithm", shape.algorithm, "HNSW"), ("--on", shape.key_type, "HASH"),
        ("--metadata-bytes", shape.metadata_bytes, 0), ("--text-bytes", shape.text_bytes, 0),
        ("--tags", shape.tags, 0), ("--numbers", shape.numbers, 0), ("--key-bytes", shape.key_bytes, 20),
    ):  # fmt: skip
        if value != default:
            words += [option, value]
    return words


def _json(value: object) -> str:
    return json_text(value, indent=2, ascii_only=False)


__all__ = ["calibrate_line", "code_view", "command_line", "deploy_view", "python"]
