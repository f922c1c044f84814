"""Promise 4: a fit that was killed again and again, here and on another machine, ends as one that was not."""

import contextlib
import os
import random
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from ad_detectors import cpus, registry
from ad_detectors.config import to_json
from ad_detectors.testing import Subject
from ad_platform.failpoints import Edge
from ad_platform.specs import Json
from ad_platform.states import JobState
from ground import attempt_processes, zygote_of
from mlflow_home import QUIET
from two_homes import HERE, THERE, Homes, homes_on

pytestmark = [pytest.mark.timeout(300), *(pytest.mark.filterwarnings(words) for words in QUIET)]
EVERYDAY = "embedded"
SEED = int(os.environ.get("ADCTL_FIRE", "7"))
DUE = 90.0  # seconds
EACH = 20.0  # more for each detector, where they follow one another


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, folder: Path) -> Iterator[Homes]:
    with homes_on(request, folder) as homes:
        yield homes


@pytest.fixture(autouse=True)
def nobody_left(stack: Homes) -> Iterator[None]:
    """Kill the workers that a test leaves, lest they take the next one's job out of reach of its blows."""
    yield
    for platform in (stack.here.platform, stack.there):
        for worker in [each for each in platform.workers if each.poll() is None]:
            stack.kill_all(platform, worker)


def smallest(detector: str) -> dict[str, Json]:
    """Return the settings by which the contract of detectors tries one."""
    return to_json(Subject.of(detector).config)


# Where a child is struck: at an edge of its n-th checkpoint, stage or model; the first ones with a whole one
# behind it.
LATER = [
    (Edge.SAVE, 2),
    (Edge.SAVE, 3),
    (Edge.SAVED, 2),
    (Edge.MANIFEST, 2),
    (Edge.LISTED, 1),
    (Edge.STORED, 1),
]
ANY = [*LATER, (Edge.SAVE, 1), (Edge.SAVED, 1), (Edge.MANIFEST, 1), (Edge.STORED, 2)]


def trap(folder: Path, action: str, places: Sequence[tuple[Edge, int]]) -> tuple[str, list[Path]]:
    """Return what strikes one child at each place, and the files that say it did."""
    marks = [folder / f"{action}-{number}-{edge}-{hit}" for number, (edge, hit) in enumerate(places)]
    armed = [f"{edge}@{hit}:{action}={mark}" for (edge, hit), mark in zip(places, marks, strict=True)]
    return ",".join(armed), marks


def struck_here(homes: Homes, names: Sequence[str], dice: random.Random, folder: Path) -> list[str]:
    """Have a job of each detector begin on the first machine and be killed there; return the jobs.

    Then that machine dies, in the midst of one of them. Its one slot has all its CPUs.
    """
    homes.forget_stages()  # of an earlier fight, which would spare a job the edges at which it is struck
    # More than there are jobs: not each comes to each of these edges.
    armed, marks = trap(folder, "kill", dice.choices(LATER, k=2 * len(names)))
    worker = homes.here.platform.start_worker(trap=armed)
    jobs = [homes.submit(name, smallest(name)) for name in names]
    wait = homes.here.platform.wait

    def all_struck() -> bool:
        homes.hold_back()  # one that was killed must not be the next, too
        # What learns in one step comes through.
        begun = [homes.here.job(job) for job in jobs]
        return all(job.failures or job.state.terminal for job in begun) and not attempt_processes(worker.pid)

    wait(all_struck, "each is struck", DUE + EACH * len(names))
    for job in map(homes.here.job, jobs):
        assert job.failures or job.result["steps"] == 1, f"{job.spec.detector} came through"
    homes.hurry()
    wait(lambda: attempt_processes(worker.pid), "one goes on", DUE)
    homes.kill_all(homes.here.platform, worker)
    print("struck here:", *(mark.name for mark in marks if mark.exists()))
    return jobs


def struck_there(homes: Homes, jobs: Sequence[str], dice: random.Random, folder: Path) -> None:
    """Have all go on side by side on another machine; some are killed there, and all with their zygote."""
    kills, killed = trap(folder, "kill", dice.choices(ANY, k=len(jobs)))
    stops, stopped = trap(folder, "stop", dice.choices(ANY, k=1))
    worker = homes.there.start_worker(slots=len(jobs), trap=f"{kills},{stops}")
    zygotes: list[psutil.Process] = []

    def over() -> bool:
        if stopped[0].exists() and not zygotes:
            zygotes.append(zygote_of(worker.pid))
            zygotes[0].kill()
        homes.hurry()
        return all(homes.here.job(job).state.terminal for job in jobs)

    homes.there.wait(over, "all end there", DUE + EACH * len(jobs))
    print("struck there:", *(mark.name for mark in [*killed, *stopped] if mark.exists()))
    for mark in [*killed, *stopped]:
        mark.touch()  # who is fitted straight is not struck


def undisturbed(homes: Homes, jobs: Sequence[str]) -> list[str]:
    """Fit the same once more from the start, on as many threads, and return the jobs."""
    homes.forget_stages()
    straight = []
    for job in jobs:
        spec = homes.here.job(job).spec
        threads = int(str(homes.here.attempts(job)[-1].facts["threads"]))
        # One after the other: all at once they starve their worker, which then loses so short leases.
        again = homes.submit(spec.detector, spec.config, threads=threads)
        assert homes.here.ended(again, DUE).state is JobState.SUCCEEDED
        assert homes.here.outcomes(again) == ["succeeded"]
        straight.append(again)
    return straight


def check_attempts(homes: Homes, job: str) -> None:
    """Check that a job was killed on both machines, went on from checkpoints, and kept its threads."""
    attempts, nodes = homes.here.attempts(job), homes.nodes(job)
    assert nodes[0] == HERE
    assert nodes[-1] == THERE
    assert [attempt.outcome for attempt in attempts][-1] == "succeeded"
    went_on = [attempt for attempt in attempts if attempt.facts.get("resumed_step")]
    assert went_on, "it never went on from a checkpoint"
    assert not any(attempt.passed_over for attempt in attempts)
    # The other machine would have given it a part of its CPUs, with which it computes other last digits.
    assert {attempt.facts["threads"] for attempt in went_on} == {cpus.usable()}


def check_same(homes: Homes, job: str, straight: str) -> None:
    """Check that two jobs ended with the same bits, and show the same curves in the storage and in MLflow."""
    assert homes.weights(job) == homes.weights(straight)
    curve = homes.series(straight)
    assert homes.series(job) == curve
    for each in (job, straight):
        homes.here.platform.wait(lambda: homes.state_shown(each) == "FINISHED", f"MLflow shows {each}", DUE)  # noqa: B023
        assert homes.shown(each) == {step: values for step, values in curve.items() if values}


# What trains in different ways; everyday the contract's suite stops every detector at every report.
A_FEW = ("anogan", "ddad", "dte", "patchcore")


@pytest.mark.parametrize(
    "names",
    [A_FEW, pytest.param(registry.names(), marks=[pytest.mark.slow, pytest.mark.timeout(2400)])],
    ids=["few", "all"],
)
def test_detectors_killed_on_one_machine_and_again_on_another_end_as_if_they_had_not_been(
    stack: Homes, tmp_path: Path, names: Sequence[str]
) -> None:
    print(f"ADCTL_FIRE={SEED}")
    dice = random.Random(SEED)
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    jobs = struck_here(stack, names, dice, tmp_path / "here")
    struck_there(stack, jobs, dice, tmp_path / "there")
    straight_jobs = undisturbed(stack, jobs)
    for name, job, straight in zip(names, jobs, straight_jobs, strict=True):
        assert stack.here.job(job).state is JobState.SUCCEEDED, stack.here.job(job).error
        steps = int(str(stack.here.job(straight).result["steps"]))
        print(f"{name}: {steps} steps, attempts {stack.here.outcomes(job)} on {stack.nodes(job)}")
        if steps > 1:
            check_attempts(stack, job)
        check_same(stack, job, straight)


# With a backbone that is adapted after the denoiser has learnt: two stages, two optimisers.
LONG: dict[str, Json] = {
    **registry.resolve("ddad", "tiny", {}),
    "steps": 400,
    "backbone": "tf_efficientnet_lite0",
    "feature_strides": [4, 8],
    "adapt_noise_step": 100,
    "adapt_skip": 50,
    "adapt_epochs": None,
    "adapt_steps": 60,
    "adapt_batch_size": 4,
}


def strike(homes: Homes, dice: random.Random, workers: dict[str, "subprocess.Popen[bytes]"]) -> str:
    """Strike a machine at random: what makes the attempt, the zygote, the worker alone, or all of it."""
    name = dice.choice(list(workers))
    platform, worker = (homes.here.platform if name == HERE else homes.there), workers[name]
    blow = dice.choice(("child", "zygote", "worker", "machine"))
    with contextlib.suppress(psutil.NoSuchProcess, StopIteration, IndexError):
        if blow == "child":
            dice.choice(attempt_processes(worker.pid)).kill()
        elif blow == "zygote":
            zygote_of(worker.pid).kill()
    if blow in ("worker", "machine"):
        if blow == "machine":
            homes.kill_all(platform, worker)
        else:
            worker.kill()
            worker.wait()
            platform.workers.remove(worker)
        workers[name] = platform.start_worker()
    return f"{blow} {name}"


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.timeout(3600)
def test_the_real_ddad_under_many_blows_on_two_machines_ends_as_if_nothing_had_happened(
    stack: Homes, real_data: Path
) -> None:
    print(f"ADCTL_FIRE={SEED}")
    dice, blows = random.Random(SEED), []
    workers = {HERE: stack.here.platform.start_worker(), THERE: stack.there.start_worker()}
    bottle = stack.category(real_data / "mvtec" / "bottle")
    job = stack.submit("ddad", LONG, dataset=bottle, threads=2, every=10)
    quiet, reached = threading.Event(), 0

    def gone_on() -> bool:
        stack.hurry()  # a failure is written down some time after the blow
        return stack.here.job(job).state.terminal or stack.here.committed(job) > reached

    # However busy the machine is: each blow comes after a checkpoint more, so the job gets to its end.
    while not stack.here.job(job).state.terminal:
        stack.here.platform.wait(gone_on, "it goes on from where it was struck", 300)
        quiet.wait(dice.uniform(0.0, 3.0))
        reached = stack.here.committed(job)
        blows.append(strike(stack, dice, workers))
    print(f"{len(blows)} blows:", *blows, sep="\n  ")
    assert stack.here.job(job).state is JobState.SUCCEEDED, stack.here.job(job).error
    stack.forget_stages()
    straight = stack.submit("ddad", LONG, dataset=bottle, threads=2, every=10)
    assert stack.here.ended(straight, 1200).state is JobState.SUCCEEDED
    assert len(stack.here.attempts(job)) > 2, "too few blows hit it to prove anything"
    check_same(stack, job, straight)
