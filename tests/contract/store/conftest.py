"""A migrated store on each database, with a clock that tests move."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import ad_migrations
from accounts import TwoAccounts, accounts
from ad_platform.store.contract import Store
from ad_platform.store.engine import backend_of, open_store
from ad_platform.store.tables import metadata
from services import PostgresServer
from store_cases import FakeClock, holding

settings.register_profile(
    "store",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
settings.load_profile("store")


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("migrated") / "store.db"
    ad_migrations.upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def migrated_database(postgres: PostgresServer) -> str:
    url = postgres.new_database()
    ad_migrations.upgrade(url)
    return url


def empty(url: str) -> None:
    """Delete every row: much quicker than a database for each test."""
    engine = backend_of(url).engine()
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    engine.dispose()


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        # As on a cluster: each call by the account of whoever makes it there.
        pytest.param("accounts", marks=[pytest.mark.postgres, pytest.mark.slow]),
    ]
)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store of this test's own."""
    if request.param == "sqlite":
        file = tmp_path / "store.db"
        shutil.copy(request.getfixturevalue("migrated_file"), file)
        yield f"sqlite:///{file}"
        return
    url: str = request.getfixturevalue("migrated_database")
    yield url
    empty(url)


@pytest.fixture
def wipe(store_url: str) -> Callable[[], None]:
    """Empties this test's store."""
    return lambda: empty(store_url)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(request: pytest.FixtureRequest, store_url: str, clock: FakeClock) -> Iterator[Store]:
    """A store whose node n1 holds the data of the plain submission."""
    opened: Store
    if "accounts" in request.node.callspec.id.split("-"):
        opened = TwoAccounts(accounts(store_url), clock)
    else:
        opened = open_store(store_url, clock=clock)
    opened.workers.hold([holding()])
    yield opened
    opened.close()
