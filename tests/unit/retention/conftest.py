"""Histories on a store that is emptied in between: to open one takes longer than most of them."""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ad_platform.store.engine import SqlStore, open_store
from ad_platform.store.tables import metadata
from clientkit import migrated
from histories import History
from store_cases import START, FakeClock
from timed_blobs import TimedBlobs

NewHistory = Callable[[], History]


@pytest.fixture(scope="session")
def kept_store() -> Iterator[tuple[SqlStore, FakeClock, Path]]:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        file, clock = migrated(Path(folder)), FakeClock()
        store = open_store(f"sqlite:///{file}", clock=clock)
        yield store, clock, file
        store.close()


@pytest.fixture
def new_history(kept_store: tuple[SqlStore, FakeClock, Path], tmp_path: Path) -> NewHistory:
    """Makes an empty history each time, in the place of the one before."""
    store, clock, file = kept_store

    def make() -> History:
        clock.now = START
        with closing(sqlite3.connect(file)) as connection, connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(f'DELETE FROM "{table.name}"')
        home = tmp_path / "home"
        shutil.rmtree(home, ignore_errors=True)
        return History(store, clock, TimedBlobs(clock), home)

    return make


@pytest.fixture
def history(new_history: NewHistory) -> History:
    return new_history()
