"""A home of its own for each test's sweeps."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clientkit import migrated
from sweepkit import Field, sweep_field


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("sweeps"))


@pytest.fixture
def ground(template: Path, tmp_path: Path) -> Iterator[Field]:
    with sweep_field(template, tmp_path) as made:
        yield made
