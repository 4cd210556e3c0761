"""What a step is drawn from: the target, the index it is about, and what is prepared so far."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import markdown
from memdb.embedding import local
from memdb.errors import BadInput
from memdb.jobs import Job
from memdb.story import prepare
from memdb.story.prepare import PARTS, Prepared
from memdb.ui import frame
from memdb.ui.kit import cached as kit
from memdb.ui.kit import role
from memdb.ui.present import cached
from memdb.vectors.index import IndexInfo


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A step's stage."""

    target: Target
    info: IndexInfo | None  # None: the target has no index with vectors
    job: Job[Prepared] | None
    without: str | None = None  # the chosen index, where it has no vectors

    @property
    def ready(self) -> Prepared:
        """What is there so far."""
        return (self.job.result if self.job is not None else None) or Prepared()

    def has(self, part: str) -> bool:
        """Whether one of PARTS is there. While it is made, that is said, and the page is drawn again then.

        Raises:
            MemDBError: it could not be made.
        """
        if self.ready.ready(part):
            return True
        if part in self.ready.problems:
            raise self.ready.problems[part]
        if self.job is not None:
            if self.job.error is not None:
                raise self.job.error
            _wait(self, part)
        return False


def opened(target: Target) -> Scene:
    """The stage of a target: the chosen index if it has vectors, else the one that fits best.

    Raises:
        MemDBError: the server does not answer.
    """
    chosen = frame.index_name()
    info = kit.index_info(target, chosen) if chosen is not None else None
    if info is None or not info.of_kind("VECTOR"):
        try:
            fitting = prepare.fitting_index(kit.client(target), local.DIMENSION)
        except BadInput:
            return Scene(target, None, None, chosen if info is not None else None)
        info = kit.index_info(target, fitting)
    return Scene(target, info, cached.preparing(target, info.fingerprint, not role.locked(), info))


@st.fragment(run_every="1s")
def _wait(scene: Scene, part: str) -> None:
    job = scene.job
    if job is None or scene.ready.ready(part) or job.state.status != "running":
        st.rerun()
    assert job is not None  # noqa: S101  # st.rerun() does not come back
    state = job.state
    st.markdown(f"#### Being prepared: {PARTS[part]}")
    st.progress(state.fraction, text=markdown(state.stage))
    st.caption(
        "It is made once, and appears here by itself; → goes on meanwhile. `memdb present --prepare` makes "
        "it before anybody looks on: then this step opens at once."
    )
