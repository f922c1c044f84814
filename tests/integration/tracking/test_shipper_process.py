"""The shipper as the process that a worker starts beside itself."""

import os
import subprocess
import sys

import pytest

from ad_platform.settings import Settings
from ad_platform.tracking.mlflow import open_tracker
from job_stories import Stories
from mlflow_home import QUIET, child_environment

pytestmark = [pytest.mark.filterwarnings(words) for words in QUIET]


def start(environment: dict[str, str]) -> tuple[subprocess.Popen[str], int]:
    """Start a shipper and return it with the end of the pipe that keeps it alive."""
    read, lifeline = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "ad_platform.tracking", "--lifeline", str(read)],
        pass_fds=(read,),
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(read)
    return process, lifeline


def test_it_ships_until_its_parent_dies_and_then_ends(stories: Stories, settings: Settings) -> None:
    job = stories.trained(None, category="process")
    environment = child_environment(settings.home) | {
        "ADCTL_DATABASE_URL": f"sqlite:///{stories.folder / 'store.db'}",
        "ADCTL_STORAGE_URL": str(stories.folder / "storage"),
    }
    process, lifeline = start(environment)
    try:
        os.close(lifeline)  # at once: a last round is still made
        _, words = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, words
    tracker = open_tracker(settings)
    assert tracker.steps(tracker.ensure_run(job)).get("train/loss") == {1, 2, 3, 4}, words
