"""A whole platform in a folder of its own, used as a person uses it: commands, signals, and looking."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from ad_platform import settings as environment
from ad_platform.settings import Settings
from ad_platform.storage.engine import open_storage
from ad_platform.store.contract import Store
from ad_platform.store.engine import open_store

PATIENCE = 150.0  # seconds for anything that must happen by itself

ASK_MLFLOW = """
import json, sys
from mlflow import MlflowClient
uri, job, alias_of = sys.argv[1:]
client = MlflowClient(uri)
ids = [e.experiment_id for e in client.search_experiments()]
runs = client.search_runs(ids, filter_string=f"tags.`adctl.job_id` = '{job}'")
print(json.dumps([
    {
        "status": run.info.status,
        "tags": run.data.tags,
        "params": run.data.params,
        "metrics": run.data.metrics,
        "steps": [m.step for m in client.get_metric_history(run.info.run_id, "train/loss")],
        "loss": [m.value for m in client.get_metric_history(run.info.run_id, "train/loss")],
        "artifacts": [f.path for f in client.list_artifacts(run.info.run_id)],
        "alias": client.get_model_version_by_alias(alias_of, "champion").tags if alias_of else {},
    }
    for run in runs
]))
"""


@dataclass(frozen=True)
class Seat:
    """Where a worker is started: words that run a command there, and what makes it a machine of its own."""

    prefix: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Platform:
    """One ADCTL_HOME with its environment; workers may have homes of their own."""

    home: Path
    extra: Mapping[str, str] = field(default_factory=dict)
    source_roots: Sequence[Path] = ()
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    seat: Callable[[], Seat] = Seat  # says where the next worker is started
    homes: list[Path] = field(default_factory=list)  # in which there was ever a worker

    def __post_init__(self) -> None:
        self.homes.append(self.home)

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of every process of this platform."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ADCTL_", "MLFLOW_"))}
        roots = [str(root) for root in self.source_roots] or sys.path
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join(roots),
            "ADCTL_HOME": str(self.home),
            "ADCTL_NODE": "here",
            "ADCTL_LEASE": "6",
            "ADCTL_TICK": "1",
            "ADCTL_GRACE": "10",
            **self.extra,
        }

    @property
    def settings(self) -> Settings:
        """Return the settings the processes read."""
        return environment.load(self.env)

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run a command, check its exit code, and return what it printed to stdout."""
        done = subprocess.run(
            [sys.executable, "-m", "ad_cli", *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == code, f"adctl {' '.join(arguments)}: {done.stderr}{self.logs()}"
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """Run a command with --json and return what it said."""
        return json.loads(self(*arguments, "--json"))

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Open the store."""
        store = open_store(self.settings.database_url)
        try:
            yield store
        finally:
            store.close()

    def trapped(self, trap: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in which an edge is armed (ad_platform.failpoints)."""
        return subprocess.run(
            [sys.executable, "-m", "ad_cli", *arguments],
            env={**self.env, "ADCTL_FAILPOINT": trap},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def start_worker(self, slots: int = 1, trap: str = "") -> "subprocess.Popen[bytes]":
        """Start a worker by hand, with edges armed or none, and wait until it is registered, or dead."""
        (self.home / "logs").mkdir(parents=True, exist_ok=True)
        seat = self.seat()
        env = {**self.env, **seat.env, "ADCTL_FAILPOINT": trap}
        if (home := Path(env["ADCTL_HOME"])) not in self.homes:
            self.homes.append(home)
        log = (self.home / "logs" / f"hand-{len(self.workers)}.log").open("wb")
        with log:
            worker = subprocess.Popen(
                [*seat.prefix, sys.executable, "-m", "ad_cli", "worker", "start", "--slots", str(slots)],
                env=env,
                stdout=log,
                stderr=log,
            )
        self.workers.append(worker)
        with self.store() as store:
            self.wait(
                lambda: (
                    any(w.pid == worker.pid and w.state == "online" for w in store.workers.roster())
                    or (trap and worker.poll() is not None)
                ),
                "the worker registers",
            )
        return worker

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> None:
        """Wait until something holds; say what it was if it never does."""
        end, pause = time.monotonic() + seconds, threading.Event()
        while not condition():
            assert time.monotonic() < end, f"it never came that {what}{self.logs()}"
            pause.wait(0.1)

    def committed_step(self, job_id: str) -> int:
        """Return the newest committed step of a job, 0 if there is none."""
        with self.store() as store:
            records = store.artifacts.checkpoints(job_id)
        return records[0].step if records else 0

    def worker_pid(self) -> int:
        """Return the pid of the one worker that is online."""
        with self.store() as store:
            return next(worker.pid for worker in store.workers.roster() if worker.state == "online")

    def child_pid(self) -> int:
        """Return the pid of the process that makes the present attempt."""
        zygotes = [
            p for p in psutil.Process(self.worker_pid()).children() if "ad_workers.zygote" in p.cmdline()
        ]
        return next(child.pid for zygote in zygotes for child in zygote.children())

    def model_files(self, job_id: str) -> dict[str, str]:
        """Return name -> SHA-256 of the files of a train job's model."""
        with self.store() as store:
            bundle = str(store.jobs.get(job_id).result["bundle"])
        manifest = open_storage(self.settings.storage_url).manifest(bundle)
        assert manifest is not None
        return dict(manifest.files)

    def mlflow_runs(self, job_id: str, model: str = "") -> list[dict[str, Any]]:
        """Return what MLflow knows of a job, and the tags of the version a model's champion alias names."""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", ASK_MLFLOW, self.settings.tracking_uri, job_id, model],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def logs(self) -> str:
        """Return the ends of all logs, for whoever reads a failed test."""
        files = [file for home in self.homes for file in sorted((home / "logs").rglob("*.log"))]
        return "".join(f"\n--- {file.name}\n{file.read_text(errors='replace')[-2500:]}" for file in files)

    def close(self) -> None:
        """End the workers that were started by hand."""
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            try:
                worker.wait(30)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


def family(pid: int) -> list[psutil.Process]:
    """Return a process and everything below it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def alive(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Return those that still live; a zombie is dead, somebody only has not looked yet."""
    found = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found
