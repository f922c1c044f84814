"""The head of the line, found without the rest of it, is the first of the whole line."""

import random
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import event, select

from ad_platform.records import Quota, Room
from ad_platform.specs import Submission
from ad_platform.store.contract import Store
from ad_platform.store.database import Transaction
from ad_platform.store.engine import SqlStore, backend_of, open_store
from ad_platform.store.line import head
from store_cases import CAN, MINUTE, SPEC, START, FakeClock, asked, holding

HERE = replace(CAN, queues=frozenset({"default", "night"}), cards=(Room(1000),))


def anything(dice: random.Random) -> Submission:
    return asked(
        spec=replace(
            SPEC,
            detector=dice.choice(["ddad", "ddad", "padim"]),
            dataset=replace(SPEC.dataset, fingerprint=dice.choice(["f1", "f1", "f2"])),
        ),
        user=dice.choice(["ann", "bob", "cyd", "Bob", "zoë"]),
        queue=dice.choice(["default", "default", "night", "big"]),
        priority=dice.choice([-3, 0, 0, 7]),
        memory_mb=dice.choice([0, 0, 0, 2000]),
        gpus=dice.choice([0, 0, 1, 2]),
        not_before=dice.choice([0.0, 0.0, 0.0, START + MINUTE]),
    )


@pytest.mark.parametrize("seed", range(3))
def test_leases_follow_the_line_to_its_end(store: Store, seed: int) -> None:
    dice = random.Random(seed)
    store.workers.hold([holding()])
    store.quotas.set(Quota(user="cyd", jobs=2))
    store.quotas.set(Quota(user="bob", gpus=3))
    store.jobs.submit([anything(dice) for _ in range(50)])
    if seed == 2:
        store.queues.pause("night", "ann")
    taken = 0
    while line := store.queues.line(HERE):
        best = [one for one in line if (one.priority, one.running) == (line[0].priority, line[0].running)]
        hint = dice.choice([None, best[-1].job_id, line[-1].job_id, "no such job"])
        first = best[-1].job_id if hint == best[-1].job_id else line[0].job_id
        lease = store.leases.lease(HERE, MINUTE, hint)
        assert lease is not None
        assert lease.job_id == first
        taken += 1
        if dice.random() < 0.3:
            store.leases.give_back(lease, "only asked")
            store.jobs.cancel(lease.job_id)
    assert taken > 2
    assert store.leases.lease(HERE, MINUTE) is None


def test_a_worker_of_no_queue_gets_nothing(store: Store) -> None:
    store.workers.hold([holding()])
    store.jobs.submit([asked()])
    assert store.leases.lease(replace(CAN, queues=frozenset()), MINUTE) is None


@pytest.fixture
def many(store_url: str) -> Iterator[SqlStore]:
    store = open_store(store_url, clock=FakeClock())
    store.workers.hold([holding()])
    store.jobs.submit([asked(user=f"u{n % 3}", priority=n % 2) for n in range(60)])
    yield store
    store.close()


def test_a_statement_that_was_kept_heeds_each_hint_and_the_time(store_url: str) -> None:
    store = open_store(store_url)  # by the database's own clock, as everywhere but in tests
    store.workers.hold([holding()])
    asked_for = [asked(user="u", name=f"n{n}") for n in range(4)]
    first, second, third, fourth = (job.id for job in store.jobs.submit(asked_for))
    for hint, expected in ((third, third), (first, first), (None, second), (fourth, fourth)):
        lease = store.leases.lease(CAN, MINUTE, hint)
        assert lease is not None
        assert lease.job_id == expected
    began = store.now()
    store.jobs.submit([asked(user="u", not_before=began + 0.4)])
    while (lease := store.leases.lease(CAN, MINUTE)) is None:
        assert store.now() < began + 60
    assert store.now() >= began + 0.4
    store.close()


@pytest.mark.postgres
def test_only_the_job_that_is_taken_is_locked(migrated_database: str) -> None:
    store = open_store(migrated_database, clock=FakeClock())
    store.workers.hold([holding()])
    store.jobs.submit([asked(user=f"u{n % 3}", priority=n % 2) for n in range(12)])
    backend = backend_of(migrated_database)
    engine = backend.engine()
    free = "SELECT id FROM jobs WHERE state = 'queued' FOR UPDATE SKIP LOCKED"
    with engine.connect() as connection, psycopg.connect(migrated_database) as other:
        first = store.queues.line(CAN)[0].job_id
        tx = Transaction(connection, backend, FakeClock(), None)
        assert connection.execute(select(head(tx, CAN, None, ())), {"hint": ""}).scalar_one() == first
        assert len(other.execute(free).fetchall()) == 11
    engine.dispose()
    with psycopg.connect(migrated_database, autocommit=True) as connection:
        connection.execute("TRUNCATE jobs, workers, holdings, catalogue, studies CASCADE")
    store.close()


def test_a_lease_finds_its_job_by_index(many: SqlStore) -> None:
    """Whatever the statement looks up in the queue, it looks up in the index that is made for it."""
    engine, asked_for = many._db._own(), list[tuple[str, object]]()

    @event.listens_for(engine, "before_cursor_execute")
    def note(c: object, cursor: object, statement: str, parameters: object, x: object, many: bool) -> None:
        asked_for.append((statement, parameters))

    assert many.leases.lease(CAN, MINUTE) is not None
    statement, parameters = next(one for one in asked_for if one[0].lstrip().startswith("WITH RECURSIVE"))
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            lines = [str(row[-1]) for row in plan]
            of_jobs = [
                line
                for line in lines
                if line.split()[1:2] and line.split()[1] in ("job", "one", "step", "jobs")
            ]
            assert of_jobs
            assert not [line for line in of_jobs if line.startswith("SCAN")]
        else:
            connection.exec_driver_sql("SET enable_seqscan = off")
            plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).all()
            lines = [str(row[0]) for row in plan]
            walked = [line for line in lines if " on jobs" in line and "Scan" in line]
            assert {"ix_jobs_queued", "ix_jobs_running"} <= {w for line in walked for w in line.split()}
            assert not [line for line in walked if "Seq Scan" in line or "pk_jobs" in line]
