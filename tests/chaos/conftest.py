"""The stacks on which every promise is kept: that of one machine, of a cluster, and of a cluster of hosts."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import services
from ground import Ground, ground
from host_cluster import cluster_of_hosts

EMBEDDED, CLUSTERED, HOSTS = "embedded", "clustered", "hosts"
OF_A_CLUSTER = [pytest.mark.redis, pytest.mark.postgres]
MARKS = {EMBEDDED: [pytest.mark.redis], CLUSTERED: OF_A_CLUSTER, HOSTS: OF_A_CLUSTER}
# Which tests say nothing more where there are several hosts, and why.
NOT_ON_HOSTS = {
    "test_a_whole_life_reaches_every_edge_and_none_that_is_not_listed": (
        "it asks where edges lie in the program, and those of the storage are those of a folder"
    ),
}
LEASE = "4"  # seconds: what a test waits for a dead worker to be noticed


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    if find_spec("torch") is None:
        services.unavailable("torch is not installed")
    folder = Path(tempfile.mkdtemp(prefix="adctl-chaos-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each promise on all stacks, and everyday only on the one that its module names."""
    if "stack" in metafunc.fixturenames:
        everyday: str = metafunc.module.EVERYDAY
        kinds = []
        for kind, marks in MARKS.items():
            more = [] if kind == everyday else [pytest.mark.slow]
            if kind == HOSTS and (why := NOT_ON_HOSTS.get(metafunc.function.__name__)):
                more.append(pytest.mark.skip(why))
            kinds.append(pytest.param(kind, marks=[*marks, *more]))
        metafunc.parametrize("stack", kinds, indirect=True, scope="module")


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, folder: Path) -> Iterator[Ground]:
    """Give SQLite with Valkey from the wheel, or PostgreSQL with redis-server, or these and S3 on hosts.

    There is no worker yet. With hosts each worker gets one of its own, where nothing lies that another left.
    """
    if request.param == EMBEDDED:
        with ground(folder / EMBEDDED, embedded=True, persistent=True, ADCTL_LEASE=LEASE) as given:
            yield given
        return
    if request.param == HOSTS:
        with (
            cluster_of_hosts(folder / HOSTS) as hosts,
            ground(folder / HOSTS, hosts=hosts, ADCTL_LEASE=LEASE, **hosts.environment) as given,
        ):
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
