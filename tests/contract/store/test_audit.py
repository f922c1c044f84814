"""What a look over the whole store finds, on each database, and that mending it is fenced and idempotent."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from ad_platform.records import CheckpointRecord, Job, StageRecord
from ad_platform.states import AttemptOutcome, FailureClass, JobState
from ad_platform.store.contract import Store
from ad_platform.store.engine import backend_of
from ad_platform.store.tables import attempts, edges, jobs
from store_cases import MINUTE, SUCCESS, FakeClock, failed, submit, take, worker

Damage = Callable[[Any], None]


@pytest.fixture
def damage(store_url: str) -> Damage:
    """Writes past the store's own methods, as a fault or a hand would."""

    def run(*statements: Any) -> None:
        engine = backend_of(store_url).engine()
        try:
            with engine.begin() as connection:
                assert isinstance(connection, Connection)
                for statement in statements:
                    connection.execute(statement)
        finally:
            engine.dispose()

    return run


def set_state(job: Job, **values: object) -> Any:
    return update(jobs).where(jobs.c.id == job.id).values(**values)


def test_a_store_in_order_shows_nothing(store: Store, clock: FakeClock) -> None:
    store.workers.register(worker("w1"))
    first = submit(store)
    second = submit(store, needs=(first.id,))
    lease = take(store)
    store.outbox.rung([one.seq for one in store.outbox.owed()])
    store.leases.finish(lease, failed(FailureClass.CRASH))
    clock.advance(MINUTE)
    again = take(store)
    store.workers.beat("w1")
    audit = store.audit
    assert [(one.job_id, one.attempt, one.worker, one.left, one.pid) for one in audit.held(9)] == [
        (first.id, 2, "w1", MINUTE, 1)
    ]
    assert audit.unheard(MINUTE, 9) == audit.stuck(9, 9) == audit.waits(9) == audit.open_attempts(9) == []
    assert audit.miscounted(9, 9) == audit.silent(30.0) == audit.late(MINUTE, 9) == []
    store.leases.finish(again, SUCCESS)
    assert store.jobs.get(second.id).state is JobState.QUEUED
    assert audit.stuck(9, 9) == []


def test_whoever_holds_a_job_is_told_even_if_no_such_worker_is_known(store: Store, clock: FakeClock) -> None:
    submit(store)
    take(store, "stranger")
    clock.advance(2 * MINUTE)
    (held,) = store.audit.held(9)
    assert (held.worker, held.node, held.pid, held.left) == ("stranger", None, None, -MINUTE)


def test_the_unheard_are_those_that_a_reminder_would_ring_for(store: Store, clock: FakeClock) -> None:
    job = submit(store)
    assert store.audit.unheard(MINUTE, 9) == []
    store.outbox.rung([one.seq for one in store.outbox.owed()])
    clock.advance(2 * MINUTE)
    (found,) = store.audit.unheard(MINUTE, 9)
    assert (found.job_id, found.queue, found.rung_ago) == (job.id, "default", 2 * MINUTE)
    assert store.outbox.remind(MINUTE) == 1
    assert store.audit.unheard(MINUTE, 9) == []


def test_a_job_that_waits_for_ended_needs_goes_on_or_fails_as_it_should_have(
    store: Store, damage: Damage
) -> None:
    good, bad = submit(store), submit(store)
    free, doomed = submit(store, needs=(good.id,)), submit(store, needs=(good.id, bad.id))
    child = submit(store, needs=(doomed.id,))
    damage(
        set_state(good, state=JobState.SUCCEEDED, finished_at=0.0),
        set_state(bad, state=JobState.CANCELLED, finished_at=0.0),
    )
    found = {one.job_id: (one.need_id, one.becomes) for one in store.audit.stuck(9, 99)}
    assert found == {free.id: (good.id, JobState.QUEUED), doomed.id: (bad.id, JobState.FAILED)}
    assert store.audit.stuck(9, 0) == []

    assert store.audit.settle(free.id).state is JobState.QUEUED
    assert free.id in [one.job_id for one in store.outbox.owed()]
    assert store.audit.settle(doomed.id).failure is FailureClass.NEEDS
    assert store.jobs.get(child.id).state is JobState.FAILED
    assert store.audit.stuck(9, 99) == []
    events = len(store.jobs.events(free.id))
    assert store.audit.settle(free.id).state is JobState.QUEUED
    assert len(store.jobs.events(free.id)) == events


def test_a_job_whose_need_has_not_ended_stays_where_it_is(store: Store) -> None:
    need = submit(store)
    job = submit(store, needs=(need.id,))
    assert store.audit.settle(job.id).state is JobState.WAITING
    assert store.audit.waits(9) == []


def test_jobs_that_wait_for_each_other_are_told(store: Store, damage: Damage) -> None:
    first = submit(store)
    second = submit(store, needs=(first.id,))
    damage(
        set_state(first, state=JobState.WAITING),
        insert(edges).values(job_id=first.id, need_id=second.id, position=0),
    )
    assert sorted(store.audit.waits(9)) == sorted([(first.id, second.id), (second.id, first.id)])


def test_an_attempt_left_open_is_closed_and_one_that_holds_its_job_is_not(
    store: Store, damage: Damage
) -> None:
    job = submit(store)
    lease = take(store)
    assert not store.audit.close_attempt(job.id, lease.attempt)
    damage(set_state(job, state=JobState.QUEUED, lease_until=None))
    (found,) = store.audit.open_attempts(9)
    assert (found.job_id, found.number, found.state, found.current) == (job.id, 1, JobState.QUEUED, 1)
    assert store.audit.close_attempt(job.id, 1)
    assert store.audit.open_attempts(9) == []
    assert store.jobs.attempts(job.id)[0].outcome is AttemptOutcome.LOST
    assert not store.audit.close_attempt(job.id, 1)
    assert take(store).attempt == 2  # which the open one would have kept from being


def test_an_attempt_number_that_fell_behind_is_raised_and_never_lowered(store: Store, damage: Damage) -> None:
    job = submit(store)
    store.leases.give_back(take(store), "drained")
    store.leases.give_back(take(store), "drained")
    damage(set_state(job, attempt=1))
    (found,) = store.audit.miscounted(9, 9)
    assert (found.job_id, found.attempt, found.newest) == (job.id, 1, 2)
    assert store.audit.miscounted(9, 0) == []
    assert store.audit.recount(job.id)
    assert not store.audit.recount(job.id)
    assert store.audit.miscounted(9, 9) == []
    lease = take(store)
    assert lease.attempt == 3
    damage(update(attempts).where(attempts.c.number == 3).values(number=7))
    assert not store.audit.recount(job.id)  # a running job's number is somebody's right to write


def test_more_failures_than_failed_attempts_are_told(store: Store, damage: Damage) -> None:
    job = submit(store)
    store.leases.give_back(take(store), "drained")
    damage(set_state(job, failures=1))
    (found,) = store.audit.miscounted(9, 9)
    assert (found.failures, found.failed) == (1, 0)
    assert not store.audit.recount(job.id)


def test_a_silent_worker_is_recorded_as_gone_unless_it_was_heard_meanwhile(
    store: Store, clock: FakeClock
) -> None:
    store.workers.register(worker("w1"))
    store.workers.register(worker("w2"))
    clock.advance(MINUTE)
    found = store.audit.silent(30.0)
    assert [(one.id, one.node, one.pid, one.seconds) for one in found] == [
        ("w1", "n1", 1, MINUTE),
        ("w2", "n1", 1, MINUTE),
    ]
    store.workers.beat("w2")
    assert store.audit.retire("w1", 30.0)
    assert not store.audit.retire("w1", 30.0)
    assert not store.audit.retire("w2", 30.0)
    assert {one.id: one.state for one in store.workers.roster()} == {"w1": "gone", "w2": "online"}
    assert store.audit.silent(30.0) == []


def test_how_jobs_stand_says_what_the_tracking_server_was_told(store: Store, clock: FakeClock) -> None:
    job, other = submit(store), submit(store)
    store.leases.finish(take(store), SUCCESS)
    clock.advance(5 * MINUTE)
    standing = store.audit.standings([job.id, "unknown"])
    assert list(standing) == [job.id]
    assert (standing[job.id].state, standing[job.id].behind) == (JobState.SUCCEEDED, True)
    assert standing[job.id].ended_ago == 5 * MINUTE
    assert not standing[job.id].shown
    assert [one.job_id for one in store.audit.newest(9)] == [other.id, job.id]
    assert [one.job_id for one in store.audit.newest(9, before_seq=other.seq)] == [job.id]
    assert [one.job_id for one in store.audit.late(MINUTE, 9)] == [job.id]

    assert store.shipments.claim("me", MINUTE, job_id="unknown") == []
    (shipment,) = store.shipments.claim("me", MINUTE, job_id=job.id)
    assert store.audit.late(MINUTE, 9) == []  # somebody is at it
    store.shipments.done(shipment, "run", 3)
    told = store.audit.standings([job.id])[job.id]
    assert (told.run_id, told.behind, told.shown) == ("run", False, True)
    store.audit.tell_again(job.id)
    assert store.audit.standings([job.id])[job.id].behind


def test_records_of_what_is_lost_are_forgotten_but_not_those_of_whoever_writes(store: Store) -> None:
    job = submit(store)
    lease = take(store)
    record = CheckpointRecord(
        job_id=job.id, attempt=1, step=3, prefix="jobs/x", manifest_sha256="a" * 64, size=5
    )
    store.artifacts.record_checkpoint(lease, record)
    stage = StageRecord(
        key="k" * 16, detector="ddad", stage="s", job_id=job.id, manifest_sha256="b" * 64, size=5
    )
    store.artifacts.record_stage(lease, stage)
    assert [one.prefix for one in store.audit.checkpoints([job.id, "y"])] == ["jobs/x"]
    assert [one.key for one in store.audit.stages(9)] == ["k" * 16]

    assert not store.audit.forget_checkpoint(job.id, "jobs/x")
    store.leases.give_back(lease, "drained")
    assert store.audit.forget_checkpoint(job.id, "jobs/x")
    assert not store.audit.forget_checkpoint(job.id, "jobs/x")
    assert not store.audit.forget_stage("k" * 16, "c" * 64)
    assert store.audit.forget_stage("k" * 16, "b" * 64)
    assert store.audit.stages(9) == store.audit.checkpoints([job.id]) == []
