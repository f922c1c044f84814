"""Workers that are told to leave give their jobs back whole and in time, whoever tells them, and how."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from ad_platform.records import Job, WorkerRecord
from ad_platform.states import JobState
from ad_workers.hearing import MOST
from ground import Ground, attempt_processes, zygote_of
from running_platform import alive, family

pytestmark = pytest.mark.timeout(300)
EVERYDAY = "clustered"

GRACE = 10.0  # ADCTL_GRACE of a platform for tests
Worker = "subprocess.Popen[bytes]"


@pytest.fixture
def land(stack: Ground) -> Iterator[Ground]:
    """Give the platform without a worker; what a failed test leaves over must not meet the next."""
    assert stack.platform.settings.grace == GRACE
    yield stack
    stack.broker.start()
    for worker in stack.platform.workers:
        worker.kill()
        worker.wait()
    stack.platform.workers.clear()
    # Nobody else takes back what they held.
    stack.platform.wait(lambda: not (stack.client.store.leases.reap(), running(stack))[1], "leases end", 30)
    stack.idle()


def running(land: Ground) -> list[Job]:
    return land.client.store.jobs.search(states=[JobState.RUNNING])


def leaves(worker: Worker, seconds: float) -> None:
    """Check that a worker ends by itself, in good order, before so many seconds have passed."""
    assert worker.wait(seconds) == os.EX_OK


def log_of(land: Ground, worker: Worker) -> str:
    """Return what a worker has logged."""
    number = land.platform.workers.index(worker)
    return (land.platform.home / "logs" / f"hand-{number}.log").read_text()


def state_of(land: Ground, worker: Worker) -> str:
    """Return what the store says of a worker."""
    return next(one.state for one in land.client.store.workers.roster() if one.pid == worker.pid)


def given_back(land: Ground, job: str, worker: Worker) -> None:
    """Check that a job waits for another worker as if nothing had failed, and the worker has signed off."""
    after = land.job(job)
    assert (after.state, after.failures) == (JobState.QUEUED, 0)
    assert set(land.outcomes(job)) == {"given_back"}
    assert state_of(land, worker) == "gone"


def tell_main(worker: Worker) -> None:
    """Tell a worker to leave as Kubernetes, `docker stop` and supervisord do."""
    worker.send_signal(signal.SIGTERM)


def tell_everybody(worker: Worker) -> None:
    """Tell a worker to leave as systemd does with KillMode=control-group: the children hear it first."""
    for process in reversed(family(worker.pid)):
        process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    "restarts",
    [
        pytest.param((tell_main, tell_everybody), id="each once"),
        pytest.param(
            (tell_main, tell_everybody, tell_everybody, tell_main) * 3, id="long", marks=pytest.mark.slow
        ),
    ],
)
def test_workers_replaced_one_after_another_under_load_lose_nothing_and_compute_no_step_twice(
    land: Ground, restarts: Sequence[Callable[[Worker], None]]
):
    steps = 60
    working = [land.platform.start_worker(slots=2) for _ in range(2)]
    jobs = [land.submit(steps=steps, pause=0.05, every=1000) for _ in range(4 + 4 * len(restarts))]
    replaced = 0
    for tell in restarts:
        old = working.pop(0)
        land.platform.wait(lambda: len(attempt_processes(old.pid)) == 2, "it is busy", 60)  # noqa: B023
        everyone = family(old.pid)
        tell(old)
        leaves(old, GRACE)
        land.die(everyone, 1.0)
        assert state_of(land, old) == "gone"
        replaced += 1
        working.append(land.platform.start_worker(slots=2))
    outcomes = []
    for job in jobs:
        ended = land.ended(job)
        assert (ended.state, ended.failures) == (JobState.SUCCEEDED, 0)
        attempts = land.attempts(job)
        assert [one.number for one in attempts] == list(range(1, len(attempts) + 1))
        made = [land.steps(job, one.number) for one in attempts]
        assert list(itertools.chain.from_iterable(made)) == list(range(1, steps + 1))
        outcomes += land.outcomes(job)
        assert land.outcomes(job)[-1] == "succeeded"
    assert set(outcomes) == {"succeeded", "given_back"}
    assert outcomes.count("succeeded") == len(jobs)
    assert 2 <= outcomes.count("given_back") <= 2 * replaced


@pytest.mark.slow
def test_sigterm_to_every_process_while_the_worker_starts_costs_no_attempt(land: Ground):
    """What a worker starts is deaf to it from its first moment, even while it imports."""
    worker = land.platform.start_worker()
    job = land.submit(steps=4)
    zygote = zygote_of(worker.pid)
    land.platform.wait(lambda: land.outcomes(job), "it is leased", 30)
    tell_everybody(worker)
    leaves(worker, GRACE)
    assert not alive([zygote])
    assert f"the zygote ended (code {-signal.SIGTERM}" not in log_of(land, worker)
    assert set(land.outcomes(job)) <= {"given_back", "succeeded"}
    assert land.job(job).failures == 0
    land.client.store.jobs.cancel(job)


def test_a_second_sigterm_kills_the_children_at_once_and_still_gives_the_job_back(
    land: Ground, monkeypatch: pytest.MonkeyPatch
):
    patient = {"ADCTL_GRACE": "120"}  # of which 84 s would be the child's, were it not killed
    monkeypatch.setattr(land.platform, "extra", {**land.platform.extra, **patient})
    worker = land.platform.start_worker()
    job = land.submit(trouble="offspring")
    land.says(job, "made step 4")
    everyone = family(worker.pid)
    worker.send_signal(signal.SIGTERM)
    land.platform.wait(lambda: "draining" in log_of(land, worker), "the first signal is taken")
    worker.send_signal(signal.SIGTERM)
    leaves(worker, 60)
    land.die(everyone, 1.0)
    given_back(land, job, worker)


def test_a_child_that_does_not_drain_is_killed_in_time_and_its_job_given_back(land: Ground):
    worker = land.platform.start_worker()
    job = land.submit(trouble="hang")
    land.says(job, "made step 4")
    everyone = family(worker.pid)
    worker.send_signal(signal.SIGTERM)
    leaves(worker, GRACE + 2.5)  # which a machine that is busy with other tests may add
    land.die(everyone, 1.0)
    given_back(land, job, worker)
    assert land.committed(job) == 4


def test_a_worker_can_be_told_to_leave_from_outside_though_the_broker_is_dead(land: Ground):
    worker = land.platform.start_worker()
    job = land.submit(steps=10_000, every=1000)
    land.says(job, "made step 10")
    everyone = family(worker.pid)
    (name,) = [one.id for one in land.client.workers() if one.pid == worker.pid]
    land.broker.kill()
    land.platform("worker", "drain", name)
    leaves(worker, GRACE)
    assert not alive(everyone)
    given_back(land, job, worker)
    assert land.committed(job) >= 10


# As a container's first process, which the kernel spares every signal that it has no handler for


def online(land: Ground) -> list[WorkerRecord]:
    return [one for one in land.client.workers() if one.state == "online"]


@contextmanager
def first_process(land: Ground, **environment: str) -> Iterator[tuple[Worker, Callable[[], psutil.Process]]]:
    """Start a worker as PID 1 of a namespace; give what started it, and what finds the worker."""
    unshare = shutil.which("unshare")
    apart = [str(unshare), "--pid", "--fork", "--mount-proc", "--kill-child"]
    if unshare is None or subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make a namespace of processes")
    (land.platform.home / "logs").mkdir(exist_ok=True)
    log = (land.platform.home / "logs" / "first.log").open("ab")
    with log:
        keeper = subprocess.Popen(
            [*apart, sys.executable, "-m", "ad_cli", "worker", "start"],
            env={**land.platform.env, **environment},
            stdout=log,
            stderr=log,
        )
    try:
        yield keeper, lambda: psutil.Process(keeper.pid).children()[0]
    finally:
        keeper.kill()
        keeper.wait()


def catches_sigterm(process: psutil.Process) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def test_a_container_leaves_no_zombie_and_ends_well_when_its_first_process_is_told_to(
    land: Ground, tmp_path: Path
):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as keeper_ear:
        keeper_ear.bind(str(tmp_path / "n"))
        keeper_ear.settimeout(60)
        with first_process(land, NOTIFY_SOCKET=str(tmp_path / "n")) as (keeper, found):
            assert keeper_ear.recv(1000).startswith(b"READY=1\nSTATUS=")
            # Those that were killed before count as online until their silence is noticed.
            land.platform.wait(lambda: [one.pid for one in online(land)] == [1], "it alone is online", 60)
            job = land.submit(steps=400, every=1000)
            land.says(job, "made step 4")
            worker = found()
            zygote_of(worker.pid).kill()  # its child dies too, and becomes the first process's own
            land.says(job, "made step 4", attempt=2)
            zombies = [each for each in family(worker.pid) if each.status() == psutil.STATUS_ZOMBIE]
            land.platform.wait(lambda: not any(each.is_running() for each in zombies), "they are buried", 30)
            worker.send_signal(signal.SIGTERM)
            leaves(keeper, GRACE)
            assert keeper_ear.recv(1000).startswith(b"STOPPING=1\n")
    after = land.job(job)
    assert (after.state, land.outcomes(job)) == (JobState.QUEUED, ["failed", "given_back"])
    assert land.committed(job) >= 4


def test_a_container_told_to_end_while_it_starts_does_so_at_once(land: Ground):
    with first_process(land) as (keeper, found):
        land.platform.wait(lambda: psutil.Process(keeper.pid).children(), "there is a first process", 30)
        worker = found()
        land.platform.wait(lambda: catches_sigterm(worker), "it listens", 30)
        assert not online(land)
        worker.send_signal(signal.SIGTERM)
        leaves(keeper, GRACE)
    assert not online(land)


def test_rubbish_again_and_again_in_the_broker_ends_a_worker_with_an_error_for_its_keeper(land: Ground):
    worker = land.platform.start_worker()
    everyone = family(worker.pid)
    with land.broker.client() as broker:
        for _ in range(MOST + 1):
            assert worker.poll() is None
            broker.lpush("adctl.default", b"this is no message")
            land.platform.wait(lambda: not broker.llen("adctl.default"), "it is taken", 60)
    land.die(everyone)
    assert worker.wait(1.0) == os.EX_SOFTWARE
    land.broker.flush()
