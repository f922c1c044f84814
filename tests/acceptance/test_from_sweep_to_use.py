"""The whole way of a model: found by a sweep, promoted, used on new images and elsewhere, and taken back."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import services
from running_platform import Platform
from served import bare_environment

pytestmark = [pytest.mark.redis, pytest.mark.data, pytest.mark.slow]

MODEL = "patchcore-mvtec-bottle"
CHAMPION = f"{MODEL}@champion"
ABSENT = {"adctl", "celery", "kombu", "redis", "optuna"}  # SQLAlchemy is there: MLflow brings it

FETCH = """
import mlflow, sys
mlflow.set_tracking_uri(sys.argv[1])
print(mlflow.artifacts.download_artifacts(f"models:/{sys.argv[2]}", dst_path=sys.argv[3]))
"""
ASK = """
import importlib.metadata, json, sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
import mlflow.pyfunc
model = mlflow.pyfunc.load_model(sys.argv[1])
answers = model.predict([Path(path) for path in json.load(sys.stdin)])
print(json.dumps({
    "scores": [answer["score"] for answer in answers],
    "installed": sorted({each.metadata["Name"].lower() for each in importlib.metadata.distributions()}),
}))
"""


@dataclass(frozen=True)
class Land:
    """A platform, what it learns from, and images that it never saw."""

    platform: Platform
    data: Path
    unseen: Path


@pytest.fixture
def land(redis_url: str, real_data: Path) -> Iterator[Land]:
    for part in ("torch", "mlflow", "optuna"):
        if find_spec(part) is None:
            services.unavailable(f"{part} is not installed")
    home = Path(tempfile.mkdtemp(prefix="adctl use "))  # with a space: paths may have some
    made = Platform(home, {"ADCTL_BROKER_URL": redis_url})
    made("db", "upgrade")
    try:
        made.start_worker()
        yield Land(made, *divided(real_data / "mvtec" / "bottle", home))
    finally:
        made.close()
        shutil.rmtree(home, ignore_errors=True)


def divided(source: Path, home: Path) -> tuple[Path, Path]:
    """Give the platform every fourth image, and keep as many test images from it, named by numbers."""
    data, unseen = home / "data" / "mvtec" / "bottle", home / "line 3"
    unseen.mkdir()
    for folder in sorted(path for path in source.rglob("*") if path.is_dir()):
        files = sorted(path for path in folder.iterdir() if path.is_file())
        for file in files[::4]:
            (data / file.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, data / file.relative_to(source))
        if folder.parent.name == "test":
            for file in files[1::4]:
                shutil.copyfile(file, unseen / f"{len(list(unseen.iterdir())):03}{file.suffix}")
    return data, unseen


def sweep(land: Land) -> str:
    """Have a sweep find settings; return the job of the model that it chose."""
    land.platform(
        *("submit", "sweep", "--model", "patchcore", "--preset", "tiny", "--data", str(land.data)),
        *("-S", "image_score=patch", "--param", "neighbours=1:9", "--trials", "3", "--name", "tune"),
    )
    land.platform.wait(
        lambda: land.platform.json("sweep", "show", "tune")["state"] == "finished", "the sweep ends"
    )
    return str(land.platform.json("sweep", "show", "tune")["final"]["train"])


def another(land: Land) -> str:
    """Train another model on the same images, and return its job."""
    options = ("--preset", "tiny", "-S", "image_size=64", "--data", str(land.data), "--group", "other")
    land.platform("submit", "train", "--model", "patchcore", *options, "--wait")
    return str(land.platform.json("list", "--group", "other", "--kind", "train")[0]["id"])


def predicted(land: Land) -> dict[str, dict[str, Any]]:
    """Predict the unseen images with the champion; return what is said of each, by its name."""
    out = land.platform.home / "out"
    shutil.rmtree(out, ignore_errors=True)
    printed = land.platform(
        "predict", CHAMPION, str(land.unseen), "--format", "jsonl", "--heat-maps", "--out", str(out)
    )
    rows = [json.loads(line) for line in printed.splitlines()]
    assert len(list(out.rglob("*.png"))) == len(rows)
    return {Path(row["path"]).name: row for row in rows}


def fetched(land: Land) -> Path:
    """Bring the champion's files here as MLflow gives them, once it knows of the champion."""
    with land.platform.store() as store:
        land.platform.wait(lambda: not store.champions.unpublished(), "MLflow is told of the champion")
    ask = [sys.executable, "-W", "ignore", "-c", FETCH, land.platform.settings.tracking_uri, CHAMPION]
    target = land.platform.home / "fetched"
    target.mkdir()
    done = subprocess.run([*ask, target], env=land.platform.env, capture_output=True, text=True, check=True)
    return Path(done.stdout.splitlines()[-1])


def elsewhere(land: Land, names: list[str]) -> list[float]:
    """Score images with MLflow's copy, where nothing is installed but what it requires."""
    model = fetched(land)
    needs = (model / "requirements.txt").read_text().split()
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR")}
    done = subprocess.run(
        [bare_environment(land.platform.home / "bare", needs), "-c", ASK, model],
        input=json.dumps([str(land.unseen / name) for name in names]),
        env=kept,
        cwd=land.platform.home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert not ABSENT & {*found["installed"]}
    return list(found["scores"])


@pytest.mark.timeout(400)
def test_a_model_is_found_promoted_used_replaced_and_taken_back(land: Land) -> None:
    platform = land.platform
    found = sweep(land)
    platform("promote", "tune", "--best", "--force", "--reason", "few images")
    first = predicted(land)
    assert {row["decision"] for row in first.values()} == {"normal", "anomalous"}
    names = sorted(first)
    assert elsewhere(land, names) == [first[name]["score"] for name in names]

    other = another(land)
    platform("promote", other, "--force", "--reason", "to see it fail")
    second = predicted(land)
    assert all(second[name]["score"] != first[name]["score"] for name in names)

    platform("models", "rollback", MODEL, "--reason", "it failed")
    assert predicted(land) == first
    decided = [decision["job_id"] for decision in platform.json("models", "history", MODEL)]
    assert decided == [found, other, found]
