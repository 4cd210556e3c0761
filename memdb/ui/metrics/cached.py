"""The samplers of this process, one a target, and the history that pages read instead of asking servers."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from memdb.cluster.target import Target
from memdb.operations import alerts, history, slowlog
from memdb.operations.alerts import Alert
from memdb.operations.past import Past
from memdb.operations.sampler import ALERTS, Sampler
from memdb.operations.slowlog import SlowCommand
from memdb.operations.webhook import Webhook
from memdb.settings import Settings
from memdb.ui.kit import cached
from memdb.watch import judge, runner, series
from memdb.watch.runner import Watcher
from memdb.watch.series import Measurement


@st.cache_resource(show_spinner=False)
def webhook(url: str) -> Webhook:
    """The operator's webhook, shared by all targets."""
    return Webhook(url)


@st.cache_resource(max_entries=8, show_spinner=False, on_release=lambda sampler: sampler.stop(wait_s=0.0))
def _sampler(target: Target, every_s: float, max_bytes: int, url: str) -> Sampler:
    notify = webhook(url) if url else None
    return Sampler(target, cached.home(), every_s=every_s, max_bytes=max_bytes, webhook=notify)


def sampler(target: Target) -> Sampler | None:
    """The target's sampler, started with the first call; None where sampling is switched off.

    Raises:
        BadSettings: a variable of the environment is wrong.
    """
    settings = Settings.from_env()
    if not settings.sample_seconds:
        return None
    size = max(1, int(settings.history_mb * 2**20))
    # Writable or not, it is one server: the lock beside the history would have one of two wait anyway.
    return _sampler(target.read_only(), max(0.5, settings.sample_seconds), size, settings.webhook)


def history_of(target: Target) -> Past | None:
    """The history of a target that is sampled; None where sampling is switched off.

    Raises:
        BadSettings: a variable of the environment is wrong.
    """
    return None if sampler(target) is None else past(target)


def past(target: Target) -> Past:
    """The target's history."""
    return Past(history.path_of(cached.home(), target))


@st.cache_resource(max_entries=8, show_spinner=False, on_release=lambda watcher: watcher.stop(wait_s=0.0))
def _watcher(target: Target, url: str) -> Watcher:
    return Watcher(target, cached.home(), webhook=webhook(url) if url else None)


def watcher(target: Target) -> Watcher | None:
    """What measures the recall that is watched on a target, started with the first call; None where nothing
    is.

    Raises:
        MemDBError: the list of what is watched is damaged.
    """
    if not series.listed(cached.home(), target):
        return None
    return _watcher(target.read_only(), Settings.from_env().webhook)


@st.cache_data(ttl="5s", max_entries=8, show_spinner=False)
def watched(path: Path) -> dict[str, list[Measurement]]:
    """The newest measurements of every watch of a history, by its name."""
    return runner.all_rows(path, limit=500)


def standing(target: Target) -> tuple[Alert, ...]:
    """All alerts that were raised and have not cleared: of the sampler, and of what is watched.

    Raises:
        Damaged: the history cannot be read.
    """
    own = past(target)
    sampled = [alert for alert in alerts.from_facts(own.kept(ALERTS)).values() if alert.stands]
    recalls = [judge.alert(rows, target.address) for rows in watched(own.path).values()]
    return (*sampled, *(alert for alert in recalls if alert is not None))


@st.cache_data(ttl="10s", max_entries=16, show_spinner=False)
def slow_commands(target: Target, address: str) -> tuple[SlowCommand, ...]:
    """The slow log of a node."""
    client = cached.client(target)
    node = next((node for node in client.nodes() if node.address == address), None)
    return () if node is None else slowlog.slow_commands(client, node)
