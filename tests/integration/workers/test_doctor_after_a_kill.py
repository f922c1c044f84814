"""A worker is killed, a doctor called as a person does puts it right, and the job goes on elsewhere."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ad_cli.exits import Exit
from ad_platform.states import AttemptOutcome, JobState
from ground import Ground, ground

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]


@pytest.fixture
def land(folder: Path) -> Iterator[Ground]:
    with ground(folder / "doctor", ADCTL_LEASE="4", ADCTL_TICK="1") as fresh:
        yield fresh


def by_kind(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["kind"]: each for each in found if each["level"] != "ok"}


def doctor(land: Ground, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(land.platform("doctor", "--json", *options, code=Exit.UNFIT))
    assert [each["about"] for each in found if each["level"] == "problem"] == ["mlflow"]
    return found


def test_after_a_kill_of_the_worker_a_doctor_gives_the_job_back_and_a_second_finds_nothing(
    land: Ground,
) -> None:
    worker = land.platform.start_worker()
    job = land.submit(steps=60, pause=0.05)
    land.reaches(job, 4)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()

    # 12, since this ground has no MLflow.
    dry = by_kind(doctor(land, "--fix", "--dry-run"))
    assert land.job(job).state is JobState.RUNNING
    held = dry.get("dead-holder") or dry["expired-lease"]
    assert (held["subject"], held["fixable"], held["fixed"]) == (job, True, False)
    assert "takes it back" in held["remedy"]

    fixed = by_kind(doctor(land, "--fix"))
    given_back = fixed.get("dead-holder") or fixed["expired-lease"]
    assert (given_back["subject"], given_back["fixed"]) == (job, True)
    assert fixed["silent-worker"]["fixed"]
    assert land.job(job).state is JobState.QUEUED
    assert land.attempts(job)[0].outcome is AttemptOutcome.LOST

    again = by_kind(doctor(land))
    assert not [each for each in again.values() if each["fixable"] and each["kind"] != "scratch-folder"]

    land.platform.start_worker()
    assert land.ended(job).state is JobState.SUCCEEDED
    assert land.job(job).attempt == 2
