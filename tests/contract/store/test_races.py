"""Many processes and threads at one store, with the real clock: nobody gets what another one has."""

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.pool import Pool

import pytest

from ad_platform.errors import ChampionChanged, LeaseLost
from ad_platform.records import Champion
from ad_platform.states import FailureClass, JobState
from ad_platform.store.contract import Store
from ad_platform.store.engine import open_store
from store_cases import CAN, SUCCESS, asked, failed, holding, submit, take

PROCESSES = 3
THREADS = 8


@pytest.fixture
def real(store_url: str) -> Iterator[Store]:
    store = open_store(store_url)
    store.workers.hold([holding()])
    yield store
    store.close()


@pytest.fixture(scope="module")
def processes() -> Iterator[Pool]:
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        yield pool
        pool.close()
        pool.join()


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Call all in threads that start together; return what each returned or raised."""
    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(call) for call in calls]
    return [future.exception() or future.result() for future in futures]


def work(url: str, name: str) -> list[tuple[str, int]]:
    """Lease and finish until nothing is left; return what was leased."""
    store, done = open_store(url), []
    while lease := store.leases.lease(replace(CAN, worker=name), 60):
        done.append((lease.job_id, lease.attempt))
        store.leases.finish(lease, SUCCESS)
    store.close()
    return done


def submit_keyed(url: str, key: str) -> str:
    store = open_store(url)
    job = store.jobs.submit([asked(key=key), asked(key=f"{key}-evaluate", needs=("#0",))])[0]
    store.close()
    return job.id


def test_no_two_processes_ever_lease_one_job(store_url: str, real: Store, processes: Pool) -> None:
    jobs = real.jobs.submit([asked() for _ in range(40)])
    lists = processes.starmap(work, [(store_url, f"w{n}") for n in range(PROCESSES)])
    leased = Counter(one for done in lists for one in done)
    assert leased == Counter((job.id, 1) for job in jobs)
    assert real.jobs.count()[JobState.SUCCEEDED] == 40


def test_one_key_submitted_by_several_processes_is_one_job(
    store_url: str, real: Store, processes: Pool
) -> None:
    keys = [f"k{n}" for n in range(5)]
    calls = [(store_url, key) for key in keys for _ in range(PROCESSES)]
    ids = processes.starmap(submit_keyed, calls, chunksize=1)
    assert len(set(ids)) == len(keys)
    assert len(real.jobs.search()) == 2 * len(keys)


def test_threads_of_one_process_never_lease_one_job_twice(real: Store) -> None:
    real.jobs.submit([asked() for _ in range(THREADS)])
    leases = at_once(*[lambda: take(real)] * THREADS)
    assert len({lease.job_id for lease in leases}) == THREADS  # type: ignore[attr-defined]


def test_one_job_and_many_takers_make_one_lease(real: Store) -> None:
    job = submit(real)
    leases = at_once(*[lambda: real.leases.lease(CAN, 60)] * THREADS)
    assert [lease is not None for lease in leases].count(True) == 1
    assert real.jobs.get(job.id).attempt == 1


def test_needs_that_end_at_the_same_moment_queue_the_job_that_waits_for_both(real: Store) -> None:
    for _ in range(10):
        *_, both = real.jobs.submit([asked(), asked(), asked(), asked(needs=("#0", "#1", "#2"))])
        leases = [take(real) for _ in range(3)]
        at_once(*[lambda lease=lease: real.leases.finish(lease, SUCCESS) for lease in leases])
        assert real.jobs.get(both.id).state is JobState.QUEUED
        real.jobs.cancel(both.id)


def test_a_job_submitted_while_its_need_ends_is_never_left_waiting(real: Store) -> None:
    for outcome, expected in ((SUCCESS, JobState.QUEUED), (failed(FailureClass.CODE), JobState.FAILED)):
        for _ in range(8):
            need = submit(real)
            lease = take(real)
            at_once(
                lambda lease=lease, outcome=outcome: real.leases.finish(lease, outcome),
                lambda need=need: submit(real, needs=(need.id,)),
            )
            after = real.jobs.search(needs=need.id)[0]
            assert after.state is expected
            real.jobs.cancel(after.id)


def test_of_a_cancel_and_a_finish_at_the_same_moment_one_wins_wholly(real: Store) -> None:
    for _ in range(10):
        submit(real)
        lease = take(real)
        at_once(
            lambda lease=lease: real.leases.finish(lease, SUCCESS),
            lambda lease=lease: real.jobs.cancel(lease.job_id),
        )
        job = real.jobs.get(lease.job_id)
        assert job.state in (JobState.SUCCEEDED, JobState.CANCELLED)
        assert job.cancel_requested == (job.state is JobState.CANCELLED)
        assert real.jobs.attempts(job.id)[0].outcome == job.state.value


def test_two_reapers_and_the_late_owner_count_one_loss(real: Store) -> None:
    for _ in range(8):
        submit(real, user="reaped", max_attempts=9)
        lease = take(real, seconds=1e-6)
        results = at_once(
            real.leases.reap, real.leases.reap, lambda lease=lease: real.leases.finish(lease, SUCCESS)
        )
        job = real.jobs.get(lease.job_id)
        reaped = sum(len(jobs) for jobs in results[:2])  # type: ignore[arg-type]
        assert (reaped, job.failures) in {(1, 1), (0, 0)}
        assert isinstance(results[2], LeaseLost) == (reaped == 1)
        if not job.state.terminal:
            real.jobs.cancel(job.id)


def test_of_several_promotions_with_one_revision_exactly_one_succeeds(real: Store) -> None:
    submit(real)
    job = real.leases.finish(take(real), SUCCESS)
    for revision in range(1, 6):
        wanted = [
            Champion(model="m", alias="champion", revision=revision, job_id=job.id, user=f"u{n}")
            for n in range(4)
        ]
        results = at_once(*[lambda one=one: real.champions.promote(one) for one in wanted])
        winners = [one for one in results if isinstance(one, Champion)]
        assert len(winners) == 1
        assert sum(isinstance(one, ChampionChanged) for one in results) == 3
        assert real.champions.current("m", "champion") == winners[0]


def test_two_shippers_claim_every_job_once(real: Store) -> None:
    jobs = real.jobs.submit([asked() for _ in range(10)])
    claims = at_once(*[lambda n=n: real.shipments.claim(f"s{n}", 60, 5) for n in range(4)])
    # A claim may come back short while another one is under way; the next round has the rest.
    claims.append(real.shipments.claim("last", 60, 100))
    claimed = [one.job.id for claim in claims for one in claim]  # type: ignore[attr-defined]
    assert sorted(claimed) == sorted(job.id for job in jobs)


def test_retrying_one_job_twice_at_once_makes_one_job(real: Store) -> None:
    need, _ = real.jobs.submit([asked(), asked(needs=("#0",))])
    real.jobs.cancel(need.id)
    retries = at_once(*[lambda: real.jobs.retry(need.id)] * 4)
    assert len({job.id for job in retries}) == 1  # type: ignore[attr-defined]
    assert len(real.jobs.search()) == 4


def test_submissions_with_keys_in_opposite_order_both_succeed(real: Store) -> None:
    for n in range(5):
        a, b = asked(key=f"a{n}"), asked(key=f"b{n}")
        results = at_once(
            lambda a=a, b=b: real.jobs.submit([a, b]), lambda a=a, b=b: real.jobs.submit([b, a])
        )
        first, second = results
        assert [job.id for job in first] == [job.id for job in second][::-1]  # type: ignore[attr-defined]


def test_a_forked_child_uses_connections_of_its_own(real: Store) -> None:
    job = submit(real)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(write, real.jobs.get(job.id).id.encode())
            real.jobs.cancel(job.id)
            real.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(read, 16).decode() == job.id
    os.close(read)
    os.close(write)
    assert real.jobs.get(job.id).state is JobState.CANCELLED
    assert submit(real).state is JobState.QUEUED
