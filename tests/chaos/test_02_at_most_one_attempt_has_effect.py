"""Promise 2: who was overtaken has no effect any more, wherever it was stopped and goes on."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from ad_platform.curves import committed
from ad_platform.failpoints import Commit, Edge
from ad_platform.queue.celery import CeleryQueue
from ad_platform.queue.protocol import WAKE
from ad_platform.states import AttemptOutcome, JobState
from ground import Ground, attempt_processes
from running_platform import alive

pytestmark = pytest.mark.timeout(300)
EVERYDAY = "clustered"

Worker = "subprocess.Popen[bytes]"

# Where a worker can be stopped and hold up nobody: not within a transaction, which holds SQLite's one lock.
OF_THE_WORKER = [Edge.FORK, Edge.FORKED, Commit.LEASE.after, Commit.CHECKPOINT.after, Edge.ENDED]
OF_THE_CHILD = [Edge.SAVE, Edge.SAVED, Edge.WRITTEN, Edge.MANIFEST, Edge.LISTED, Edge.STORED]


def effects(land: Ground, job: str) -> tuple[object, ...]:
    """Return all that an attempt can have done that counts: rows, bundles, curves."""
    storage, store = land.storage, land.client.store
    prefix = f"jobs/{job}"
    bundles = [name for kind in ("checkpoints", "model") for name in storage.bundles(f"{prefix}/{kind}")]
    return (
        land.job(job),
        land.attempts(job),
        store.jobs.events(job),
        store.artifacts.checkpoints(job),
        {name: storage.manifest(name) for name in bundles},
        committed(store, storage, job),
    )


@contextmanager
def stopped(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


def is_stopped(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


@contextmanager
def slow_worker(land: Ground, trap: str, slots: int = 1) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a worker with traps, and kill it in the end."""
    worker = land.platform.start_worker(slots, trap)
    try:
        yield worker
    finally:
        land.platform.workers.remove(worker)
        worker.kill()
        worker.wait()


def test_workers_stopped_at_any_edge_and_overtaken_change_nothing(
    land: Ground, worker: Worker, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        with stopped(worker):
            slow = [
                stack.enter_context(slow_worker(land, f"{edge}:stop={tmp_path / edge}"))
                for edge in OF_THE_WORKER
            ]
            jobs = [land.submit(steps=6) for _ in OF_THE_WORKER]
            for each in slow:
                land.platform.wait(partial(is_stopped, each.pid), "all of them stop", 60)
            assert {path.name for path in tmp_path.iterdir()} == set(OF_THE_WORKER)
            left = [child for each in slow for child in attempt_processes(each.pid)]
        lost = overtaken(land, jobs)
        assert len(lost) == len(slow)
        # The clock of a child says that its lease is over, though its supervisor cannot tell it.
        land.die(left, 15)
        before = [effects(land, job) for job in jobs]
        for each in slow:
            each.send_signal(signal.SIGCONT)
        find_out(land, lost, slow)
        assert [effects(land, job) for job in jobs] == before
        assert not any(attempt_processes(each.pid) for each in slow)


def test_a_machine_stopped_while_it_writes_checkpoints_and_overtaken_leaves_none(
    land: Ground, worker: Worker, tmp_path: Path
) -> None:
    trap = ",".join(f"child/{edge}:stop={tmp_path / edge}" for edge in OF_THE_CHILD)
    with ExitStack() as stack:
        with stopped(worker):
            slow = stack.enter_context(slow_worker(land, trap, slots=len(OF_THE_CHILD)))
            # Each child stops at the first edge at which none has stopped before.
            jobs = [land.submit(steps=6) for _ in OF_THE_CHILD]
            land.platform.wait(
                lambda: {path.name for path in tmp_path.iterdir()} == set(OF_THE_CHILD), "all stop", 60
            )
            children = attempt_processes(slow.pid)
            land.platform.wait(lambda: all(is_stopped(each.pid) for each in children), "all stand", 10)
            assert len(children) == len(OF_THE_CHILD)
            os.kill(slow.pid, signal.SIGSTOP)
        lost = overtaken(land, jobs)
        assert len(lost) == len(children)
        before = [effects(land, job) for job in jobs]
        for child in children:
            child.send_signal(signal.SIGCONT)
        land.die(children, 15)
        assert [effects(land, job) for job in jobs] == before
        slow.send_signal(signal.SIGCONT)
        find_out(land, lost, [slow])
        assert [effects(land, job) for job in jobs] == before


def overtaken(land: Ground, jobs: list[str]) -> list[tuple[str, int]]:
    """Wait until the jobs have succeeded; return the attempts that were lost, and check the others."""
    lost: list[tuple[str, int]] = []
    for job in jobs:
        assert land.ended(job).state is JobState.SUCCEEDED
        # Those that stopped first were taken over while others were on their way, by one that stopped too.
        *before, last = land.attempts(job)
        assert last.outcome is AttemptOutcome.SUCCEEDED
        assert all(attempt.outcome is AttemptOutcome.LOST for attempt in before)
        lost += [(job, attempt.number) for attempt in before]
    return lost


def find_out(land: Ground, lost: list[tuple[str, int]], slow: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Wait until the workers of lost attempts know that these are over."""
    logs = [land.platform.home / "logs" / f"hand-{land.platform.workers.index(each)}.log" for each in slow]

    def all_do() -> bool:
        said = "".join(log.read_text() for log in logs)
        return all(
            f"attempt {number} no longer holds job {job}" in said
            or f"job {job} attempt {number} ended" in said
            for job, number in lost
        )

    land.platform.wait(all_do, "their workers find out", 30)


def test_doubled_reordered_and_foreign_messages_make_no_second_attempt(land: Ground, worker: Worker) -> None:
    jobs = [land.submit(steps=40), *(land.submit(steps=3) for _ in range(3))]
    queue = CeleryQueue(land.broker.url)
    for job in [*reversed(jobs), *jobs, "0123456789abcdef", ""]:
        queue.ring(job, "default", 0)
        queue.ring(job, "default", 9)
    for task, arguments in (
        ("somebody.elses", [1]),
        (WAKE, ["too", "many", "words"]),
        (WAKE, [{"not": "an id"}]),
    ):
        queue.app.send_task(task, args=arguments, queue="adctl.default")
    for job in jobs:
        assert land.ended(job).state is JobState.SUCCEEDED
        assert land.outcomes(job) == ["succeeded"]
    queue.ring(jobs[0], "default", 0)  # of a job that has ended
    assert land.ended(land.submit(steps=3)).state is JobState.SUCCEEDED
    assert land.outcomes(jobs[0]) == ["succeeded"]
    assert worker.poll() is None


def test_a_supervisor_that_was_stopped_leaves_no_child_that_goes_on(land: Ground, worker: Worker) -> None:
    """Its child could write for ever; it leaves by its own clock, and the worker is of use again."""
    other = land.platform.start_worker()
    try:
        with stopped(other):
            job = land.submit(steps=200, pause=0.05)
            land.reaches(job, 4)
            children = attempt_processes(worker.pid)
            os.kill(worker.pid, signal.SIGSTOP)
        land.platform.wait(lambda: land.job(job).attempt == 2, "the other takes over", 40)
        land.die(children, 15)
        assert "stopped: lost" in land.printed(job, 1)
        os.kill(worker.pid, signal.SIGCONT)
        assert land.ended(job).state is JobState.SUCCEEDED
        first, second = land.attempts(job)
        assert (first.outcome, second.outcome) == ("lost", "succeeded")
        assert second.facts["resumed_step"] == land.steps(job, 2)[0] - 1
        assert not alive(children)
    finally:
        os.kill(worker.pid, signal.SIGCONT)
        land.platform.workers.remove(other)
        other.terminate()
        other.wait(30)
    assert land.ended(land.submit(steps=3)).state is JobState.SUCCEEDED
