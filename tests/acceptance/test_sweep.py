"""A sweep on real images, as a person asks for it, with workers killed on the way: one training, one best."""

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import services
from ad_platform.records import Job
from ad_platform.storage.engine import open_storage
from ad_platform.storage.metrics import read_segment, segments
from ad_platform.store.contract import Store
from running_platform import Platform, alive, family

pytestmark = [pytest.mark.redis, pytest.mark.data]

LOSS = "train/loss"  # a denoiser's optimiser step tells it, and nothing else does
PATIENCE = 3000.0


@dataclass(frozen=True)
class Size:
    """How big a sweep is made."""

    trials: int
    settings: tuple[str, ...]  # of the submit
    steps: int  # of the denoiser
    kills: int  # workers killed while trials are scored


# Seconds on a quarter of the bottles; and a small DDAD that tells good bottles from bad ones.
QUICK = Size(trials=5, settings=("--preset", "tiny", "-S", "steps=24"), steps=24, kills=1)
WHOLE = Size(
    trials=24,
    settings=("--preset", "small", "-S", "image_size=32", "-S", "blur_sigma=0.5"),
    steps=300,
    kills=3,
)


@pytest.fixture
def home() -> Iterator[Path]:
    for part in ("torch", "mlflow", "optuna", "plotly"):
        if find_spec(part) is None:
            services.unavailable(f"{part} is not installed")
    kept = os.environ.get("ADCTL_KEEP")  # a folder to look at afterwards
    folder = Path(tempfile.mkdtemp(prefix="adctl sweep ", dir=kept))  # with a space: paths may have some
    yield folder
    if kept is None:
        shutil.rmtree(folder, ignore_errors=True)


def quarter(source: Path, target: Path) -> Path:
    """Copy every fourth picture of a category, so that scoring them takes seconds."""
    for folder in sorted(path for path in source.rglob("*") if path.is_dir()):
        for file in sorted(path for path in folder.iterdir() if path.is_file())[::4]:
            (target / file.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / file.relative_to(source))
    return target


def sweep(platform: Platform, data: Path, size: Size) -> dict[str, Any]:
    """Submit a sweep over noise step and w, kill workers on the way, and return what is shown at its end."""
    submitted = json.loads(
        platform(
            *("submit", "sweep", "--model", "ddad", "--data", str(data), *size.settings, "--name", "tune"),
            *("--param", "noise_step=50:300:25", "--param", "w=0:12", "--seed", "3"),
            *("--trials", str(size.trials), "--parallel", "3", "--json"),
        )
    )
    assert submitted["name"] == "tune"
    platform.wait(lambda: training(platform) is not None, "the training is asked for")
    train = training(platform)
    assert train is not None
    platform.wait(
        lambda: platform.committed_step(train.id) >= size.steps // 4, "a quarter is trained", PATIENCE
    )
    kill_worker_of(platform, train.id)
    for kill in range(size.kills):
        wanted = 1 + kill * size.trials // (size.kills + 1)
        platform.wait(
            lambda wanted=wanted: ended(platform) >= wanted, f"{wanted} trials have ended", PATIENCE
        )
        running = platform.json("list", "--group", "tune", "--state", "running")
        kill_worker_of(platform, running[0]["id"] if running else train.id)
    platform.wait(lambda: shown(platform)["state"] == "finished", "the sweep ends", PATIENCE)
    return shown(platform)


def shown(platform: Platform) -> dict[str, Any]:
    return dict(platform.json("sweep", "show", "tune"))


def ended(platform: Platform) -> int:
    counts = shown(platform)["trials"]
    return int(counts["complete"] + counts["pruned"] + counts["failed"])


def jobs(store: Store) -> list[Job]:
    return store.jobs.search(group="tune", limit=10_000)


def training(platform: Platform) -> Job | None:
    with platform.store() as store:
        return next((job for job in jobs(store) if str(job.key).startswith("stage/")), None)


def kill_worker_of(platform: Platform, job_id: str) -> None:
    """Kill the worker that holds a job, or any, with all that belongs to it, and start another."""
    with platform.store() as store:
        name = store.jobs.get(job_id).worker
        pids = {worker.id: worker.pid for worker in store.workers.roster() if worker.state == "online"}
    worker = next((one for one in platform.workers if one.pid == pids.get(name or "")), platform.workers[0])
    before = family(worker.pid)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    platform.workers.remove(worker)
    platform.wait(lambda: not alive(before), "nothing of the killed worker is left", 60)
    platform.start_worker()


def loss_steps(platform: Platform, store: Store, job: Job) -> list[int]:
    """Return the optimiser steps that a job has committed, as they were measured."""
    storage = open_storage(platform.settings.storage_url)
    records = store.artifacts.checkpoints(job.id)
    manifest = storage.manifest(records[0].prefix) if records else None
    if manifest is None:
        return []
    points = [point for each in segments(manifest) for point in read_segment(storage, each)]
    return [point.step for point in points if LOSS in point.metrics]


def check_one_training(platform: Platform, size: Size) -> None:
    """Check that of all the jobs one has trained, and each optimiser step was made once."""
    with platform.store() as store:
        found = jobs(store)
        steps = {job.id: loss_steps(platform, store, job) for job in found}
    trainings = [job for job in found if str(job.key).startswith("stage/")]
    assert [job.state for job in trainings] == ["succeeded"]
    assert steps.pop(trainings[0].id) == list(range(1, size.steps + 1))
    assert not any(steps.values())  # neither a trial, nor the best, nor the preset has trained anything
    assert sum(job.kind == "trial" for job in found) == size.trials
    assert len([job for job in found if job.kind == "train"]) == 3  # the shared one, the best, the preset
    assert all(job.state.terminal for job in found)


def check_sums(told: dict[str, Any], size: Size) -> None:
    counts = told["trials"]
    assert counts["asked"] == size.trials == counts["complete"] + counts["pruned"] + counts["failed"]
    assert told["trainings"] == 1
    assert told["best"]["values"]["validation/image_auroc"] > 0


def check_promoted(platform: Platform, told: dict[str, Any], model: str) -> None:
    """Check that the best was evaluated on test images beside the preset, and is promoted."""
    final = told["final"]
    assert 0.0 <= final["metrics"]["test/image_auroc"] <= 1.0
    assert 0.0 <= final["preset"]["metrics"]["test/image_auroc"] <= 1.0
    platform("promote", "tune", "--best", "--force", "--reason", "trained for seconds")
    with platform.store() as store:
        champion = store.champions.current(model, "champion")
        assert champion is not None
        assert champion.job_id == final["train"]
        assert store.jobs.get(champion.job_id).spec.config["w"] == told["best"]["settings"]["w"]


def check_tracking(platform: Platform, told: dict[str, Any]) -> None:
    """Check that MLflow shows the sweep as one run with the others below it."""
    platform.wait(
        lambda: [run["status"] for run in platform.mlflow_runs(told["best"]["jobs"][0])] == ["FINISHED"],
        "MLflow shows the best trial",
    )
    (run,) = platform.mlflow_runs(told["best"]["jobs"][0])
    assert run["tags"]["mlflow.parentRunId"]
    assert run["params"]["noise_step"] == str(told["best"]["settings"]["noise_step"])


def whole_way(platform: Platform, data: Path, size: Size) -> dict[str, Any]:
    told = sweep(platform, data, size)
    check_sums(told, size)
    check_one_training(platform, size)
    check_promoted(platform, told, f"ddad-{data.parent.name}-{data.name}")
    check_tracking(platform, told)
    platform("report", "tune", "--out", str(platform.home / "report.html"))
    assert (platform.home / "report.html").stat().st_size > 100_000
    return told


@pytest.fixture
def platform(home: Path, redis_url: str) -> Iterator[Platform]:
    made = Platform(home, {"ADCTL_BROKER_URL": redis_url})
    made("db", "upgrade")
    try:
        for _ in range(2):
            made.start_worker()
        yield made
    finally:
        made.close()


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_a_sweep_on_real_images_trains_once_though_its_workers_die(
    platform: Platform, real_data: Path
) -> None:
    data = quarter(real_data / "mvtec" / "bottle", platform.home / "data" / "mvtec" / "bottle")
    whole_way(platform, data, QUICK)


@pytest.mark.slow
@pytest.mark.timeout(6000)
@pytest.mark.parametrize("category", ["bottle", "screw"])
def test_a_sweep_of_24_trials_finds_a_noise_step_and_w(
    platform: Platform, real_data: Path, category: str
) -> None:
    told = whole_way(platform, real_data / "mvtec" / category, WHOLE)
    final = told["final"]
    print(json.dumps({"category": category, "best": told["best"], "final": final, "trials": told["trials"]}))
