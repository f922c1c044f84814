"""With many jobs in the store, no question that is asked often reads more than a few of them.

What is counted are rows (on PostgreSQL) and steps of the database's own machine (on SQLite), not seconds.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
from sqlalchemy import Engine, Table, event, insert, select, text

from ad_platform.records import Benchmark, Outcome
from ad_platform.requests import JobFilter, JobOrder
from ad_platform.states import AttemptOutcome, JobKind, JobState
from ad_platform.store import searching
from ad_platform.store.engine import SqlStore, open_store
from ad_platform.store.facets import facets, measures, tags
from ad_platform.store.tables import attempts, events, jobs, metadata, shipments
from store_cases import CAN, SPEC, FakeClock, asked, failed, holding, take, worker

COPIES = 500  # of the few jobs that are made by the store itself
LIVE = 5
METRICS = {"test/image_auroc": 0.9, "validation/image_auroc": 0.8, "broken": float("nan")}
COPIED = (jobs, facets, tags, measures, attempts, events, shipments)


def few(store: SqlStore) -> None:
    """Jobs of each kind, sort and end that the searches below ask for."""
    screw = replace(SPEC.dataset, category="screw")
    for number in range(10):
        kind = list(JobKind)[number % 2]
        spec = replace(SPEC, kind=kind, dataset=screw if number % 3 == 0 else SPEC.dataset)
        sweep = number in (6, 7)
        store.jobs.submit(
            [
                asked(
                    spec=replace(spec, kind=JobKind.TRIAL) if sweep else spec,
                    user=f"user{number % 3}",
                    name=("", "night 1", "Day")[number % 3],
                    tags={"purpose": "demo"} if number % 2 else {"benchmark": "b"} if number == 2 else {},
                    group=f"g{number % 4}",
                    key=f"sweep/1/{number}/0" if sweep else f"key{number}",
                )
            ]
        )
        lease = take(store, f"w{number % 3}")
        if number in (4, 9):
            store.leases.finish(lease, replace(failed(), failure=None, outcome=AttemptOutcome.CANCELLED))
        else:
            store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result={"metrics": METRICS}))


def multiplied(engine: Engine) -> None:
    """Copy all there is, so often that a look at all of it is plain to see."""
    with engine.begin() as connection:
        rows = {table: list(connection.execute(select(table)).mappings()) for table in COPIED}
        own = max(row["seq"] for row in rows[jobs])
        told = max(row["seq"] for row in rows[events])
        for table in COPIED:
            step = told if table is events else own
            more = [_copy(table, row, n, step) for n in range(1, COPIES) for row in rows[table]]
            connection.execute(insert(table), more)
        if engine.dialect.name == "postgresql":
            for name in ("jobs", "events"):
                number = f"pg_get_serial_sequence('{name}', 'seq')"
                connection.execute(text(f"SELECT setval({number}, (SELECT max(seq) FROM {name}))"))
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _copy(table: Table, row: Mapping[str, Any], n: int, step: int) -> dict[str, Any]:
    copied = dict(row)
    for name in ("seq", "place"):
        if name in copied:
            copied[name] += n * step
    if table is measures:
        copied["value"] += n / 10_000
    for name in ("id", "job_id"):
        if name in copied:
            copied[name] = f"{(int(row[name], 16) + n * 2**32) % 2**64:016x}"
    if copied.get("key"):
        copied["key"] = f"{row['key']}/{n}"
    if "created_at" in copied:
        copied["created_at"] += n
    return copied


@pytest.fixture(scope="module")
def few_looked_at() -> Iterator[None]:
    """Fewer of the highest values are looked at first, as befits so small a store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "LOOKED_AT", 50)
        yield


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    """A store with thousands of jobs that have ended, and a few that have not."""
    postgres = None
    if request.param == "sqlite":
        file: Path = tmp_path_factory.mktemp("full") / "store.db"
        copy(request.getfixturevalue("migrated_file"), file)
        url = f"sqlite:///{file}"
    else:
        postgres = request.getfixturevalue("postgres")
        url = postgres.new_database(request.getfixturevalue("migrated_database").rsplit("/", 1)[1])
    store = open_store(url, clock=FakeClock())
    store.workers.hold([holding(), replace(holding(), category="screw")])
    few(store)
    multiplied(store._db._engine)
    for number in range(LIVE):
        store.jobs.submit([asked(queue="gold", user="user1", key=f"live{number}")])
    store.workers.register(worker("w1"))
    request.getfixturevalue("few_looked_at")
    store.benchmarks.create(Benchmark(id="b1", name="g1", spec={"category": "screw"}), [])
    yield store
    store.close()
    if postgres is not None:
        postgres.drop(url)


def test_there_are_enough_jobs_for_a_look_at_all_to_be_seen(full: SqlStore) -> None:
    assert sum(full.jobs.count().values()) == 10 * COPIES + LIVE
    with pytest.raises(AssertionError, match="reads"), reading_little(full):
        full._db.read(lambda tx: tx.rows(select(jobs.c.seq).where(jobs.c.error == "none")))


@contextmanager
def reading_little(store: SqlStore) -> Iterator[None]:
    """Fail where what is asked inside reads more than a tenth of the jobs."""
    engine = store._db._engine
    if engine.dialect.name == "sqlite":
        with _few_steps(engine):
            yield
    else:
        with _few_rows(engine):
            yield


@contextmanager
def _few_steps(engine: Engine) -> Iterator[None]:
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 10

    def watch(driver: sqlite3.Connection, *more: object) -> None:
        driver.set_progress_handler(count, 10)

    event.listen(engine, "checkout", watch)
    try:
        yield
    finally:
        event.remove(engine, "checkout", watch)
        with engine.connect() as connection:
            connection.connection.driver_connection.set_progress_handler(None, 0)  # type: ignore[union-attr]
    # To pass by a row takes three steps at the very least, and to look at one about ten.
    assert steps < 3 * 10 * COPIES, f"it reads too much: {steps} steps"


@contextmanager
def _few_rows(engine: Engine) -> Iterator[None]:
    asked: list[tuple[str, Any]] = []

    def note(connection: object, cursor: object, statement: str, values: Any, *more: object) -> None:
        if statement.lstrip("(").startswith(("SELECT", "WITH", "UPDATE", "DELETE")):
            asked.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        for statement, values in asked:
            explained = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values)
            plan = explained.scalar_one()
            rows = _rows(plan[0]["Plan"])
            assert rows < COPIES, f"it reads {rows} rows: {statement}\n{json.dumps(plan, indent=1)}"
        connection.rollback()


def _rows(node: Mapping[str, Any]) -> float:
    """Return how many rows of tables a plan has read, those included that it left out."""
    left_out = sum(value for name, value in node.items() if name.startswith("Rows Removed by"))
    own = (node["Actual Rows"] + left_out) * node["Actual Loops"] if "Relation Name" in node else 0
    own += (
        node.get("Actual Rows", 0) * node["Actual Loops"] if node["Node Type"] == "Bitmap Index Scan" else 0
    )
    return own + sum(_rows(inner) for inner in node.get("Plans", ()))


SEARCHES: list[tuple[JobFilter, int]] = [
    ({}, 20),
    ({"oldest_first": True}, 20),
    ({"without_sweeps": True}, 20),
    ({"without_sweeps": True, "kind": JobKind.TRIAL}, 0),
    ({"states": [JobState.SUCCEEDED]}, 20),
    ({"states": [JobState.CANCELLED, JobState.FAILED]}, 20),
    ({"states": [JobState.FAILED]}, 0),
    ({"states": [JobState.WAITING, JobState.QUEUED, JobState.RUNNING]}, LIVE),
    ({"states": [JobState.QUEUED], "user": "user2"}, 0),
    ({"kind": JobKind.TRIAL}, 20),
    ({"kind": JobKind.PREDICT}, 0),
    ({"kind": JobKind.PREDICT, "detector": "ddad"}, 0),
    ({"user": "user2"}, 20),
    ({"user": "user2", "without_sweeps": True}, 20),
    ({"user": "nobody"}, 0),
    ({"group": "g2"}, 20),
    ({"group": "none", "states": [JobState.SUCCEEDED]}, 0),
    ({"detector": "DDAD"}, 20),
    ({"detector": "none"}, 0),
    ({"dataset": "MVTec"}, 20),
    ({"dataset": "none", "without_sweeps": True}, 0),
    ({"category": "Screw"}, 20),
    ({"category": "screw", "kind": JobKind.PREDICT}, 0),
    ({"name": "NIGHT 1"}, 20),
    ({"name": "zz*"}, 0),
    ({"name": "night", "kind": JobKind.TRAIN}, 0),
    ({"tags": {"purpose": None}}, 20),
    ({"tags": {"purpose": "demo"}}, 20),
    ({"tags": {"purpose": "none"}}, 0),
    ({"tags": {"none": None}, "states": [JobState.SUCCEEDED]}, 0),
    ({"queue": "gold"}, LIVE),
    ({"queue": "gold", "states": [JobState.SUCCEEDED]}, 0),
    ({"queue": "default"}, 20),
    ({"worker": "w1"}, 20),
    ({"worker": "none"}, 0),
    ({"before_seq": 8 * COPIES}, 20),
    ({"before_seq": 1, "user": "user2"}, 0),
    ({"since": FakeClock().now + COPIES - 3}, 20),
    ({"since": FakeClock().now + COPIES - 3, "oldest_first": True}, 20),
    ({"since": FakeClock().now + 2 * COPIES}, 0),
    ({"since": FakeClock().now + COPIES - 3, "category": "screw"}, 12),
    ({"since": FakeClock().now + COPIES - 3, "user": "user2", "states": [JobState.SUCCEEDED]}, 9),
    ({"needs": "0" * 16}, 0),
    ({"sort": JobOrder.STATE}, 20),
    ({"sort": JobOrder.STATE, "reverse": True}, 20),
    ({"sort": JobOrder.KIND}, 20),
    ({"measure": "test/image_auroc"}, 20),
    ({"measure": "test/image_auroc", "reverse": True}, 20),
    ({"measure": "test/image_auroc", "name": "none"}, 0),
    ({"measure": "none", "kind": JobKind.TRIAL, "group": "g7"}, 0),
]


@pytest.mark.parametrize(("wanted", "count"), SEARCHES, ids=[str(wanted) for wanted, _ in SEARCHES])
def test_a_search_reads_a_few_jobs_of_many(full: SqlStore, wanted: JobFilter, count: int) -> None:
    with reading_little(full):
        found = full.jobs.search(**{**wanted, "limit": 20})

    assert len(found) == count


QUESTIONS: Mapping[str, Callable[[SqlStore], object]] = {
    "reap": lambda store: store.leases.reap(),
    "owed": lambda store: store.outbox.owed(),
    "remind": lambda store: store.outbox.remind(1e9),
    "line": lambda store: store.queues.line(CAN),
    "loads": lambda store: store.queues.loads(),
    "roster": lambda store: store.workers.roster(),
    "@last": lambda store: store.jobs.find("@last"),
    "an id's beginning": lambda store: store.jobs.find(store.jobs.find("@last").id[:12]),
    "keys": lambda store: store.jobs.of_keys([f"key1/{n}" for n in range(20)]),
    "attempts": lambda store: store.jobs.attempts(store.jobs.find("@last").id),
    "events": lambda store: store.jobs.events(store.jobs.find("@last").id),
    "shipments": lambda store: store.shipments.run_of("0" * 16),
    "to_follow": lambda store: store.benchmarks.to_follow(),
    "settled": lambda store: store.benchmarks.settled("b1"),
    "to_advance": lambda store: store.studies.to_advance(),
    "measures": lambda store: store.jobs.measures(),
    "a lease": lambda store: store.leases.lease(replace(CAN, queues=frozenset({"gold"})), 60.0),
    "a submit": lambda store: store.jobs.submit([asked(key="live0"), asked(queue="gold")]),
    "a cancel": lambda store: store.jobs.cancel(store.jobs.find("@last").id),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_is_asked_often_reads_a_few_jobs_of_many(full: SqlStore, name: str) -> None:
    with reading_little(full):
        QUESTIONS[name](full)


def test_every_table_that_grows_with_the_jobs_is_full_here() -> None:
    growing = {
        table
        for table in metadata.tables.values()
        if any("job" in key.target_fullname for key in table.foreign_keys)
    }
    assert growing - set(COPIED) <= {
        metadata.tables[name]
        for name in ("edges", "outbox", "checkpoints", "stages", "champions", "held_back")
    }
