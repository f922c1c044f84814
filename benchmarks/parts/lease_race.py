"""Many processes that lease jobs at the same time, each with a connection of its own."""

import math
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

from parts.crowd import DETECTORS, Crowd
from sqlalchemy import event

from ad_platform.records import Capabilities, Holding, Outcome, Progress, Room
from ad_platform.specs import JobSpec, Submission
from ad_platform.states import AttemptOutcome, JobKind
from ad_platform.store.contract import Store
from ad_platform.store.engine import SqlStore, open_store

Runner = Callable[[], tuple[str, int] | None]  # takes a job and an attempt's number; None when all are gone
QUEUE = "race"
LEASE = 600.0
PRIORITIES = (0, 0, 0, 5, 10)
CAN = Capabilities(
    worker="",
    node="race",
    detectors=frozenset(DETECTORS),
    queues=frozenset({QUEUE}),
    memory_mb=64_000,
    cards=(Room(80_000),),
)
DONE = Outcome(
    outcome=AttemptOutcome.SUCCEEDED,
    result={"metrics": {f"test/measure{n}": 0.9 for n in range(12)}, "bundle": "jobs/x/result/1"},
)


@dataclass(frozen=True, kw_only=True)
class Lap:
    """What came of some processes that leased for a while."""

    workers: int
    seconds: float
    taken: Sequence[tuple[str, int]]  # job and attempt of each lease
    waits: Sequence[float] = field(repr=False)  # seconds that each lease, or lease, renewal and finish, took

    @property
    def rate(self) -> float:
        """Return how many a second."""
        return len(self.taken) / self.seconds

    def wait(self, share: float) -> float:
        """Return the time below which this share of the calls stayed."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def submissions(count: int, start: int = 0) -> list[Submission]:
    """Return jobs of several users, detectors, categories and priorities."""
    data = Crowd(jobs=1).data
    return [
        Submission(
            spec=JobSpec(
                kind=JobKind.TRAIN,
                detector=DETECTORS[n % len(DETECTORS)],
                dataset=data[n % len(data)],
                config={"steps": 2000, "image_size": 256},
                seed=n,
            ),
            user=f"racer{n % 7}",
            key=f"race/{start + n}",
            tags={"purpose": "race"},
            queue=QUEUE,
            priority=PRIORITIES[n % len(PRIORITIES)],
        )
        for n in range(count)
    ]


def hold_data(store: Store) -> None:
    """Let the node that leases have every category."""
    store.workers.hold(
        [
            Holding(
                node=CAN.node,
                fingerprint=one.fingerprint,
                dataset=one.dataset,
                category=one.category,
                path="/",
            )
            for one in Crowd(jobs=1).data
        ]
    )


def race(runner: Callable[[int], Runner], workers: int, seconds: float) -> Lap:
    """Let processes take steps as fast as they can; all begin at the same moment."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(workers + 1)
    pipes, processes = [], []
    for number in range(workers):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(runner, number, seconds, start, theirs))
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    start.wait()
    found = [pipe.recv() for pipe in pipes]
    for process in processes:
        process.join()
    taken = [each for one, _, _ in found for each in one]
    waits = [each for _, one, _ in found for each in one]
    return Lap(workers=workers, seconds=max(spent for _, _, spent in found), taken=taken, waits=waits)


def runner_of(url: str, *, whole: bool, skip_locked: bool = True) -> Callable[[int], Runner]:
    """Return what leases from a store, `whole` with a renewal and the finish of each job.

    Without `skip_locked` the very same statement waits for rows that another transaction has locked.
    """

    def make(number: int) -> Runner:
        store = open_store(url)
        if not skip_locked:
            _wait_for_locks(store)
        store.now()  # connected
        can = replace(CAN, worker=f"racer-{os.getpid()}-{number}")

        def step() -> tuple[str, int] | None:
            lease = store.leases.lease(can, LEASE)
            if lease is None:
                return None
            if whole:
                store.leases.renew(lease, Progress(step=1, of=2))
                store.leases.finish(lease, DONE)
            return lease.job_id, lease.attempt

        return step

    return make


def _wait_for_locks(store: SqlStore) -> None:
    engine = store._db._own()

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def plain(
        connection: object, cursor: object, statement: str, parameters: object, context: object, many: bool
    ) -> tuple[str, object]:
        return statement.replace(" SKIP LOCKED", ""), parameters


def _run(
    runner: Callable[[int], Runner], number: int, seconds: float, start: Barrier, pipe: Connection
) -> None:
    step = runner(number)
    taken: list[tuple[str, int]] = []
    waits: list[float] = []
    start.wait()
    began = time.monotonic()
    while (at := time.monotonic()) < began + seconds and (got := step()) is not None:
        waits.append(time.monotonic() - at)
        taken.append(got)
    pipe.send((taken, waits, time.monotonic() - began))
