"""Fixtures that any test may ask for: the real services and the real images."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import services


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
