"""What a person or a program can see of the platform."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Unpack

from ad_platform import catalogue
from ad_platform.connections import Connections
from ad_platform.errors import BrokerDown, Unavailable
from ad_platform.records import Attempt, Event, Holding, Job, WorkerRecord
from ad_platform.requests import JobFilter, Overview, Snapshot


class Looking(Connections):
    """Shows jobs, workers and what they have; changes nothing but what died meanwhile."""

    def catalogue(self) -> catalogue.Catalogue:
        """Return the known detectors: those built in and those that workers have published."""
        return catalogue.load(self.store.workers.catalogue())

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

    def holdings(self) -> list[Holding]:
        """Return which categories lie on which node."""
        return self.store.workers.holdings()

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
