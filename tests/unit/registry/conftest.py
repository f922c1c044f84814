"""A store and a storage with jobs in them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from job_stories import Stories


@pytest.fixture
def stories(tmp_path: Path) -> Iterator[Stories]:
    made = Stories(tmp_path)
    yield made
    made.store.close()
