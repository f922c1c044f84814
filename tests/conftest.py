"""Fixtures that any test may ask for: the real services and the real images."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import services

# Read when torch is loaded. Threads that spin while they wait make a shared machine tens of times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


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
