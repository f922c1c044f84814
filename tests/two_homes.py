"""Two machines in one: homes of their own, and nothing in common but store, broker, storage and MLflow."""

import contextlib
import shutil
import sqlite3
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from sqlalchemy import update

import services
from ad_detectors.data.fingerprint import fingerprint
from ad_platform.records import Holding
from ad_platform.requests import Scheduling, TrainRequest
from ad_platform.specs import DatasetRef, Json
from ad_platform.states import JobState
from ad_platform.storage.metrics import read_segments
from ad_platform.store.tables import jobs
from ground import Ground, ground
from host_cluster import Hosts, cluster_of_hosts
from mortal_mlflow import mortal_mlflow
from running_platform import Platform, Seat, alive, family

PICTURES = 60  # the mean picture reads sixteen from one step to the next
SIDE = 32
HERE, THERE = "here", "there"

Curve = Mapping[int, Mapping[str, float]]  # step -> what the detector measured there


@dataclass
class Homes:
    """The ground of the first machine, and the platform of the second."""

    here: Ground
    there: Platform
    mlflow: Path  # the database that both ship to

    def dataset(self) -> DatasetRef:
        """Return a category that lies on both machines, each in its own folder."""
        for home in (self.here.platform.home, self.there.home):
            _draw(home / "data" / "made" / "noise")
        path = self.here.platform.home / "data" / "made" / "noise"
        mark = fingerprint(path, self.here.platform.home / "cache" / "fingerprints.json")
        return DatasetRef(dataset="made", category="noise", fingerprint=mark, path=str(path))

    def category(self, source: Path) -> DatasetRef:
        """Return a copy of a category in one folder which both machines see and may read."""
        path = self.here.platform.home / "data" / source.parent.name / source.name
        if not path.exists():
            shutil.copytree(source, path)
        mark = fingerprint(path, self.here.platform.home / "cache" / "fingerprints.json")
        found = DatasetRef(dataset=path.parent.name, category=path.name, fingerprint=mark, path=str(path))
        held = Holding(
            node=THERE, fingerprint=mark, dataset=found.dataset, category=found.category, path=str(path)
        )
        self.here.client.store.workers.hold([held])
        return found

    def submit(
        self,
        detector: str,
        settings: Mapping[str, Json],
        *,
        dataset: DatasetRef | None = None,
        threads: int | None = None,
        every: int = 1,
    ) -> str:
        """Submit a fit that may be killed often, and return its id."""
        ask = TrainRequest(
            detector=detector,
            dataset=dataset or self.dataset(),
            settings=dict(settings),
            seed=3,
            device="cpu",
            checkpoint_every=every,
            threads=threads,
            holdout="none",
            evaluate=False,
            scheduling=Scheduling(max_attempts=100),
        )
        return self.here.send(ask).jobs[0].id

    def hurry(self) -> None:
        """Let no job wait for the end of the pause that a failure brings."""
        self._wait_until(0.0)

    def hold_back(self) -> None:
        """Let every job that has failed wait until somebody hurries."""
        self._wait_until(1e12)

    def _wait_until(self, moment: float) -> None:
        failed = update(jobs).where(jobs.c.state == JobState.QUEUED, jobs.c.failures > 0)
        database = self.here.client.store.jobs._db  # type: ignore[attr-defined]
        database.write(lambda tx: tx.run(failed.values(not_before=moment)))

    def forget_stages(self) -> None:
        """Remove what was fitted so far, so that nothing spares the next fit its work."""
        self.here.storage.remove("stages")

    def weights(self, job: str) -> Mapping[str, str]:
        """Return name -> SHA-256 of the files of a job's model."""
        manifest = self.here.storage.manifest(str(self.here.job(job).result["bundle"]))
        assert manifest is not None
        return manifest.files

    def series(self, job: str) -> Curve:
        """Return the curve that the newest checkpoint of a job commits, without what its machine had to do.

        It holds no step twice.
        """
        manifest = self.here.storage.manifest(self.here.stored(job)[0])
        assert manifest is not None
        points = read_segments(self.here.storage, manifest)
        assert [point.step for point in points] == list(range(1, len(points) + 1)), "a step twice, or none"
        return {point.step: _measured(point.metrics) for point in points}

    def shown(self, job: str) -> Curve:
        """Return the curve that MLflow shows of a job: of one run, with one value for a metric and step."""
        with contextlib.closing(sqlite3.connect(self.mlflow, timeout=30)) as connection:
            made = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            if not {("runs",), ("tags",), ("metrics",)} <= set(made):
                return {}  # MLflow is about to make its tables
            runs = connection.execute(
                "SELECT runs.run_uuid FROM runs JOIN tags USING (run_uuid) WHERE tags.key = 'adctl.job_id' "
                "AND tags.value = ? AND lifecycle_stage = 'active'",
                (job,),
            ).fetchall()
            assert len(runs) <= 1, f"job {job} has {len(runs)} runs"
            rows = [
                row
                for (run,) in runs
                for row in connection.execute(
                    "SELECT key, step, value FROM metrics WHERE run_uuid = ?", (run,)
                )
            ]
        curve: dict[int, dict[str, float]] = defaultdict(dict)
        for key, step, value in rows:
            assert key not in curve[step], f"{key} has two values at step {step} of job {job}"
            curve[step][key] = value
        measured = {step: _measured(values) for step, values in sorted(curve.items())}
        return {step: values for step, values in measured.items() if values}

    def state_shown(self, job: str) -> str | None:
        """Return the state of the run of a job, None before there is one."""
        if not self.mlflow.exists():
            return None
        with contextlib.closing(sqlite3.connect(self.mlflow, timeout=30)) as connection:
            row = connection.execute(
                "SELECT status FROM runs JOIN tags USING (run_uuid) "
                "WHERE tags.key = 'adctl.job_id' AND tags.value = ?",
                (job,),
            ).fetchone()
        return str(row[0]) if row else None

    def nodes(self, job: str) -> list[str]:
        """Return the nodes on which the attempts of a job were, in order."""
        roster = {worker.id: worker.node for worker in self.here.client.store.workers.roster()}
        return [roster[attempt.worker] for attempt in self.here.attempts(job)]

    def kill_all(self, platform: Platform, worker: "subprocess.Popen[bytes]") -> None:
        """Kill a worker with all its processes, as a machine dies."""
        processes = family(worker.pid)
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        worker.wait()
        platform.workers.remove(worker)
        platform.wait(lambda: not alive(processes), f"these are dead: {processes}")


def _measured(metrics: Mapping[str, float]) -> Mapping[str, float]:
    return {name: value for name, value in metrics.items() if not name.startswith("system/")}


def _draw(folder: Path) -> None:
    """Draw noise in a folder, unless it is there."""
    for number in range(PICTURES):
        file = folder / "train" / "good" / f"{number:02d}.png"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(number).integers(90, 160, (SIDE, SIDE, 3), dtype=np.uint8)
            Image.fromarray(noise).save(file)


@contextmanager
def two_homes(
    folder: Path,
    *,
    embedded: bool,
    url: str = "",
    storage_url: str = "",
    hosts: Hosts | None = None,
    mlflow: Path | None = None,
    **extra: str,
) -> Iterator[Homes]:
    """Give two homes without a worker that share a store (at `url`, or SQLite), broker, storage, MLflow.

    With hosts, the workers of each are on one of their own, and others have the rest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mlflow = mlflow or folder / "mlflow.db"
    shared = {
        "ADCTL_DATABASE_URL": url or f"sqlite:///{folder / 'home' / 'store.db'}",
        "ADCTL_STORAGE_URL": storage_url or str(folder / "storage"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{mlflow}",
        "ADCTL_LEASE": "4",
        "ADCTL_DATA_ROOTS": str(folder),  # both have the pictures below the first home
        **extra,
    }
    with ground(folder, embedded=embedded, persistent=embedded, hosts=hosts, **shared) as here:
        environment = {**here.platform.extra, "ADCTL_NODE": THERE}
        there = Platform(folder / "home there", environment, here.platform.source_roots)
        there.home.mkdir()
        if hosts is not None:
            here.pushes = False  # the pictures lie on both
            for platform in (here.platform, there):
                seat = Seat(tuple(hosts.worker_host().command()))
                platform.seat = lambda seat=seat: seat  # type: ignore[misc]
        homes = Homes(here, there, mlflow)
        try:
            yield homes
        finally:
            for platform in (here.platform, there):
                for worker in [*platform.workers]:
                    homes.kill_all(platform, worker)  # to leave in good order takes seconds


@contextmanager
def homes_on(request: pytest.FixtureRequest, folder: Path) -> Iterator[Homes]:
    """Give two homes on the stack that a fixture's parameter names."""
    place = folder / f"two homes {request.param}"
    if request.param == "embedded":
        with two_homes(place, embedded=True) as homes:
            yield homes
        return
    if request.param == "hosts":
        with cluster_of_hosts(place) as hosts, mortal_mlflow(place / "mlflow", hosts.mlflow) as server:
            server.start()
            shared = {**hosts.environment, "ADCTL_NODE": HERE, "MLFLOW_TRACKING_URI": server.url}
            with two_homes(
                place,
                embedded=False,
                url=shared.pop("ADCTL_DATABASE_URL"),
                storage_url=shared.pop("ADCTL_STORAGE_URL"),
                hosts=hosts,
                mlflow=server.folder / "mlflow.db",
                **shared,
            ) as homes:
                yield homes
        return
    postgres: services.PostgresServer = request.getfixturevalue("postgres")
    url = postgres.new_database()
    try:
        with two_homes(place, embedded=False, url=url) as homes:
            yield homes
    finally:
        postgres.drop(url)
