"""What is only true of SQLite: one file, WAL, immediate and synchronous writes."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import copy

import pytest
from sqlalchemy import text

from ad_platform.errors import InvalidValue, StoreDamaged, StoreDown, StoreMismatch
from ad_platform.store.engine import SqlStore, backend_of, open_store
from store_cases import CAN, SUCCESS, holding, submit, take


@pytest.fixture
def file(migrated_file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "odd name?#%20.db"
    copy(migrated_file, path)
    return path


@pytest.fixture
def opened(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlStore]:
    store = open_store(url_of(file))
    yield store
    store.close()


def url_of(path: Path) -> str:
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path)).render_as_string()


def test_every_connection_is_wal_synchronous_and_checks_foreign_keys(file: Path) -> None:
    engine = backend_of(url_of(file)).engine()
    with engine.connect() as connection:
        found = [
            connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    engine.dispose()
    assert found == ["wal", 2, 1, 15000]


def test_the_clock_is_this_machines_to_the_millisecond(opened: SqlStore) -> None:
    before = time.time()
    assert before - 0.002 <= opened.now() <= time.time() + 0.002


def test_a_read_waits_for_no_writer(file: Path, opened: SqlStore) -> None:
    job = submit(opened)
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert opened.jobs.get(job.id) == job
    assert opened.jobs.search() == [job]
    assert opened.leases.reap() == []  # nothing ran out: found by reading alone
    writer.execute("ROLLBACK")
    writer.close()


def test_a_writer_waits_for_its_turn(file: Path, opened: SqlStore) -> None:
    writer = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.2, lambda: writer.execute("COMMIT"))
    release.start()
    submit(opened)
    release.join()
    writer.close()


def test_a_store_locked_for_too_long_is_down_in_one_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ad_platform.store.sqlite.BUSY_SECONDS", 0.1)
    store = open_store(url_of(file))
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreDown, match="does not answer: database is locked") as caught:
        submit(store)
    assert "\n" not in str(caught.value)
    writer.execute("ROLLBACK")
    writer.close()
    submit(store)
    store.close()


def test_an_acknowledged_submit_is_there_for_another_process_at_once(file: Path, opened: SqlStore) -> None:
    job = submit(opened)
    with sqlite3.connect(file) as other:
        assert other.execute("SELECT state FROM jobs WHERE id = ?", (job.id,)).fetchall() == [("queued",)]
    other.close()


def test_a_missing_file_is_not_made_by_looking_for_it(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    with pytest.raises(StoreMismatch, match=r"there is no store at .*none.db; make one: adctl db upgrade"):
        open_store(f"sqlite:///{path}")
    assert not path.exists()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("these are notes, and rather more than a hundred bytes of them, " * 5)
    with pytest.raises(StoreDamaged, match=r"notes.db is damaged: file is not a database"):
        open_store(f"sqlite:///{path}")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused(url: str) -> None:
    with pytest.raises(InvalidValue, match="a store needs a file"):
        open_store(url)


def test_a_doubled_wake_up_costs_a_worker_nothing(opened: SqlStore) -> None:
    opened.workers.hold([holding()])
    submit(opened)
    opened.leases.finish(take(opened), SUCCESS)
    assert opened.leases.lease(CAN, 60) is None


LIVE = {
    "queued": "SELECT id FROM jobs WHERE state = 'queued' AND queue IN ('default')",
    "running": "SELECT id FROM jobs WHERE state = 'running' AND lease_until < 5",
    "newest": "SELECT id FROM jobs ORDER BY seq DESC LIMIT 10",
    "of a state": "SELECT id FROM jobs WHERE state IN ('failed') ORDER BY seq DESC LIMIT 10",
    "of an id": "SELECT id FROM jobs WHERE id >= 'ab' AND id < 'abg' ORDER BY id LIMIT 10",
    "dependents": "SELECT job_id FROM edges WHERE need_id = 'x'",
    "shipments": "SELECT job_id FROM shipments WHERE version > done_version AND claimed_until <= 5"
    " ORDER BY claimed_until LIMIT 20",
    "events": "SELECT seq FROM events WHERE job_id = 'x' AND seq > 5 ORDER BY seq",
}


@pytest.mark.parametrize("what", LIVE)
def test_what_is_asked_for_often_is_found_by_an_index_without_sorting(file: Path, what: str) -> None:
    with sqlite3.connect(file) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {LIVE[what]}")]
    connection.close()
    assert not any("TEMP B-TREE" in step for step in plan), plan
    assert all("INDEX" in step or step == "SCAN jobs" for step in plan), plan
    assert plan != ["SCAN jobs"] or what == "newest", plan
