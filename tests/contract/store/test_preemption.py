"""Running jobs make room for more urgent ones: just as many as it takes, and never for nothing."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ad_platform.offers import Load
from ad_platform.records import Capabilities, Lease, Occupancy, Preemption, Quota, Room
from ad_platform.states import AttemptOutcome, Directive, JobState
from ad_platform.store.contract import Store
from ad_platform.store.engine import open_store
from store_cases import CAN, CANCELLED, MINUTE, SPEC, SUCCESS, FakeClock, holding, submit, take, worker

CARD = Room(1000)


def leased(store: Store, cards: int = 1, name: str = "w1", **asked: object) -> Lease:
    """Submit a job and run it on a worker."""
    job = submit(store, **asked)
    lease = store.leases.lease(replace(CAN, worker=name, cards=(CARD,) * cards), MINUTE, job.id)
    assert lease is not None
    assert lease.job_id == job.id
    return lease


def occupancy(*leases: Lease, free: int = 0, ending: tuple[Lease, ...] = (), name: str = "w1") -> Occupancy:
    """Return a worker that runs these and has some cards free."""
    cards = {lease.job_id: (CARD,) * lease.job.slots for lease in leases}
    whole = (CARD,) * (free + sum(map(len, cards.values())))
    can = replace(CAN, worker=name, cards=(CARD,) * free, whole=whole)
    return Occupancy(
        can=can,
        free=can.cards,
        held=cards,
        ending=frozenset(lease.job_id for lease in ending),
    )


def asked(store: Store, given: Occupancy) -> list[tuple[str, str]]:
    return [(one.victim, one.by) for one in store.leases.preempt(given)]


def test_a_preempted_job_is_told_gives_back_and_goes_on_later_and_counts_no_failure(store: Store) -> None:
    low = leased(store, preemptible=True)
    high = submit(store, priority=5)
    assert store.leases.look(low).directive is Directive.CONTINUE
    assert store.leases.preempt(occupancy(low)) == [Preemption(victim=low.job_id, by=high.id)]
    assert store.leases.look(low).directive is Directive.PREEMPT
    assert store.leases.renew(low).directive is Directive.PREEMPT
    back = store.leases.give_back(low, "preempted", preempted=True)
    assert (back.state, back.failures, back.preempted_for) == (JobState.QUEUED, 0, None)
    assert back.error == f"preempted for job {high.id}"
    assert store.jobs.attempts(low.job_id)[0].outcome is AttemptOutcome.GIVEN_BACK
    events = [(event.kind, event.data.get("by")) for event in store.jobs.events(low.job_id)][-2:]
    assert events == [("preempt-requested", high.id), ("preempted", high.id)]
    assert [entry.job_id for entry in store.outbox.owed()] == [high.id, low.job_id]
    assert take(store).job_id == high.id
    again = take(store)
    assert (again.job_id, again.attempt) == (low.job_id, 2)
    assert store.leases.look(again).directive is Directive.CONTINUE


@pytest.mark.parametrize(
    ("victim", "urgent"),
    [
        ({"preemptible": False}, {"priority": 5}),
        ({"preemptible": True}, {"priority": 0}),  # no more urgent
        ({"preemptible": True, "priority": 5}, {"priority": 4}),
        ({"preemptible": True}, {"priority": 5, "gpus": 2}),  # its one card would not do
        ({"preemptible": True}, {"priority": 5, "memory_mb": 1001}),
        ({"preemptible": True}, {"priority": 5, "queue": "night"}),
        ({"preemptible": True}, {"priority": 5, "spec": replace(SPEC, detector="padim")}),
        ({"preemptible": True}, {"priority": 5, "not_before": 1e12}),
        ({"preemptible": True}, {"priority": 5, "user": "poor"}),  # whose quota is used up
    ],
)
def test_nobody_makes_room_for_what_could_not_use_it(
    store: Store, victim: dict[str, object], urgent: dict[str, object]
) -> None:
    store.quotas.set(Quota(user="poor", jobs=0))
    low = leased(store, **victim)
    submit(store, **urgent)
    assert asked(store, occupancy(low)) == []
    assert store.leases.look(low).directive is Directive.CONTINUE


def test_nobody_makes_room_twice_for_one_job_and_each_urgent_job_has_its_own(store: Store) -> None:
    leases = [leased(store, preemptible=True, priority=n) for n in range(3)]
    first = submit(store, priority=9)
    assert asked(store, occupancy(*leases)) == [(leases[0].job_id, first.id)]
    assert asked(store, occupancy(*leases)) == []
    second = submit(store, priority=8)
    assert asked(store, occupancy(*leases)) == [(leases[1].job_id, second.id)]
    assert asked(store, occupancy(*leases)) == []


def test_a_free_slot_is_room_enough_here_or_on_another_worker(store: Store) -> None:
    low = leased(store, preemptible=True)
    submit(store, priority=9)
    assert asked(store, occupancy(low, free=1)) == []
    store.workers.register(worker("w2"))
    assert asked(store, occupancy(low)) == []
    store.workers.drain("w2")
    assert len(asked(store, occupancy(low))) == 1


def test_another_workers_free_slot_is_no_room_if_it_could_not_be_given(store: Store) -> None:
    low = leased(store, preemptible=True)
    high = submit(store, priority=9, gpus=1)
    load = Load(memory_mb=100).to_json()
    no_card = replace(worker("w2"), facts={"devices": ["cpu"]}, load=load)
    store.workers.register(no_card)
    assert asked(store, occupancy(low)) == [(low.job_id, high.id)]


def test_who_is_about_to_end_or_told_to_makes_room_by_that(store: Store) -> None:
    low, other = leased(store, preemptible=True), leased(store, preemptible=True)
    submit(store, priority=9)
    assert asked(store, occupancy(low, other, ending=(other,))) == []
    store.jobs.cancel(other.job_id)
    assert asked(store, occupancy(low, other)) == []
    store.leases.finish(other, CANCELLED)
    assert len(asked(store, occupancy(low))) == 1


def test_as_few_as_will_do_make_room_the_least_urgent_and_the_youngest_first(
    store: Store, clock: FakeClock
) -> None:
    old = leased(store, preemptible=True)
    clock.advance(5)
    young = leased(store, preemptible=True)
    better = leased(store, preemptible=True, priority=3)
    wide = leased(store, cards=2, gpus=2, preemptible=True, priority=4)
    running = (old, young, better, wide)
    one = submit(store, priority=9)
    assert asked(store, occupancy(*running)) == [(young.job_id, one.id)]
    store.jobs.cancel(one.id)
    assert store.leases.look(young).directive is Directive.CONTINUE  # nobody waits for it any more
    two = submit(store, priority=9, gpus=2)
    assert asked(store, occupancy(*running)) == [(young.job_id, two.id), (old.job_id, two.id)]
    store.jobs.cancel(two.id)
    four = submit(store, priority=9, gpus=4)
    names = {job.job_id for job in (old, young, wide)}
    assert {victim for victim, _ in asked(store, occupancy(*running))} == names
    store.jobs.cancel(four.id)
    assert asked(store, occupancy(*running)) == []


def test_of_many_that_would_do_together_those_not_needed_are_spared(store: Store) -> None:
    small = leased(store, preemptible=True)
    wide = leased(store, cards=2, gpus=2, preemptible=True, priority=1)
    urgent = submit(store, priority=9, gpus=2)
    assert asked(store, occupancy(small, wide)) == [(wide.job_id, urgent.id)]


def test_on_a_cpu_a_victims_memory_is_room_too(store: Store) -> None:
    can = Capabilities(worker="w1", node="n1", detectors=frozenset({"ddad"}), memory_mb=1000)
    low = leased(store, cards=0, preemptible=True, memory_mb=600)
    submit(store, priority=9, memory_mb=1700)
    held = {low.job_id: (Room(1000 + 600),)}
    assert asked(store, Occupancy(can=can, free=(), held=held)) == []
    high = submit(store, priority=8, memory_mb=1500)
    assert asked(store, Occupancy(can=can, free=(), held=held)) == [(low.job_id, high.id)]


def test_who_was_served_meanwhile_keeps_nobody_from_going_on(store: Store) -> None:
    low = leased(store, preemptible=True)
    high = submit(store, priority=9)
    assert asked(store, occupancy(low)) == [(low.job_id, high.id)]
    assert take(store, "w2").job_id == high.id
    assert store.leases.look(low).directive is Directive.CONTINUE
    more = submit(store, priority=9)
    assert asked(store, occupancy(low)) == [(low.job_id, more.id)]


def test_a_victim_that_succeeds_or_is_lost_on_the_way_is_none(store: Store, clock: FakeClock) -> None:
    done, lost = leased(store, preemptible=True), leased(store, preemptible=True)
    urgent = [submit(store, priority=9) for _ in range(2)]
    assert {by for _, by in asked(store, occupancy(done, lost))} == {job.id for job in urgent}
    assert store.leases.finish(done, SUCCESS).state is JobState.SUCCEEDED
    clock.advance(2 * MINUTE)
    (reaped,) = store.leases.reap()
    assert (reaped.id, reaped.state, reaped.preempted_for) == (lost.job_id, JobState.QUEUED, None)
    assert [take(store).job_id for _ in range(3)] == [urgent[0].id, urgent[1].id, lost.job_id]


def test_a_cancel_of_a_victim_wins(store: Store) -> None:
    low = leased(store, preemptible=True)
    submit(store, priority=9)
    assert len(asked(store, occupancy(low))) == 1
    store.jobs.cancel(low.job_id)
    assert store.leases.look(low).directive is Directive.CANCEL
    assert store.leases.give_back(low, "preempted", preempted=True).state is JobState.CANCELLED


def test_two_workers_at_once_make_room_for_one_job_once(store_url: str) -> None:
    real = open_store(store_url)
    real.workers.hold([holding()])
    for _ in range(6):
        leases = [leased(real, name=name, preemptible=True) for name in ("w1", "w2")]
        urgent = submit(real, priority=9)
        crews = [occupancy(lease, name=lease.worker) for lease in leases]
        with ThreadPoolExecutor(2) as pool:
            found = [one for asked in pool.map(real.leases.preempt, crews) for one in asked]
        found += [one for each in crews for one in real.leases.preempt(each)]  # who skipped it looks again
        assert [one.by for one in found] == [urgent.id]
        for job in (urgent.id, *(lease.job_id for lease in leases)):
            real.jobs.cancel(job)
        for lease in leases:
            real.leases.finish(lease, CANCELLED)
    real.close()
