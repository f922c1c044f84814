"""Two slots run two attempts side by side, remote control sees them, and a dead zygote costs one attempt."""

import os
import signal

import psutil
import pytest

from ad_detectors import cpus
from ad_platform.queue.celery import make_app
from ad_platform.states import FailureClass, JobState
from ground import Ground, zygote_of

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]


def active(land: Ground) -> list[list[str]]:
    """Return the arguments of what Celery says is running, over all workers."""
    app = make_app(land.platform.settings.broker_url)
    with app.connection_for_read() as connection:
        found = app.control.inspect(timeout=2.0, connection=connection).active() or {}
    app.close()
    return sorted(task["args"] for tasks in found.values() for task in tasks)


def test_two_jobs_run_at_once_on_their_share_of_the_threads_and_celery_shows_their_ids(land: Ground, worker):
    jobs = [land.submit(steps=10_000) for _ in range(2)]
    for job in jobs:
        land.reaches(job, 2)
    share = max(1, cpus.usable() // 2)
    assert [land.attempts(job)[0].facts["threads"] for job in jobs] == [share, share]
    land.platform.wait(lambda: active(land) == sorted([job] for job in jobs), "celery shows both", 20)
    assert {record.busy for record in land.client.workers() if record.pid == worker.pid} == {2}


def test_a_killed_zygote_is_replaced_and_its_attempts_are_made_again(land: Ground, worker):
    jobs = [land.submit(steps=40, pause=0.1) for _ in range(2)]
    for job in jobs:
        land.reaches(job, 4)
    zygote = zygote_of(worker.pid)
    children = zygote.children(recursive=True)
    zygote.kill()
    land.die([zygote, *children])
    for job in jobs:
        assert land.ended(job).state is JobState.SUCCEEDED
        first, second = land.attempts(job)
        assert (first.outcome, first.failure) == ("failed", FailureClass.INFRA)
        assert second.facts["resumed_step"] >= 4
    assert worker.poll() is None
    assert zygote_of(worker.pid).pid != zygote.pid


def test_a_killed_child_costs_one_attempt_and_no_step_twice_in_the_record(land: Ground, worker):
    job = land.submit(steps=30, pause=0.1)
    land.reaches(job, 4)
    for process in land.offspring(worker):
        os.kill(process.pid, signal.SIGKILL)
    assert land.ended(job).state is JobState.SUCCEEDED
    assert land.outcomes(job) == ["failed", "succeeded"]
    assert "SIGKILL" in land.attempts(job)[0].error
    assert land.steps(job, 2)[0] == land.attempts(job)[1].facts["resumed_step"] + 1


def test_a_child_that_was_stopped_counts_as_hung(land: Ground, worker):
    job = land.submit(steps=10_000, stall_after=3.0, max_attempts=1)
    land.reaches(job, 2)
    children = land.offspring(worker)
    for child in children:
        child.suspend()
    ended = land.ended(job)
    assert (ended.state, ended.failure) == (JobState.FAILED, FailureClass.STALLED)
    land.die(children, 2.0)
    assert psutil.Process(worker.pid).is_running()
