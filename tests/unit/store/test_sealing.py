"""A sealed store is read by who insists, and written by nobody."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import ad_migrations
from ad_platform.errors import Conflict, StoreMoved
from ad_platform.store.database import Database
from ad_platform.store.engine import backend_of, open_store
from ad_platform.store.sealing import Seal, SealState, mark_moved, seal, seal_of, unseal
from job_stories import Stories

SEAL = Seal(
    state=SealState.MOVING,
    target="postgresql://adctl:***@db:5432/adctl",
    store="a name",
    backup="/tmp/o'neil: 100%",
    user="ann",
    at="2026-11-27 10:20",
)


@pytest.fixture
def stories(tmp_path: Path) -> Iterator[Stories]:
    made = Stories(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def database(stories: Stories) -> Iterator[Database]:
    with closing(Database(backend_of(stories.url))) as opened:
        yield opened


def test_a_sealed_store_is_opened_by_nobody_and_says_where_to_go(
    stories: Stories, database: Database
) -> None:
    assert seal_of(database) is None
    assert seal(database, SEAL) == SEAL
    assert seal(database, replace(SEAL, user="bob")) == SEAL  # the first stands
    for refused in (lambda: open_store(stories.url), lambda: ad_migrations.upgrade(stories.url)):
        with pytest.raises(StoreMoved, match="being moved to postgresql://adctl:\\*\\*\\*@db"):
            refused()
    open_store(stories.url, sealed=True).close()
    mark_moved(database)
    assert seal_of(database) == replace(SEAL, state=SealState.MOVED)
    with pytest.raises(
        StoreMoved, match=r"on 2026-11-27 10:20 by ann: .*client.env.*restore /tmp/o'neil: 100%"
    ):
        open_store(stories.url)


def test_who_has_it_open_reads_and_does_not_write(stories: Stories, database: Database) -> None:
    job = stories.submit()
    seal(database, SEAL)
    assert stories.store.jobs.get(job.id) == job
    for write in (
        stories.submit,
        lambda: stories.store.jobs.cancel(job.id),
        stories.store.retention.identity,
        lambda: ad_migrations.downgrade(stories.url, "0001"),
    ):
        with pytest.raises(StoreMoved, match="takes no writes any more"):
            write()
    with pytest.raises(StoreMoved):
        stories.store.require_schema()
    unseal(database)
    assert seal_of(database) is None
    stories.store.require_schema()
    assert stories.store.jobs.cancel(job.id).state.terminal
    unseal(database)  # twice is once


def test_a_store_on_which_a_job_runs_is_not_sealed(stories: Stories, database: Database) -> None:
    job = stories.submit()
    stories.lease(job)
    with pytest.raises(Conflict, match=f"jobs run .{job.id}.: have them given back"):
        seal(database, SEAL)
    assert seal_of(database) is None
    stories.submit()
