"""The figures of the fleet, on both databases."""

from ad_platform.records import WorkerRecord
from ad_platform.states import AttemptOutcome, FailureClass, JobState
from ad_platform.store.contract import Store
from store_cases import SUCCESS, FakeClock, failed, submit, take


def test_figures_count_jobs_attempts_leases_and_what_is_untold(store: Store, clock: FakeClock) -> None:
    began = clock.now
    store.workers.register(WorkerRecord(id="w1", node="n1", pid=1, slots=2))
    for _ in range(4):
        submit(store)
        clock.now += 10
    first, second, third = (take(store) for _ in range(3))
    store.leases.finish(first, SUCCESS)
    store.leases.finish(second, failed(FailureClass.CODE))
    seen = store.telemetry.figures()

    assert seen.now == clock.now
    counts = {JobState.SUCCEEDED: 1, JobState.FAILED: 1, JobState.RUNNING: 1, JobState.QUEUED: 1}
    assert {state: number for state, number in seen.jobs.items() if number} == counts
    (load,) = seen.queues
    assert (load.name, load.queued, load.running) == ("default", 1, 1)
    assert seen.waiting_since == {"default": began + 30}
    assert seen.lease_until == clock.now + third.seconds
    assert seen.overdue == 0
    assert {(each.outcome, each.failure): each.number for each in seen.attempts} == {
        (AttemptOutcome.SUCCEEDED, None): 1,
        (AttemptOutcome.FAILED, FailureClass.CODE): 1,
        (AttemptOutcome.RUNNING, None): 1,
    }
    assert (seen.untold, seen.untold_since) == (4, clock.now)
    assert [worker.id for worker in seen.roster] == ["w1"]
    clock.now += third.seconds + 1
    assert store.telemetry.figures().overdue == 1
    store.queues.pause("default", "kim")
    assert store.telemetry.figures().paused == {"default"}


def test_an_empty_store_has_figures_too(store: Store) -> None:
    seen = store.telemetry.figures()
    assert (seen.queues, seen.attempts, seen.lease_until, seen.untold_since) == ([], [], None, None)
