"""Promise 8: a submit key names one job, whoever asks, how often, at once, and whatever dies meanwhile."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ad_platform.failpoints import Commit
from ad_platform.states import JobState
from ground import Ground

pytestmark = pytest.mark.timeout(240)
EVERYDAY = "clustered"

Worker = "subprocess.Popen[bytes]"
ASKERS = 8


def arguments(pictures: Path, key: str, *more: str) -> list[str]:
    return [
        *("submit", "train", "--model", "troublesome", "--data", str(pictures), "--device", "cpu"),
        *("-S", "steps=3", "--holdout", "none", "--no-evaluate", "--key", key, "--json", *more),
    ]


def test_many_that_ask_at_once_get_one_job(land: Ground, worker: Worker) -> None:
    pictures = land.pictures()
    command = [sys.executable, "-m", "ad_cli", *arguments(pictures, "night-shift")]

    def ask(number: int) -> "subprocess.CompletedProcess[str]":
        # Every other one dies when its job is as good as kept, or just kept.
        edge = (Commit.SUBMIT.before, Commit.SUBMIT.after)[number // 2 % 2]
        trap = f"{edge}:kill" if number % 2 else ""
        environment = {**land.platform.env, "ADCTL_FAILPOINT": trap}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    with ThreadPoolExecutor(ASKERS) as pool:
        answers = list(pool.map(ask, range(ASKERS)))
    told = {json.loads(done.stdout)["jobs"][0]["id"] for done in answers if done.returncode == 0}
    assert len(told) == 1, [done.stderr for done in answers]
    (job,) = told
    assert {done.returncode for done in answers} <= {0, -9}
    assert land.ended(job).state is JobState.SUCCEEDED
    assert land.outcomes(job) == ["succeeded"]
    assert [one.id for one in land.client.store.jobs.search(limit=1000) if one.key == "night-shift"] == [job]
    # It stands for that job for ever, also after its end.
    assert json.loads(land.platform(*arguments(pictures, "night-shift")))["jobs"][0]["id"] == job
    assert land.outcomes(job) == ["succeeded"]


def test_a_key_of_another_job_is_never_run_a_second_time(land: Ground, worker: Worker) -> None:
    pictures = land.pictures()
    first = json.loads(land.platform(*arguments(pictures, "once")))["jobs"][0]["id"]
    other = json.loads(land.platform(*arguments(pictures, "once", "--seed", "5")))["jobs"][0]["id"]
    assert other == first
    assert land.ended(first).spec.seed != 5
