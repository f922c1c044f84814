"""Jobs as workers leave them, on a real store and storage: trained, checkpointed, killed, evaluated."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import literal

import ad_migrations
from ad_platform.records import Capabilities, CheckpointRecord, Holding, Job, Lease, Outcome
from ad_platform.specs import DatasetRef, JobSpec, Json, Submission
from ad_platform.states import AttemptOutcome, JobKind
from ad_platform.storage import open_storage
from ad_platform.storage.contract import Manifest
from ad_platform.storage.layout import checkpoint_prefix, model_prefix, results_prefix
from ad_platform.storage.logs import LogWriter
from ad_platform.storage.metrics import Point, segments, write_segment
from ad_platform.store.engine import open_store

START = 1_800_000_000.0
NORMALS, CALIBRATING, KINDS = 40, 19, ("cut", "hole")
# What the calibration scores below come to.
CALIBRATED: dict[str, Json] = {
    "threshold": 36.3,
    "map_threshold": 36.3,
    "rate": 1 / (CALIBRATING + 1),
    "normals": CALIBRATING,
    "certified": True,
}
CONFIG: dict[str, Json] = {"image_size": 32, "w": 3.5, "layers": [1, 2], "feature": {"skip": True}}


def scores_csv(auroc: float | Mapping[str, float]) -> str:
    """Scores of 40 normal images, 19 to calibrate on, and 20 of each kind of defect that reach an AUROC.

    Each anomalous image exceeds that share of the normal ones, as nearly as 40 of them can show it.
    """
    of_kind = auroc if isinstance(auroc, Mapping) else dict.fromkeys(KINDS, auroc)
    rows = ["path,label,defect,score,split,map_max"]
    rows += [f"test/good/{n:03}.png,0,good,{n}.0,test,{n}.0" for n in range(NORMALS)]
    for kind, share in of_kind.items():
        wins = round(share * NORMALS * 20)
        for n in range(20):
            score = (wins + n) // 20 - 0.5
            rows.append(f"test/{kind}/{n:03}.png,1,{kind},{score},test,{score}")
    for n in range(CALIBRATING):
        score = 2 * n + 0.3
        rows.append(f"train/good/{n:03}.png,0,good,{score},calibration,{score}")
    return "\n".join(rows) + "\n"


@cache
def _migrated() -> bytes:
    """An empty store, made once: migrating takes half a second."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        ad_migrations.upgrade(f"sqlite:///{path}")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()


class Stories:
    """A store whose clock stands still unless moved, a storage, and what workers would do with them."""

    def __init__(self, folder: Path, url: str = "") -> None:
        """`url` is that of a migrated store elsewhere."""
        if not url:
            (folder / "store.db").write_bytes(_migrated())
            url = f"sqlite:///{folder / 'store.db'}"
        self.folder, self.url = folder, url
        self.time = START
        self.store = open_store(url, clock=lambda: literal(self.time))
        self.storage = open_storage(str(folder / "storage"))

    def submit(self, *, category: str = "bottle", fingerprint: str = "f" * 64, **more: object) -> Job:
        """Submit a train job."""
        data = DatasetRef(dataset="mvtec", category=category, fingerprint=fingerprint, path="/data/mvtec")
        spec = JobSpec(
            kind=JobKind.TRAIN, detector="ddad", dataset=data, config=CONFIG, preset="tiny", seed=7
        )
        code = {"version": "0.1.0", "commit": "abc123", "diff": "d" * 64}
        submission = Submission(spec=spec, user="ann", code=code)
        return self.store.jobs.submit([replace(submission, **more)])[0]  # type: ignore[arg-type]

    def submit_evaluation(self, job: Job, **more: object) -> Job:
        """Submit the evaluation of a train job."""
        spec = replace(job.spec, kind=JobKind.EVALUATE, source=job.id)
        submission = Submission(spec=spec, user="ann", needs=(job.id,))
        return self.store.jobs.submit([replace(submission, **more)])[0]  # type: ignore[arg-type]

    def submit_trial(self, *measures: str, **more: object) -> Job:
        """Submit a trial of a study."""
        spec = replace(self.submit().spec, kind=JobKind.TRIAL, measures=measures)
        submission = Submission(spec=spec, user="ann", group="bottles")
        return self.store.jobs.submit([replace(submission, **more)])[0]  # type: ignore[arg-type]

    def lease(self, job: Job, worker: str = "w1") -> Lease:
        """Let a worker take a job."""
        data = job.spec.dataset
        self.store.workers.hold(
            [
                Holding(
                    node="n1",
                    fingerprint=data.fingerprint,
                    dataset=data.dataset,
                    category=data.category,
                    path=data.path,
                )
            ]
        )
        able = Capabilities(worker=worker, node="n1", detectors=frozenset({"ddad"}))
        lease = self.store.leases.lease(able, 60.0, hint=job.id)
        assert lease is not None
        assert lease.job_id == job.id
        self.store.leases.note(lease, {"host": "n1", "device": "cpu", "threads": 2})
        LogWriter(self.storage, job.id, lease.attempt).append(f"attempt {lease.attempt} starts\n".encode())
        return lease

    def points(self, first: int, last: int, attempt: int) -> list[Point]:
        """What an attempt measured; each attempt at times of its own."""
        return [
            Point(step=s, time=START + attempt * 1000 + s, metrics={"train/loss": 1 / s, "system/cpu": 50.0})
            for s in range(first, last + 1)
        ]

    def checkpoint(self, lease: Lease, last: int, before: Manifest | None = None) -> Manifest:
        """Write and commit a checkpoint of the steps up to `last`, going on from one before."""
        known = segments(before) if before else []
        first = known[-1].last + 1 if known else 1
        new = write_segment(
            self.storage, lease.job_id, lease.attempt, self.points(first, last, lease.attempt)
        )
        meta: dict[str, Json] = {"step": last, "segments": [s.to_json() for s in [*known, new]]}
        prefix = checkpoint_prefix(lease.job_id, last, lease.attempt)
        manifest = self.storage.publish(prefix, self._files({"state.json": str(last)}), meta)
        self.store.artifacts.record_checkpoint(
            lease,
            CheckpointRecord(
                job_id=lease.job_id,
                attempt=lease.attempt,
                step=last,
                prefix=prefix,
                manifest_sha256=manifest.sha256,
                size=manifest.size,
            ),
        )
        return manifest

    def succeed(
        self, lease: Lease, files: Mapping[str, str] | Path, metrics: Mapping[str, float], **more: Json
    ) -> Job:
        """Publish a bundle, from texts or a folder, and finish the job with it and what more it found."""
        train = lease.job.kind is JobKind.TRAIN
        prefix = (model_prefix if train else results_prefix)(lease.job_id, lease.attempt)
        manifest = self.storage.publish(prefix, files if isinstance(files, Path) else self._files(files))
        result: dict[str, Json] = {
            "bundle": prefix,
            "manifest_sha256": manifest.sha256,
            "metrics": dict(metrics),
            **more,
        }
        self.time += 10
        return self.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result=result))

    def trained(self, auroc: float | None = 0.9, **more: object) -> Job:
        """A job that was trained and, if a figure is given, evaluated."""
        job = self.submit(**more)  # type: ignore[arg-type]
        lease = self.lease(job)
        self.checkpoint(lease, 4)
        done = self.succeed(
            lease, {"state.safetensors": "weights", "config.json": "{}"}, {"train/loss": 0.25}
        )
        if auroc is not None:
            self.evaluated(done, auroc)
        return done

    def evaluated(self, job: Job, auroc: float, **more: Json) -> Job:
        """An evaluation of a trained job, with scores that amount to its figure; `more` is of its result."""
        lease = self.lease(self.submit_evaluation(job))
        files = {"results.csv": "a,b\n", "scores.csv": scores_csv(auroc)}
        point: Json = {**CALIBRATED}
        return self.succeed(lease, files, {"image_auroc": auroc}, **{"operating_point": point, **more})

    def _files(self, files: Mapping[str, str]) -> Path:
        folder = self.folder / "bundle"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, text in files.items():
            (folder / name).write_text(text)
        (folder / "about.json").write_text(json.dumps({"files": sorted(files)}))
        return folder
