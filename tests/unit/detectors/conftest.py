"""Detectors made up for these tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zoo_guests import guests


@pytest.fixture
def add_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    with guests(tmp_path / "zoo", monkeypatch) as add:
        yield add
