"""The line of health that Home shows."""

from __future__ import annotations

import time

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import markdown
from memdb.errors import MemDBError
from memdb.operations import health
from memdb.ui import frame
from memdb.ui.metrics import cached
from memdb.watch import judge

_LOOK = {
    "ok": ":green[:material/check_circle:] **Healthy**",
    "warning": ":orange[:material/warning:] **Attention**",
    "critical": ":red[:material/error:] **Not well**",
    "absent": ":gray[:material/sensors_off:]",
}


def health_line(target: Target, *, page_link: bool = True) -> None:
    """Memory, CPU, builds, watched recall and alerts in one line; where nothing is sampled, that."""
    try:
        if cached.sampler(target) is None:
            st.caption(":material/sensors_off: Sampling is switched off: no health is known.")
            return
        past = cached.past(target)
        recalls = [judge.brief(rows) for rows in cached.watched(past.path).values()]
        state = health.health(past.nodes(), cached.standing(target), now=time.time(), recalls=recalls)
    except MemDBError as exc:
        st.caption(":material/sensors_off: no metrics", help=markdown(exc.full()))
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f"{_LOOK[state.level]} · {' · '.join(markdown(words) for words in state.words)}", width="content"
        )
        if page_link:
            st.page_link(frame.link("metrics"), label="Metrics")
