"""Rings owed to the workers: owed, rung, reminded."""

import pytest

from ad_platform.store.contract import Store
from store_cases import CAN, MINUTE, START, SUCCESS, FakeClock, asked, submit, take


def test_a_submission_owes_a_ring_until_it_is_made(store: Store) -> None:
    low = submit(store, queue="slow", priority=-5)
    high = submit(store, priority=5)
    owed = store.outbox.owed()
    assert [(one.job_id, one.queue, one.priority) for one in owed] == [
        (high.id, "default", 5),
        (low.id, "slow", -5),
    ]
    store.outbox.rung([owed[0].seq])
    assert [one.job_id for one in store.outbox.owed()] == [low.id]
    store.outbox.rung([owed[0].seq, owed[1].seq])
    store.outbox.rung([])
    assert store.outbox.owed() == []


def test_no_more_rings_are_returned_than_asked_for(store: Store) -> None:
    store.jobs.submit([asked() for _ in range(5)])
    assert len(store.outbox.owed(limit=3)) == 3


def test_rings_of_jobs_that_no_longer_wait_are_deleted(store: Store) -> None:
    submit(store)
    cancelled = submit(store)
    lease = take(store)
    store.jobs.cancel(cancelled.id)
    assert store.outbox.owed() == []
    store.leases.give_back(lease, "drained")
    assert [one.job_id for one in store.outbox.owed()] == [lease.job_id]


def test_a_ring_for_later_is_owed_when_the_time_has_come(store: Store, clock: FakeClock) -> None:
    job = submit(store, not_before=START + 10)
    assert store.outbox.owed() == []
    clock.advance(10)
    assert [one.job_id for one in store.outbox.owed()] == [job.id]


def test_forgetting_an_old_ring_leaves_the_ring_of_a_later_time_in_the_queue(store: Store) -> None:
    submit(store)
    read_by_a_slow_relay = [one.seq for one in store.outbox.owed()]
    store.leases.give_back(take(store), "drained")
    store.outbox.rung(read_by_a_slow_relay)
    assert len(store.outbox.owed()) == 1


def test_a_queued_job_nobody_heard_of_is_rung_again(store: Store, clock: FakeClock) -> None:
    job = submit(store, queue="slow", priority=3)
    assert store.outbox.remind(MINUTE) == 0  # its first ring is still owed
    store.outbox.rung([one.seq for one in store.outbox.owed()])
    clock.advance(MINUTE)
    assert store.outbox.remind(MINUTE) == 0
    clock.advance(1)
    assert store.outbox.remind(MINUTE) == 1
    assert store.outbox.remind(MINUTE) == 0
    assert [(one.job_id, one.queue, one.priority) for one in store.outbox.owed()] == [(job.id, "slow", 3)]


def test_only_eligible_jobs_are_reminded_of(store: Store, clock: FakeClock) -> None:
    running, later, needed = store.jobs.submit(
        [asked(priority=1), asked(not_before=START + 1000), asked(needs=("#0",))]
    )
    take(store)
    clock.advance(10 * MINUTE)
    store.outbox.rung([one.seq for one in store.outbox.owed()])
    assert store.outbox.remind(MINUTE) == 0
    clock.advance(1000)
    assert [one.job_id for one in store.outbox.owed()] == [later.id]
    assert {store.jobs.get(one.id).state for one in (running, needed)} == {"running", "waiting"}


def test_an_ended_job_is_never_rung(store: Store, clock: FakeClock) -> None:
    submit(store)
    store.leases.finish(take(store), SUCCESS)
    clock.advance(1000)
    assert store.outbox.remind(1) == 0
    assert store.outbox.owed() == []
    assert store.leases.lease(CAN, MINUTE) is None


def test_one_worker_at_a_time_has_the_turn_to_ring(store: Store, clock: FakeClock) -> None:
    assert store.outbox.turn("w1", 10)
    assert not store.outbox.turn("w2", 10)
    assert not store.outbox.turn("w1", 10)
    clock.advance(10)
    assert store.outbox.turn("w2", 10)
    assert not store.outbox.turn("w1", 10)


def test_the_most_urgent_are_rung_again_first_and_the_others_afterwards(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ad_platform.store.outbox.MOST", 2)
    low, first, second = store.jobs.submit([asked(), asked(priority=3), asked(priority=3)])
    store.outbox.rung([one.seq for one in store.outbox.owed()])
    clock.advance(10 * MINUTE)
    assert store.outbox.remind(MINUTE) == 2
    assert [one.job_id for one in store.outbox.owed()] == [first.id, second.id]
    assert store.outbox.remind(MINUTE) == 1
    assert [one.job_id for one in store.outbox.owed()] == [first.id, second.id, low.id]
