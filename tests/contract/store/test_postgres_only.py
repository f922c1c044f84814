"""What is only true of PostgreSQL: its clock, its locks, its driver, a server that goes away."""

import threading
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from ad_migrations.moving.rows import opened
from ad_migrations.steps import alone
from ad_platform.errors import InvalidValue, MissingExtra, StoreDown
from ad_platform.store.database import explained
from ad_platform.store.engine import backend_of, open_store
from store_cases import CAN, asked, holding, submit, take

pytestmark = pytest.mark.postgres


@pytest.fixture
def store_url(migrated_database: str) -> str:
    return migrated_database


@pytest.fixture(autouse=True)
def _emptied(migrated_database: str) -> Iterator[None]:
    yield
    with psycopg.connect(migrated_database, autocommit=True) as connection:
        connection.execute("TRUNCATE jobs, workers, holdings, catalogue, studies CASCADE")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_the_address_means_psycopg_3(store_url: str, scheme: str) -> None:
    store = open_store(f"{scheme}:{store_url.split(':', 1)[1]}")
    assert store.now() > 1e9
    store.close()


def test_the_clock_moves_within_a_transaction(store_url: str) -> None:
    backend = backend_of(store_url)
    engine = backend.engine()
    with engine.connect() as connection:
        first, _, second = (
            connection.execute(one).scalar()
            for one in (select(backend.clock()), text("SELECT pg_sleep(0.01)"), select(backend.clock()))
        )
    engine.dispose()
    assert second - first >= 0.01


def test_a_missing_driver_says_what_to_install(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ad_platform.store.postgres.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'adctl\[postgres\]'"):
        open_store(store_url)


def test_a_lease_skips_a_job_that_another_transaction_holds(store_url: str) -> None:
    store = open_store(store_url)
    store.workers.hold([holding()])
    first, second = store.jobs.submit([asked(priority=1), asked()])
    with psycopg.connect(store_url) as other:
        other.execute("SELECT 1 FROM jobs WHERE id = %s FOR UPDATE", (first.id,))
        assert take(store).job_id == second.id
        assert store.leases.lease(CAN, 60) is None
    assert take(store).job_id == first.id
    store.close()


def test_a_ring_is_noted_without_waiting_for_who_holds_the_job(store_url: str) -> None:
    store = open_store(store_url)
    held, free = store.jobs.submit([asked(), asked()])
    with psycopg.connect(store_url) as other:
        other.execute("SELECT 1 FROM jobs WHERE id = %s FOR UPDATE", (held.id,))
        store.outbox.rung([one.seq for one in store.outbox.owed()])
        assert store.outbox.owed() == []
    with psycopg.connect(store_url) as other:
        noted = other.execute("SELECT id FROM jobs WHERE rung_at IS NOT NULL").fetchall()
    assert noted == [(free.id,)]
    store.close()


def test_a_job_that_something_refers_to_is_leased_all_the_same(store_url: str) -> None:
    store = open_store(store_url)
    store.workers.hold([holding()])
    job = store.jobs.submit([asked()])[0]
    with psycopg.connect(store_url) as other:
        other.execute("SELECT 1 FROM jobs WHERE id = %s FOR KEY SHARE", (job.id,))
        assert take(store).job_id == job.id
    store.close()


def test_a_deadlock_is_tried_again_and_nobody_notices(store_url: str) -> None:
    store = open_store(store_url)
    store.workers.hold([holding()])
    need = submit(store)
    dependent = submit(store, needs=(need.id,))
    with psycopg.connect(store_url) as other:
        # The cancel takes the need and wants the dependent; this one holds it and wants the need.
        other.execute("SET deadlock_timeout = '10s'")
        other.execute("SELECT 1 FROM jobs WHERE id = %s FOR UPDATE", (dependent.id,))
        cancel = threading.Thread(target=store.jobs.cancel, args=(need.id,))
        cancel.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        with psycopg.connect(store_url, autocommit=True) as watch:
            while not watch.execute(waiting).fetchone()[0]:  # type: ignore[index]
                cancel.join(0.01)
        other.execute("SELECT 1 FROM jobs WHERE id = %s FOR UPDATE", (need.id,))
        other.rollback()
    cancel.join(10)
    assert [store.jobs.get(one.id).state for one in (need, dependent)] == ["cancelled", "failed"]
    store.close()


def test_who_stops_within_a_transaction_loses_it_before_who_waits_gives_up(store_url: str) -> None:
    engine, store = backend_of(store_url).engine(), open_store(store_url)
    store.workers.hold([holding()])
    with engine.connect() as stopped:
        stopped.execute(text("UPDATE holdings SET path = '/stopped'"))
        store.workers.hold([holding()])  # waits for it
        with pytest.raises(DBAPIError) as woken:
            stopped.execute(text("SELECT 1"))
    assert isinstance(explained(woken.value, store_url), StoreDown)
    assert store.workers.holdings() == [holding()]
    engine.dispose()
    store.close()


LIMITS = [text(f"SHOW {name}") for name in ("statement_timeout", "idle_in_transaction_session_timeout")]


@pytest.mark.parametrize("transaction", [alone, opened])
def test_a_move_or_migration_may_take_its_time_and_nothing_else(store_url: str, transaction) -> None:
    with transaction(store_url) as given:
        connection = given[0] if isinstance(given, tuple) else given
        assert [connection.scalar(limit) for limit in LIMITS] == ["0", "0"]
    engine = backend_of(store_url).engine()
    with engine.connect() as connection:
        assert [connection.scalar(limit) for limit in LIMITS] == ["1min", "10s"]
    engine.dispose()


def test_connections_cut_by_a_server_restart_are_replaced(store_url: str) -> None:
    store = open_store(store_url)
    submit(store)
    with psycopg.connect(store_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'adctl' AND datname = current_database()"
        )
    submit(store)
    assert len(store.jobs.search()) == 2
    store.close()


@pytest.mark.parametrize(("asked_for", "prepared"), [("none", 0), ("0", 1)])
def test_a_pooler_that_knows_no_prepared_statements_is_told_of_none(
    store_url: str, asked_for: str, prepared: int
) -> None:
    backend = backend_of(f"{store_url}?prepare_threshold={asked_for}")
    engine = backend.engine()
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        known = connection.exec_driver_sql("SELECT count(*) > 0 FROM pg_prepared_statements").scalar()
    engine.dispose()
    assert int(bool(known)) == prepared


def test_a_threshold_that_is_no_number_is_said_to_be_wrong(store_url: str) -> None:
    with pytest.raises(InvalidValue, match="a number of times, or none"):
        open_store(f"{store_url}?prepare_threshold=often")


def test_a_server_that_is_not_there_is_down_in_one_line_without_the_password() -> None:
    with pytest.raises(StoreDown, match="does not answer") as caught:
        open_store("postgresql://ann:secret@127.0.0.1:1/none")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
