"""A benchmark over real images whose workers are killed half-way: at its end nothing was computed twice."""

import csv
import io
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

import services
from ad_platform.records import Job
from ad_platform.states import AttemptOutcome, JobKind, JobState
from ad_platform.storage.engine import open_storage
from running_platform import Platform, alive, family

pytestmark = [pytest.mark.redis, pytest.mark.data]

PLACES = ("mvtec/bottle", "mvtec/screw", "mtd/magnetic_tile")
PATIENCE = 3000.0


@dataclass(frozen=True)
class Size:
    """How big a benchmark is made."""

    every: int  # so many pictures of the categories are left out between two that are used
    models: tuple[str, ...]  # options of the submit
    again: tuple[str, ...]  # of another one, of a model that is among these


QUICK = Size(
    every=20,
    models=("--model", "pixel_mean:tiny,patchcore:tiny"),
    again=("--model", "patchcore:tiny"),
)
WHOLE = Size(
    every=1,
    # At one size, or their maps could not be compared.
    models=("--model", "pixel_mean:tiny,patchcore:tiny", "-S", "image_size=64"),
    again=("--model", "patchcore:tiny", "-S", "image_size=64"),
)


@pytest.fixture
def home() -> Iterator[Path]:
    for part in ("torch", "mlflow"):
        if find_spec(part) is None:
            services.unavailable(f"{part} is not installed")
    folder = Path(tempfile.mkdtemp(prefix="adctl benchmark "))  # with a space: paths may have some
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def platform(home: Path, redis_url: str) -> Iterator[Platform]:
    made = Platform(home, {"ADCTL_BROKER_URL": redis_url, "ADCTL_DATA": str(home / "data")})
    made("db", "upgrade")
    try:
        made.start_worker()
        yield made
    finally:
        made.close()


def thinned(source: Path, target: Path, every: int) -> None:
    """Copy one of so many pictures of each folder of a category, with the masks of those that are copied."""
    for folder in sorted(path for path in source.rglob("*") if path.is_dir()):
        for file in sorted(path for path in folder.iterdir() if path.is_file())[::every]:
            (target / file.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / file.relative_to(source))


def submit(platform: Platform, size: Size) -> None:
    platform("submit", "benchmark", *size.models, "--dataset", "mvtec,mtd", "--seeds", "2", "--name", "six")


def jobs(platform: Platform) -> list[Job]:
    with platform.store() as store:
        return store.jobs.search(group="six", oldest_first=True, limit=1000)


def await_cells(platform: Platform, cells: int) -> None:
    """Wait until so many cells have a result."""
    done = [JobState.SUCCEEDED]
    with platform.store() as store:  # one for all looks: to open it takes longer than to look
        platform.wait(
            lambda: len(store.jobs.search(group="six", kind=JobKind.EVALUATE, states=done)) >= cells,
            f"{cells} cells are done",
            PATIENCE,
        )


def kill(platform: Platform) -> None:
    """Kill the worker with all that belongs to it, in the midst of its work."""
    (worker,) = platform.workers
    before = family(worker.pid)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    platform.workers.remove(worker)
    platform.wait(lambda: not alive(before), "nothing of the killed worker is left", 60)


def whole_way(platform: Platform, size: Size) -> None:
    submit(platform, size)
    await_cells(platform, 5)
    kill(platform)
    before = {job.id for job in jobs(platform) if job.state is JobState.SUCCEEDED}
    assert len(before) < 24, "it was killed too late"
    submit(platform, size)  # as somebody does who does not know how far it came
    platform.start_worker()
    await_cells(platform, 12)
    platform("watch", "six")
    check_nothing_twice(platform, before)
    check_results(platform, size)


def check_nothing_twice(platform: Platform, before: set[str]) -> None:
    """Check that there is one training and one evaluation for each cell, and what each attempt did."""
    found = jobs(platform)
    assert Counter(job.kind for job in found) == {JobKind.TRAIN: 12, JobKind.EVALUATE: 12}
    assert {job.state for job in found} == {JobState.SUCCEEDED}
    with platform.store() as store:
        attempts = {job.id: store.jobs.attempts(job.id) for job in found}
    outcomes = Counter(each.outcome for several in attempts.values() for each in several)
    assert outcomes[AttemptOutcome.SUCCEEDED] == 24  # each job has reached its end once
    others = [
        each for job in attempts.values() for each in job if each.outcome is not AttemptOutcome.SUCCEEDED
    ]
    told = [f"{each.job_id} {each.outcome} {each.failure}: {each.error}" for each in others]
    # At most the one that ran when its worker was killed.
    assert [each.outcome for each in others] in ([], [AttemptOutcome.LOST]), told
    assert all(len(attempts[job_id]) == 1 for job_id in before)  # what was done then was not touched
    trainings = [job for job in found if job.kind is JobKind.TRAIN]
    stages = open_storage(platform.settings.storage_url).bundles("stages")
    assert len(stages) == 2 * len(trainings)  # both detectors have two stages: each was fitted once
    assert all(job.result["steps"] for job in trainings)


def check_results(platform: Platform, size: Size) -> None:
    """Check the table, and that a second benchmark of the same is known whole and computes nothing."""
    rows = list(csv.DictReader(io.StringIO(platform("benchmark", "results", "six"))))
    assert len(rows) == 12
    assert {f"{row['dataset']}/{row['category']}" for row in rows} == set(PLACES)
    assert all(0.0 <= float(row["img_auc"]) <= 1.0 and 0.0 <= float(row["pro"]) <= 1.0 for row in rows)
    told = platform.json("benchmark", "show", "six")
    assert told["state"] == "complete"
    assert len(told["comparisons"]) == 3 * 3
    assert all(one["difference"] is not None for one in told["comparisons"])
    board = platform("leaderboard", "six", "--format", "md")
    assert "DDAD (published)" in board
    assert "99.0\\*" in board  # of screws, as published
    platform(
        *("submit", "benchmark", *size.again, "--dataset", "mvtec,mtd", "--seeds", "2", "--name", "again")
    )
    again = platform.json("benchmark", "show", "again")
    assert again["cells"] == {"all": 6, "done": 6, "known": 6, "failed": 0, "open": 0}
    assert platform.json("list", "--group", "again") == []
    check_mlflow(platform)


def check_mlflow(platform: Platform) -> None:
    """Check that MLflow shows the runs of its jobs below that of the benchmark."""
    last = jobs(platform)[-1]
    with platform.store() as store:  # which is asked first: MLflow answers in seconds
        platform.wait(lambda: store.shipments.run_of(last.id), "the last job is shipped")
        platform.wait(lambda: store.benchmarks.get("six").run_id, "the benchmark is shipped")
        run_id = store.benchmarks.get("six").run_id
    (run,) = platform.mlflow_runs(last.id)
    assert run["tags"]["mlflow.parentRunId"] == run_id


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_benchmark_killed_half_way_computes_only_what_was_missing(
    platform: Platform, real_data: Path
) -> None:
    for place in PLACES:
        thinned(real_data / place, platform.home / "data" / place, QUICK.every)
    whole_way(platform, QUICK)


@pytest.mark.slow
@pytest.mark.timeout(6000)
def test_a_benchmark_of_all_images_killed_half_way_computes_only_what_was_missing(
    platform: Platform, real_data: Path
) -> None:
    for place in PLACES:
        (platform.home / "data" / place).parent.mkdir(parents=True, exist_ok=True)
        (platform.home / "data" / place).symlink_to(real_data / place)
    whole_way(platform, WHOLE)
