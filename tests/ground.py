"""A platform to fail on: a broker that can die, a detector that misbehaves, workers, and pictures."""

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from ad_detectors.data.fingerprint import fingerprint
from ad_migrations import upgrade
from ad_platform.client import Client
from ad_platform.failpoints import Edge
from ad_platform.records import Attempt, Job
from ad_platform.requests import Scheduling, Submitted, TrainRequest
from ad_platform.specs import DatasetRef, Json
from ad_platform.states import JobState
from ad_platform.storage.checkpoints import stored_checkpoints
from ad_platform.storage.contract import Storage
from ad_platform.storage.engine import open_storage
from mortal_broker import MortalBroker, mortal_broker
from running_platform import Platform, Seat, alive

if TYPE_CHECKING:
    from host_cluster import Hosts

REPO = Path(__file__).parents[1]
SOON = 30.0  # seconds for what a healthy worker does at once, on a busy machine
# Seconds in which a cancelled job is gone. The promise is of a machine of its own: where tests share cores
# side by side, the clock that counts is theirs too, and `make chaos` runs them one after another.
AT_ONCE = 15.0 if "PYTEST_XDIST_WORKER" in os.environ else 5.0


OF_FILES = {
    "folder": (Edge.WRITING, Edge.HALF, Edge.WRITTEN, Edge.RENAMED),
    "s3": (Edge.UPLOAD, Edge.UPLOADED),
}


@dataclass
class Ground:
    """The platform with what tests do to it."""

    platform: Platform
    broker: MortalBroker
    client: Client
    hosts: "Hosts | None" = None  # on which everything lives, if not all on this one
    pushes: bool = False  # whether pictures get to workers by the storage
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def pictures(self, name: str = "shared") -> Path:
        """Make a category of its own, unless it is there."""
        import numpy as np
        from PIL import Image

        folder = self.platform.home / "data" / "made" / name
        for number in range(4):
            file = folder / "train" / "good" / f"{number}.png"
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                noise = np.random.default_rng(number).integers(0, 255, (20, 20, 3), dtype=np.uint8)
                Image.fromarray(noise).save(file)
        if self.pushes:
            self.client.push(self.asked(folder).dataset)
        return folder

    def hold(self, dataset: DatasetRef) -> None:
        """Let workers have the pictures of a category."""
        self.client.hold(dataset)
        if self.pushes:
            self.client.push(dataset)

    def submit(
        self,
        *,
        pictures: Path | None = None,
        stall_after: float = 600.0,
        timeout: float | None = None,
        max_attempts: int = 3,
        every: int | None = 2,
        **settings: Json,
    ) -> str:
        """Submit a fit of the troublesome detector and return its id."""
        ask = self.asked(pictures or self.pictures(), max_attempts, every, settings)
        return self.send(ask, stall_after, timeout).jobs[0].id

    def send(self, ask: TrainRequest, stall_after: float = 600.0, timeout: float | None = None) -> Submitted:
        """Submit a request."""
        self.hold(ask.dataset)
        (planned,) = self.client.plan_train(ask)
        return self.client.submit([replace(planned, stall_after=stall_after, timeout=timeout)])

    def asked(
        self,
        pictures: Path,
        max_attempts: int = 3,
        every: int | None = 2,
        settings: dict[str, Json] | None = None,
    ) -> TrainRequest:
        """Return the request for a fit; its seed is its own, so that no stored stage spares the work."""
        mark = fingerprint(pictures, self.platform.settings.home / "cache" / "fingerprints.json")
        return TrainRequest(
            detector="troublesome",
            dataset=DatasetRef(dataset="made", category=pictures.name, fingerprint=mark, path=str(pictures)),
            settings=settings or {},
            seed=next(self.numbers),
            device="cpu",
            checkpoint_every=every,
            evaluate=False,
            scheduling=Scheduling(max_attempts=max_attempts),
        )

    def job(self, job_id: str) -> Job:
        """Return a job as the store knows it, without the housekeeping of a reading client."""
        return self.client.store.jobs.get(job_id)

    def attempts(self, job_id: str) -> list[Attempt]:
        """Return the attempts of a job."""
        return self.client.store.jobs.attempts(job_id)

    def outcomes(self, job_id: str) -> list[str]:
        """Return how the attempts of a job ended."""
        return [attempt.outcome.value for attempt in self.attempts(job_id)]

    def ended(self, job_id: str, seconds: float = 90.0) -> Job:
        """Wait until a job has ended, and return it."""
        self.platform.wait(lambda: self.job(job_id).state.terminal, f"job {job_id} ends", seconds)
        return self.job(job_id)

    def reaches(self, job_id: str, step: int) -> None:
        """Wait until a job has committed a checkpoint at a step or beyond."""
        self.platform.wait(lambda: self.committed(job_id) >= step, f"{job_id} commits step {step}", 60)

    def committed(self, job_id: str) -> int:
        """Return the newest committed step of a job."""
        return max((record.step for record in self.client.store.artifacts.checkpoints(job_id)), default=0)

    def printed(self, job_id: str, attempt: int = 1) -> str:
        """Return what an attempt has printed so far, on whichever machine."""
        files = [home / "logs" / "jobs" / f"{job_id}-a{attempt}.log" for home in self.platform.homes]
        return "".join(file.read_text() for file in files if file.exists())

    def steps(self, job_id: str, attempt: int = 1) -> list[int]:
        """Return the steps an attempt says it made."""
        made = [line.partition(" made step ")[2] for line in self.printed(job_id, attempt).splitlines()]
        return [int(number) for number in made if number]

    def says(self, job_id: str, words: str, attempt: int = 1) -> None:
        """Wait until an attempt has printed something."""
        self.platform.wait(
            lambda: words in self.printed(job_id, attempt),
            f"attempt {attempt} of {job_id} says '{words}'",
            60,
        )

    def offspring(self, worker: "subprocess.Popen[bytes]", seconds: float = 60.0) -> list[psutil.Process]:
        """Wait for a child and return every process that makes attempts."""
        self.platform.wait(lambda: attempt_processes(worker.pid), "a child is there", seconds)
        return attempt_processes(worker.pid)

    def die(self, processes: list[psutil.Process], seconds: float = SOON) -> None:
        """Wait until processes are dead."""
        self.platform.wait(lambda: not alive(processes), f"these are dead: {processes}", seconds)

    @property
    def storage(self) -> Storage:
        """Return the storage."""
        return open_storage(self.platform.settings.storage_url)

    def edges(self, of_a_folder: Sequence[Edge]) -> list[Edge]:
        """Return edges that are met on a storage in a folder, or on this one the edges of its own files."""
        if "://" not in self.platform.settings.storage_url:
            return list(of_a_folder)
        kept = [edge for edge in of_a_folder if edge not in OF_FILES["folder"]]
        return [*kept, *OF_FILES["s3"]]

    def stored(self, job_id: str) -> list[str]:
        """Return the complete checkpoints in the storage, newest first."""
        return stored_checkpoints(self.storage, job_id)

    def idle(self) -> None:
        """Cancel what a test left over and wait until nothing runs."""
        open_states = [state for state in JobState if not state.terminal]
        store = self.client.store
        for job in store.jobs.search(states=open_states):
            store.jobs.cancel(job.id)
        self.platform.wait(lambda: not store.jobs.search(states=open_states), "nothing runs", SOON)


def zygote_of(worker: int) -> psutil.Process:
    """Return a worker's zygote."""
    return next(p for p in psutil.Process(worker).children() if "ad_workers.zygote" in p.cmdline())


def attempt_processes(worker: int) -> list[psutil.Process]:
    """Return everything below a worker's zygote that lives."""
    try:
        return alive(zygote_of(worker).children(recursive=True))
    except (psutil.NoSuchProcess, StopIteration):
        return []


def source_roots(folder: Path) -> list[Path]:
    """Return the source roots with two more detectors, a file each and nothing else, in a copy of theirs."""
    copied = folder / "detectors"
    shutil.copytree(REPO / "detectors", copied, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("troublesome.py", "leaking.py"):
        shutil.copyfile(REPO / "tests" / name, copied / "ad_detectors" / "zoo" / name)
    return [copied, *(REPO / name for name in ("platform", "workers", "cli", "migrations"))]


@contextmanager
def ground(
    folder: Path,
    *,
    embedded: bool = False,
    persistent: bool = False,
    hosts: "Hosts | None" = None,
    **extra: str,
) -> Iterator[Ground]:
    """Give a fresh platform without a worker; MLflow does not answer, which must not matter.

    Its broker is what is installed, or the wheel's if `embedded`, and survives its own death if `persistent`.
    With hosts, the broker and each worker live on one of them, and pictures come to workers by the storage.
    """
    home = folder / "home"
    home.mkdir(parents=True)
    upgrade(extra.get("ADCTL_DATABASE_URL", f"sqlite:///{home / 'store.db'}"))
    where = hosts.store if hosts else None
    with mortal_broker(folder, embedded=embedded, persistent=persistent, host=where) as broker:
        environment = {"ADCTL_BROKER_URL": broker.url, "MLFLOW_TRACKING_URI": "http://127.0.0.1:1", **extra}
        platform = Platform(home, environment, source_roots(folder), seat=hosts.seat if hosts else Seat)
        with Client(platform.settings, code={"version": "test"}) as client:
            try:
                yield Ground(platform, broker, client, hosts, pushes=hosts is not None)
            finally:
                broker.start()
                platform.close()
