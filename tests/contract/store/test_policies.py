"""What follows a failure is what the table of policies says of its class, and is kept with the attempt."""

from dataclasses import replace

import pytest

from ad_platform.errors import InvalidValue
from ad_platform.policies import POLICIES
from ad_platform.records import Job
from ad_platform.states import AttemptOutcome, FailureClass, JobState, Sequel
from ad_platform.store.contract import Store
from store_cases import CANCELLED, MINUTE, SUCCESS, FakeClock, asked, failed, submit, take


def fail(store: Store, clock: FakeClock, failure: FailureClass) -> Job:
    """Let the next attempt fail, and the pause after it pass."""
    job = store.leases.finish(take(store), failed(failure))
    clock.advance(MINUTE)
    return job


def sequels(store: Store, job: Job) -> list[Sequel | None]:
    return [attempt.sequel for attempt in store.jobs.attempts(job.id)]


@pytest.mark.parametrize("failure", list(FailureClass))
def test_each_class_has_a_policy_that_the_store_obeys_and_keeps(
    store: Store, clock: FakeClock, failure: FailureClass
) -> None:
    job = submit(store)
    ended = fail(store, clock, failure)
    wanted = POLICIES[failure].sequel
    stops = wanted is Sequel.STOP
    assert ended.state is (JobState.FAILED if stops else JobState.QUEUED)
    assert sequels(store, job) == [wanted]
    event = store.jobs.events(job.id)[-1]
    assert (event.kind, event.data["sequel"]) == ("failed" if stops else "attempt-failed", wanted.value)
    assert (ended.failure, ended.failures) == (failure, 1)


@pytest.mark.parametrize("failure", sorted(f for f, policy in POLICIES.items() if policy.sequel != "stop"))
@pytest.mark.parametrize("most", [1, 2, 5])
def test_what_may_be_tried_again_is_tried_exactly_max_attempts_times(
    store: Store, clock: FakeClock, failure: FailureClass, most: int
) -> None:
    job = submit(store, max_attempts=most)
    for number in range(1, most + 1):
        assert store.jobs.get(job.id).state is JobState.QUEUED
        assert fail(store, clock, failure).failures == number
    ended = store.jobs.get(job.id)
    assert (ended.state, ended.attempt, ended.failures) == (JobState.FAILED, most, most)
    assert sequels(store, job)[-1] is Sequel.EXHAUSTED
    assert Sequel.EXHAUSTED not in sequels(store, job)[:-1]
    assert store.jobs.events(job.id)[-1].data["sequel"] == "exhausted"


def test_batches_are_halved_once_after_the_first_lack_of_memory(store: Store, clock: FakeClock) -> None:
    job = submit(store, max_attempts=4)
    assert job.batch_divisor == 1
    assert fail(store, clock, FailureClass.CRASH).batch_divisor == 1
    assert fail(store, clock, FailureClass.OOM).batch_divisor == 2
    assert store.jobs.events(job.id)[-1].data["batch_divisor"] == 2
    lease = take(store)
    assert lease.job.batch_divisor == 2
    assert store.leases.finish(lease, failed(FailureClass.OOM)).batch_divisor == 2
    assert "batch_divisor" not in store.jobs.events(job.id)[-1].data
    clock.advance(MINUTE)
    assert store.leases.finish(take(store), SUCCESS).batch_divisor == 2
    assert sequels(store, job) == [Sequel.RETRY, Sequel.HALVE, Sequel.RETRY, None]


def test_batches_that_cannot_be_divided_stay_whole_and_the_job_is_tried_again(
    store: Store, clock: FakeClock
) -> None:
    job = submit(store, max_attempts=2)
    lease = take(store)
    store.leases.note(lease, {"divisible": False})
    assert store.leases.finish(lease, failed(FailureClass.OOM)).batch_divisor == 1
    clock.advance(MINUTE)
    store.leases.finish(take(store), failed(FailureClass.OOM))
    assert sequels(store, job) == [Sequel.RETRY, Sequel.EXHAUSTED]


def test_a_lost_worker_leaves_its_sequel_too(store: Store, clock: FakeClock) -> None:
    job = submit(store, max_attempts=2)
    for _ in range(2):
        take(store)
        clock.advance(2 * MINUTE)
        store.leases.reap()
    assert sequels(store, job) == [Sequel.RETRY, Sequel.EXHAUSTED]


def test_what_did_not_fail_has_no_sequel(store: Store, clock: FakeClock) -> None:
    given, cancelled = submit(store), submit(store)
    store.leases.give_back(take(store), "drained")
    lease = take(store, hint=cancelled.id)
    other = take(store)
    by_id = {each.job_id: each for each in (lease, other)}
    store.jobs.cancel(cancelled.id)
    store.leases.finish(by_id[cancelled.id], failed(FailureClass.OOM))
    store.leases.finish(by_id[given.id], SUCCESS)
    assert sequels(store, given) == [None, None]
    assert sequels(store, cancelled) == [None]
    assert store.jobs.get(cancelled.id).batch_divisor == 1


def test_a_failure_that_is_told_twice_halves_and_counts_once(store: Store, clock: FakeClock) -> None:
    submit(store)
    lease = take(store)
    first = store.leases.finish(lease, failed(FailureClass.OOM))
    assert store.leases.finish(lease, failed(FailureClass.OOM)) == first


def test_a_retry_goes_on_with_halved_batches_and_with_the_whole_time(store: Store, clock: FakeClock) -> None:
    job = submit(store, max_attempts=2, timeout=90.0)
    for _ in range(2):
        lease = take(store)
        clock.advance(20)
        store.leases.finish(lease, failed(FailureClass.OOM))
        clock.advance(MINUTE)
    again = store.jobs.retry(job.id)
    assert (again.batch_divisor, again.timeout) == (2, 90.0)
    assert take(store).time_left == 90.0


def test_the_time_of_all_attempts_counts_and_none_between_them(store: Store, clock: FakeClock) -> None:
    submit(store, timeout=100.0, max_attempts=9)
    lease = take(store)
    assert lease.time_left == 100.0
    clock.advance(30)
    store.leases.give_back(lease, "drained")
    clock.advance(1000)
    lease = take(store)
    assert lease.time_left == 70.0
    clock.advance(50)
    store.leases.finish(lease, failed())
    clock.advance(1000)
    lease = take(store, seconds=10)
    assert lease.time_left == 20.0
    clock.advance(60)
    store.leases.reap()
    assert take(store).time_left == -40.0


def test_a_job_without_a_limit_has_any_time(store: Store) -> None:
    submit(store)
    assert take(store).time_left is None


def test_a_timeout_ends_the_job_and_those_that_need_it(store: Store) -> None:
    job, dependent = store.jobs.submit([asked(timeout=1.0), asked(needs=("#0",))])
    ended = store.leases.finish(take(store), failed(FailureClass.TIMEOUT, "it ran for 1 s"))
    assert (ended.state, ended.failure) == (JobState.FAILED, FailureClass.TIMEOUT)
    assert store.jobs.get(dependent.id).failure is FailureClass.NEEDS
    assert store.jobs.attempts(job.id)[0].outcome is AttemptOutcome.FAILED


def test_a_worker_that_ends_a_job_cancelled_leaves_no_sequel(store: Store) -> None:
    job = submit(store)
    store.leases.finish(take(store), CANCELLED)
    assert sequels(store, job) == [None]


@pytest.mark.parametrize("divisor", [0, -1, 2000])
def test_a_batch_is_divided_by_what_can_divide(store: Store, divisor: int) -> None:
    with pytest.raises(InvalidValue, match="batch_divisor"):
        store.jobs.submit([replace(asked(), batch_divisor=divisor)])
