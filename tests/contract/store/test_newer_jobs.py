"""Jobs that a newer program has asked for: left by those who do not understand them, whole for others."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from ad_platform import settings as environment
from ad_platform.client import Client
from ad_platform.errors import InvalidRequest
from ad_platform.offers import LEFT
from ad_platform.queue.memory import MemoryQueue
from ad_platform.records import Job
from ad_platform.states import JobState
from ad_platform.store.contract import Store
from ad_platform.store.engine import backend_of
from ad_platform.store.tables import jobs
from ad_platform.why import Kind, explain
from store_cases import CAN, MINUTE, submit, worker

Rewrite = Callable[[Job], Job]


@pytest.fixture
def newer(store: Store, store_url: str) -> Rewrite:
    """Give what makes a newer program's job of a job: its spec has a field that nobody here knows."""

    def rewrite(job: Job) -> Job:
        engine = backend_of(store_url).engine()
        with engine.begin() as connection:
            spec = {**job.spec.to_json(), "news": {"strength": 2}}
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(spec=spec))
        engine.dispose()
        return store.jobs.get(job.id)

    return rewrite


def does_not_know(job: Job) -> str:
    return f"which does not know {', '.join(job.spec.beyond)}" if job.spec.beyond else ""


def test_a_job_that_is_not_understood_is_passed_over_and_costs_nothing(store: Store, newer: Rewrite) -> None:
    first, second = newer(submit(store, priority=5)), submit(store)
    lease = store.leases.lease(CAN, MINUTE, first.id, does_not_know)
    assert lease is not None
    assert lease.job_id == second.id
    assert store.leases.lease(CAN, MINUTE, None, does_not_know) is None
    left = store.jobs.get(first.id)
    assert (left.state, left.attempt, left.failures) == (JobState.QUEUED, 0, 0)
    assert [event.kind for event in store.jobs.events(first.id)] == ["submitted"]
    assert store.jobs.attempts(first.id) == []
    # Who understands it gets it.
    lease = store.leases.lease(replace(CAN, worker="w2"), MINUTE)
    assert lease is not None
    assert lease.job_id == first.id


def test_a_job_that_is_known_to_be_for_others_is_not_even_looked_at(store: Store) -> None:
    job = submit(store)

    def never(job: Job) -> str:
        raise AssertionError(job)

    assert store.leases.lease(replace(CAN, left=frozenset({job.id})), MINUTE, job.id, never) is None


def test_why_names_the_workers_that_leave_a_job_and_what_they_lack(
    store: Store, newer: Rewrite, tmp_path: Path
) -> None:
    job = newer(submit(store, code={"version": "9.1.0"}))
    old = replace(worker("w1"), facts={"adctl": "0.1.0"}, load={LEFT: {job.id: does_not_know(job)}})
    store.workers.register(old)
    settings = environment.load({**os.environ, "ADCTL_HOME": str(tmp_path)})
    with Client(settings, store, MemoryQueue()) as client:
        (cause,) = explain(client, job).causes
        assert cause.kind is Kind.TOO_NEW
        assert cause.words == (
            "adctl 9.1.0 has asked for it, and no online worker understands it "
            "(w1 runs adctl 0.1.0, which does not know news)"
        )
        assert "upgrade adctl" in cause.advice
        store.workers.register(worker("w2"))  # one that has left nothing
        assert explain(client, job).could_run


def test_what_was_read_in_part_is_not_submitted_again(store: Store, newer: Rewrite) -> None:
    job = newer(submit(store))
    store.jobs.cancel(job.id)
    with pytest.raises(InvalidRequest, match=r"a newer adctl has asked for this \(news"):
        store.jobs.retry(job.id)
    with pytest.raises(InvalidRequest, match="upgrade adctl"):
        submit(store, spec=job.spec)
