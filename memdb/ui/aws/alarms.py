"""The AWS page's alarms: which there should be, which there are, and the texts that make them."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from memdb.cluster import aws
from memdb.display import line
from memdb.operations import aws_alarms
from memdb.operations.aws_alarms import Alarm
from memdb.operations.aws_session import Absent
from memdb.ui.aws import choice
from memdb.ui.aws.choice import ChosenCluster
from memdb.ui.kit import parts

_FILES = {
    "boto3": ("python", "alarms.py"),
    "CloudFormation": ("json", "alarms.template.json"),
    "Terraform": ("hcl", "alarms.tf"),
}


def view(chosen: ChosenCluster) -> None:
    """Draw it."""
    series, there = choice.listed(chosen), choice.existing(chosen)
    for part in (series, there):
        if isinstance(part, Absent):
            choice.absent(part)
    left, right = st.columns(2)
    keys = left.number_input(
        "Keys in the indexes when nothing is built",
        min_value=1,
        value=None,
        step=1000,
        key="aws.keys",
        placeholder="at least one",
        help="The alarm fires below 95 % of it.",
    )
    topic = right.text_input(
        "SNS topic to notify", key="aws.topic", placeholder="arn:aws:sns:…, may stay empty"
    ).strip()
    with parts.errors_shown():
        aws_alarms.checked_topic(topic)
        alarm_series = () if isinstance(series, Absent) else series
        if chosen.service == "elasticache":
            wanted = aws_alarms.elasticache_alarms(chosen.card, alarm_series)
        else:
            wanted = aws_alarms.alarms(
                chosen.name, chosen.card.cluster.node_type, alarm_series, indexed_keys=keys
            )
        states = None if isinstance(there, Absent) else {a.name: a.state for a in there}
        _table(chosen, wanted, states)
        _texts(chosen, wanted, topic)
        st.markdown("#### Make them in CloudWatch")
        if choice.confirmed(chosen, f"Make {len(wanted)} alarms", key="aws.put"):
            choice.write(
                lambda: aws_alarms.put(
                    aws.client("cloudwatch", chosen.region), wanted, topic, writable=chosen.writable
                ),
                f"{len(wanted)} alarms were made.",
            )


def _table(chosen: ChosenCluster, wanted: tuple[Alarm, ...], states: dict[str, str] | None) -> None:
    signs = {"LessThanThreshold": "<", "GreaterThanThreshold": ">"}
    frame = pd.DataFrame(
        {
            "alarm": [line(a.name) for a in wanted],
            "in CloudWatch": [
                "not available" if states is None else states.get(a.name, "no") for a in wanted
            ],
            "fires when": [
                f"{a.statistic} {signs[a.comparison]} {a.threshold:,.0f} for {a.minutes} min" for a in wanted
            ],
            "why": [a.reason for a in wanted],
        }
    )
    st.dataframe(frame, hide_index=True, key="aws.alarms")
    if chosen.service != "elasticache":
        st.caption(
            "The article's four, and two of ours. Its VectorIndexBuiltPercent does not exist on MemoryDB: an "
            "alarm on it would never fire. SearchNumberOfIndexedKeys stands in its place."
        )
    else:
        st.caption(
            "Of each node: ElastiCache has no dimension for a whole cluster, and documents no metric of "
            "indexed keys."
        )
    parts.export(frame, "alarms", {"cluster": chosen.name}, key="aws.alarms_export")


def _texts(chosen: ChosenCluster, wanted: tuple[Alarm, ...], topic: str) -> None:
    kind = st.segmented_control(
        "As", list(_FILES), default="boto3", required=True, key="aws.as", bind="query-params"
    )
    texts = {
        "boto3": lambda: aws_alarms.boto3_code(wanted, chosen.card.cluster.region, topic),
        "CloudFormation": lambda: aws_alarms.cloudformation(wanted),
        "Terraform": lambda: aws_alarms.terraform(wanted),
    }
    language, file = _FILES[str(kind)]
    text = texts[str(kind)]()
    parts.code_block(text, language, height=360)
    st.download_button(
        file, text, file_name=file, icon=":material/download:", key="aws.file", on_click="ignore"
    )
