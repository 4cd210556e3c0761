"""Jobs: progress, cancel, partial results, errors."""

from __future__ import annotations

import threading

import pytest

from memdb.errors import BadInput
from memdb.jobs import Job, Jobs


def test_a_job_reports_and_ends() -> None:
    reached, go = threading.Event(), threading.Event()

    def work(job: Job[int]) -> int:
        job.report("Counting", 3, 10)
        reached.set()
        go.wait(5)
        return 42

    job = Jobs().start("count", work)
    assert reached.wait(5)
    state = job.state
    assert (state.status, state.stage, state.done, state.total, state.fraction) == (
        "running",
        "Counting",
        3,
        10,
        0.3,
    )
    go.set()
    assert job.wait(5).status == "done"
    assert job.result == 42


def test_cancel_keeps_what_was_found() -> None:
    reached, go = threading.Event(), threading.Event()

    def work(job: Job[list[int]]) -> list[int]:
        job.keep([1, 2])
        reached.set()
        go.wait(5)
        job.report("Counting", 1, 2)
        pytest.fail("a cancelled job goes on")

    job = Jobs().start("count", work)
    assert reached.wait(5)
    job.cancel()
    go.set()
    assert job.wait(5).status == "cancelled"
    assert job.result == [1, 2]


def test_our_errors_are_kept_and_bugs_are_raised() -> None:
    def refuse(job: Job[None]) -> None:
        raise BadInput("No.", "Try yes.")

    def bug(job: Job[None]) -> None:
        raise ZeroDivisionError

    refused = Jobs().start("refuse", refuse)
    assert refused.wait(5).status == "failed"
    assert str(refused.error) == "No."
    broken = Jobs().start("bug", bug)
    with pytest.raises(ZeroDivisionError):
        broken.wait(5)


def test_old_ended_jobs_are_forgotten_and_running_ones_are_not() -> None:
    jobs, go = Jobs(keep=3), threading.Event()
    running = jobs.start("wait", lambda job: go.wait(5))
    for _ in range(6):
        jobs.start("quick", lambda job: None).wait(5)
    last = jobs.start("quick", lambda job: None)
    last.wait(5)
    assert jobs.get(running.id) is running
    assert jobs.get(last.id) is last
    assert len(jobs._jobs) <= 4
    go.set()
