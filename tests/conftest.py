"""Fixtures that any test may ask for: the real services and the real images."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

import services
import taking_turns

# Read when torch is loaded. Threads that spin while they wait make a shared machine tens of times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Wait for the machine before a test's time begins to count."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        return (yield)
    with taking_turns.turn(item.nodeid, run):
        return (yield)


def pytest_sessionfinish() -> None:
    """Leave no locks behind."""
    if run := os.environ.get("PYTEST_XDIST_TESTRUNUID"):
        taking_turns.tidy(run)


@pytest.fixture(autouse=True)
def variables_are_left_as_they_were() -> Iterator[None]:
    """Fail a test that leaves a variable behind which tells the tests after it, and their processes, a place.

    MLflow, told where to track, sets one.
    """
    before = telling_places()
    yield
    after = telling_places()
    for name in before.keys() | after.keys():
        if name in before:
            os.environ[name] = before[name]
        else:
            del os.environ[name]
    assert after == before


def telling_places() -> dict[str, str]:
    """Return the variables that say where the services are."""
    told = ("ADCTL_", "MLFLOW_TRACKING_", "MLFLOW_REGISTRY_")
    return {name: value for name, value in os.environ.items() if name.startswith(told)}


@pytest.fixture(scope="session")
def postgres() -> Iterator[services.PostgresServer]:
    with services.postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: services.PostgresServer) -> Iterator[str]:
    url = postgres.new_database()
    yield url
    postgres.drop(url)


@pytest.fixture(scope="session")
def redis_service() -> Iterator[services.RedisServer]:
    with services.redis_server() as server:
        yield server


@pytest.fixture
def redis_url(redis_service: services.RedisServer) -> str:
    redis_service.flush()
    return redis_service.url


@pytest.fixture(scope="session")
def real_data() -> Path:
    return services.real_data_folder()
