"""Evaluations that were really made on a few pictures, and the pages about them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ad_platform.store.engine import open_store
from clientkit import migrated
from desks import Desks, make_category
from reported import Reported
from trial_cases import add_learners
from zoo_guests import guests


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reported]:
    folder = tmp_path_factory.mktemp("reported")
    store = open_store(f"sqlite:///{migrated(folder)}")
    desks = Desks(folder)
    try:
        yield Reported(store, desks)
    finally:
        desks.close()
        store.close()


@pytest.fixture
def learners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Detectors that learn in steps."""
    with guests(tmp_path / "guests", monkeypatch) as add:
        add_learners(add)
        yield


@pytest.fixture(scope="module")
def category(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_category(tmp_path_factory.mktemp("data") / "parts" / "screw", test=True, normal=40)
