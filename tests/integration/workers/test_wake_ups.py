"""A message only wakes: doubled, foreign, lost or never sent ones change nothing about what runs."""

import pytest

from ad_platform.queue.celery import CeleryQueue
from ad_platform.queue.protocol import WAKE
from ad_platform.states import JobState
from ground import Ground

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]


def test_doubled_and_foreign_messages_are_harmless(land: Ground, worker):
    job = land.submit(steps=40)
    queue = CeleryQueue(land.broker.url)
    for _ in range(5):
        queue.ring(job, "default", 0)
        queue.ring("0123456789abcdef", "default", 0)
        queue.ring("", "default", 9)
    for task, arguments in (
        ("somebody.elses", [1]),
        (WAKE, ["too", "many", "words"]),
        (WAKE, [{"not": "an id"}]),
    ):
        queue.app.send_task(task, args=arguments, queue="adctl.default")
    assert land.ended(job).state is JobState.SUCCEEDED
    assert land.outcomes(job) == ["succeeded"]
    again = land.submit()
    assert land.ended(again).state is JobState.SUCCEEDED
    assert worker.poll() is None


def test_jobs_run_though_the_broker_lost_every_message(land: Ground, worker):
    running = [land.submit(steps=60) for _ in range(2)]
    queued = [land.submit(steps=4) for _ in range(3)]
    land.broker.flush()
    for job in running + queued:
        assert land.ended(job).state is JobState.SUCCEEDED
        assert land.outcomes(job) == ["succeeded"]


def test_a_worker_is_not_deaf_after_its_broker_died_and_came_back_empty(land: Ground, worker):
    through = land.submit(steps=150)
    land.reaches(through, 2)
    land.broker.kill()
    land.reaches(through, land.committed(through) + 20)
    land.broker.start()
    assert land.ended(land.submit(), 60).state is JobState.SUCCEEDED
    assert land.ended(through).state is JobState.SUCCEEDED
    assert land.outcomes(through) == ["succeeded"]


def test_a_submit_without_a_broker_is_accepted_says_so_and_runs_once_there_is_one(land: Ground, worker):
    land.broker.kill()
    submitted = land.send(land.asked(land.pictures()))
    job = submitted.jobs[0].id
    assert any("will be announced later" in warning for warning in submitted.warnings)
    assert land.job(job).state is JobState.QUEUED
    land.broker.start()
    assert land.ended(job).state is JobState.SUCCEEDED
    assert land.outcomes(job) == ["succeeded"]
