"""The AWS page's snapshots: what there is, what it costs, a new one, a copy in S3."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from memdb.cluster import aws
from memdb.display import bytes_text, duration, labels, line, markdown
from memdb.operations import aws_snapshots
from memdb.operations.aws_session import Absent
from memdb.operations.aws_snapshots import Snapshot
from memdb.ui.aws import choice
from memdb.ui.aws.choice import MADE, ChosenCluster
from memdb.ui.kit import parts


def view(chosen: ChosenCluster) -> None:
    """Draw it."""
    snapshots = choice.snapshots(chosen)
    if isinstance(snapshots, Absent):
        choice.absent(snapshots)
        return
    now = datetime.now(UTC)
    if warning := aws_snapshots.late(snapshots, chosen.card.snapshot_days, now):
        st.warning(
            "Make one below, and look whether daily snapshots are on.",
            title=warning,
            icon=":material/warning:",
        )
    if snapshots:
        _table(chosen, snapshots, now)
    else:
        parts.empty("No snapshots", "Make one below, or turn daily snapshots on.", ":material/photo_camera:")
    _new(chosen, f"{chosen.name}-{now:%Y%m%d-%H%M}")
    if snapshots:
        _copy(chosen, snapshots)


def _table(chosen: ChosenCluster, snapshots: tuple[Snapshot, ...], now: datetime) -> None:
    cost = aws_snapshots.cost(snapshots, chosen.card.cluster.region, service=chosen.service)
    ages = [age for s in snapshots if (age := s.age_s(now)) is not None]
    for place, (name, value) in zip(
        st.columns(4),
        (
            ("Snapshots", f"{len(snapshots):,}"),
            ("Newest", duration(min(ages)) if ages else "not available"),
            ("Stored", bytes_text(cost.stored_bytes)),
            ("A month, about", "not known" if cost.dollars is None else f"${cost.dollars:,.2f}"),
        ),
        strict=True,
    ):
        place.metric(markdown(name), markdown(value))
    frame = pd.DataFrame(
        {
            "snapshot": [line(s.name) for s in snapshots],
            "source": [line(s.source) for s in snapshots],
            "status": [line(s.status) for s in snapshots],
            "made": [s.made for s in snapshots],
            "age": ["–" if s.made is None else duration(s.age_s(now)) for s in snapshots],
            "size": [
                "not available" if s.size_bytes is None else bytes_text(s.size_bytes) for s in snapshots
            ],
            "engine": [line(s.engine) for s in snapshots],
        }
    )
    st.dataframe(frame, hide_index=True, key="aws.snapshots", column_config=MADE)
    st.caption(
        "No price of their storage is known."
        if cost.price is None
        else f"Up to the cluster's own storage snapshots are free, then \\${cost.price:g} a GB and month "
        f"({markdown(cost.source)}); the newest snapshot's size stands for the cluster's storage."
    )
    parts.export(frame, "snapshots", {"cluster": chosen.name}, key="aws.snapshots_export")


def _new(chosen: ChosenCluster, proposed: str) -> None:
    with st.expander("Make a snapshot", icon=":material/photo_camera:"):
        name = st.text_input("Name", value=proposed, key="aws.new_name").strip()
        command = aws_snapshots.create_command(chosen.card.cluster.region, chosen.name, name, chosen.service)
        parts.code_block(command, "bash")
        if choice.confirmed(chosen, "Make it", key="aws.new"):
            choice.write(
                lambda: aws_snapshots.create(
                    aws.client(chosen.service, chosen.region), chosen.name, name, writable=chosen.writable
                ),
                f"The snapshot {name} was begun.",
            )


def _copy(chosen: ChosenCluster, snapshots: tuple[Snapshot, ...]) -> None:
    with st.expander("Copy a snapshot to S3", icon=":material/drive_file_move:"):
        names = [s.name for s in snapshots]
        source = str(st.selectbox("Snapshot", names, format_func=labels(names), key="aws.copy_of"))
        left, right = st.columns(2)
        name = left.text_input("Name of the copy", value=f"{source}-export", key="aws.copy_name").strip()
        bucket = right.text_input("Bucket", key="aws.bucket", placeholder="of the same Region").strip()
        command = aws_snapshots.copy_command(chosen.card.cluster.region, source, name, bucket, chosen.service)
        parts.code_block(command, "bash")
        if choice.confirmed(chosen, "Copy it", key="aws.copy"):
            choice.write(
                lambda: aws_snapshots.copy_to_s3(
                    aws.client(chosen.service, chosen.region), source, name, bucket, writable=chosen.writable
                ),
                f"The copy {name} was begun.",
            )
