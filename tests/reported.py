"""Jobs that really trained and evaluated a detector, recorded as a worker would, for pages about them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ad_platform.records import Capabilities, CheckpointRecord, Holding, Job, Lease, Outcome
from ad_platform.specs import JobSpec, Json, Submission
from ad_platform.states import AttemptOutcome, FailureClass, JobKind
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Store
from ad_workers import messages as say
from ad_workers.kinds import evaluate, train
from ad_workers.link import Link
from desks import Desks, spec_of

NODE = "here"
CONFIG: Mapping[str, Json] = {"image_size": 16, "blur_sigma": 0.5}  # of the pixel mean
CODE = {"version": "0.1.0", "commit": "abc123"}


@dataclass
class Reported:
    """A store and a storage, and a worker of this process that does what is submitted."""

    store: Store
    desks: Desks

    @property
    def storage(self) -> Storage:
        """Return where bundles lie."""
        return self.desks.storage

    def train(
        self,
        category: Path,
        detector: str,
        config: Mapping[str, Json],
        holdout: str = "10/20",
        **more: object,
    ) -> Job:
        """Fit a detector to a category's good images."""
        spec = spec_of(JobKind.TRAIN, category, detector, config=dict(config), holdout=holdout)
        spec = replace(
            spec,
            preset="tiny",
            checkpoint_every=1,
            dataset=replace(spec.dataset, dataset=category.parent.name, category=category.name),
        )
        return self._done(self.submit(spec, **more))

    def evaluate(self, fit: Job, **more: object) -> Job:
        """Evaluate a fit on its own category."""
        return self._done(self.submit_evaluation(fit, **more))

    def submit_evaluation(self, fit: Job, **more: object) -> Job:
        """Submit the evaluation of a fit."""
        spec = replace(fit.spec, kind=JobKind.EVALUATE, source=fit.id, checkpoint_every=None)
        return self.submit(spec, needs=(fit.id,), **more)

    def submit(self, spec: JobSpec, **more: object) -> Job:
        """Submit a job."""
        submission = Submission(spec=spec, user="kim", code=CODE)
        return self.store.jobs.submit([replace(submission, **more)])[0]  # type: ignore[arg-type]

    def lease(self, job: Job) -> Lease:
        """Let a worker take a job."""
        data = job.spec.dataset
        place = Holding(
            node=NODE,
            fingerprint=data.fingerprint,
            dataset=data.dataset,
            category=data.category,
            path=data.path,
        )
        self.store.workers.hold([place])
        able = Capabilities(worker="w1", node=NODE, detectors=frozenset({job.spec.detector}))
        lease = self.store.leases.lease(able, 60.0, hint=job.id)
        assert lease is not None
        assert lease.job_id == job.id
        return lease

    def work(self, fails: Callable[[Job], bool] = lambda job: False) -> None:
        """Do everything that was submitted, but for what is to fail."""
        detectors = frozenset(self.store.workers.catalogue())
        able = Capabilities(worker="w1", node=NODE, detectors=detectors)
        while lease := self.store.leases.lease(able, 600.0):
            if fails(lease.job):
                self._end(lease, "it broke")
            else:
                self._do(lease)

    def fail(self, job: Job, error: str) -> Job:
        """Let a job fail for good."""
        return self._end(self.lease(job), error)

    def _end(self, lease: Lease, error: str) -> Job:
        outcome = Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.DATA, error=error)
        return self.store.leases.finish(lease, outcome)

    def _done(self, job: Job) -> Job:
        return self._do(self.lease(job))

    def _do(self, lease: Lease) -> Job:
        """Do what a job asks for, here and now, and record what a supervisor would."""
        job = lease.job
        kind = {JobKind.TRAIN: train, JobKind.EVALUATE: evaluate}[job.kind]
        source = None
        if job.spec.source is not None:
            source = str(self.store.jobs.get(job.spec.source).result["bundle"])
        self.desks.job = job.id
        desk, supervisor = self.desks.open(job.spec, source, lease.attempt)
        result = kind.run(desk).result
        self._record(lease, supervisor)
        done = Outcome(outcome=AttemptOutcome.SUCCEEDED, result=result)
        return self.store.leases.finish(lease, done)

    def _record(self, lease: Lease, supervisor: Link) -> None:
        for message in supervisor.receive():
            if isinstance(message, say.Note):
                self.store.leases.note(lease, {"host": NODE, **message.facts})
            elif isinstance(message, say.CheckpointMade):
                checkpoint = CheckpointRecord(
                    job_id=lease.job_id,
                    attempt=lease.attempt,
                    step=message.step,
                    prefix=message.prefix,
                    manifest_sha256=message.manifest_sha256,
                    size=message.size,
                )
                self.store.artifacts.record_checkpoint(lease, checkpoint)
