"""No more of a user's jobs run at a time than somebody has allowed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ad_platform.errors import InvalidValue
from ad_platform.records import Quota, Room
from ad_platform.states import JobState
from ad_platform.store.contract import Store
from ad_platform.store.engine import open_store
from store_cases import CAN, MINUTE, SUCCESS, FakeClock, asked, holding, submit, take

CARDS = replace(CAN, cards=(Room(1000),) * 4)
ON_CPU = replace(CAN, cards=())


def test_a_quota_replaces_the_one_before_and_is_listed_by_user(store: Store, clock: FakeClock) -> None:
    store.quotas.set(Quota(user="bob", gpus=4, jobs=2, set_by="ann"))
    first = store.quotas.set(Quota(user="ann", gpus=0))
    second = store.quotas.set(Quota(user="bob", jobs=3, set_by="eve"))
    assert second == Quota(user="bob", jobs=3, set_by="eve", at=clock.now)
    assert store.quotas.all() == [first, second]
    assert [store.quotas.clear("bob"), store.quotas.clear("bob")] == [True, False]
    assert store.quotas.all() == [first]


@pytest.mark.parametrize(
    ("quota", "complaint"),
    [
        (Quota(user="ann"), "limits gpus, jobs or both"),
        (Quota(user="ann", gpus=-1), "gpus must lie in"),
        (Quota(user="ann", jobs=10**7), "jobs must lie in"),
        (Quota(user="", jobs=1), "plain text"),
        (Quota(user="a\0", jobs=1), "plain text"),
    ],
)
def test_what_limits_nothing_is_no_quota(store: Store, quota: Quota, complaint: str) -> None:
    with pytest.raises(InvalidValue, match=complaint):
        store.quotas.set(quota)


def test_no_more_jobs_of_a_user_are_leased_than_allowed_and_others_go_on(store: Store) -> None:
    store.quotas.set(Quota(user="ann", jobs=1))
    mine = [submit(store, priority=9) for _ in range(2)]
    other = submit(store, user="bob")
    first = take(store)
    assert (first.job_id, take(store).job_id) == (mine[0].id, other.id)
    assert store.leases.lease(CAN, MINUTE) is None
    assert store.queues.line(CAN) == []
    store.leases.finish(first, SUCCESS)
    assert take(store).job_id == mine[1].id


def test_cards_count_and_so_does_one_that_was_not_asked_for(store: Store) -> None:
    store.quotas.set(Quota(user="ann", gpus=3))
    submit(store)  # takes the card of its slot
    take(store)
    big, small = submit(store, gpus=3), submit(store, gpus=2)
    lease = store.leases.lease(CARDS, MINUTE)
    assert lease is not None
    assert (lease.job_id, store.leases.lease(CARDS, MINUTE)) == (small.id, None)
    plain = submit(store)
    assert take_on_cpu(store) == plain.id  # where there are no cards, none are counted
    assert store.jobs.get(big.id).state is JobState.QUEUED


def take_on_cpu(store: Store) -> str | None:
    lease = store.leases.lease(ON_CPU, MINUTE)
    return lease and lease.job_id


def test_what_a_quota_kept_is_rung_for_when_it_is_raised_or_lifted(store: Store) -> None:
    store.quotas.set(Quota(user="ann", jobs=0))
    jobs = [submit(store), submit(store)]
    submit(store, user="bob")
    for change in (lambda: store.quotas.set(Quota(user="ann", jobs=5)), lambda: store.quotas.clear("ann")):
        store.outbox.rung([entry.seq for entry in store.outbox.owed()])
        change()
        assert [entry.job_id for entry in store.outbox.owed()] == [job.id for job in jobs]


def test_workers_that_lease_at_the_same_moment_do_not_exceed_a_quota(store_url: str) -> None:
    real = open_store(store_url)
    real.workers.hold([holding()])
    real.quotas.set(Quota(user="ann", jobs=3, gpus=4))
    real.jobs.submit([asked(gpus=n % 2 + 1) for n in range(12)] + [asked(user="bob") for _ in range(2)])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: real.leases.lease(replace(CARDS, worker=f"w{n}"), MINUTE), range(16)))
    running = real.jobs.search(states=[JobState.RUNNING])
    mine = [job for job in running if job.user == "ann"]
    assert len(mine) <= 3
    assert sum(job.cards for job in mine) <= 4
    assert len(mine) >= 2
    assert sum(job.user == "bob" for job in running) == 2
    real.close()
