"""A benchmark that really ran."""

from collections.abc import Iterator

import pytest

from ad_detectors import catalogue
from benchmarked import Ran, run
from clientkit import bench, migrated
from desks import Desks
from trial_cases import add_learners
from zoo_guests import guests


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("ran")
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        guests(folder / "guests", monkeypatch) as add,
        bench(migrated(folder), folder) as made,
    ):
        add_learners(add)
        monkeypatch.setattr("ad_detectors.evaluation.measuring.DRAWS", 50)
        entries = {name: catalogue.entry(name) for name in ("pixel_mean", "gradual")}
        made.store.workers.publish(entries, "w0")
        desks = Desks(made.home)
        try:
            yield Ran(made, run(made, desks, folder / "mvtec"))
        finally:
            desks.close()
