"""Promise 1: whatever dies after a submit was acknowledged, its job runs to its end."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform.errors import BrokerDown
from ad_platform.failpoints import Commit, Edge
from ad_platform.queue.celery import CeleryQueue
from ad_platform.states import JobState
from ground import Ground

pytestmark = pytest.mark.timeout(240)
EVERYDAY = "embedded"

Worker = "subprocess.Popen[bytes]"

# Where a client can die, in the order in which it gets there.
NOT_KEPT = [Commit.SUBMIT.before]
KEPT = [Commit.SUBMIT.after, Edge.RING, Edge.RUNG, Commit.RUNG.before, Commit.RUNG.after]


def arguments(pictures: Path, key: str) -> list[str]:
    return [
        *("submit", "train", "--model", "troublesome", "--data", str(pictures), "--device", "cpu"),
        *("-S", "steps=3", "--no-evaluate", "--holdout", "none", "--seed", "7", "--key", key, "--json"),
    ]


def test_a_client_killed_at_any_edge_leaves_a_whole_job_or_none(
    land: Ground, request: pytest.FixtureRequest
) -> None:
    pictures = land.pictures()
    publishing = land.platform.start_worker()  # the detectors it knows; gone, it relays nothing
    publishing.terminate()
    publishing.wait(30)
    for edge in NOT_KEPT + KEPT:
        killed = land.platform.trapped(f"{edge}:kill", *arguments(pictures, edge))
        assert (killed.returncode, killed.stdout) == (-9, ""), killed.stderr
        kept = land.client.store.jobs.of_keys([edge])
        assert bool(kept) == (edge in KEPT), edge
    assert land.client.store.jobs.of_keys(NOT_KEPT) == {}

    request.getfixturevalue("worker")
    jobs = land.client.store.jobs.of_keys(KEPT)
    assert sorted(jobs) == sorted(KEPT)
    for job in jobs.values():
        assert land.ended(job.id).state is JobState.SUCCEEDED
        assert land.outcomes(job.id) == ["succeeded"]
    # Whoever was not answered asks again, under the same key: the same job, or the first.
    for edge in (NOT_KEPT[0], KEPT[-1]):
        said = json.loads(land.platform(*arguments(pictures, edge)))
        (job,) = land.client.store.jobs.of_keys([edge]).values()
        assert [each["id"] for each in said["jobs"]] == [job.id]
        assert land.ended(job.id).state is JobState.SUCCEEDED


def test_jobs_outlive_every_accident_of_the_broker(land: Ground, worker: Worker) -> None:
    """Every message lost, the broker dead with its disk and without it, dead already when asked."""

    def restarted(*, wiped: bool) -> None:
        land.broker.kill()
        if wiped:
            land.broker.wipe()
        land.broker.start()

    accidents = {
        "messages lost": land.broker.flush,
        "restarted on its disk": lambda: restarted(wiped=False),
        "restarted on an empty disk": lambda: restarted(wiped=True),
    }
    for name, happens in accidents.items():
        running = [land.submit(steps=60) for _ in range(2)]
        queued = [land.submit(steps=3) for _ in range(3)]
        land.says(running[0], "made step 2")
        happens()
        late = land.submit(steps=3)
        for job in [*running, *queued, late]:
            assert land.ended(job).state is JobState.SUCCEEDED, name
            assert land.outcomes(job) == ["succeeded"], name

    land.broker.kill()
    ask = land.asked(land.pictures(), settings={"steps": 3})
    submitted = land.send(ask)
    assert any("will be announced later" in warning for warning in submitted.warnings)
    assert land.job(submitted.jobs[0].id).state is JobState.QUEUED
    land.broker.start()
    assert land.ended(submitted.jobs[0].id).state is JobState.SUCCEEDED
    assert worker.poll() is None


def test_a_job_in_a_queue_that_nobody_serves_waits_and_is_not_lost(land: Ground, worker: Worker) -> None:
    ask = land.asked(land.pictures(), settings={"steps": 3})
    elsewhere = replace(ask, scheduling=replace(ask.scheduling, queue="night"))
    job = land.send(elsewhere).jobs[0].id
    land.broker.flush()
    assert land.ended(land.submit(steps=3)).state is JobState.SUCCEEDED
    assert land.job(job).state is JobState.QUEUED


def test_what_nobody_was_told_of_is_found_by_a_worker_that_comes_later(land: Ground, worker: Worker) -> None:
    worker.terminate()
    worker.wait(30)
    job = land.submit(steps=3)
    other = land.submit(steps=3)
    land.broker.flush()
    land.broker.kill()
    with pytest.raises(BrokerDown):
        CeleryQueue(land.broker.url).ring(job, "default", 0)
    # The outbox knows of no debt: the ring was made, and then lost with the broker.
    assert land.client.store.outbox.owed() == []
    land.broker.start()
    land.platform.start_worker()
    for each in (job, other):
        assert land.ended(each).state is JobState.SUCCEEDED
