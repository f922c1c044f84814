"""A real MLflow database, and jobs to show in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ad_platform.settings import Settings
from ad_platform.tracking.mlflow import MlflowTracker, open_tracker
from job_stories import Stories
from mlflow_home import mlflow_home


@pytest.fixture
def settings() -> Settings:
    return mlflow_home("tracking")[0]


@pytest.fixture
def tracker(settings: Settings) -> MlflowTracker:
    return open_tracker(settings)


@pytest.fixture
def stories(tmp_path: Path) -> Iterator[Stories]:
    made = Stories(tmp_path)
    yield made
    made.store.close()
