"""The samplers of this process, one a target, and the history that pages read instead of asking servers."""

from __future__ import annotations

import streamlit as st

from memdb.cluster.target import Target
from memdb.operations import history, slowlog
from memdb.operations.past import Past
from memdb.operations.sampler import Sampler
from memdb.operations.slowlog import SlowCommand
from memdb.operations.webhook import Webhook
from memdb.settings import Settings
from memdb.ui.kit import cached


@st.cache_resource(show_spinner=False)
def webhook(url: str) -> Webhook:
    """The operator's webhook, shared by all targets."""
    return Webhook(url)


@st.cache_resource(max_entries=8, show_spinner=False, on_release=lambda sampler: sampler.stop(wait_s=0.0))
def _sampler(target: Target, every_s: float, max_bytes: int, url: str) -> Sampler:
    told = webhook(url) if url else None
    return Sampler(target, cached.home(), every_s=every_s, max_bytes=max_bytes, webhook=told)


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


@st.cache_data(ttl="10s", max_entries=16, show_spinner=False)
def slow_commands(target: Target, address: str) -> tuple[SlowCommand, ...]:
    """The slow log of a node."""
    client = cached.client(target)
    node = next((known for known in client.nodes() if known.address == address), None)
    return () if node is None else slowlog.slow_commands(client, node)
