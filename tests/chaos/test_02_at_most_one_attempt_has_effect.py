"""Promise 2: who was overtaken has no effect any more, wherever it was stopped and goes on."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Event

import psutil
import pytest
from sqlalchemy import text

from ad_platform.curves import committed
from ad_platform.failpoints import Commit, Edge
from ad_platform.queue.celery import CeleryQueue
from ad_platform.queue.memory import MemoryQueue
from ad_platform.queue.protocol import WAKE
from ad_platform.records import Study
from ad_platform.states import AttemptOutcome, JobState, TrialOrigin
from ad_platform.store.engine import backend_of
from ad_platform.sweeps.optuna_study import close_storage
from clientkit import Bench
from ground import Ground, attempt_processes
from running_platform import alive
from sweepkit import SPACE, Field, sums

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


def can_be_written(database: Path) -> bool:
    """Return whether nobody holds the lock of an SQLite file for half a second; True where there is none."""
    if not database.exists():
        return True
    with contextlib.closing(sqlite3.connect(database, timeout=0.5, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
        return True


def stop(land: Ground, process: "subprocess.Popen[bytes]") -> None:
    """Stop a worker, but not within a transaction, which would hold SQLite's one lock."""
    os.kill(process.pid, signal.SIGSTOP)
    while not can_be_written(land.platform.home / "store.db"):
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.05)
        os.kill(process.pid, signal.SIGSTOP)


@contextmanager
def stopped(land: Ground, process: "subprocess.Popen[bytes]") -> Iterator[None]:
    stop(land, process)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


def is_stopped(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


@contextmanager
def slow_worker(
    land: Ground, trap: str, slots: int = 1, *, ticks: bool = True
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a worker with traps, and kill it in the end.

    Its ticks are transactions of another thread, which may be stopped within one.
    """
    before = land.platform.extra
    land.platform.extra = before if ticks else {**before, "ADCTL_TICK": "600"}
    try:
        worker = land.platform.start_worker(slots, trap)
    finally:
        land.platform.extra = before
    try:
        yield worker
    finally:
        land.platform.workers.remove(worker)
        worker.kill()
        worker.wait()


def ringing(land: Ground, condition: Callable[[], bool], what: str) -> None:
    """Wait, and ring: who is stopped may have eaten a ring, and workers that do not tick never ring again."""
    queue = CeleryQueue(land.broker.url)

    def still() -> bool:
        queue.ring("", "default", 0)
        return condition()

    land.platform.wait(still, what, 60)


def test_workers_stopped_at_any_edge_and_overtaken_change_nothing(
    land: Ground, worker: Worker, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        with stopped(land, worker):
            slow = [
                stack.enter_context(slow_worker(land, f"{edge}:stop={tmp_path / edge}", ticks=False))
                for edge in OF_THE_WORKER
            ]
            jobs = [land.submit(steps=6) for _ in OF_THE_WORKER]
            ringing(land, lambda: all(is_stopped(each.pid) for each in slow), "all of them stop")
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
    edges = land.edges(OF_THE_CHILD)
    trap = ",".join(f"child/{edge}:stop={tmp_path / edge}" for edge in edges)
    with ExitStack() as stack:
        with stopped(land, worker):
            slow = stack.enter_context(slow_worker(land, trap, slots=len(edges), ticks=False))
            # Each child stops at the first edge at which none has stopped before.
            jobs = [land.submit(steps=6) for _ in edges]
            ringing(land, lambda: {path.name for path in tmp_path.iterdir()} == set(edges), "all stop")
            children = attempt_processes(slow.pid)
            land.platform.wait(lambda: all(is_stopped(each.pid) for each in children), "all stand", 10)
            assert len(children) == len(edges)
            stop(land, slow)
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


def test_who_goes_on_while_its_heir_runs_cannot_end_the_job(
    land: Ground, worker: Worker, tmp_path: Path
) -> None:
    """Its child has succeeded, it only has to say so: nothing but the store's fence is in its way."""
    with ExitStack() as stack:
        stack.enter_context(stopped(land, worker))
        slow = stack.enter_context(slow_worker(land, f"{Edge.ENDED}:stop={tmp_path / 'slow'}"))
        job = land.submit(steps=6)
        land.platform.wait(lambda: is_stopped(slow.pid), "it is about to say that it has succeeded", 60)
        heir = stack.enter_context(slow_worker(land, f"child/{Edge.SAVE}:stop={tmp_path / 'heir'}"))
        land.platform.wait((tmp_path / "heir").exists, "its heir runs", 60)
        assert land.job(job).attempt == 2
        slow.send_signal(signal.SIGCONT)
        find_out(land, [(job, 1)], [slow])
        still = land.job(job)
        assert (still.state, still.attempt) == (JobState.RUNNING, 2)
        for child in attempt_processes(heir.pid):
            child.send_signal(signal.SIGCONT)
        assert land.ended(job).state is JobState.SUCCEEDED
        assert land.outcomes(job) == ["lost", "succeeded"]


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
        with stopped(land, other):
            job = land.submit(steps=200, pause=0.05)
            land.reaches(job, 4)
            children = attempt_processes(worker.pid)
            stop(land, worker)
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


# The study


SWEEPERS = """
import os, signal, sys
import optuna, optuna.storages
from ad_workers import sweeping
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    trap, log = line.split()
    if (pid := os.fork()) == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ["ADCTL_FAILPOINT"] = trap
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        os._exit(sweeping.main([]))
    print(pid, flush=True)
"""
OF_THE_SWEEPER = [Edge.ASK, Edge.ASKED, Commit.BEGIN_TRIAL.after, Edge.TOLD, Commit.END_TRIAL.after]


@pytest.fixture
def sweeper(land: Ground, tmp_path: Path) -> Iterator[Callable[[str], tuple[psutil.Process, Path]]]:
    """Start sweepers with traps from a process that has all imported; give each one and its log."""
    command = [sys.executable, "-W", "ignore", "-c", SWEEPERS]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=land.platform.env, **pipes) as program:  # type: ignore[call-overload]

        def start(trap: str) -> tuple[psutil.Process, Path]:
            log = tmp_path / f"{len(list(tmp_path.iterdir()))}.log"
            program.stdin.write(f"{trap} {log}\n")
            program.stdin.flush()
            return psutil.Process(int(program.stdout.readline())), log

        yield start
        program.stdin.close()


def test_sweepers_stopped_at_any_edge_and_overtaken_change_nothing_in_the_study(
    land: Ground, sweeper: Callable[[str], tuple[psutil.Process, Path]], tmp_path: Path
) -> None:
    for worker in land.platform.workers:  # done last: each would keep a sweeper of its own
        worker.terminate()
        worker.wait(30)
    land.platform.workers.clear()
    field = Field(Bench(land.client, land.client.store, MemoryQueue(), land.platform.home))
    for edge in OF_THE_SWEEPER:
        study = field.submit(*SPACE, trials=3, parallel=2, sampler="random")
        process, log = sweeper(f"{edge}:stop={tmp_path / edge}")
        while not (tmp_path / edge).exists():
            field.work()
            Event().wait(0.1)
            assert process.is_running(), log.read_text()
        land.platform.wait(partial(is_stopped, process.pid), "it stops", 10)
        run_out(land, "studies")
        finished = field.run(study)
        before = all_of(field, study)
        process.resume()
        land.platform.wait(lambda: "no longer advances" in log.read_text(), "it finds out", 30)  # noqa: B023
        # What it asked for too much was nobody's; it is seen to, though the sweep is over.
        states = partial(field.in_optuna, study)
        land.platform.wait(lambda: "RUNNING" not in states(), "nothing is left", 30)  # noqa: B023
        process.terminate()  # it goes through with the round it is in
        land.die([process])
        view = sums(field, study)
        assert (view.asked, view.complete, view.running) == (3, 3, 0)
        if edge == Edge.ASK:
            assert view.ruled_out == 1
            assert all_of(field, finished)[2:] == before[2:]
        else:
            assert all_of(field, study) == before
    for storage in field.opened:
        close_storage(storage)


def all_of(field: Field, study: Study) -> tuple[object, ...]:
    """Return all that a sweeper can have done that counts: in Optuna, in the store, and its jobs."""
    import optuna

    found = optuna.load_study(study_name=study.name, storage=field.opened[-1]).get_trials()
    store = field.store
    jobs = sorted(store.jobs.search(group=study.name, limit=1000), key=lambda job: job.id)
    known = [trial for trial in store.studies.trials(study.id) if trial.origin is not TrialOrigin.RULED_OUT]
    return (
        [(trial.number, trial.state, trial.params, trial.values) for trial in found],
        store.studies.get(study.id),
        known,
        jobs,
        [store.jobs.events(job.id) for job in jobs],
    )


def run_out(land: Ground, table: str) -> None:
    """Let the claims of those who are stopped run out now, as if their minute were over."""
    engine = backend_of(land.platform.settings.database_url).engine()
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {table} SET owned_until = 0"))
    engine.dispose()
