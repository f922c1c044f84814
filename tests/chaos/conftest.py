"""The two stacks on which every promise is kept: one machine's own, and that of a cluster."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import services
from ground import Ground, ground

EMBEDDED, CLUSTERED = "embedded", "clustered"
MARKS = {EMBEDDED: [pytest.mark.redis], CLUSTERED: [pytest.mark.redis, pytest.mark.postgres]}
LEASE = "4"  # seconds: what a test waits for a dead worker to be noticed


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    if find_spec("torch") is None:
        services.unavailable("torch is not installed")
    folder = Path(tempfile.mkdtemp(prefix="adctl-chaos-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each promise on both stacks, and everyday only on the one that its module names."""
    if "stack" in metafunc.fixturenames:
        everyday: str = metafunc.module.EVERYDAY
        kinds = [
            pytest.param(kind, marks=marks if kind == everyday else [*marks, pytest.mark.slow])
            for kind, marks in MARKS.items()
        ]
        metafunc.parametrize("stack", kinds, indirect=True, scope="module")


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, folder: Path) -> Iterator[Ground]:
    """Give SQLite with Valkey from the wheel, or PostgreSQL with redis-server; without a worker."""
    if request.param == EMBEDDED:
        with ground(folder / EMBEDDED, embedded=True, persistent=True, ADCTL_LEASE=LEASE) as given:
            yield given
        return
    postgres: services.PostgresServer = request.getfixturevalue("postgres")
    url = postgres.new_database()
    try:
        with ground(folder / CLUSTERED, ADCTL_DATABASE_URL=url, ADCTL_LEASE=LEASE) as given:
            yield given
    finally:
        postgres.drop(url)


@pytest.fixture(scope="module")
def worker(stack: Ground) -> "subprocess.Popen[bytes]":
    """Give a worker that the tests of a module share."""
    return stack.platform.start_worker(slots=2)


@pytest.fixture
def land(stack: Ground) -> Iterator[Ground]:
    """Give the stack with a live broker, and leave nothing that runs."""
    stack.broker.start()
    yield stack
    stack.broker.start()
    stack.idle()
