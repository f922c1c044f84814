"""Promise 3: whatever dies or hangs, its job goes on from its last checkpoint, and no process is left."""

import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from ad_platform.curves import committed
from ad_platform.failpoints import Commit, Edge
from ad_platform.states import AttemptOutcome, FailureClass, JobState
from ground import Ground, attempt_processes, zygote_of
from running_platform import family

pytestmark = pytest.mark.timeout(400)
EVERYDAY = "embedded"

Worker = "subprocess.Popen[bytes]"

OF_THE_CHILD = [
    *(Edge.SAVE, Edge.SAVED, Edge.WRITING, Edge.HALF, Edge.WRITTEN, Edge.RENAMED),
    *(Edge.MANIFEST, Edge.LISTED, Edge.STORED),
]
OF_THE_WORKER = [
    *(Commit.LEASE.before, Commit.LEASE.after, Edge.FORK, Edge.FORKED, Edge.ENDED),
    *(
        name
        for write in (Commit.RENEW, Commit.NOTE, Commit.CHECKPOINT)
        for name in (write.before, write.after)
    ),
    *(name for write in (Commit.FORGET, Commit.STAGE, Commit.FINISH) for name in (write.before, write.after)),
    *(Edge.REMOVE, Edge.UNLISTED),
]
# Two deaths of a worker in a row take long: everyday a few edges, among them the most tender.
EVERYDAYS = [Commit.LEASE.after, Edge.FORKED, Commit.CHECKPOINT.before, Edge.UNLISTED, Commit.FINISH.after]


@contextmanager
def no_worker_left(land: Ground) -> Iterator[None]:
    """Have every worker of a test dead and gone at its end, with all they started, even of one that fails."""
    try:
        yield
    finally:
        everybody = [process for worker in land.platform.workers for process in living_family(worker.pid)]
        for worker in land.platform.workers:
            worker.kill()
            worker.wait()
        land.platform.workers.clear()
        land.die(everybody, 15)


def living_family(pid: int) -> list[psutil.Process]:
    try:
        return family(pid)
    except psutil.NoSuchProcess:
        return []


def check_series(land: Ground, job: str, steps: int) -> None:
    """Check that the job's curve has each step once, and that no attempt began where none had been."""
    curve = committed(land.client.store, land.storage, job)
    assert [point.step for point in curve.points] == list(range(1, steps + 1))
    assert not curve.problems
    for attempt in land.attempts(job)[1:]:
        made = land.steps(job, attempt.number)
        resumed = attempt.facts.get("resumed_step", 0)
        if made and attempt.outcome is AttemptOutcome.SUCCEEDED:
            assert made == list(range(int(str(resumed)) + 1, steps + 1))


def test_children_killed_at_every_edge_go_on_from_their_last_checkpoint(land: Ground, tmp_path: Path) -> None:
    edges = land.edges(OF_THE_CHILD)
    trap = ",".join(f"child/{edge}:kill={tmp_path / edge}" for edge in edges)
    with no_worker_left(land):
        land.platform.start_worker(slots=4, trap=trap)
        # Each child dies at the first edge at which none has died before.
        jobs = [land.submit(steps=8, max_attempts=10) for _ in range(4)]
        for job in jobs:
            assert land.ended(job, 120).state is JobState.SUCCEEDED
            check_series(land, job, 8)
        assert {path.name for path in tmp_path.iterdir()} == set(edges)
        outcomes = [outcome for job in jobs for outcome in land.outcomes(job)]
        assert outcomes.count("failed") == len(edges)
        assert all("SIGKILL" in one.error for job in jobs for one in land.attempts(job)[:-1])


@pytest.mark.parametrize(
    "edge", [one if one in EVERYDAYS else pytest.param(one, marks=pytest.mark.slow) for one in OF_THE_WORKER]
)
def test_a_worker_killed_at_any_edge_leaves_a_job_that_another_finishes(
    land: Ground, tmp_path: Path, edge: str
) -> None:
    with no_worker_left(land):
        dying = land.platform.start_worker(trap=f"{edge}:kill={tmp_path / 'died'}")
        job = land.submit(steps=10)
        everybody: list[psutil.Process] = []
        while dying.poll() is None:  # it has its children until it dies
            everybody = living_family(dying.pid) or everybody
            with suppress(subprocess.TimeoutExpired):
                dying.wait(0.1)
        assert (tmp_path / "died").exists()
        assert dying.returncode == -signal.SIGKILL
        land.die(everybody, 15)
        land.platform.start_worker()
        ended = land.ended(job)
        assert ended.state is JobState.SUCCEEDED
        assert ended.failures <= 1
        assert land.outcomes(job) in (["succeeded"], ["lost", "succeeded"])
        check_series(land, job, 10)


def test_what_hangs_is_noticed_and_tried_again(land: Ground, tmp_path: Path) -> None:
    with no_worker_left(land):
        worker = land.platform.start_worker()
        over = tmp_path / "over"
        # A busy machine may be silent for as long while it starts: what counts is what comes after a step.
        job = land.submit(trouble="gate", file=str(over), stall_after=5.0, max_attempts=10)
        land.reaches(job, 4)
        before = len(land.attempts(job))
        land.platform.wait(lambda: land.outcomes(job)[before - 1] == "failed", "the silence is noticed", 60)
        over.touch()
        assert land.ended(job).state is JobState.SUCCEEDED
        assert {attempt.failure for attempt in land.attempts(job)[:-1]} == {FailureClass.STALLED}
        assert land.attempts(job)[-1].facts["resumed_step"] == 4
        check_series(land, job, 12)

        still = land.submit(steps=10_000, stall_after=10.0, max_attempts=1)  # stopped, it does not even hang
        land.reaches(still, 2)
        for child in attempt_processes(worker.pid):
            child.suspend()
        assert land.ended(still).failure is FailureClass.STALLED
        land.die(attempt_processes(worker.pid), 5)


def test_a_killed_zygote_costs_an_attempt_and_is_replaced(land: Ground) -> None:
    with no_worker_left(land):
        worker = land.platform.start_worker()
        job = land.submit(steps=40, pause=0.05)
        land.reaches(job, 4)
        zygote = zygote_of(worker.pid)
        below = zygote.children(recursive=True)
        zygote.kill()
        land.die([zygote, *below])
        assert land.ended(job).state is JobState.SUCCEEDED
        assert land.attempts(job)[0].failure is FailureClass.INFRA
        check_series(land, job, 40)
        assert worker.poll() is None


def test_without_any_worker_a_clients_look_is_enough(land: Ground) -> None:
    """Nothing looks alive for ever: not a job, and not the worker that ran it."""
    with no_worker_left(land):
        worker = land.platform.start_worker()
        jobs = [land.submit(steps=10_000), land.submit(steps=10_000, max_attempts=1)]
        land.platform.wait(lambda: any(land.committed(job) >= 2 for job in jobs), "one works", 60)
        (running,) = [job for job in jobs if land.job(job).state is JobState.RUNNING]
        worker.kill()
        worker.wait()
        for edge in (Commit.REAP.before, Commit.REAP.after):  # whoever looks may die of it, too
            looking = partial(land.platform.trapped, f"{edge}:kill", "list", "-q")
            land.platform.wait(lambda: looking().returncode == -9, f"a look gets to {edge}", 20)  # noqa: B023
            assert (land.outcomes(running) == ["lost"]) == (edge == Commit.REAP.after)
        land.platform.wait(
            lambda: running not in land.platform("list", "--state", "running", "-q"), "seen", 20
        )
        job = land.job(running)
        assert job.state is (JobState.FAILED if running == jobs[1] else JobState.QUEUED)
        assert land.outcomes(running) == ["lost"]
        for each in jobs:
            land.client.cancel(each)


@pytest.mark.slow
@pytest.mark.parametrize("edge", [Commit.GIVE_BACK.before, Commit.GIVE_BACK.after])
def test_a_worker_killed_while_it_gives_a_job_back_leaves_it_to_another(land: Ground, edge: str) -> None:
    with no_worker_left(land):
        dying = land.platform.start_worker(trap=f"{edge}:kill")
        job = land.submit(steps=200, pause=0.05)
        land.reaches(job, 4)
        everybody = living_family(dying.pid)
        dying.send_signal(signal.SIGTERM)
        assert dying.wait(30) == -signal.SIGKILL
        land.die(everybody, 15)
        land.platform.start_worker()
        assert land.ended(job).state is JobState.SUCCEEDED
        kept = edge == Commit.GIVE_BACK.after
        assert land.outcomes(job) == ["given_back" if kept else "lost", "succeeded"]
        check_series(land, job, 200)


def test_workers_that_die_again_and_again_leave_no_orphan_and_lose_no_step(land: Ground) -> None:
    dice = random.Random(3)
    with no_worker_left(land):
        job = land.submit(steps=120, pause=0.03, max_attempts=10)
        for part in ("worker", "zygote", "child"):
            worker = land.platform.start_worker()
            begun = land.committed(job)
            land.reaches(job, begun + dice.randint(2, 12))
            everybody = living_family(worker.pid)
            victims = {
                "worker": [psutil.Process(worker.pid)],
                "zygote": [zygote_of(worker.pid)],
                "child": attempt_processes(worker.pid),
            }
            for victim in victims[part]:
                victim.kill()
            if part != "worker":
                worker.kill()
            worker.wait()
            land.die(everybody, 15)
        land.platform.start_worker()
        assert land.ended(job).state is JobState.SUCCEEDED
        check_series(land, job, 120)
