"""What a person or a program can see of the platform."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar, Unpack

from ad_platform import catalogue
from ad_platform.connections import Connections
from ad_platform.errors import BrokerDown, Unavailable
from ad_platform.queues import QueueState, states
from ad_platform.records import Attempt, Event, Holding, Job, PushedData, WorkerRecord
from ad_platform.requests import JobFilter, Overview, Snapshot
from ad_platform.states import JobState

MOST_WATCHED = 1000  # jobs that are watched at once without being named
T = TypeVar("T")


class Looking(Connections):
    """Shows jobs, workers and what they have; changes nothing but what died meanwhile."""

    def catalogue(self) -> catalogue.Catalogue:
        """Return the known detectors: those built in and those that workers have published."""
        return catalogue.load(self.store.workers.catalogue())

    def now(self) -> float:
        """Return the store's time, in seconds since the epoch."""
        return self.store.now()

    def jobs(self, **wanted: Unpack[JobFilter]) -> list[Job]:
        """Return the jobs that a filter keeps, newest first unless told otherwise."""
        self._tick()
        return self.store.jobs.search(**wanted)

    def measures(self) -> list[str]:
        """Return the full names of all that jobs have measured, such as "test/image_auroc"."""
        return self.store.jobs.measures()

    def job(self, job: Job | str) -> Job:
        """Return a job as it stands now: the one whose id starts with a text, or the newest for "@last"."""
        self._tick()
        return self.store.jobs.get(job.id) if isinstance(job, Job) else self.store.jobs.find(job)

    def dependents(self, job: Job) -> list[Job]:
        """Return the jobs that need this one, newest first."""
        return self.store.jobs.search(needs=job.id)

    def attempts(self, job: Job) -> list[Attempt]:
        """Return the attempts of a job in order."""
        return self.store.jobs.attempts(job.id)

    def events(self, job: Job) -> list[Event]:
        """Return the events of a job in order."""
        return self.store.jobs.events(job.id)

    def watch(
        self, jobs: Job | str | Sequence[Job | str] | None = None, interval: float = 0.5
    ) -> Iterator[Snapshot]:
        """Yield these jobs, given whole or by id, again and again until all have ended.

        A store away is waited for. Without jobs: all that has not ended, and what is submitted meanwhile.
        """
        one = self.job(jobs) if isinstance(jobs, str) else jobs
        wanted = [one] if isinstance(one, Job) else one
        ids = None if wanted is None else [each.id if isinstance(each, Job) else each for each in wanted]
        known: dict[str, Job] = {}
        while True:
            trouble = ""
            try:
                self._tick()
                self._look_again(known, ids)
            except Unavailable as error:
                trouble = str(error)
            snapshot = Snapshot(jobs=tuple(known.values()), trouble=trouble)
            yield snapshot
            if snapshot.over and not trouble:
                return
            self._pause(interval if not trouble else max(interval, 2.0))

    def _look_again(self, known: dict[str, Job], ids: Sequence[str] | None) -> None:
        """Bring jobs up to date: those that have not ended, and those not looked at before."""
        fresh: set[str] = set()
        if ids is None:
            unfinished = [state for state in JobState if not state.terminal]
            for job in self.store.jobs.search(states=unfinished, oldest_first=True, limit=MOST_WATCHED):
                known[job.id] = job
                fresh.add(job.id)
        for job_id in dict.fromkeys([*known, *(ids or ())]):
            if job_id not in fresh and not (job_id in known and known[job_id].state.terminal):
                known[job_id] = self.store.jobs.get(job_id)

    def looks(self, look: Callable[[], T], interval: float = 1.0) -> Iterator[tuple[T | None, str]]:
        """Yield what a look gives, again and again; None, and why, while the store is away."""
        while True:
            seen: T | None = None
            trouble = ""
            try:
                self._tick()
                seen = look()
            except Unavailable as error:
                trouble = str(error)
            yield seen, trouble
            self._pause(interval if not trouble else max(interval, 2.0))

    def logs(
        self,
        job: Job,
        attempt: int | None = None,
        *,
        follow: bool = False,
        trouble: Callable[[str], None] = lambda words: None,
    ) -> Iterator[bytes]:
        """Yield what an attempt printed, the newest one's unless told; following ends with the job.

        While following, a store or storage away is waited for, and `trouble` is told of it.
        """
        from ad_platform.storage.logs import read_log

        number, chunk = attempt or job.attempt, 0
        while True:
            try:
                # Looked at before the log is read: what an ended job printed is there by then.
                current = self.job(job.id) if follow else job
                part = read_log(self.storage, job.id, number, chunk)
            except Unavailable as error:
                if not follow:
                    raise
                trouble(str(error))
                self._pause(2.0)
                continue
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

    def holdings(self) -> list[Holding]:
        """Return which categories lie on which node."""
        return self.store.workers.holdings()

    def pushed(self) -> list[PushedData]:
        """Return which pictures lie in the storage, for any worker to fetch."""
        return self.store.pushed.all()

    def queues(self) -> list[QueueState]:
        """Return every queue that holds jobs, is paused or is served, by name."""
        return self._queues(self.workers())

    def overview(self) -> Overview:
        """Return workers, jobs by state, queues, and wake-ups by queue."""
        workers = tuple(self.workers())
        known = tuple(self._queues(workers))
        counts = self.store.jobs.count()
        depths: Mapping[str, int] | None = None
        trouble = ""
        try:
            depths = self.queue.depths([queue.name for queue in known])
        except BrokerDown as error:
            trouble = str(error)
        return Overview(jobs=counts, workers=workers, queues=known, depths=depths, trouble=trouble)

    def _queues(self, workers: Sequence[WorkerRecord]) -> list[QueueState]:
        return states(self.store.queues.loads(), self.store.queues.paused(), workers)
