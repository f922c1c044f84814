"""A store with models to serve."""

from collections.abc import Iterator

import pytest

import fitted as fitting
from ad_detectors.determinism import using_threads
from job_stories import Stories
from serving_home import Home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("serving")
    with using_threads(1):
        first = fitting.fit(folder / "first")
        (folder / "second").mkdir()
        config = {"image_size": 32, "blur_sigma": 2.0}
        second = fitting.fit_to(folder / "second", first.category, "pixel_mean", config)
    stories = Stories(folder)
    jobs = tuple(fitting.trained(stories.store, stories.storage, fitted) for fitted in (first, second))
    for fitted, job in zip((first, second), jobs, strict=True):
        fitting.evaluated(stories.store, stories.storage, fitted, job)
    yield Home(folder, stories, (first, second), jobs)  # type: ignore[arg-type]
    stories.store.close()
