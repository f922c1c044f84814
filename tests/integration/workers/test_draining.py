"""A worker that is told to leave gives its jobs back whole and in time, and takes its processes along."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ad_platform.states import JobState
from ground import Ground, ground
from running_platform import alive, family

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]

GRACE = 10.0


@pytest.fixture(scope="module")
def fresh(folder: Path) -> Iterator[Ground]:
    with ground(folder / "draining", ADCTL_GRACE=str(int(GRACE))) as fresh:
        yield fresh


@pytest.fixture
def land(fresh: Ground) -> Iterator[Ground]:
    """Give the platform without a worker; what a failed test leaves over must not meet the next."""
    yield fresh
    fresh.broker.start()
    for worker in fresh.platform.workers:
        worker.kill()
        worker.wait()
    fresh.platform.workers.clear()
    fresh.idle()


def leaves(worker: "subprocess.Popen[bytes]", seconds: float) -> float:
    """Return after how many seconds a worker ended by itself, in good order."""
    began = time.monotonic()
    assert worker.wait(seconds) == 0
    return time.monotonic() - began


def given_back(land: Ground, job: str, worker: "subprocess.Popen[bytes]") -> None:
    """Check that a job waits for another worker as if nothing had failed, and the worker has signed off."""
    after = land.job(job)
    assert (after.state, after.failures) == (JobState.QUEUED, 0)
    assert set(land.outcomes(job)) == {"given_back"}
    states = {record.pid: record.state for record in land.client.store.workers.roster()}
    assert states[worker.pid] == "gone"


def test_sigterm_checkpoints_gives_back_and_leaves_nothing_and_the_next_worker_goes_on(land: Ground):
    worker = land.platform.start_worker()
    job = land.submit(steps=150, every=1000)
    land.says(job, "made step 10")
    everyone = family(worker.pid)
    worker.send_signal(signal.SIGTERM)
    leaves(worker, GRACE)
    land.die(everyone, 1.0)
    given_back(land, job, worker)
    step = land.committed(job)
    assert step >= 10

    heir = land.platform.start_worker()
    assert land.ended(job).state is JobState.SUCCEEDED
    assert land.attempts(job)[1].facts["resumed_step"] == step
    assert land.steps(job, 1) + land.steps(job, 2) == list(range(1, 151))
    heir.send_signal(signal.SIGTERM)
    leaves(heir, GRACE)


def test_a_second_sigterm_kills_the_children_at_once_and_still_gives_the_job_back(land: Ground):
    worker = land.platform.start_worker()
    job = land.submit(trouble="offspring")
    land.says(job, "made step 4")
    everyone = family(worker.pid)
    worker.send_signal(signal.SIGTERM)
    log = land.platform.home / "logs" / "hand-0.log"
    land.platform.wait(lambda: "draining" in log.read_text(), "the first signal is taken")
    worker.send_signal(signal.SIGTERM)
    assert leaves(worker, GRACE) < GRACE / 1.5
    land.die(everyone, 1.0)
    given_back(land, job, worker)


def test_a_child_that_does_not_drain_is_killed_in_time_and_its_job_given_back(land: Ground):
    worker = land.platform.start_worker()
    job = land.submit(trouble="hang")
    land.says(job, "made step 4")
    everyone = family(worker.pid)
    worker.send_signal(signal.SIGTERM)
    leaves(worker, GRACE + 2.0)
    land.die(everyone, 1.0)
    given_back(land, job, worker)
    assert land.committed(job) == 4


def test_a_worker_can_be_told_to_leave_from_outside_though_the_broker_is_dead(land: Ground):
    worker = land.platform.start_worker()
    job = land.submit(steps=10_000, every=1000)
    land.says(job, "made step 10")
    everyone = family(worker.pid)
    (name,) = [one.id for one in land.client.workers() if one.pid == worker.pid]
    land.broker.kill()
    land.platform("worker", "drain", name)
    leaves(worker, GRACE + 2.0)
    assert not alive(everyone)
    given_back(land, job, worker)
    assert land.committed(job) >= 10


def test_rubbish_in_the_broker_ends_a_worker_with_an_error_for_its_keeper(land: Ground):
    worker = land.platform.start_worker()
    everyone = family(worker.pid)
    with land.broker.client() as broker:
        broker.lpush("adctl.default", b"this is no message")
    land.die(everyone)
    assert worker.wait(1.0) == os.EX_SOFTWARE
