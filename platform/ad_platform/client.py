"""What a person or a program can ask of the platform: its connections open when first needed."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import TracebackType
from typing import Self, Unpack

from ad_platform import catalogue, planning
from ad_platform.advice import advise
from ad_platform.code_version import code_version
from ad_platform.errors import BrokerDown, InvalidRequest, StoreDown, Unavailable
from ad_platform.queue.doorbell import knock
from ad_platform.queue.protocol import Queue
from ad_platform.queue.relay import relay
from ad_platform.records import Attempt, Event, Holding, Job, WorkerRecord
from ad_platform.requests import JobFilter, Overview, Promotion, Scheduling, Snapshot, Submitted, TrainRequest
from ad_platform.settings import Settings
from ad_platform.specs import DatasetRef, JobSpec, Submission
from ad_platform.states import JobKind
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Store

FIRST = "#0"  # stands for the first job of the same submit


class Client:
    """Submits, shows and steers jobs; safe to keep for hours, made for one thread."""

    def __init__(
        self,
        settings: Settings,
        store: Store | None = None,
        queue: Queue | None = None,
        storage: Storage | None = None,
        *,
        code: Mapping[str, str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self._store, self._queue, self._storage = store, queue, storage
        self._given_code = code
        self._monotonic, self._pause = monotonic, pause
        self._next_tick = float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store's connections, if any were opened."""
        if "store" in self.__dict__:
            self.store.close()

    @cached_property
    def store(self) -> Store:
        """Return the store; raises StoreDown where none was ever made, StoreMismatch for an old one."""
        if self._store is not None:
            return self._store
        if self.settings.embedded and not (self.settings.home / "store.db").exists():
            raise StoreDown(
                f"there is no store in {self.settings.home} yet; start the services with: adctl up"
            )
        from ad_platform.store.engine import open_store

        return open_store(self.settings.database_url)

    @cached_property
    def queue(self) -> Queue:
        """Return the queue; nothing is connected yet."""
        if self._queue is not None:
            return self._queue
        from ad_platform.queue.celery import CeleryQueue

        return CeleryQueue(self.settings.broker_url)

    @cached_property
    def storage(self) -> Storage:
        """Return the storage."""
        if self._storage is not None:
            return self._storage
        from ad_platform.storage.engine import open_storage

        return open_storage(self.settings.storage_url)

    # -- asking ------------------------------------------------------------------------------------------

    def catalogue(self) -> catalogue.Catalogue:
        """Return the known detectors: those built in and those that workers have published."""
        return catalogue.load(self.store.workers.catalogue())

    def plan_train(self, request: TrainRequest) -> list[Submission]:
        """Return what a request would submit, checked, without submitting it."""
        planning.check(request.scheduling)
        entry = self.catalogue().entry(request.detector)
        spec = planning.train_spec(entry, request)
        scheduling = planning.honest(request.scheduling, entry, request.preset)
        train = self._submission(spec, scheduling)
        if not request.evaluate:
            return [train]
        return [train, self._evaluation(spec, request.dataset, scheduling, need=FIRST)]

    def submit_train(self, request: TrainRequest) -> Submitted:
        """Submit a fit and, unless told not to, the evaluation that follows it, in one transaction."""
        return self.submit(self.plan_train(request))

    def plan_evaluate(
        self, text: str, dataset: DatasetRef | None = None, scheduling: Scheduling | None = None
    ) -> list[Submission]:
        """Return what an evaluation of a train job's model would submit: on its own category unless told."""
        source = self.store.jobs.find(text)
        if source.kind is not JobKind.TRAIN:
            raise InvalidRequest(
                f"job {source.id} is of kind {source.kind}; only train jobs can be evaluated"
            )
        wanted = planning.inherited(scheduling or Scheduling(queue=source.queue), source)
        planning.check(wanted)
        data = dataset or source.spec.dataset
        return [self._evaluation(source.spec, data, wanted, need=source.id)]

    def submit_evaluate(
        self, text: str, dataset: DatasetRef | None = None, scheduling: Scheduling | None = None
    ) -> Submitted:
        """Submit the evaluation of a train job's model."""
        return self.submit(self.plan_evaluate(text, dataset, scheduling))

    def submit(self, submissions: Sequence[Submission]) -> Submitted:
        """Submit all or none; a broker that does not answer is no failure, since the rings stay owed."""
        jobs = self.store.jobs.submit(submissions)
        warnings = [_other_settings(job, ask) for job, ask in zip(jobs, submissions, strict=True)]
        rung, trouble = self._ring()
        if trouble:
            warnings.append(f"{trouble}; the jobs are safe in the store and will be announced later")
        warnings.extend(self._advice(jobs))
        return Submitted(jobs=tuple(jobs), rung=rung, warnings=tuple(dict.fromkeys(filter(None, warnings))))

    def cancel(self, text: str) -> Job:
        """Ask for a job to end, and return it."""
        self._tick()
        return self.store.jobs.cancel(self.store.jobs.find(text).id)

    def retry(self, text: str) -> Submitted:
        """Run an ended job again as a new one that goes on from its checkpoints."""
        job = self.store.jobs.retry(self.job(text).id)
        rung, trouble = self._ring()
        warnings = (*((trouble,) if trouble else ()), *self._advice([job]))
        return Submitted(jobs=(job,), rung=rung, warnings=warnings)

    def promote(self, text: str, alias: str, *, force: bool = False, reason: str = "") -> Promotion:
        """Decide that a job's model carries an alias; raises GateRefused and ChampionChanged."""
        from ad_platform.registry.promotion import promote

        job = self.job(text)
        user = self.settings.user
        return Promotion(champion=promote(self.store, self.storage, job, alias, user, force, reason))

    def await_registry(self, promotion: Promotion, seconds: float) -> Promotion:
        """Wait until the registry shows a decision, or one that replaced it; give up after a while."""
        deadline = self._monotonic() + seconds
        champion = promotion.champion
        while champion.published is None and self._monotonic() < deadline:
            self._pause(0.5)
            champion = self.store.champions.current(champion.model, champion.alias) or champion
        return Promotion(champion=champion)

    # -- looking -----------------------------------------------------------------------------------------

    def jobs(self, **wanted: Unpack[JobFilter]) -> list[Job]:
        """Return the jobs that a filter keeps, newest first unless told otherwise."""
        self._tick()
        return self.store.jobs.search(**wanted)

    def job(self, text: str) -> Job:
        """Return the job whose id starts with a text, or the newest for "@last"."""
        self._tick()
        return self.store.jobs.find(text)

    def dependents(self, job: Job) -> list[Job]:
        """Return the jobs that need this one, newest first."""
        return self.store.jobs.search(needs=job.id)

    def attempts(self, job: Job) -> list[Attempt]:
        """Return the attempts of a job in order."""
        return self.store.jobs.attempts(job.id)

    def events(self, job: Job) -> list[Event]:
        """Return the events of a job in order."""
        return self.store.jobs.events(job.id)

    def watch(self, ids: Sequence[str], interval: float = 0.5) -> Iterator[Snapshot]:
        """Yield the jobs of these ids again and again until all have ended; a store away is waited for."""
        snapshot = Snapshot(jobs=())
        while True:
            try:
                self._tick()
                snapshot = Snapshot(jobs=tuple(self.store.jobs.get(job_id) for job_id in ids))
            except Unavailable as error:
                snapshot = Snapshot(jobs=snapshot.jobs, trouble=str(error))
            yield snapshot
            if snapshot.over and not snapshot.trouble:
                return
            self._pause(interval if not snapshot.trouble else max(interval, 2.0))

    def logs(self, job: Job, attempt: int | None = None, *, follow: bool = False) -> Iterator[bytes]:
        """Yield what an attempt printed, the newest one's unless told; following ends with the job."""
        from ad_platform.storage.logs import read_log

        number, chunk = attempt or job.attempt, 0
        while True:
            # Looked at before the log is read: what an ended job printed is there by then.
            current = self.job(job.id) if follow else job
            part = read_log(self.storage, job.id, number, chunk)
            chunk = part.next_chunk
            if part.content:
                yield part.content
            if attempt is None and follow and current.attempt > number:
                number, chunk = current.attempt, 0
                continue
            if not follow or current.state.terminal or current.attempt > number:
                return
            self._pause(1.0)

    def workers(self) -> list[WorkerRecord]:
        """Return the workers, newest first; silent ones count as gone."""
        self._tick()
        return self.store.workers.roster()

    def drain(self, worker_id: str) -> None:
        """Tell a worker to give back what it runs and take nothing more."""
        self.store.workers.drain(worker_id)

    def holdings(self) -> list[Holding]:
        """Return which categories lie on which node."""
        return self.store.workers.holdings()

    def hold(self, data: DatasetRef) -> None:
        """Remember that a category lies on this machine."""
        self.store.workers.hold(
            [
                Holding(
                    node=self.settings.node,
                    fingerprint=data.fingerprint,
                    dataset=data.dataset,
                    category=data.category,
                    path=data.path,
                )
            ]
        )

    def overview(self) -> Overview:
        """Return workers, jobs by state and wake-ups by queue."""
        workers = tuple(self.workers())
        queues = {
            "default",
            *(queue for worker in workers if worker.state != "gone" for queue in worker.queues),
        }
        counts = self.store.jobs.count()
        try:
            depths: Mapping[str, int] | None = self.queue.depths(sorted(queues))
        except BrokerDown as error:
            return Overview(jobs=counts, workers=workers, depths=None, trouble=str(error))
        return Overview(jobs=counts, workers=workers, depths=depths)

    # -- keeping things going ----------------------------------------------------------------------------

    def _tick(self) -> None:
        """Give back what died and make owed rings, at most once a second: readers keep the store honest."""
        if self._monotonic() < self._next_tick:
            return
        self.store.leases.reap()
        if self.store.outbox.owed(limit=1):
            self._ring()
        self._next_tick = self._monotonic() + 1.0

    def _ring(self) -> tuple[bool, str]:
        try:
            if self._queue is not None or not knock(self.settings):
                relay(self.store.outbox, self.queue)
        except BrokerDown as error:
            return False, str(error)
        return True, ""

    def _advice(self, jobs: Sequence[Job]) -> list[str]:
        open_jobs = [job for job in jobs if not job.state.terminal]
        if not open_jobs:
            return []
        roster = self.store.workers.roster()
        found = []
        for job in open_jobs:
            holdings = self.store.workers.holdings(fingerprint=job.spec.dataset.fingerprint)
            found.append(advise(job, roster, holdings))
        return [line for line in dict.fromkeys(found) if line]

    def _submission(self, spec: JobSpec, scheduling: Scheduling, needs: tuple[str, ...] = ()) -> Submission:
        return Submission(
            spec=spec,
            user=self.settings.user,
            key=scheduling.key,
            name=scheduling.name,
            tags=dict(scheduling.tags),
            queue=scheduling.queue,
            priority=scheduling.priority,
            gpus=planning.gpus(spec.device),
            needs=needs,
            max_attempts=scheduling.max_attempts,
            code=self._code,
        )

    def _evaluation(
        self, trained: JobSpec, data: DatasetRef, scheduling: Scheduling, *, need: str
    ) -> Submission:
        spec = planning.evaluation_spec(trained, data, need)
        submission = self._submission(spec, scheduling, needs=(need,))
        if need == FIRST and scheduling.key is not None:
            return replace(submission, key=f"{scheduling.key}/evaluate")
        return submission

    @cached_property
    def _code(self) -> Mapping[str, str]:
        return code_version() if self._given_code is None else self._given_code


def _other_settings(job: Job, asked: Submission) -> str:
    if asked.key is None or job.spec == asked.spec or job.kind is not JobKind.TRAIN:
        return ""
    return f"the key '{asked.key}' already stands for job {job.id}, which was asked for with other settings"
