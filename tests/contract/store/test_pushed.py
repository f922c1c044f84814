"""Notes of pushed pictures, and whom jobs on them are leased to, on both databases."""

from dataclasses import replace

from ad_platform.records import PushedData
from ad_platform.store.contract import Store
from store_cases import CAN, SPEC, FakeClock, submit

FAR = replace(CAN, worker="far", node="far")  # which holds no pictures


def note(**more: object) -> PushedData:
    values = {"dataset": "d", "category": "c", "files": 3, "size": 3 << 33, "user": "kim", **more}
    return PushedData(fingerprint=SPEC.dataset.fingerprint, **values)  # type: ignore[arg-type]


def test_a_job_on_pushed_pictures_goes_to_any_node(store: Store, clock: FakeClock) -> None:
    job = submit(store)
    assert store.leases.lease(FAR, 60.0) is None
    assert store.queues.line(FAR) == []
    assert store.pushed.record(note()) == note(at=clock.now)
    assert [one.job_id for one in store.queues.line(FAR)] == [job.id]
    lease = store.leases.lease(FAR, 60.0)
    assert lease is not None
    assert lease.job_id == job.id


def test_the_newest_note_of_a_fingerprint_stands(store: Store, clock: FakeClock) -> None:
    store.pushed.record(note())
    clock.now += 5
    newer = store.pushed.record(note(user="lee", files=4))
    assert store.pushed.all() == [newer]
    assert store.pushed.get(SPEC.dataset.fingerprint) == newer
    assert store.pushed.get("other") is None


def test_a_note_is_dropped_only_when_no_job_that_has_not_ended_needs_it(store: Store) -> None:
    job = submit(store)
    store.pushed.record(note())
    assert not store.pushed.forget(SPEC.dataset.fingerprint)
    store.jobs.cancel(job.id)
    assert store.pushed.forget(SPEC.dataset.fingerprint)
    assert store.pushed.all() == []
    assert store.pushed.forget(SPEC.dataset.fingerprint)
    again = submit(store)
    assert store.leases.lease(FAR, 60.0) is None
    assert again.state == "queued"
