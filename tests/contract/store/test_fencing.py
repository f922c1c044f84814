"""An attempt that lost its lease writes nothing, and one that ended may say so twice."""

from collections.abc import Callable

import pytest

from ad_platform.errors import LeaseLost
from ad_platform.records import CheckpointRecord, Job, Lease, Progress, StageRecord
from ad_platform.states import FailureClass, JobState
from ad_platform.store.contract import Store
from store_cases import CANCELLED, MINUTE, SUCCESS, FakeClock, failed, submit, take

WRITES: dict[str, Callable[[Store, Lease], object]] = {
    "renew": lambda store, lease: store.leases.renew(lease, Progress(step=99)),
    "look": lambda store, lease: store.leases.look(lease),
    "note": lambda store, lease: store.leases.note(lease, {"host": "other"}),
    "succeed": lambda store, lease: store.leases.finish(lease, SUCCESS),
    "fail": lambda store, lease: store.leases.finish(lease, failed(FailureClass.CODE)),
    "cancel": lambda store, lease: store.leases.finish(lease, CANCELLED),
    "give back": lambda store, lease: store.leases.give_back(lease, "drained"),
    "checkpoint": lambda store, lease: store.artifacts.record_checkpoint(
        lease,
        CheckpointRecord(
            job_id=lease.job_id, attempt=lease.attempt, step=9, prefix="x", manifest_sha256="0", size=1
        ),
    ),
    "forget": lambda store, lease: store.artifacts.forget_checkpoints(lease, ["p1"]),
    "stage": lambda store, lease: store.artifacts.record_stage(
        lease,
        StageRecord(key="k", detector="ddad", stage="s", job_id=lease.job_id, manifest_sha256="0", size=1),
    ),
}


@pytest.mark.parametrize("write", WRITES)
def test_an_attempt_that_lost_its_lease_writes_nothing(store: Store, clock: FakeClock, write: str) -> None:
    job = submit(store)
    stale = take(store, "w1")
    kept = CheckpointRecord(job_id=job.id, attempt=1, step=1, prefix="p1", manifest_sha256="a", size=1)
    store.artifacts.record_checkpoint(stale, kept)
    clock.advance(2 * MINUTE)
    store.leases.reap()
    fresh = take(store, "w2")
    assert fresh.attempt == 2
    before = (
        store.jobs.get(job.id),
        store.jobs.attempts(job.id),
        store.jobs.events(job.id),
        store.artifacts.checkpoints(job.id),
        store.artifacts.stage("k"),
    )
    with pytest.raises(LeaseLost):
        WRITES[write](store, stale)
    after = (
        store.jobs.get(job.id),
        store.jobs.attempts(job.id),
        store.jobs.events(job.id),
        store.artifacts.checkpoints(job.id),
        store.artifacts.stage("k"),
    )
    assert after == before
    assert store.leases.finish(fresh, SUCCESS).state is JobState.SUCCEEDED


ENDS: dict[str, Callable[[Store, Lease], Job]] = {
    "succeed": lambda store, lease: store.leases.finish(lease, SUCCESS),
    "fail": lambda store, lease: store.leases.finish(lease, failed()),
    "fail for good": lambda store, lease: store.leases.finish(lease, failed(FailureClass.CODE)),
    "cancel": lambda store, lease: store.leases.finish(lease, CANCELLED),
    "give back": lambda store, lease: store.leases.give_back(lease, "drained"),
}


@pytest.mark.parametrize("cancel", [False, True])
@pytest.mark.parametrize("end", ENDS)
def test_an_end_whose_answer_was_lost_can_be_told_again(store: Store, end: str, cancel: bool) -> None:
    submit(store)
    lease = take(store)
    if cancel:
        store.jobs.cancel(lease.job_id)
    first = ENDS[end](store, lease)
    told = store.jobs.events(lease.job_id)
    assert ENDS[end](store, lease) == first
    assert store.jobs.events(lease.job_id) == told


def test_an_end_told_again_in_another_way_is_refused(store: Store) -> None:
    submit(store)
    lease = take(store)
    store.leases.finish(lease, SUCCESS)
    with pytest.raises(LeaseLost):
        store.leases.finish(lease, failed())
    with pytest.raises(LeaseLost):
        store.leases.give_back(lease, "drained")
