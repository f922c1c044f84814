"""Who may write to a job, and until when: lease, renew, finish, give back, reap."""

from dataclasses import replace

import pytest

from ad_platform.errors import InvalidValue, LeaseLost
from ad_platform.policies import RETRYABLE
from ad_platform.records import Outcome, Progress
from ad_platform.states import AttemptOutcome, Directive, FailureClass, JobKind, JobState
from ad_platform.store.contract import Store
from store_cases import (
    CAN,
    CANCELLED,
    MINUTE,
    SPEC,
    START,
    SUCCESS,
    FakeClock,
    asked,
    failed,
    submit,
    take,
    worker,
)


def test_a_leased_job_runs_under_the_next_attempt_number(store: Store) -> None:
    job = submit(store)
    lease = take(store, "w7")
    assert (lease.job_id, lease.attempt, lease.worker, lease.seconds) == (job.id, 1, "w7", MINUTE)
    assert lease.job == store.jobs.get(job.id)
    held = lease.job
    assert (held.state, held.attempt, held.worker) == (JobState.RUNNING, 1, "w7")
    assert (held.lease_until, held.started_at) == (START + MINUTE, START)
    attempt = store.jobs.attempts(job.id)[0]
    assert (attempt.number, attempt.worker, attempt.outcome) == (1, "w7", AttemptOutcome.RUNNING)
    assert store.leases.lease(CAN, MINUTE) is None


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_lease_of_no_time_is_refused(store: Store, seconds: float) -> None:
    with pytest.raises(InvalidValue, match="must last more than 0 seconds"):
        store.leases.lease(CAN, seconds)


@pytest.mark.parametrize(
    ("values", "fits"),
    [
        ({}, True),
        ({"queue": "fast"}, False),
        ({"gpus": 2, "memory_mb": 1000}, True),
        ({"gpus": 3}, False),
        ({"memory_mb": 1001}, False),
        ({"not_before": START}, True),
        ({"not_before": START + 1}, False),
        ({"spec": replace(SPEC, detector="padim")}, False),
        ({"spec": replace(SPEC, kind=JobKind.EVALUATE)}, True),
        ({"spec": replace(SPEC, dataset=replace(SPEC.dataset, fingerprint="f2"))}, False),
    ],
)
def test_a_worker_gets_only_what_it_can_do(store: Store, values: dict[str, object], fits: bool) -> None:
    submit(store, **values)
    assert (store.leases.lease(CAN, MINUTE) is not None) is fits


def test_a_worker_gets_only_the_kinds_it_has_and_data_of_its_own_node(store: Store) -> None:
    submit(store)
    assert store.leases.lease(replace(CAN, kinds=frozenset({JobKind.EVALUATE})), MINUTE) is None
    assert store.leases.lease(replace(CAN, node="n2"), MINUTE) is None
    assert store.leases.lease(replace(CAN, detectors=frozenset()), MINUTE) is None
    assert store.leases.lease(replace(CAN, queues=frozenset()), MINUTE) is None
    assert store.leases.lease(CAN, MINUTE) is not None


def test_a_job_becomes_eligible_when_its_time_has_come(store: Store, clock: FakeClock) -> None:
    submit(store, not_before=START + 10)
    clock.advance(9)
    assert store.leases.lease(CAN, MINUTE) is None
    clock.advance(1)
    assert store.leases.lease(CAN, MINUTE) is not None


def test_the_best_job_is_the_most_urgent_then_the_least_served_then_the_hinted_then_the_first(
    store: Store,
) -> None:
    busy = submit(store, user="ann", name="running")
    take(store)
    first = submit(store, user="ann", name="ann")
    bob = submit(store, user="bob", name="bob")
    eve = submit(store, user="eve", name="eve")
    urgent = submit(store, user="ann", priority=1)
    order = [take(store, hint=first.id).job_id, take(store, hint=eve.id).job_id]
    # Bob and Eve have as many running jobs as each other, until the hint decides; Ann has two.
    assert order == [urgent.id, eve.id]
    assert [take(store, hint=first.id).job_id for _ in range(2)] == [bob.id, first.id]
    assert store.jobs.get(busy.id).state is JobState.RUNNING


def test_a_hint_for_a_job_that_is_not_eligible_is_no_more_than_a_hint(store: Store) -> None:
    job = submit(store)
    submit_later = submit(store, not_before=START + 5)
    assert take(store, hint=submit_later.id).job_id == job.id


def test_a_draining_worker_gets_nothing(store: Store) -> None:
    submit(store)
    store.workers.register(worker("w1"))
    store.workers.drain("w1")
    assert store.leases.lease(CAN, MINUTE) is None
    assert store.leases.lease(replace(CAN, worker="w2"), MINUTE) is not None


def test_a_renewal_counts_from_now_and_keeps_the_progress(store: Store, clock: FakeClock) -> None:
    submit(store)
    lease = take(store)
    clock.advance(40)
    progress = Progress(step=3, of=9, metrics={"loss": float("nan"), "auroc": 0.5}, message="a\0b")
    renewal = store.leases.renew(lease, progress)
    assert (renewal.directive, renewal.seconds) == (Directive.CONTINUE, MINUTE)
    job = store.jobs.get(lease.job_id)
    assert job.lease_until == START + 40 + MINUTE
    assert repr(job.progress) == repr(progress)
    store.leases.renew(lease)
    assert repr(store.jobs.get(lease.job_id).progress) == repr(progress)


def test_a_look_says_what_is_left_and_changes_nothing(store: Store, clock: FakeClock) -> None:
    submit(store)
    lease = take(store)
    before = store.jobs.get(lease.job_id)
    clock.advance(45)
    assert (store.leases.look(lease).seconds, store.leases.look(lease).directive) == (15, Directive.CONTINUE)
    clock.advance(45)
    assert store.leases.look(lease).seconds == 0
    assert store.jobs.get(lease.job_id) == before


def test_directives_tell_of_a_cancel_before_a_drain(store: Store) -> None:
    submit(store)
    store.workers.register(worker("w1"))
    lease = take(store)
    store.workers.drain("w1")
    assert store.leases.look(lease).directive is Directive.DRAIN
    assert store.leases.renew(lease).directive is Directive.DRAIN
    store.jobs.cancel(lease.job_id)
    assert store.leases.look(lease).directive is Directive.CANCEL
    assert store.leases.renew(lease).directive is Directive.CANCEL


def test_a_lease_that_ran_out_is_held_until_it_is_reaped(store: Store, clock: FakeClock) -> None:
    submit(store)
    lease = take(store)
    clock.advance(10 * MINUTE)
    store.leases.renew(lease)
    assert store.leases.reap() == []
    clock.advance(MINUTE)
    assert store.leases.reap() == []  # to the very second it is still good
    clock.advance(0.5)
    assert [job.id for job in store.leases.reap()] == [lease.job_id]
    with pytest.raises(LeaseLost, match=f"attempt 1 no longer holds job {lease.job_id}"):
        store.leases.renew(lease)


def test_facts_add_up_on_the_attempt(store: Store) -> None:
    submit(store)
    lease = take(store)
    store.leases.note(lease, {"host": "h", "threads": 1})
    store.leases.note(lease, {"threads": 2})
    assert store.jobs.attempts(lease.job_id)[0].facts == {"host": "h", "threads": 2}


def test_success_ends_the_job_with_its_result(store: Store, clock: FakeClock) -> None:
    submit(store)
    lease = take(store)
    clock.advance(30)
    job = store.leases.finish(lease, SUCCESS)
    assert (job.state, job.result, job.error, job.failure) == (JobState.SUCCEEDED, {"auroc": 0.9}, "", None)
    assert (job.finished_at, job.lease_until, job.worker) == (START + 30, None, "w1")
    attempt = store.jobs.attempts(job.id)[0]
    assert (attempt.outcome, attempt.ended_at) == (AttemptOutcome.SUCCEEDED, START + 30)


@pytest.mark.parametrize("failure", sorted(RETRYABLE))
def test_a_failure_worth_repeating_pauses_longer_each_time_and_ends_at_max_attempts(
    store: Store, clock: FakeClock, failure: FailureClass
) -> None:
    submit(store, max_attempts=3)
    for number, wait in ((1, 2), (2, 4)):
        job = store.leases.finish(take(store), failed(failure))
        assert (job.state, job.failures, job.attempt) == (JobState.QUEUED, number, number)
        assert (job.failure, job.error, job.not_before) == (failure, "it broke", clock.now + wait)
        assert store.outbox.owed() == []
        assert store.leases.lease(CAN, MINUTE) is None
        clock.advance(wait)
        assert [entry.job_id for entry in store.outbox.owed()] == [job.id]
    ended = store.leases.finish(take(store), failed(failure))
    assert (ended.state, ended.failures, ended.attempt) == (JobState.FAILED, 3, 3)
    assert [attempt.outcome for attempt in store.jobs.attempts(ended.id)] == [AttemptOutcome.FAILED] * 3
    assert store.leases.lease(CAN, MINUTE) is None


def test_the_pause_between_attempts_never_exceeds_a_minute(store: Store, clock: FakeClock) -> None:
    submit(store, max_attempts=9)
    waits = []
    for _ in range(8):
        job = store.leases.finish(take(store), failed())
        waits.append(job.not_before - clock.now)
        clock.advance(waits[-1])
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize("failure", sorted(set(FailureClass) - RETRYABLE))
def test_a_failure_that_would_repeat_itself_ends_the_job_and_those_that_need_it(
    store: Store, failure: FailureClass
) -> None:
    _, second, third = store.jobs.submit([asked(), asked(needs=("#0",)), asked(needs=("#1",))])
    job = store.leases.finish(take(store), failed(failure, "why\0"))
    assert (job.state, job.failure, job.error, job.failures) == (JobState.FAILED, failure, "why", 1)
    for dependent in (second, third):
        fallen = store.jobs.get(dependent.id)
        assert (fallen.state, fallen.failure) == (JobState.FAILED, FailureClass.NEEDS)


def test_a_success_after_failures_leaves_no_failure_behind(store: Store, clock: FakeClock) -> None:
    submit(store)
    store.leases.finish(take(store), failed())
    clock.advance(MINUTE)
    job = store.leases.finish(take(store), SUCCESS)
    assert (job.state, job.failure, job.error, job.failures) == (JobState.SUCCEEDED, None, "", 1)


@pytest.mark.parametrize("outcome", [SUCCESS, failed(), failed(FailureClass.CODE), CANCELLED])
def test_whatever_is_reported_after_a_cancel_ends_the_job_cancelled(store: Store, outcome: Outcome) -> None:
    job, dependent = store.jobs.submit([asked(), asked(needs=("#0",))])
    lease = take(store)
    store.jobs.cancel(job.id)
    ended = store.leases.finish(lease, outcome)
    assert (ended.state, ended.failure, ended.failures) == (JobState.CANCELLED, None, 0)
    assert store.jobs.attempts(job.id)[0].outcome is AttemptOutcome.CANCELLED
    assert store.jobs.get(dependent.id).failure is FailureClass.NEEDS


def test_giving_back_and_reaping_after_a_cancel_end_the_job_cancelled(store: Store, clock: FakeClock) -> None:
    submit(store)
    submit(store)
    given, lost = take(store), take(store)
    for lease in (given, lost):
        store.jobs.cancel(lease.job_id)
    assert store.leases.give_back(given, "drained").state is JobState.CANCELLED
    clock.advance(2 * MINUTE)
    assert [job.state for job in store.leases.reap()] == [JobState.CANCELLED]
    assert store.outbox.owed() == []


def test_a_worker_may_end_a_job_cancelled_by_itself(store: Store) -> None:
    submit(store)
    assert store.leases.finish(take(store), CANCELLED).state is JobState.CANCELLED


@pytest.mark.parametrize("outcome", [AttemptOutcome.RUNNING, AttemptOutcome.LOST, AttemptOutcome.GIVEN_BACK])
def test_an_attempt_cannot_finish_in_a_way_that_is_no_end(store: Store, outcome: AttemptOutcome) -> None:
    submit(store)
    lease = take(store)
    with pytest.raises(InvalidValue, match="cannot finish"):
        store.leases.finish(lease, Outcome(outcome=outcome))
    with pytest.raises(InvalidValue, match="must name a failure class"):
        store.leases.finish(lease, Outcome(outcome=AttemptOutcome.FAILED))


def test_a_job_given_back_waits_for_the_next_worker_and_counts_no_failure(store: Store) -> None:
    submit(store)
    lease = take(store)
    store.outbox.rung([entry.seq for entry in store.outbox.owed()])
    job = store.leases.give_back(lease, "the worker drains")
    assert (job.state, job.failures, job.error) == (JobState.QUEUED, 0, "the worker drains")
    assert job.lease_until is None
    assert [entry.job_id for entry in store.outbox.owed()] == [job.id]
    assert store.jobs.attempts(job.id)[0].outcome is AttemptOutcome.GIVEN_BACK
    assert take(store, "w2").attempt == 2


def test_reaping_takes_back_every_lost_job_at_once_without_a_pause(store: Store, clock: FakeClock) -> None:
    for _ in range(3):
        submit(store)
    lost = [take(store, seconds=10), take(store, seconds=20)]
    kept = take(store, seconds=1000)
    clock.advance(30)
    reaped = store.leases.reap()
    assert [job.id for job in reaped] == [lease.job_id for lease in lost]
    for job in reaped:
        assert (job.state, job.failures, job.failure) == (JobState.QUEUED, 1, FailureClass.LOST)
        assert job.not_before <= clock.now
        assert job.error == "the lease of attempt 1 on worker w1 ran out"
        assert store.jobs.attempts(job.id)[0].outcome is AttemptOutcome.LOST
        assert [event.kind for event in store.jobs.events(job.id)][-1] == "reaped"
    assert {entry.job_id for entry in store.outbox.owed()} == {job.id for job in reaped}
    assert store.leases.reap() == []
    assert store.jobs.get(kept.job_id).state is JobState.RUNNING


def test_a_job_that_loses_every_worker_fails_after_max_attempts(store: Store, clock: FakeClock) -> None:
    job = submit(store, max_attempts=2)
    for _ in range(2):
        take(store)
        clock.advance(2 * MINUTE)
        store.leases.reap()
    ended = store.jobs.get(job.id)
    assert (ended.state, ended.failure, ended.failures) == (JobState.FAILED, FailureClass.LOST, 2)


def test_every_change_of_state_has_its_event_in_the_order_it_happened(store: Store, clock: FakeClock) -> None:
    job, dependent = store.jobs.submit([asked(), asked(needs=("#0",))])
    store.leases.give_back(take(store), "drained")
    store.leases.finish(take(store), failed(FailureClass.OOM))
    clock.advance(MINUTE)
    take(store)
    clock.advance(2 * MINUTE)
    store.leases.reap()
    store.leases.finish(take(store), SUCCESS)
    told = [(event.kind, event.attempt, event.data.get("state")) for event in store.jobs.events(job.id)]
    assert told == [
        ("submitted", 0, "queued"),
        ("leased", 1, "running"),
        ("given-back", 1, "queued"),
        ("leased", 2, "running"),
        ("attempt-failed", 2, "queued"),
        ("leased", 3, "running"),
        ("reaped", 3, "queued"),
        ("leased", 4, "running"),
        ("succeeded", 4, "succeeded"),
    ]
    assert [event.kind for event in store.jobs.events(dependent.id)] == ["submitted", "queued"]
