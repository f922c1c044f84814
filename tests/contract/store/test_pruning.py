"""A trial that is not worth finishing ends, unless it is done before it hears of that."""

from ad_platform.states import AttemptOutcome, Directive, FailureClass, JobState
from ad_platform.store.contract import Store
from store_cases import CANCELLED, MINUTE, SUCCESS, FakeClock, failed, submit, take


def test_a_queued_trial_is_cancelled_at_once_and_says_that_it_was_pruned(store: Store) -> None:
    job = submit(store)
    pruned = store.jobs.prune(job.id)
    assert (pruned.state, pruned.prune_requested) == (JobState.CANCELLED, True)
    assert pruned.error.startswith("pruned")
    assert [event.kind for event in store.jobs.events(job.id)][-1] == "pruned"
    assert store.jobs.prune(job.id) == pruned


def test_a_running_trial_hears_of_it_and_ends_cancelled(store: Store) -> None:
    job = submit(store)
    lease = take(store)
    assert store.jobs.prune(job.id).state is JobState.RUNNING
    assert store.leases.look(lease).directive is Directive.PRUNE
    assert store.leases.renew(lease).directive is Directive.PRUNE
    ended = store.leases.finish(lease, CANCELLED)
    assert (ended.state, ended.prune_requested, ended.cancel_requested) == (JobState.CANCELLED, True, False)
    assert store.leases.finish(lease, CANCELLED) == ended
    assert store.jobs.attempts(job.id)[0].outcome is AttemptOutcome.CANCELLED


def test_a_trial_that_succeeds_before_it_heard_of_it_has_succeeded(store: Store) -> None:
    job = submit(store)
    lease = take(store)
    store.jobs.prune(job.id)
    assert store.leases.finish(lease, SUCCESS).state is JobState.SUCCEEDED
    assert store.jobs.prune(job.id).state is JobState.SUCCEEDED


def test_a_pruned_trial_is_not_tried_again_however_its_attempt_ends(store: Store, clock: FakeClock) -> None:
    for end in ("failed", "given back", "lost"):
        job = submit(store)
        lease = take(store)
        store.jobs.prune(job.id)
        if end == "failed":
            store.leases.finish(lease, failed(FailureClass.CRASH))
        elif end == "given back":
            store.leases.give_back(lease, "drained")
        else:
            clock.advance(2 * MINUTE)
            store.leases.reap()
        assert store.jobs.get(job.id).state is JobState.CANCELLED, end


def test_a_cancel_goes_before_a_prune(store: Store) -> None:
    job = submit(store)
    lease = take(store)
    store.jobs.prune(job.id)
    store.jobs.cancel(job.id)
    assert store.leases.look(lease).directive is Directive.CANCEL
    ended = store.leases.finish(lease, CANCELLED)
    assert (ended.state, ended.cancel_requested) == (JobState.CANCELLED, True)
    assert store.jobs.prune(submit(store, key="x").id).prune_requested
