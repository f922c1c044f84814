"""An installation with work in progress moves to a cluster, where all of it goes on; and comes back whole.

What docs/migrate.md has a reader type is typed here as it is printed.
"""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import ground
import services
from ad_platform.failpoints import Edge
from clustered import Cluster, cluster
from running_platform import Platform, alive, family

pytestmark = [pytest.mark.redis, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(900)]
MODEL = "pixel_mean-made-screw"
TRIALS, SO_FAR = 5, 2
PAGE = (Path(__file__).parents[2] / "docs" / "migrate.md").read_text()
TYPED = re.findall(r"^\$ adctl (.+)$", PAGE, re.M)
(RESTORE,) = (line for line in TYPED if line.startswith("migrate restore "))


@dataclass
class Home:
    """What moves, and what is known of it before."""

    platform: Platform
    pictures: Path
    trained: str  # a job whose model is the champion
    halfway: str  # a job that has a checkpoint and was given back
    queued: str  # one that no worker has seen
    predicted: list[dict[str, Any]]


def words(line: str, **named: object) -> list[str]:
    """Return what is typed after `adctl` in a line of the page, its files replaced."""
    assert line in TYPED
    return [str(named["file"]) if word.endswith(".env") else word for word in shlex.split(line)]


@pytest.fixture(scope="module", params=["folder", "s3"])
def storage(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Give where the cluster keeps files: in a folder that all hosts have, or in S3."""
    if request.param == "folder":
        yield {}
        return
    from contract.storage.s3_server import CREDENTIALS, make_bucket, s3_server

    with s3_server() as endpoint:
        make_bucket(endpoint, "bucket")
        yield {"bucket": "bucket", "keys": {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}}


@pytest.fixture(scope="module")
def folder(storage: dict[str, Any]) -> Iterator[Path]:
    for part in ("torch", "mlflow", "optuna", "psycopg", "flask_wtf"):
        if find_spec(part) is None:
            services.unavailable(f"{part} is not installed")
    folder = Path(tempfile.mkdtemp(prefix="adctl moves ", dir="/tmp"))  # with a space: paths may have some
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def target(
    folder: Path,
    storage: dict[str, Any],
    postgres: services.PostgresServer,
    redis_service: services.RedisServer,
) -> Iterator[Cluster]:
    (folder / "cluster").mkdir()
    with cluster(postgres, redis_service, folder / "cluster", **storage) as made:
        yield made


@pytest.fixture(scope="module")
def home(folder: Path, redis_service: services.RedisServer) -> Iterator[Home]:
    extra = {"ADCTL_BROKER_URL": redis_service.url.replace("/0", "/1")}
    platform = Platform(folder / "home", extra, ground.source_roots(folder))
    platform.home.mkdir()
    platform("db", "upgrade")
    try:
        yield worked(platform)
    finally:
        platform.close()


def worked(platform: Platform) -> Home:
    """Have an installation do some of everything, and stop it in the midst."""
    pictures = platform.home / "data" / "made" / "screw"
    platform(
        *("data", "synth", str(pictures), "--size", "64"),
        *("--train", "12", "--test-good", "4", "--per-defect", "2"),
    )
    platform("data", "push", str(pictures))
    worker = platform.start_worker(slots=1)
    trained, evaluation = (
        job["id"]
        for job in platform.json(
            "submit", "train", "--model", "pixel_mean", "--data", str(pictures), "-S", "image_size=32"
        )["jobs"]
    )
    platform("watch", evaluation)
    platform("promote", trained, "--force", "--reason", "the first one")
    platform(
        *("submit", "sweep", "--model", "pixel_mean", "--data", str(pictures), "--name", "tune"),
        *("-P", "image_size=16:64:8", "--trials", str(TRIALS), "--parallel", "1", "--sampler", "random"),
    )
    platform.wait(lambda: complete(platform) >= SO_FAR, "a part of the sweep is done")
    platform("sweep", "pause", "tune")
    halfway = submit(platform, pictures, steps=100, pause=0.1)
    platform.wait(lambda: platform.committed_step(halfway) >= 4, "a fit has a checkpoint")
    stop(worker)
    platform("sweep", "resume", "tune")
    queued = submit(platform, pictures, steps=4, pause=0.0)
    return Home(platform, pictures, trained, halfway, queued, predicted(platform, pictures))


def submit(platform: Platform, pictures: Path, **settings: float) -> str:
    told = [word for name, value in settings.items() for word in ("-S", f"{name}={value}")]
    ask = ("submit", "train", "--model", "troublesome", "--data", str(pictures), "--no-evaluate")
    jobs = platform.json(*ask, "--checkpoint-every", "2", *told)["jobs"]
    return str(jobs[0]["id"])


def complete(platform: Platform) -> int:
    return sum(trial["state"] == "complete" for trial in platform.json("sweep", "trials", "tune"))


def predicted(platform: Platform, pictures: Path) -> list[dict[str, Any]]:
    printed = platform("predict", f"{MODEL}@champion", str(pictures / "test" / "good"), "--format", "jsonl")
    return [json.loads(line) for line in printed.splitlines()]


def stop(worker: "subprocess.Popen[bytes]") -> None:
    before = family(worker.pid)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert not alive(before)


def on_the_cluster(target: Cluster, home: Home, account: str, name: str) -> Platform:
    """Return another machine of the cluster: with no pictures, and a folder of its own."""
    machine = Platform(target.folder / name, target.addresses(account), home.platform.source_roots)
    machine.home.mkdir(exist_ok=True)
    return machine


def test_what_was_begun_here_is_finished_there_and_nothing_is_lost(
    target: Cluster, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, file = home.platform, str(target.file())
    jobs_before = {job["id"]: job["state"] for job in platform.json("list", "--limit", "500")}
    platform(*words("down"))
    platform(*words("migrate check owner.env", file=file))
    # Somebody changes his mind, and then comes back to it.
    died = platform.trapped(f"{Edge.PARTED}@2:kill", *words("migrate run owner.env", file=file))
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert "is being moved to" in platform.trapped("", "list").stderr
    platform(*words("migrate cancel owner.env", file=file))
    assert {job["id"]: job["state"] for job in platform.json("list", "--limit", "500")} == jobs_before
    told = platform.json(*words("migrate run owner.env", file=file))
    assert [part["name"] for part in told["parts"]] == ["files", "sweeps", "runs", "store"]
    assert "this store was moved to" in platform.trapped("", "list").stderr
    assert "client.env" in platform.trapped("", "up", "--no-ui").stderr

    with closing(on_the_cluster(target, home, "worker", "gpu1")) as there:
        assert {job["id"]: job["state"] for job in there.json("list", "--limit", "500")} == jobs_before
        there.extra = {**there.extra, "ADCTL_NODE": "gpu1"}
        there.start_worker(slots=1)
        for job in (home.halfway, home.queued):
            there("watch", job)
        went_on = there.json("show", home.halfway)
        assert went_on["attempt"] == 2
        assert went_on["attempts"][-1]["facts"]["resumed_step"] >= 4
        there.wait(lambda: there.json("sweep", "show", "tune")["state"] == "finished", "the sweep ends")
        assert complete(there) == TRIALS
        again = predicted(there, home.pictures)
        assert [row["score"] for row in again] == [row["score"] for row in home.predicted]
        with there.store() as store:
            there.wait(lambda: not store.shipments.claim("a test", 0.01, 100), "MLflow knows everything")
        for name, value in there.extra.items():
            if name.startswith("MLFLOW"):
                monkeypatch.setenv(name, value)
        (run,) = there.mlflow_runs(home.halfway)
        assert run["status"] == "FINISHED"
        assert run["steps"] == list(range(1, 101))
        (run,) = there.mlflow_runs(home.trained, MODEL)
        assert run["alias"]["adctl.job_id"] == home.trained
        doctor = [sys.executable, "-m", "ad_cli", "doctor", "--json"]
        said = subprocess.run(doctor, env=there.env, capture_output=True, text=True, check=False)
        assert [each for each in json.loads(said.stdout) if each["level"] == "problem"] == [], said.stderr


def test_what_was_here_comes_back_and_goes_on(target: Cluster, home: Home) -> None:
    copy = max(home.platform.home.parent.glob("home-backup-*"))  # the first was made before the cancel
    shutil.rmtree(home.platform.home)
    *restore, named = words(RESTORE)
    assert named.startswith("adctl-backup-")
    home.platform(*restore, str(copy))
    worker = home.platform.start_worker(slots=1)
    for job in (home.halfway, home.queued):
        home.platform("watch", job)
    assert home.platform.json("show", home.halfway)["attempts"][-1]["facts"]["resumed_step"] >= 4
    again = predicted(home.platform, home.pictures)
    assert [row["score"] for row in again] == [row["score"] for row in home.predicted]
    stop(worker)


def test_every_line_of_the_page_is_typed(tmp_path: Path) -> None:
    run = ["down", "migrate check owner.env", "migrate run owner.env", "migrate cancel owner.env", RESTORE]
    first, *others, last = TYPED
    assert others == run
    platform = Platform(tmp_path, {}, [])
    platform("cluster", "init", str(tmp_path / "cluster"))
    # On the cluster's host, in the folder of its files.
    command = [sys.executable, "-m", "ad_cli", *shlex.split(first)]
    subprocess.run(command, env=platform.env, cwd=tmp_path / "cluster", check=True, capture_output=True)
    assert "ADCTL_DATABASE_URL=" in (tmp_path / "cluster" / "owner.env").read_text()
    try:
        platform(*shlex.split(last), "--no-ui")
    finally:
        platform("down")
