"""Whoever collects is alone, and what needs collected files is refused or seen, never neither."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ad_platform.errors import AdctlError, ClaimLost, Collected
from ad_platform.records import Benchmark, Champion, StageRecord
from ad_platform.specs import Submission
from ad_platform.states import CollectedState, FailureClass, JobKind, JobState
from ad_platform.store.contract import Store
from ad_platform.store.engine import open_store
from store_cases import MINUTE, SPEC, SUCCESS, FakeClock, asked, failed, holding, submit, take

ME, KIM = "me", "kim"


def done(store: Store, **values: object) -> str:
    job = submit(store, **values)
    store.leases.finish(take(store), SUCCESS)
    return job.id


def broken(store: Store) -> str:
    job = submit(store)
    store.leases.finish(take(store), failed(FailureClass.NAN))
    return job.id


def condemned(store: Store, *ids: str) -> None:
    assert store.retention.claim(ME, MINUTE)
    assert store.retention.condemn(ME, KIM, ids) == set(ids)


def promotion(job_id: str, revision: int = 1) -> Champion:
    return Champion(model="m", alias="champion", revision=revision, job_id=job_id, user=KIM)


def evaluation(job_id: str) -> Submission:
    return asked(spec=replace(SPEC, kind=JobKind.EVALUATE, source=job_id), needs=(job_id,))


def test_one_at_a_time_may_collect(store: Store, clock: FakeClock) -> None:
    assert store.retention.claim("a", MINUTE)
    assert not store.retention.claim("b", MINUTE)
    assert store.retention.holder() == "a"
    clock.advance(2 * MINUTE)
    assert store.retention.holder() is None
    assert store.retention.claim("b", MINUTE)
    with pytest.raises(ClaimLost):
        store.retention.settle("a", KIM, {"jobs/x": CollectedState.TRASHED})
    with pytest.raises(ClaimLost):
        store.retention.condemn("a", KIM, ["0" * 16])
    assert store.retention.marks() == {}
    store.retention.release("a")
    assert store.retention.holder() == "b"
    store.retention.release("b")
    assert store.retention.holder() is None


def test_a_store_keeps_its_name_and_no_two_have_the_same(store: Store, wipe: Callable[[], None]) -> None:
    name = store.retention.identity()
    assert store.retention.identity() == name
    wipe()
    assert store.retention.identity() != name


def test_only_ended_jobs_are_condemned(store: Store) -> None:
    ended, queued = done(store), submit(store).id
    assert store.retention.claim(ME, MINUTE)
    assert store.retention.condemn(ME, KIM, [ended, queued, "0" * 16]) == {ended}
    assert {mark.place: mark.state for mark in store.retention.marks().values()} == {
        f"jobs/{ended}": CollectedState.CONDEMNED
    }


@pytest.mark.parametrize(
    ("state", "words"), [(CollectedState.TRASHED, "gc restore"), (CollectedState.PURGED, "run it again")]
)
def test_nothing_that_needs_collected_files_is_written(
    store: Store, state: CollectedState, words: str
) -> None:
    job = done(store)
    condemned(store, job)
    store.retention.settle(ME, KIM, {f"jobs/{job}": state})
    cell = {"model": "a", "category": "b", "seed": 0, "address": "x", "taken": job}
    for ask in (
        lambda: store.champions.promote(promotion(job)),
        lambda: store.jobs.submit([evaluation(job)]),
        lambda: store.benchmarks.create(Benchmark(id="b1", name="b1", spec={"cells": [cell]}), []),
    ):
        with pytest.raises(Collected, match=words):
            ask()
    assert store.champions.history() == []
    assert store.benchmarks.search() == []
    assert len(store.jobs.search()) == 1


def test_a_job_whose_checkpoints_lie_in_the_trash_is_retried_after_they_were_restored(store: Store) -> None:
    job = broken(store)
    condemned(store, job)
    with pytest.raises(Collected, match="gc restore"):
        store.jobs.retry(job)
    store.retention.settle(ME, KIM, {f"jobs/{job}": CollectedState.RESTORED})
    assert store.jobs.retry(job).retry_of == job


def test_a_job_whose_checkpoints_are_gone_is_retried_from_its_beginning(store: Store) -> None:
    job = broken(store)
    condemned(store, job)
    store.retention.settle(ME, KIM, {f"jobs/{job}": CollectedState.PURGED})
    assert store.jobs.retry(job).retry_of == job


def test_a_mark_taken_away_refuses_nothing(store: Store) -> None:
    job = done(store)
    condemned(store, job)
    store.retention.settle(ME, KIM, {f"jobs/{job}": None})
    assert store.retention.marks() == {}
    store.champions.promote(promotion(job))


def test_the_facts_are_those_of_the_jobs(store: Store) -> None:
    first = submit(store, tags={"keep": "yes"}, group="g", key="k")
    second = store.jobs.submit([evaluation(first.id)])[0]
    submit(store, tags={"keep": "no"})
    lease = take(store)
    result = {"bundle": "jobs/x/model/a1", "stages": [{"stage": "fit", "key": "ab" * 32}]}
    store.artifacts.record_stage(
        lease,
        StageRecord(
            key="ab" * 32, detector="ddad", stage="fit", job_id=first.id, manifest_sha256="0" * 64, size=3
        ),
    )
    store.leases.finish(lease, replace(SUCCESS, result=result))
    facts = store.retention.jobs()
    assert list(facts) == [job.id for job in store.jobs.search(oldest_first=True)]
    assert (facts[first.id].keep, facts[first.id].group, facts[first.id].key) == (True, "g", "k")
    assert facts[first.id].state is JobState.SUCCEEDED
    assert (facts[first.id].bundle, facts[first.id].stages) == ("jobs/x/model/a1", ("ab" * 32,))
    assert facts[first.id].data == "mvtec/bottle"
    assert (facts[second.id].source, facts[second.id].needs) == (first.id, (first.id,))
    assert [each.keep for each in facts.values()] == [True, False, False]
    assert [stage.key for stage in store.retention.stages()] == ["ab" * 32]


def test_an_ended_job_of_which_not_all_was_shipped_is_named(store: Store) -> None:
    job = done(store)
    submit(store)
    assert store.retention.untold() == {job}
    for shipment in store.shipments.claim(ME, MINUTE):
        store.shipments.done(shipment, "run", 0)
    assert store.retention.untold() == frozenset()


@pytest.fixture
def real(store_url: str) -> Iterator[Store]:
    store = open_store(store_url)
    store.workers.hold([holding()])
    yield store
    store.close()


def test_of_a_promotion_and_a_collection_at_one_moment_one_knows_of_the_other(real: Store) -> None:
    assert real.retention.claim(ME, 60)

    def promote(job: str, revision: int) -> bool:
        try:
            real.champions.promote(promotion(job, revision))
        except Collected:
            return False
        return True

    def collect(job: str) -> bool:
        real.retention.condemn(ME, KIM, [job])
        return all(champion.job_id != job for champion in real.champions.history())

    promoted = 0
    with ThreadPoolExecutor(2) as pool:
        for _ in range(12):
            job = done(real)
            collected = pool.submit(collect, job)
            went = pool.submit(promote, job, promoted + 1)
            assert went.result() != collected.result()
            promoted += went.result()


def test_of_an_evaluation_and_a_collection_at_one_moment_one_knows_of_the_other(real: Store) -> None:
    assert real.retention.claim(ME, 60)

    def ask(job: str) -> bool:
        try:
            real.jobs.submit([evaluation(job)])
        except AdctlError:
            return False
        return True

    def collect(job: str) -> bool:
        real.retention.condemn(ME, KIM, [job])
        return all(facts.source != job for facts in real.retention.jobs().values())

    with ThreadPoolExecutor(2) as pool:
        for _ in range(12):
            job = done(real)
            collected = pool.submit(collect, job)
            assert pool.submit(ask, job).result() != collected.result()
            for left in real.jobs.search(states=[JobState.QUEUED, JobState.WAITING]):
                real.jobs.cancel(left.id)
