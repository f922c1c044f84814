"""Queues that are paused and resumed, and who is next in line."""

from dataclasses import replace

import pytest

from ad_platform.errors import InvalidValue
from ad_platform.queues import PausedQueue, QueueLoad, Standing
from ad_platform.states import JobState
from ad_platform.store.contract import Store
from store_cases import CAN, MINUTE, START, SUCCESS, FakeClock, asked, submit, take

BOTH = replace(CAN, queues=frozenset({"default", "slow"}))


def test_a_paused_queue_gives_out_nothing_and_the_others_go_on(store: Store) -> None:
    stopped, other = submit(store, queue="slow", priority=9), submit(store)
    assert store.queues.pause("slow", "ann", "maintenance") is True
    lease = store.leases.lease(BOTH, MINUTE)
    assert lease is not None
    assert lease.job_id == other.id
    assert store.leases.lease(BOTH, MINUTE, hint=stopped.id) is None
    assert store.jobs.get(stopped.id).state is JobState.QUEUED


def test_a_resumed_queue_gives_out_what_lay_in_it_in_order(store: Store) -> None:
    store.queues.pause("slow", "ann")
    first, second = submit(store, queue="slow"), submit(store, queue="slow")
    assert store.queues.resume("slow") is True
    assert store.queues.resume("slow") is False
    order = [store.leases.lease(BOTH, MINUTE) for _ in range(2)]
    assert [lease and lease.job_id for lease in order] == [first.id, second.id]


def test_what_runs_when_its_queue_is_paused_goes_on_and_what_is_given_back_stays(store: Store) -> None:
    submit(store)
    going = take(store)
    submit(store)
    back = take(store, "w2")
    store.queues.pause("default", "ann")
    assert store.leases.renew(going).directive == "continue"
    assert store.leases.finish(going, SUCCESS).state is JobState.SUCCEEDED
    assert store.leases.give_back(back, "drained").state is JobState.QUEUED
    assert store.leases.lease(CAN, MINUTE) is None


def test_the_first_pause_stands_and_says_who_when_and_why(store: Store, clock: FakeClock) -> None:
    assert store.queues.paused() == []
    store.queues.pause("slow", "ann", "a disk is full")
    clock.advance(5)
    assert store.queues.pause("slow", "bob", "lunch") is False
    store.queues.pause("default", "bob")
    assert store.queues.paused() == [
        PausedQueue(name="default", user="bob", at=START + 5, reason=""),
        PausedQueue(name="slow", user="ann", at=START, reason="a disk is full"),
    ]


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800"])
def test_a_queue_that_no_job_could_name_cannot_be_paused(store: Store, name: str) -> None:
    with pytest.raises(InvalidValue, match="queue's name must be plain text"):
        store.queues.pause(name, "ann")


def test_a_resumed_queue_owes_a_ring_for_each_job_at_once(store: Store, clock: FakeClock) -> None:
    rung, fresh, later = submit(store), submit(store), submit(store, not_before=START + 10)
    owed = [one.seq for one in store.outbox.owed() if one.job_id == rung.id]
    store.outbox.rung(owed)
    store.queues.pause("default", "ann")
    assert store.outbox.owed() == []
    clock.advance(5)
    assert store.outbox.remind(1) == 0
    store.queues.resume("default")
    assert {one.job_id for one in store.outbox.owed()} == {rung.id, fresh.id}
    clock.advance(5)
    assert {one.job_id for one in store.outbox.owed()} == {rung.id, fresh.id, later.id}


def test_loads_count_what_can_still_change_in_each_queue(store: Store) -> None:
    store.jobs.submit([asked(priority=1), asked(needs=("#0",)), asked(queue="slow"), asked()])
    take(store)
    ended = submit(store, queue="empty")
    store.jobs.cancel(ended.id)
    assert store.queues.loads() == [
        QueueLoad(name="default", waiting=1, queued=1, running=1),
        QueueLoad(name="slow", queued=1),
    ]


def test_the_line_is_the_order_in_which_leases_are_given(store: Store) -> None:
    submit(store, user="ann")
    take(store)
    ann = submit(store, user="ann")
    bob = submit(store, user="bob")
    submit(store, user="bob", queue="slow")
    submit(store, user="bob", gpus=9)
    urgent = submit(store, user="ann", priority=1)
    assert store.queues.line(CAN) == [
        Standing(job_id=urgent.id, user="ann", priority=1, running=1),
        Standing(job_id=bob.id, user="bob", priority=0, running=0),
        Standing(job_id=ann.id, user="ann", priority=0, running=1),
    ]
    assert [one.job_id for one in store.queues.line(CAN, limit=1)] == [urgent.id]
    assert take(store).job_id == urgent.id
