"""Histories of a platform without workers: jobs, aliases, sweeps, benchmarks and all that these leave behind.

The store is a real one; the storage is a dictionary whose files know the time of the store's clock.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ad_platform import settings as environment
from ad_platform.errors import AdctlError
from ad_platform.records import Benchmark, Champion, CheckpointRecord, Job, Lease, Room, StageRecord, Study
from ad_platform.retention.collecting import Collector
from ad_platform.retention.facts import DAY
from ad_platform.specs import DatasetRef, JobSpec, Json, PictureAsk, Submission
from ad_platform.states import AttemptOutcome, FailureClass, JobKind, JobState, StudyState
from ad_platform.storage.blobs import Blobs
from ad_platform.storage.bundles import BundleStorage
from ad_platform.storage.contract import Storage
from ad_platform.storage.layout import (
    benchmark_prefix,
    checkpoint_prefix,
    drawn_prefix,
    model_prefix,
    part_prefix,
    results_prefix,
    stage_prefix,
)
from ad_platform.storage.listings import Listing, write_listing
from ad_platform.storage.logs import LogWriter
from ad_platform.storage.metrics import Point, segments, write_segment
from ad_platform.store.contract import Store
from store_cases import CAN, FakeClock, failed, holding
from store_cases import SUCCESS as SUCCEEDED

OPEN = (JobState.WAITING, JobState.QUEUED, JobState.RUNNING)
CATEGORIES = ("bottle", "screw")


@dataclass
class History:
    """A store and a storage, and what may happen to them."""

    store: Store
    clock: FakeClock
    blobs: Blobs
    home: Path
    storage: Storage = field(init=False)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.storage = BundleStorage(self.blobs)
        for category in CATEGORIES:
            self.store.workers.hold([replace(holding(fingerprint=f"{category}-f"), category=category)])

    @property
    def collector(self) -> Collector:
        """Return what collects here."""
        settings = environment.load({"ADCTL_HOME": str(self.home), "ADCTL_NODE": "n1", "ADCTL_USER": "kim"})
        return Collector(self.store, self.storage, settings, pause=lambda seconds: None)

    def jobs(self, *states: JobState, kind: JobKind | None = None) -> list[Job]:
        """Return jobs, oldest first."""
        found = self.store.jobs.search(states=states or list(JobState), oldest_first=True, limit=100_000)
        return [job for job in found if kind is None or job.kind is kind]

    # What people do

    def train(self, category: str = "bottle", **more: object) -> Job:
        """Submit a training."""
        return self.submit(self.spec(JobKind.TRAIN, category), **more)

    def spec(self, kind: JobKind, category: str = "bottle", **more: object) -> JobSpec:
        """Return a spec that is like no other."""
        data = DatasetRef(
            dataset="mvtec", category=category, fingerprint=f"{category}-f", path=f"/data/{category}"
        )
        spec = JobSpec(kind=kind, detector="ddad", dataset=data, config={"n": next(self.numbers)})
        return replace(spec, **more)  # type: ignore[arg-type]

    def submit(self, spec: JobSpec, **more: object) -> Job:
        """Submit one job."""
        return self.store.jobs.submit([replace(Submission(spec=spec, user="kim"), **more)])[0]  # type: ignore[arg-type]

    def evaluate(self, train: Job, **more: object) -> Job:
        """Submit the evaluation of a training's model."""
        spec = self.spec(JobKind.EVALUATE, train.spec.dataset.category, source=train.id)
        return self.submit(spec, needs=(train.id,), **more)

    def predict(self, train: Job, **more: object) -> Job:
        """Submit a prediction with a training's model."""
        listing = Listing(folder=f"/pictures/{next(self.numbers)}", names=["a.png"])
        mark = write_listing(self.storage, listing)
        self.store.workers.hold([replace(holding(fingerprint=mark), dataset="", category="")])
        data = replace(train.spec.dataset, fingerprint=mark)
        spec = self.spec(JobKind.PREDICT, source=train.id, dataset=data, pictures=PictureAsk(count=1))
        return self.submit(spec, **more)

    def promote(self, train: Job, alias: str = "champion", evaluation: Job | None = None) -> Champion:
        """Let a job's model carry an alias."""
        model = f"ddad-mvtec-{train.spec.dataset.category}"
        current = self.store.champions.current(model, alias)
        return self.store.champions.promote(
            Champion(
                model=model,
                alias=alias,
                revision=1 + (current.revision if current else 0),
                job_id=train.id,
                user="kim",
                evidence={"evaluation": evaluation.id if evaluation else None},
            )
        )

    def sweep(self, name: str) -> Study:
        """Begin a sweep with two trials that share a training."""
        job = self.spec(JobKind.TRIAL)
        study = Study(
            id=f"5{next(self.numbers):015x}", name=name, state=StudyState.RUNNING, spec={"job": job.to_json()}
        )
        self.store.studies.create(study)
        shared = self.train(group=name, key=f"stage/{next(self.numbers)}")
        for number in range(2):
            self.submit(
                replace(job, config={"n": next(self.numbers)}),
                group=name,
                needs=(shared.id,),
                key=f"sweep/{study.id}/{number}/0",
                tags={"sweep": name, "trial": str(number)},
            )
        return self.store.studies.get(name)

    def benchmark(self, name: str, taken: Sequence[str] = ()) -> Benchmark:
        """Submit a benchmark of one cell, with others that were there before."""
        cells: list[Json] = [{"taken": each} for each in (*taken, None)]
        made = Benchmark(id=f"be{next(self.numbers):014x}", name=name, spec={"cells": cells})
        train = Submission(spec=self.spec(JobKind.TRAIN), user="kim", group=name)
        scored = Submission(
            spec=self.spec(JobKind.EVALUATE, source="#0"), user="kim", group=name, needs=("#0",)
        )
        found, _ = self.store.benchmarks.create(made, [train, scored])
        return found

    def conclude(self, benchmark: Benchmark) -> None:
        """Publish a benchmark's tables, once more."""
        self.store.benchmarks.claim(benchmark.id, "t", 1e9)
        now = self.store.benchmarks.get(benchmark.id)
        prefix = benchmark_prefix(benchmark.id, now.version)
        self.publish(prefix, f"tables {now.version}")
        summary: dict[str, Json] = {"bundle": {"prefix": prefix}, "n": next(self.numbers)}
        self.store.benchmarks.summarise(benchmark.id, "t", summary, 0)

    # What workers do

    def lease(self) -> Lease | None:
        """Lease the next job."""
        return self.store.leases.lease(replace(CAN, cards=(Room(1000),) * 9), 10 * 365 * DAY)

    def work(self, lease: Lease, steps: int = 4) -> None:
        """Do some of a job: two checkpoints on the way, or rows of a prediction; and print something."""
        job, attempt = lease.job, lease.attempt
        LogWriter(self.storage, job.id, attempt).append(f"attempt {attempt}\n".encode())
        if job.kind is JobKind.PREDICT:
            self.publish(part_prefix(job.id, attempt, 1), "rows")
            self.publish(drawn_prefix(job.id, attempt, 1), "a picture")
            return
        before = self.resumed(job)
        manifest = self.storage.manifest(before) if before else None
        done = segments(manifest) if manifest else []
        first = done[-1].last + 1 if done else 1
        for last in (first + steps // 2 - 1, first + steps - 1):
            points = [Point(step=n, time=0.0, metrics={"loss": 1 / n}) for n in range(first, last + 1)]
            done = [*done, write_segment(self.storage, job.id, attempt, points)]
            prefix = checkpoint_prefix(job.id, last, attempt)
            meta: dict[str, Json] = {"step": last, "segments": [each.to_json() for each in done]}
            made = self.publish(prefix, f"state {last} of {job.id}", meta)
            record = CheckpointRecord(
                job_id=job.id, attempt=attempt, step=last, prefix=prefix, manifest_sha256=made, size=1
            )
            self.store.artifacts.record_checkpoint(lease, record)
            first = last + 1

    def stage(self, lease: Lease) -> str:
        """Publish a stage and return its key."""
        key = hashlib.sha256(str(next(self.numbers)).encode()).hexdigest()
        sha256 = self.publish(stage_prefix(key), f"stage {key}")
        record = StageRecord(
            key=key, detector="ddad", stage="fit", job_id=lease.job_id, manifest_sha256=sha256, size=1
        )
        self.store.artifacts.record_stage(lease, record)
        return key

    def succeed(self, lease: Lease, stages: Sequence[str] = ()) -> Job:
        """End an attempt well, with what its kind leaves."""
        job, attempt = lease.job, lease.attempt
        of = model_prefix if job.kind is JobKind.TRAIN else results_prefix
        sha256 = self.publish(of(job.id, attempt), f"what {job.id} made")
        result: dict[str, Json] = {"bundle": of(job.id, attempt), "manifest_sha256": sha256}
        result["stages"] = [{"stage": "fit", "key": key} for key in stages]
        return self.store.leases.finish(lease, replace(SUCCEEDED, result=result))

    def fail(self, lease: Lease) -> Job:
        """End a job badly."""
        return self.store.leases.finish(lease, failed(FailureClass.NAN))

    def publish(self, prefix: str, text: str, meta: dict[str, Json] | None = None) -> str:
        """Publish a bundle of two files and return its manifest's hash."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "one.bin").write_text(text)
            (folder / "two.txt").write_text(f"beside {text}")
            return self.storage.publish(prefix, folder, meta).sha256

    def shipped(self) -> None:
        """Tell the tracking server everything."""
        for shipment in self.store.shipments.claim("t", 60, 100_000):
            self.store.shipments.done(shipment, "run", 0)

    # What is known afterwards

    def resumed(self, job: Job) -> str | None:
        """Return the checkpoint that an attempt of a job would go on from."""
        lineage = [job.id]
        while job.retry_of is not None:
            job = self.store.jobs.get(job.retry_of)
            lineage.append(job.id)
        for job_id in lineage:
            found = self.storage.bundles(f"jobs/{job_id}/checkpoints")
            if found:
                return max(found)
        return None


def random_history(history: History, seed: int, moves: int = 30) -> None:
    """Let things happen at random, with time passing in between."""
    dice = random.Random(seed)
    deeds = Deeds(history, dice).all()
    for _ in range(moves):
        with contextlib.suppress(AdctlError):  # what cannot be done does not happen
            dice.choice(deeds)()
        history.clock.advance(dice.choice([60, 3600, DAY, 5 * DAY]))
    if dice.random() < 0.85:  # else what is owed to MLflow keeps nearly all
        history.shipped()


class Deeds:
    """What may happen next in a history, by chance."""

    def __init__(self, history: History, dice: random.Random) -> None:
        self.history, self.dice = history, dice

    def all(self) -> list[Callable[[], object]]:
        """Return all that may happen; what happens more often stands there more often."""
        return [
            *(self.attempt,) * 8,
            *(self.train, self.train),
            lambda: self.history.evaluate(self.some(kind=JobKind.TRAIN)),
            lambda: self.history.evaluate(self.model()),
            lambda: self.history.predict(self.model()),
            *(self.promote, self.promote),
            *(lambda: self.history.store.jobs.retry(self.some(JobState.FAILED, JobState.CANCELLED).id),) * 2,
            self.cancel,
            lambda: self.history.sweep(f"s{next(self.history.numbers)}"),
            self.steer,
            self.benchmark,
            self.conclude,
            self.leave_remains,
            self.history.shipped,
        ]

    def some(self, *states: JobState, kind: JobKind | None = None) -> Job:
        found = self.history.jobs(*states, kind=kind)
        if not found:
            raise AdctlError("nobody is there for that")
        return self.dice.choice(found)

    def model(self) -> Job:
        return self.some(JobState.SUCCEEDED, kind=JobKind.TRAIN)

    def attempt(self) -> None:
        lease = self.history.lease()
        if lease is None:
            return
        if self.dice.random() < 0.85:
            self.history.work(lease)
        stages = (
            [self.history.stage(lease)]
            if lease.job.kind is JobKind.TRAIN and self.dice.random() < 0.6
            else []
        )
        end = self.dice.random()
        if end < 0.5:
            self.history.succeed(lease, stages)
        elif end < 0.7:
            self.history.fail(lease)
        elif end < 0.8:
            self.history.publish(model_prefix(lease.job_id, lease.attempt), "left behind")
            self.history.store.leases.give_back(lease, "drained")

    def promote(self) -> None:
        evaluations = self.history.jobs(JobState.SUCCEEDED, kind=JobKind.EVALUATE)
        train = self.model()
        own = [each for each in evaluations if each.spec.source == train.id]
        self.history.promote(
            train, self.dice.choice(["champion", "challenger"]), self.dice.choice(own) if own else None
        )

    def steer(self) -> None:
        study = self.dice.choice(self.history.store.studies.search() or [None])
        if study is not None:
            wanted = self.dice.choice([StudyState.STOPPED, StudyState.PAUSED, StudyState.RUNNING])
            self.history.store.studies.steer(study.id, state=wanted)

    def conclude(self) -> None:
        found = self.history.store.benchmarks.search()
        if found:
            self.history.conclude(self.dice.choice(found))

    def benchmark(self) -> None:
        known = [job.id for job in self.history.jobs(JobState.SUCCEEDED, kind=JobKind.EVALUATE)]
        taken = self.dice.sample(known, min(len(known), self.dice.choice([0, 1])))
        self.history.benchmark(f"b{next(self.history.numbers)}", taken)

    def train(self) -> None:
        tags = {"keep": "yes"} if self.dice.random() < 0.1 else {}
        self.history.train(self.dice.choice(CATEGORIES), tags=tags)

    def cancel(self) -> None:
        job = self.history.store.jobs.cancel(self.some(*OPEN).id)
        if job.state is JobState.RUNNING:
            lease = Lease(job=job, attempt=job.attempt, worker=job.worker or "", seconds=1.0)
            outcome = replace(SUCCEEDED, outcome=AttemptOutcome.CANCELLED)
            self.history.store.leases.finish(lease, outcome)

    def leave_remains(self) -> None:
        job = self.some()
        path = f"jobs/{job.id}/checkpoints/000000009-a{job.attempt}/v-{next(self.history.numbers):012x}/half"
        self.history.blobs.put(path, b"half a state")
        self.history.blobs.put(f"jobs/{job.id}/results/.writing-{next(self.history.numbers)}", b"half a file")


def curve_of(history: History, job: Job) -> list[int]:
    """Return the steps of a job's curve, read from segments that are whole."""
    from ad_platform.curves import committed

    return [point.step for point in committed(history.store, history.storage, job.id).points]


def whole(history: History, prefix: str) -> bool:
    """Say whether a bundle is there with every file as its manifest says."""
    manifest = history.storage.manifest(prefix)
    return manifest is not None and all(
        history.storage.file(prefix, name) is not None for name in manifest.files
    )
