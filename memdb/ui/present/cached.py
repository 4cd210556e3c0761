"""What lives as long as the process: the presentations under way, and what was prepared for them."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

import streamlit as st

from memdb.cluster.target import Target
from memdb.jobs import Job
from memdb.story import prepare
from memdb.story.prepare import Prepared
from memdb.ui.kit import cached, safety
from memdb.vectors.index import IndexInfo

_MOST = 64


@dataclass(slots=True)
class Show:
    """A presentation: where its window is, and where its notes want it to be."""

    place: int = 0
    wanted: int | None = None
    began: float = field(default_factory=time.monotonic)


class Shows:
    """The presentations of this process by their ids; the longest unused are forgotten."""

    def __init__(self) -> None:
        self._shows: OrderedDict[str, Show] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, show_id: str) -> Show:
        """The presentation of this id, begun if it is new."""
        with self._lock:
            show = self._shows.setdefault(show_id, Show())
            self._shows.move_to_end(show_id)
            while len(self._shows) > _MOST:
                self._shows.popitem(last=False)
            return show

    def known(self, show_id: str) -> Show | None:
        """The presentation of this id, if there is one."""
        with self._lock:
            return self._shows.get(show_id)


@st.cache_resource(show_spinner=False)
def shows() -> Shows:
    """Those of this process."""
    return Shows()


@st.cache_resource(ttl="30m", max_entries=4, show_spinner=False)
def preparing(target: Target, fingerprint: str, save: bool, _info: IndexInfo) -> Job[Prepared]:
    """The job that prepares all steps for an index, running or ended; `save` keeps its sweep for others."""
    client, home = cached.client(target).budgeted(safety.budget(target)), cached.home()

    def work(job: Job[Prepared]) -> Prepared:
        return prepare.prepare(client, _info, home, save=save, report=job.report, keep=job.keep)

    return cached.jobs().start("Presentation", work)
