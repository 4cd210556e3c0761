"""The line of health that Home shows."""

from __future__ import annotations

import time

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import markdown
from memdb.errors import MemDBError
from memdb.operations import alerts, health
from memdb.operations.sampler import ALERTS
from memdb.ui import frame
from memdb.ui.metrics import cached

_LOOK = {
    "ok": ":green[:material/check_circle:] **Healthy**",
    "warning": ":orange[:material/warning:] **Attention**",
    "critical": ":red[:material/error:] **Not well**",
    "absent": ":gray[:material/sensors_off:]",
}


def health_line(target: Target) -> None:
    """Memory, CPU, builds and alerts in one line, from the history; where nothing is sampled, that."""
    try:
        if cached.sampler(target) is None:
            st.caption(":material/sensors_off: Sampling is switched off: no health is known.")
            return
        past = cached.past(target)
        standing = [a for a in alerts.from_facts(past.kept(ALERTS)).values() if a.stands]
        seen = health.health(past.nodes(), standing, now=time.time())
    except MemDBError as exc:
        st.caption(":material/sensors_off: no metrics", help=markdown(exc.full()))
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f"{_LOOK[seen.level]} · {' · '.join(markdown(words) for words in seen.words)}", width="content"
        )
        st.page_link(frame.link("metrics"), label="Metrics")
