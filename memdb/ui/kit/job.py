"""Long work of a page: one slot a kind of work, its job in the background, its progress drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import duration, markdown
from memdb.jobs import Job
from memdb.ui.kit import cached, parts

T = TypeVar("T")
_ANY = object()


@dataclass(frozen=True, slots=True)
class Started:
    """What the browser's session keeps of a job: its id, and what it was started for."""

    id: str
    about: object


@dataclass(frozen=True)  # no slots: JobSlot[T](...) notes its T on the instance
class JobSlot(Generic[T]):
    """Where a browser's session keeps its newest job of one kind; at most one of them runs.

    Attributes:
        name: key in the session's state, beginning with its page.
        every: how often a running job is drawn anew.
    """

    name: str
    every: str = "1s"

    def start(self, title: str, work: Callable[[Job[T]], T], about: object = None) -> bool:
        """Run `work` in the background unless one of this kind runs: False then.

        Args:
            title: of the job, for its thread.
            work: gets the job, to report to.
            about: what it is for; `job(about)` knows it again.
        """
        if self.current() is not None:
            return False
        st.session_state[self.name] = Started(cached.jobs().start(title, work).id, about)
        return True

    def job(self, about: object = _ANY) -> Job[T] | None:
        """The newest job, running or ended; None where there is none, or it was for something else."""
        started = st.session_state.get(self.name)
        if not isinstance(started, Started) or (about is not _ANY and started.about != about):
            return None
        return cast("Job[T] | None", cached.jobs().get(started.id))

    def current(self, about: object = _ANY) -> Job[T] | None:
        """The job while it runs."""
        job = self.job(about)
        return job if job is not None and job.state.status == "running" else None

    def ended(self, about: object = _ANY) -> Job[T] | None:
        """The job once it has ended, however it did."""
        job = self.job(about)
        return job if job is not None and job.state.status != "running" else None

    def first_seen_ended(self) -> bool:
        """Whether this is the first look at a job that has ended."""
        job, told_key = self.ended(), f"{self.name}.told"
        if job is None or st.session_state.get(told_key) == job.id:
            return False
        st.session_state[told_key] = job.id
        return True

    def forget(self) -> None:
        """Show nothing of it any more. A running job goes on unseen."""
        st.session_state.pop(self.name, None)

    def watch(self, so_far: Callable[[T | None], None] | None = None) -> bool:
        """Draw the running job until it ends, then the whole page anew; False where none runs.

        Args:
            so_far: draws the partial result below the progress.
        """
        job = self.current()
        if job is None:
            return False
        st.fragment(_draw, run_every=self.every)(job, so_far)
        return True

    def outcome(
        self, target: Target | None = None, cancelled: str = "", about: object = _ANY
    ) -> Job[T] | None:
        """The ended job, after its error or its cancellation was told.

        Args:
            target: of the work: a page waits for it where it is down.
            cancelled: one sentence for a job that was cancelled.
            about: what it was started for.
        """
        job = self.ended(about)
        if job is None:
            return None
        if job.error is not None:
            parts.show_error(job.error, target)
        elif job.state.status == "cancelled" and cancelled:
            st.caption(f":material/stop_circle: {markdown(cancelled)}")
        return job


def panel(job: Job[T]) -> None:
    """Progress, rate, time left and cancel; call it in a fragment."""
    state = job.state
    left_words = f", {duration(state.left_s)} left" if state.left_s is not None else ""
    rate = f", {state.rate:,.0f}/s" if state.rate else ""
    total = f"{state.done:,} of {state.total:,}" if state.total else ""
    st.progress(state.fraction, text=f"{markdown(state.stage)}: {total}{rate}{left_words}")
    if st.button("Cancel", key=f"cancel.{job.id}", icon=":material/stop_circle:"):
        job.cancel()


def _draw(job: Job[T], so_far: Callable[[T | None], None] | None) -> None:
    if job.state.status != "running":
        st.rerun()
    panel(job)
    if so_far is not None:
        so_far(job.result)
