"""Several workers, stale leases and a moving clock against a model in plain Python."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import exists, select

from ad_platform.errors import IllegalTransition, LeaseLost
from ad_platform.policies import RETRYABLE
from ad_platform.records import Lease
from ad_platform.states import ALLOWED, Directive, FailureClass, JobState
from ad_platform.store.engine import SqlStore, open_store
from ad_platform.store.tables import jobs, outbox
from store_cases import CAN, CANCELLED, SUCCESS, FakeClock, asked, failed, holding, worker

SECONDS = 30.0
WORKERS = ("w1", "w2", "w3")
ENDED_BADLY = (JobState.FAILED, JobState.CANCELLED)


@dataclass
class Model:
    """One job as the contract says it must stand."""

    id: str
    order: int
    user: str
    priority: int
    max_attempts: int
    needs: tuple[str, ...]
    state: JobState
    not_before: float = 0.0
    attempt: int = 0
    failures: int = 0
    worker: str = ""
    until: float = 0.0
    cancelled: bool = False
    failure: FailureClass | None = None
    retry: str | None = None
    past: list[JobState] = field(default_factory=list)


class StoreMachine(RuleBasedStateMachine):
    """Drives a store and its model with the same calls."""

    store: SqlStore  # opened by the test, one for all runs; every run has jobs of its own
    clock: FakeClock

    leases = Bundle("leases")
    submitted = Bundle("submitted")

    @initialize()
    def begin(self) -> None:
        self.model: dict[str, Model] = {}
        self.drained: set[str] = set()
        self.paused = False
        for name in WORKERS:
            self.store.workers.register(worker(name))
        # What other runs left behind is not eligible for these workers.
        self.queue = f"run-{self.store.now()}-{id(self)}"

    # What the model says -------------------------------------------------------------------------------

    def put(self, job_id: str, state: JobState) -> None:
        job = self.model[job_id]
        assert state in ALLOWED[job.state]
        job.past.append(job.state)
        job.state = state
        if state is JobState.SUCCEEDED:
            job.failure = None
            for other in self.waiting_for(job_id):
                if all(self.model[need].state is JobState.SUCCEEDED for need in other.needs):
                    self.put(other.id, JobState.QUEUED)
        if state in ENDED_BADLY:
            for other in self.waiting_for(job_id):
                if other.state is JobState.WAITING:  # it may have fallen with another of these just now
                    other.failure = FailureClass.NEEDS
                    self.put(other.id, JobState.FAILED)

    def waiting_for(self, job_id: str) -> list[Model]:
        jobs = self.model.values()
        return [job for job in jobs if job_id in job.needs and job.state is JobState.WAITING]

    def count_failure(self, job: Model, failure: FailureClass, *, pause: bool) -> None:
        job.failures += 1
        job.failure = failure
        if failure not in RETRYABLE or job.failures >= job.max_attempts:
            self.put(job.id, JobState.FAILED)
            return
        if pause:
            job.not_before = self.clock.now + min(2.0**job.failures, 60.0)
        self.put(job.id, JobState.QUEUED)

    def best(self, name: str, hint: str | None) -> Model | None:
        if self.paused or name in self.drained:
            return None
        running = [job.user for job in self.model.values() if job.state is JobState.RUNNING]
        eligible = [
            job
            for job in self.model.values()
            if job.state is JobState.QUEUED and job.not_before <= self.clock.now
        ]
        # Users are named by the queue, so that only this run's jobs count in the fair share.
        order = ((-job.priority, running.count(job.user), job.id != hint, job.order, job) for job in eligible)
        return min(order, default=(0, 0, False, 0, None))[-1]

    def holds(self, lease: Lease) -> bool:
        job = self.model[lease.job_id]
        return job.state is JobState.RUNNING and job.attempt == lease.attempt

    def add(self, job_id: str) -> None:
        """Take a job that the store made into the model, in the state its needs say."""
        job = self.store.jobs.get(job_id)
        states = [self.model[need].state for need in job.needs]
        state = JobState.QUEUED
        if any(one is not JobState.SUCCEEDED for one in states):
            state = JobState.WAITING
        model = Model(
            id=job.id,
            order=job.seq,
            user=job.user,
            priority=job.priority,
            max_attempts=job.max_attempts,
            needs=job.needs,
            state=state,
        )
        self.model[job.id] = model
        if any(one in ENDED_BADLY for one in states):
            model.failure = FailureClass.NEEDS
            self.put(job.id, JobState.FAILED)

    # What people do -------------------------------------------------------------------------------------

    @rule(
        target=submitted,
        data=st.data(),
        user=st.sampled_from(["ann", "bob"]),
        priority=st.integers(-1, 1),
        max_attempts=st.integers(1, 3),
        delay=st.sampled_from([0.0, 0.0, 20.0]),
    )
    def submit(self, data: st.DataObject, user: str, priority: int, max_attempts: int, delay: float) -> str:
        known = sorted(self.model, key=lambda one: self.model[one].order)
        needs = data.draw(st.lists(st.sampled_from(known), max_size=2, unique=True)) if known else []
        wanted = asked(
            user=f"{user}-{self.queue}",
            queue=self.queue,
            priority=priority,
            max_attempts=max_attempts,
            needs=tuple(needs),
            not_before=self.clock.now + delay,
            key=f"{self.queue}-{len(known)}",
        )
        job = self.store.jobs.submit([wanted])[0]
        self.add(job.id)
        self.model[job.id].not_before = wanted.not_before
        assert self.store.jobs.submit([wanted])[0] == job  # told twice
        return job.id

    @rule(job_id=submitted)
    def cancel(self, job_id: str) -> None:
        job = self.model[job_id]
        self.store.jobs.cancel(job_id)
        if job.state is JobState.RUNNING:
            job.cancelled = True
        elif job.state in (JobState.WAITING, JobState.QUEUED):
            self.put(job_id, JobState.CANCELLED)

    @rule(target=submitted, job_id=submitted)
    def retry(self, job_id: str) -> object:
        old = self.model[job_id]
        if old.state not in ENDED_BADLY:
            with pytest.raises(IllegalTransition):
                self.store.jobs.retry(job_id)
            return multiple()
        new = self.store.jobs.retry(job_id)
        assert self.store.jobs.retry(job_id) == new
        assert old.retry in (None, new.id)
        found = self.store.jobs.search(group=None, limit=1000, user=None)
        mine = [job for job in found if job.queue == self.queue and job.id not in self.model]
        for job in sorted(mine, key=lambda one: one.seq):
            assert job.retry_of is not None
            assert self.model[job.retry_of].state in ENDED_BADLY
            assert self.model[job.retry_of].retry is None
            self.model[job.retry_of].retry = job.id
            self.add(job.id)
        assert old.retry == new.id
        for need in self.model[new.id].needs:
            if mine:  # freshly made: it needs nothing that had ended badly
                assert self.model[need].state not in ENDED_BADLY
        return multiple(*(job.id for job in mine))

    # What workers do ------------------------------------------------------------------------------------

    @rule(target=leases, name=st.sampled_from(WORKERS), data=st.data(), twice=st.booleans())
    def lease(self, name: str, data: st.DataObject, twice: bool) -> object:
        hint = data.draw(st.sampled_from([None, *self.model]))
        given = []
        for _ in range(1 + twice):  # a doubled wake-up
            can = replace(CAN, worker=name, queues=frozenset({self.queue}))
            wanted = self.best(name, hint)
            lease = self.store.leases.lease(can, SECONDS, hint)
            assert (lease and lease.job_id) == (wanted and wanted.id)
            if lease is None or wanted is None:
                break
            wanted.attempt += 1
            assert lease.attempt == wanted.attempt
            wanted.worker, wanted.until = name, self.clock.now + SECONDS
            self.put(wanted.id, JobState.RUNNING)
            given.append(lease)
        return multiple(*given)

    @rule(lease=leases, change=st.booleans())
    def renew(self, lease: Lease, change: bool) -> None:
        call = self.store.leases.renew if change else self.store.leases.look
        job = self.model[lease.job_id]
        if not self.holds(lease):
            with pytest.raises(LeaseLost):
                call(lease)
            return
        answer = call(lease)
        expected = Directive.DRAIN if lease.worker in self.drained else Directive.CONTINUE
        assert answer.directive is (Directive.CANCEL if job.cancelled else expected)
        if change:
            job.until = self.clock.now + SECONDS

    @rule(
        lease=leases,
        outcome=st.sampled_from(
            [SUCCESS, SUCCESS, CANCELLED, *(failed(one) for one in sorted(FailureClass))]
        ),
    )
    def finish(self, lease: Lease, outcome: object) -> None:
        job = self.model[lease.job_id]
        held = self.holds(lease)
        if not held:
            # Told again or too late: either way nothing may change, which the invariants look at.
            with contextlib.suppress(LeaseLost):
                self.store.leases.finish(lease, outcome)  # type: ignore[arg-type]
            return
        self.store.leases.finish(lease, outcome)  # type: ignore[arg-type]
        if job.cancelled or outcome is CANCELLED:
            job.cancelled, job.failure = True, None
            self.put(job.id, JobState.CANCELLED)
        elif outcome is SUCCESS:
            self.put(job.id, JobState.SUCCEEDED)
        else:
            self.count_failure(job, outcome.failure, pause=True)  # type: ignore[attr-defined]

    @rule(lease=consumes(leases))
    def give_back(self, lease: Lease) -> None:
        job = self.model[lease.job_id]
        if not self.holds(lease):
            with contextlib.suppress(LeaseLost):
                self.store.leases.give_back(lease, "drained")
            return
        self.store.leases.give_back(lease, "drained")
        job.failure = None
        self.put(job.id, JobState.CANCELLED if job.cancelled else JobState.QUEUED)

    @rule()
    def reap(self) -> None:
        reaped = {job.id for job in self.store.leases.reap() if job.queue == self.queue}
        expected = [
            job for job in self.model.values() if job.state is JobState.RUNNING and job.until < self.clock.now
        ]
        assert reaped == {job.id for job in expected}
        for job in expected:
            if job.cancelled:
                job.failure = None
                self.put(job.id, JobState.CANCELLED)
            else:
                self.count_failure(job, FailureClass.LOST, pause=False)

    @rule(name=st.sampled_from(WORKERS), leaves=st.booleans())
    def drain(self, name: str, leaves: bool) -> None:
        if leaves:
            self.store.workers.register(worker(name))
            self.drained.discard(name)
        else:
            self.store.workers.drain(name)
            self.drained.add(name)

    @rule(stop=st.booleans())
    def pause_or_resume(self, stop: bool) -> None:
        queues = self.store.queues
        changed = queues.pause(self.queue, "ann") if stop else queues.resume(self.queue)
        assert changed is (self.paused is not stop)
        self.paused = stop

    @rule(seconds=st.sampled_from([0.5, 5.0, 29.0, 31.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        # The only clock is the database's; what a worker believes about time never enters the store.
        self.clock.advance(seconds)

    @precondition(lambda self: self.model)
    @rule(lose=st.booleans())
    def relay(self, lose: bool) -> None:
        owed = [one for one in self.store.outbox.owed(1000) if one.queue == self.queue]
        assert not (owed and self.paused)
        for one in owed:
            assert self.model[one.job_id].state is JobState.QUEUED
            assert self.model[one.job_id].not_before <= self.clock.now
        if not lose:  # a relay that died after ringing rings again, which harms nobody
            self.store.outbox.rung([one.seq for one in owed])

    @rule(silence=st.sampled_from([0.0, 10.0, 60.0]))
    def remind(self, silence: float) -> None:
        before = {one.job_id for one in self.store.outbox.owed(1000)}
        self.store.outbox.remind(silence)
        new = {one.job_id for one in self.store.outbox.owed(1000)} - before
        for job_id in new & set(self.model):
            assert self.model[job_id].state is JobState.QUEUED

    # What must hold after every call --------------------------------------------------------------------

    @invariant()
    def the_store_stands_as_the_model_says(self) -> None:
        for expected in getattr(self, "model", {}).values():
            job = self.store.jobs.get(expected.id)
            for name in ("state", "attempt", "failures", "failure", "needs"):
                assert getattr(job, name) == getattr(expected, name), (name, job, expected)
            assert job.failures <= job.max_attempts
            if expected.state is JobState.RUNNING:
                assert (job.lease_until, job.worker) == (expected.until, expected.worker)
                assert job.cancel_requested == expected.cancelled

    @invariant()
    def one_attempt_holds_a_job_and_numbers_grow_by_one(self) -> None:
        for expected in getattr(self, "model", {}).values():
            attempts = self.store.jobs.attempts(expected.id)
            assert [one.number for one in attempts] == list(range(1, expected.attempt + 1))
            held = [one.number for one in attempts if one.outcome == "running"]
            assert held == ([expected.attempt] if expected.state is JobState.RUNNING else [])

    @invariant()
    def events_tell_every_state_in_order(self) -> None:
        for expected in getattr(self, "model", {}).values():
            told = [event.data.get("state") for event in self.store.jobs.events(expected.id)]
            assert [state for state in told if state] == [*expected.past, expected.state]

    @invariant()
    def every_queued_job_is_owed_a_ring_or_was_rung(self) -> None:
        queued = {
            job.id
            for job in getattr(self, "model", {}).values()
            if job.state is JobState.QUEUED and job.not_before <= self.clock.now
        }
        unheard = select(jobs.c.id).where(
            jobs.c.rung_at.is_(None), ~exists().where(outbox.c.job_id == jobs.c.id)
        )
        forgotten = self.store._db.read(lambda tx: {row.id for row in tx.rows(unheard)})
        assert not queued & forgotten


@pytest.fixture
def machine_store(store_url: str) -> Iterator[tuple[SqlStore, FakeClock]]:
    clock = FakeClock()
    store = open_store(store_url, clock=clock)
    store.workers.hold([holding()])
    yield store, clock
    store.close()


def test_workers_with_stale_leases_and_doubled_wake_ups_never_leave_the_model(
    machine_store: tuple[SqlStore, FakeClock],
) -> None:
    store, clock = machine_store

    class Machine(StoreMachine):
        pass

    Machine.store, Machine.clock = store, clock
    examples = int(os.environ.get("ADCTL_EXAMPLES", "12"))
    run_state_machine_as_test(Machine, settings=settings(max_examples=examples, stateful_step_count=25))
