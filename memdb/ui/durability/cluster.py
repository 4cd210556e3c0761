"""The drill on the opened cluster: bounded writes, a failover after a typed confirmation."""

from __future__ import annotations

import streamlit as st

from memdb.cluster import aws
from memdb.cluster.target import Target
from memdb.display import labels, markdown
from memdb.durability import failover
from memdb.durability.drill import DrillRequest, DrillResult
from memdb.errors import MemDBError
from memdb.jobs import Job
from memdb.ui.aws import ChosenCluster, choose, confirmed
from memdb.ui.durability import local
from memdb.ui.kit import cached, parts, role
from memdb.ui.kit.cached import home
from memdb.ui.kit.job import JobSlot

FAILING_OVER = JobSlot[DrillResult]("drill.cluster_job", every="0.5s")


def view(target: Target) -> None:
    """Which cluster and shard, what will be written, the confirmation, the run, the verdict."""
    st.markdown(
        f"Nothing is killed. At most {failover.MOST:,} small writes go under `drill:` with an hour to live, "
        "AWS is asked to fail one shard over (MemoryDB's `FailoverShard`, ElastiCache's `TestFailover`), "
        "every acknowledged write is looked for, and all are deleted. While the shard fails over it takes no "
        "writes from anybody for some seconds."
    )
    if FAILING_OVER.current() is not None:
        local.watch(FAILING_OVER)
        return
    job = FAILING_OVER.outcome(target)
    if job is not None and job.result is not None and job.result.finished:
        local.shown(job.result, key="drill.cluster")
    chosen = choose(target, "AWS lists the cluster's shards and replicas, and starts the failover.")
    if chosen is not None:
        _ask(chosen)


def _ask(chosen: ChosenCluster) -> None:
    shards = sorted({node.shard for node in chosen.card.nodes}) or ["0001"]
    left, middle, right = st.columns(3)
    shard = str(left.selectbox("Shard", shards, key="drill.shard", format_func=labels(shards)))
    seconds = middle.number_input("Seconds", 20, 300, 60, key="drill.cluster_seconds")
    rate = right.number_input("Writes a second, each of 2", 1, 200, 20, key="drill.cluster_rate")
    if not chosen.card.replicas:
        st.warning("This cluster has no replica: there is nothing to fail over to.", icon=":material/block:")
        return
    if chosen.service == "elasticache":
        if not chosen.card.failover:
            st.warning("Automatic failover is off: nothing would take over.", icon=":material/block:")
            return
        st.caption(f"Its durability is {markdown(chosen.card.cluster.durability_words)}.")
        order = f"test-failover --replication-group-id {chosen.name} --node-group-id {shard}"
    else:
        order = f"failover-shard --cluster-name {chosen.name} --shard-name {shard}"
    parts.code_block(f"aws {chosen.service} {order} --region {chosen.card.cluster.region}", "bash")
    try:
        request = DrillRequest(float(seconds or 0), 2, float(rate or 0), documents=0)
    except MemDBError as exc:
        parts.show_error(exc)
        return
    if confirmed(chosen, "Write, and fail over", key="drill.failover"):
        _start(chosen, shard, request)
        st.rerun()


@role.changes
def _start(chosen: ChosenCluster, shard: str, request: DrillRequest) -> None:
    client, folder = cached.client(chosen.target), home()
    service_client = aws.client(chosen.service, chosen.region)
    fail = failover.group_failover if chosen.service == "elasticache" else failover.shard_failover

    def work(job: Job[DrillResult]) -> DrillResult:
        return failover.run(
            client,
            request,
            lambda: fail(service_client, chosen.name, shard, writable=chosen.writable),
            folder,
            report=job.report,
            keep=job.keep,
        )

    FAILING_OVER.start("Failover drill", work)
