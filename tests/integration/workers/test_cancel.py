"""Cancel wins within five seconds, whatever the job is doing, and leaves no process behind."""

import time
from dataclasses import replace

import pytest

from ad_platform.states import JobState
from ground import Ground, attempt_processes

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]

AT_ONCE = 5.0


def cancel_and_time(land: Ground, job: str) -> float:
    """Cancel a job and return how many seconds it took to end and its processes to be gone."""
    began = time.monotonic()
    land.client.cancel(job)
    land.ended(job, AT_ONCE)
    return time.monotonic() - began


def test_a_job_nobody_runs_is_cancelled_at_once(land: Ground, worker):
    ask = land.asked(land.pictures())
    elsewhere = replace(ask, scheduling=replace(ask.scheduling, queue="nobody-serves-this"))
    job = land.send(elsewhere).jobs[0].id
    assert land.job(job).state is JobState.QUEUED
    assert land.client.cancel(job).state is JobState.CANCELLED
    assert land.outcomes(job) == []


def test_a_running_job_is_gone_within_five_seconds(land: Ground, worker):
    job = land.submit(steps=10_000)
    land.reaches(job, 4)
    processes = land.offspring(worker)
    assert cancel_and_time(land, job) < AT_ONCE
    assert land.job(job).state is JobState.CANCELLED
    assert land.outcomes(job) == ["cancelled"]
    land.die(processes, 1.0)
    assert land.stored(job)  # a retry may go on from there


@pytest.mark.parametrize("trouble", ["hang", "offspring"])
def test_a_child_that_does_not_listen_is_gone_within_five_seconds_with_all_it_started(
    land: Ground, worker, trouble
):
    job = land.submit(trouble=trouble)
    land.says(job, "made step 4")
    count = 2 if trouble == "offspring" else 1
    land.platform.wait(lambda: len(attempt_processes(worker.pid)) == count, f"{count} processes run")
    processes = attempt_processes(worker.pid)
    assert cancel_and_time(land, job) < AT_ONCE
    assert land.outcomes(job) == ["cancelled"]
    land.die(processes, 1.0)


def test_a_running_job_is_gone_within_five_seconds_though_the_broker_is_dead(land: Ground, worker):
    job = land.submit(steps=10_000)
    land.reaches(job, 2)
    processes = land.offspring(worker)
    land.broker.kill()
    assert cancel_and_time(land, job) < AT_ONCE
    assert land.job(job).state is JobState.CANCELLED
    land.die(processes, 1.0)
    land.broker.start()
    assert land.ended(land.submit()).state is JobState.SUCCEEDED


def test_cancelling_a_job_that_ended_changes_nothing(land: Ground):
    job = land.submit(steps=2)
    before = land.ended(job)
    events = land.client.events(before)
    assert land.client.cancel(job) == before
    assert land.job(job) == before
    assert land.client.events(before) == events
