"""Cards are given all at once or not at all, held back for who asks for many, and counted."""

from dataclasses import replace

import pytest

from ad_platform.errors import InvalidValue
from ad_platform.records import Capabilities, HeldBack, Room
from ad_platform.specs import AttackAsk, JobSpec
from ad_platform.states import JobState
from ad_platform.store.contract import Store
from ad_platform.store.lease_contract import HELD_BACK_AFTER
from store_cases import CAN, MINUTE, SPEC, SUCCESS, FakeClock, submit, take, worker

ON_CPU = replace(SPEC, device="cpu")
FULL, HALF = Room(80_000), Room(30_000, roomy=False)


def having(*free: Room, busy: int = 0, name: str = "w1", memory_mb: int = 1000) -> Capabilities:
    """Return a worker with these cards free and some others that run something."""
    whole = (*free, *(FULL for _ in range(busy))) if busy else ()
    return replace(CAN, worker=name, cards=free, whole=whole, memory_mb=memory_mb)


def leased(store: Store, can: Capabilities) -> str | None:
    lease = store.leases.lease(can, MINUTE)
    return lease and lease.job_id


@pytest.mark.parametrize(
    ("asked", "free", "fits"),
    [
        ({"gpus": 2}, (FULL,), False),
        ({"gpus": 2}, (FULL, FULL), True),
        ({"gpus": 1}, (), False),
        ({}, (HALF,), False),  # somebody else holds most of it, and nobody knows how much the job takes
        ({"memory_mb": 30_000}, (HALF,), True),
        ({"memory_mb": 30_001}, (HALF,), False),
        ({"gpus": 2}, (FULL, HALF), False),
        ({"gpus": 2, "memory_mb": 30_000}, (FULL, HALF), True),
        ({"gpus": 2, "memory_mb": 40_000}, (FULL, HALF, FULL), True),
        ({"gpus": 3, "memory_mb": 40_000}, (FULL, HALF, FULL), False),
        ({"memory_mb": 2000}, (FULL,), True),  # of the card, not of the machine
        ({"memory_mb": 2000}, (), False),
        ({"memory_mb": 1000}, (), True),
        ({"spec": ON_CPU, "memory_mb": 1000}, (HALF,), True),  # of the machine, though it has a card
        ({"spec": ON_CPU, "memory_mb": 2000}, (FULL,), False),
        ({"spec": ON_CPU}, (Room(0, roomy=False),), True),
    ],
)
def test_a_job_is_leased_when_all_its_cards_have_the_memory_it_asks_for(
    store: Store, asked: dict[str, object], free: tuple[Room, ...], fits: bool
) -> None:
    job = submit(store, **asked)
    assert leased(store, having(*free)) == (job.id if fits else None)


def test_a_running_job_counts_the_cards_it_was_given(store: Store) -> None:
    plain, wide, nowhere = (submit(store, **one) for one in ({}, {"gpus": 3}, {"spec": ON_CPU}))
    store.workers.register(replace(worker("w1"), slots=9))
    for can in (having(FULL), having(FULL, FULL, FULL), having()):
        assert leased(store, can) is not None
    assert [store.jobs.get(job.id).cards for job in (plain, wide, nowhere)] == [1, 3, 0]
    assert [store.jobs.get(job.id).slots for job in (plain, wide, nowhere)] == [1, 3, 1]
    assert store.workers.roster()[0].busy == 5


def test_who_holds_fewer_slots_goes_first_however_many_jobs_that_are(store: Store) -> None:
    submit(store, user="ann", gpus=3)
    assert leased(store, having(FULL, FULL, FULL)) is not None
    for _ in range(2):
        submit(store, user="bob")
        take(store)
    ann, bob = submit(store, user="ann"), submit(store, user="bob")
    assert [one.running for one in store.queues.line(CAN)] == [2, 3]
    assert [leased(store, having(FULL)), leased(store, having(FULL))] == [bob.id, ann.id]


def test_no_device_is_both_a_cpu_and_cards(store: Store) -> None:
    with pytest.raises(InvalidValue, match="2 gpus are asked for with device cpu"):
        submit(store, spec=ON_CPU, gpus=2)


def test_small_jobs_pass_a_big_one_until_it_is_old_and_then_its_cards_are_held_back(
    store: Store, clock: FakeClock
) -> None:
    big = submit(store, gpus=2)
    small = [submit(store) for _ in range(3)]
    assert leased(store, having(FULL, busy=1)) == small[0].id
    clock.advance(HELD_BACK_AFTER + 1)
    assert leased(store, having(FULL, busy=1)) is None
    assert store.queues.held_back() == [HeldBack(worker="w1", job_id=big.id, since=clock.now)]
    assert leased(store, having(FULL, FULL, busy=1)) == big.id
    assert store.queues.held_back() == []
    assert leased(store, having(FULL, busy=2)) == small[1].id


def test_what_is_more_urgent_passes_a_job_that_cards_are_held_back_for(
    store: Store, clock: FakeClock
) -> None:
    submit(store, gpus=2)
    submit(store)
    clock.advance(HELD_BACK_AFTER + 1)
    assert leased(store, having(FULL, busy=1)) is None
    urgent = submit(store, priority=1)
    assert leased(store, having(FULL, busy=1)) == urgent.id


def test_one_worker_holds_cards_back_for_a_job_and_another_one_when_that_is_gone(
    store: Store, clock: FakeClock
) -> None:
    for name in ("w1", "w2"):
        store.workers.register(worker(name))
    big = submit(store, gpus=2)
    small = [submit(store) for _ in range(2)]
    clock.advance(HELD_BACK_AFTER + 1)
    for name in ("w1", "w2"):
        store.workers.beat(name)
    assert leased(store, having(FULL, busy=1, name="w1")) is None
    assert leased(store, having(FULL, busy=1, name="w2")) == small[0].id
    store.workers.leave("w1")
    assert leased(store, having(FULL, busy=1, name="w2")) is None
    assert [(one.worker, one.job_id) for one in store.queues.held_back()] == [("w2", big.id)]


def test_a_worker_on_which_nothing_runs_holds_nothing_back(store: Store, clock: FakeClock) -> None:
    for name in ("w1", "w2"):
        store.workers.register(worker(name))
    big = submit(store, gpus=2, memory_mb=40_000)
    clock.advance(HELD_BACK_AFTER + 1)
    for name in ("w1", "w2"):
        store.workers.beat(name)
    assert leased(store, having(FULL, busy=1, name="w1")) is None
    assert leased(store, having(FULL, HALF, name="w1")) is None  # somebody else has come to hold a card
    assert leased(store, having(FULL, busy=1, name="w2")) is None
    assert [(one.worker, one.job_id) for one in store.queues.held_back()] == [("w2", big.id)]


@pytest.mark.parametrize("why", ["paused", "cancelled", "not first", "not here"])
def test_nothing_is_held_back_for_a_job_that_could_not_be_given_the_cards(
    store: Store, clock: FakeClock, why: str
) -> None:
    big = submit(store, gpus=2, queue="night", priority=-1 if why == "not first" else 0)
    small = submit(store)
    clock.advance(HELD_BACK_AFTER + 1)
    if why == "paused":
        store.queues.pause("night", "ann")
    if why == "cancelled":
        store.jobs.cancel(big.id)
    queues = frozenset({"default"} if why == "not here" else {"default", "night"})
    can = replace(having(FULL, busy=1), queues=queues)
    assert leased(store, can) == small.id
    assert store.queues.held_back() == []


def spec(**config: int) -> JobSpec:
    return replace(SPEC, config={"image_size": 256, **config})


def test_the_most_that_jobs_of_a_sort_took_is_learned_and_fades(store: Store) -> None:
    assert store.peaks.of(spec(batch_size=8)) is None
    for took in (8000.0, 4000.0, 9000.4):
        submit(store, spec=spec(batch_size=8))
        store.leases.note(lease := take(store), {"peak_card_mb": took, "peak_rss_mb": 1.0})
        store.leases.finish(lease, SUCCESS)
        known = store.peaks.of(spec(batch_size=8))
        assert known is not None
        if took == 4000.0:
            assert (known.peak_mb, known.runs) == (7500, 2)
    assert (known.peak_mb, known.runs) == (9000, 3)
    assert store.peaks.of(replace(spec(batch_size=8), seed=7)) == known
    for other in (
        spec(batch_size=16),
        spec(batch_size=8, image_size=512),
        replace(spec(batch_size=8), preset="paper"),
        replace(spec(batch_size=8), detector="padim"),
        replace(spec(batch_size=8), attacks=(AttackAsk(name="l2", kind="l2", eps=0.2),)),
    ):
        assert store.peaks.of(other) is None
    assert store.peaks.of(spec(batch_size=16), batch_divisor=2) == known  # halves are of that size


@pytest.mark.parametrize("told", [0, -1, "many", None, True, float("nan"), 1e12])
def test_what_is_no_amount_of_memory_teaches_nothing(store: Store, told: object) -> None:
    submit(store)
    store.leases.note(take(store), {"peak_card_mb": told})  # type: ignore[dict-item]
    assert store.peaks.of(SPEC) is None


def test_a_retry_asks_for_what_its_job_asked_for(store: Store) -> None:
    asked = {"gpus": 2, "memory_mb": 500, "memory_from": "learned", "preemptible": True}
    job = submit(store, **asked)
    store.jobs.cancel(job.id)
    again = store.jobs.retry(job.id)
    assert {name: getattr(again, name) for name in asked} == asked
    assert again.state is JobState.QUEUED
