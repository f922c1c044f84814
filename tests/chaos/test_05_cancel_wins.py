"""Promise 5: cancel wins within five seconds, whatever the job is doing, and leaves no process behind."""

import random
import time
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest

from ad_platform.failpoints import Commit, Edge
from ad_platform.records import Job
from ad_platform.states import AttemptOutcome, JobState
from ground import AT_ONCE, Ground, attempt_processes

pytestmark = pytest.mark.timeout(240)
EVERYDAY = "embedded"

AT = 3  # files into the storage: the first checkpoint is whole by then, or about to be
Worker = "subprocess.Popen[bytes]"


def cancelled(land: Ground, job: str) -> None:
    """Cancel a job and check that it and its processes are gone in time."""
    began = time.monotonic()
    land.client.cancel(job)
    assert land.ended(job, AT_ONCE).state is JobState.CANCELLED
    assert time.monotonic() - began < AT_ONCE


def test_a_job_that_waits_for_another_ends_at_once(land: Ground, worker: Worker) -> None:
    ask = replace(land.asked(land.pictures(), settings={"steps": 10_000}), evaluate=True, holdout="25/25")
    land.hold(ask.dataset)
    train, evaluation = land.client.submit(land.client.plan_train(ask)).jobs
    assert land.job(evaluation.id).state is JobState.WAITING
    assert land.client.cancel(evaluation.id).state is JobState.CANCELLED
    cancelled(land, train.id)
    assert land.outcomes(evaluation.id) == []


def test_a_queued_job_ends_at_once_also_in_the_pause_before_another_attempt(
    land: Ground, worker: Worker
) -> None:
    ask = land.asked(land.pictures())
    elsewhere = replace(ask, scheduling=replace(ask.scheduling, queue="nobody-serves-this"))
    job = land.send(elsewhere).jobs[0].id
    assert land.job(job).state is JobState.QUEUED
    assert land.client.cancel(job).state is JobState.CANCELLED
    assert land.outcomes(job) == []

    paused = land.submit(trouble="abort", at=1)
    land.platform.wait(lambda: land.outcomes(paused) == ["failed"], "an attempt fails", 60)
    if (stands := land.client.cancel(paused)).state is not JobState.CANCELLED:  # the next one has begun
        assert stands.cancel_requested
        assert land.ended(paused, AT_ONCE).state is JobState.CANCELLED
    assert len(land.outcomes(paused)) < 3


def test_a_running_job_is_gone_and_can_be_gone_on_with(land: Ground, worker: Worker) -> None:
    job = land.submit(steps=10_000)
    land.reaches(job, 4)
    processes = land.offspring(worker)
    cancelled(land, job)
    assert land.outcomes(job) == ["cancelled"]
    land.die(processes, 1.0)
    assert land.stored(job)


@pytest.mark.parametrize("trouble", ["hang", "offspring"])
def test_a_child_that_does_not_listen_is_gone_with_all_it_started(
    land: Ground, worker: Worker, trouble: str
) -> None:
    job = land.submit(trouble=trouble)
    land.says(job, "made step 4")
    count = 2 if trouble == "offspring" else 1
    land.platform.wait(lambda: len(attempt_processes(worker.pid)) == count, f"{count} processes run")
    processes = attempt_processes(worker.pid)
    cancelled(land, job)
    assert land.outcomes(job) == ["cancelled"]
    land.die(processes, 1.0)


def test_a_running_job_is_gone_though_the_broker_is_dead(land: Ground, worker: Worker) -> None:
    job = land.submit(steps=10_000)
    land.reaches(job, 2)
    processes = land.offspring(worker)
    land.broker.kill()
    cancelled(land, job)
    land.die(processes, 1.0)
    land.broker.start()
    assert land.ended(land.submit()).state is JobState.SUCCEEDED


def test_cancelling_a_job_that_ended_changes_nothing(land: Ground, worker: Worker) -> None:
    job = land.submit(steps=2)
    before = land.ended(job)
    events = land.client.events(before)
    assert land.client.cancel(job) == before
    assert land.job(job) == before
    assert land.client.events(before) == events


def test_in_the_race_with_lease_and_finish_what_the_canceller_was_told_holds(
    land: Ground, worker: Worker
) -> None:
    dice = random.Random(5)
    told: dict[str, Job] = {}

    def cancel_later(job: str, seconds: float) -> None:
        Event().wait(seconds)
        told[job] = land.client.store.jobs.cancel(job)

    threads = []
    for _ in range(24):
        job = land.submit(steps=1, pause=0.0)
        threads.append(Thread(target=cancel_later, args=(job, dice.uniform(0.0, 0.8))))
        threads[-1].start()
    for thread in threads:
        thread.join()
    for job, then in told.items():
        now = land.ended(job, 30)
        if then.state.terminal:
            assert now == then
        else:
            assert then.cancel_requested
            assert now.state is JobState.CANCELLED
        attempts = [attempt.outcome for attempt in land.attempts(job)]
        assert attempts in ([], [AttemptOutcome.SUCCEEDED], [AttemptOutcome.CANCELLED])
    assert len(told) == 24
    assert not attempt_processes(worker.pid)


@pytest.mark.parametrize(("verb", "edges"), [("cancel", Commit.CANCEL), ("retry", Commit.RETRY)])
def test_a_client_killed_at_the_edges_of_what_it_asks_has_asked_or_has_not(
    land: Ground, worker: Worker, verb: str, edges: Commit
) -> None:
    ask = land.asked(land.pictures())
    elsewhere = replace(ask, scheduling=replace(ask.scheduling, queue="nobody-serves-this"))
    job = land.send(elsewhere).jobs[0].id
    if verb == "retry":
        land.client.cancel(job)

    def stands() -> tuple[int, JobState]:
        return len(land.client.store.jobs.search(limit=1000)), land.job(job).state

    before = stands()
    for edge, kept in ((edges.before, False), (edges.after, True)):
        killed = land.platform.trapped(f"{edge}:kill", verb, job)
        assert (killed.returncode, killed.stdout) == (-9, ""), killed.stderr
        assert (stands() != before) == kept
    after = stands()
    # Whoever was not answered asks again, and nothing is done twice.
    land.client.cancel(job) if verb == "cancel" else land.client.retry(job)
    assert stands() == after


def test_in_the_midst_of_an_upload_and_between_lease_and_fork(
    land: Ground, worker: Worker, tmp_path: Path
) -> None:
    """Done last: it stops the shared worker, so that the slow one gets the jobs."""
    worker.terminate()
    worker.wait(30)
    midst = f"child/{Edge.UPLOAD if land.hosts else Edge.HALF}@{AT}"
    slow = land.platform.start_worker(
        trap=f"{midst}:trace={tmp_path / 'uploads'},{midst}:sleep=60,{Edge.FORK}:sleep=1.5"
    )
    try:
        # The zygote loads torch meanwhile: what is timed is a worker that is warm.
        first = land.submit(steps=10)
        land.platform.wait(lambda: land.job(first).state is JobState.RUNNING, "it is leased", 30)
        land.client.cancel(first)
        land.ended(first, 60)

        job = land.submit(steps=10)
        land.platform.wait(lambda: land.job(job).state is JobState.RUNNING, "it is leased", 30)
        cancelled(land, job)

        (tmp_path / "uploads").unlink(missing_ok=True)  # those before may have come as far
        job = land.submit(steps=10)
        land.platform.wait((tmp_path / "uploads").exists, "it uploads", 60)
        assert land.job(job).state is JobState.RUNNING
        processes = attempt_processes(slow.pid)
        cancelled(land, job)
        land.die(processes, 1.0)
        for prefix in land.stored(job):  # what is there is whole
            land.storage.fetch(prefix, land.platform.home / "fetched")
    finally:
        slow.kill()
        slow.wait()


def test_a_dead_workers_job_ends_cancelled_with_its_lease_though_only_a_client_is_left(land: Ground) -> None:
    dying = land.platform.start_worker()
    job = land.submit(steps=10_000)
    land.says(job, "made step 1")
    dying.kill()
    dying.wait()
    assert land.client.cancel(job).cancel_requested
    land.platform.wait(lambda: land.client.job(job).state.terminal, "a client's look ends it", 20)
    assert land.job(job).state is JobState.CANCELLED
    assert land.outcomes(job) == ["lost"]
