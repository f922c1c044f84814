"""A server of ours on the loopback, with a store in which its model's alias can be moved."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

import fitted as fitting
from ad_platform.records import Champion, Job
from ad_platform.registry.promotion import promote
from job_stories import Stories
from services import free_port, unavailable
from serving_client import Server, answers

PATIENCE = 180.0


@dataclass(frozen=True)
class Home:
    """A store with two fitted models of the same parts, the first of them champion."""

    folder: Path
    stories: Stories
    fits: tuple[fitting.Fitted, fitting.Fitted]
    jobs: tuple[Job, Job]

    def promote(self, number: int) -> Champion:
        """Make one of the two the champion."""
        stories, job = self.stories, self.jobs[number]
        return promote(stories.store, stories.storage, job, "champion", "ann", force=True, reason="a test")

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of a process that works with the store."""
        return {
            **os.environ,
            "ADCTL_HOME": str(self.folder / "home"),
            "ADCTL_DATABASE_URL": f"sqlite:///{self.folder / 'store.db'}",
            "ADCTL_STORAGE_URL": str(self.folder / "storage"),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }


@dataclass(frozen=True)
class Running:
    """A started server: its process, and what it has written."""

    process: subprocess.Popen[bytes]
    server: Server
    log: Path

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def children(self) -> list[psutil.Process]:
        """Return every process that it started."""
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def serving(home: Home, *options: str) -> Iterator[Running]:
    """Serve the champion; wait until it can score."""
    if find_spec("litserve") is None:
        unavailable("litserve is not installed: pip install 'adctl[serve]'")
    port = free_port()
    command = [sys.executable, "-m", "ad_cli", "serve", fitting.MODEL, "--port", str(port), *options]
    log = home.folder / f"server-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=home.environment, cwd=home.folder, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers(port, "/ready"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield Running(process, Server(port), log)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def page(running: Running, path: str) -> str:
    """Return what a page of a server says."""
    return running.server.get(path)[1]


def model_of(running: Running) -> dict[str, object]:
    """Return what a server says of its model."""
    return json.loads(page(running, "/model"))  # type: ignore[no-any-return]


def metric(running: Running, name: str) -> float:
    """Return the value of a metric."""
    lines = page(running, "/metrics").splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition(" ")[0] == name)
