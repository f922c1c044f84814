"""A home of its own for each test's benchmarks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark_cases import Yard
from clientkit import bench, migrated


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("benchmarks"))


@pytest.fixture
def yard(template: Path, tmp_path: Path) -> Iterator[Yard]:
    with bench(template, tmp_path) as made:
        yield Yard(made)
