"""How things stand for all jobs: who works, what runs, what is paused."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ad_platform.looking import Looking
from ad_platform.queues import PausedQueue
from ad_platform.records import HeldBack, Job, Quota, WorkerRecord
from ad_platform.states import JobState
from ad_platform.store.contract import Store

MOST = 10_000  # running jobs that are looked at


@dataclass(frozen=True, kw_only=True)
class Situation:
    """One look at the store."""

    now: float
    roster: tuple[WorkerRecord, ...]
    paused: Mapping[str, PausedQueue]
    running: tuple[Job, ...]
    quotas: Mapping[str, Quota] = field(default_factory=dict)  # by user
    held_back: tuple[HeldBack, ...] = ()

    @property
    def online(self) -> tuple[WorkerRecord, ...]:
        """Return the workers that take jobs."""
        return tuple(worker for worker in self.roster if worker.state == "online")

    def worker(self, name: str | None) -> WorkerRecord | None:
        """Return the worker of an id, if it ever registered."""
        return next((worker for worker in self.roster if worker.id == name), None)


def look(client: Looking, *, running: bool = True) -> Situation:
    """Return how things stand now; without what runs, where nobody asks for it."""
    store = client.store
    held = store.jobs.search(states=[JobState.RUNNING], limit=MOST) if running else ()
    return Situation(
        now=store.now(),
        roster=tuple(store.workers.roster()),
        paused={queue.name: queue for queue in store.queues.paused()},
        running=tuple(held),
        quotas={quota.user: quota for quota in store.quotas.all()},
        held_back=tuple(store.queues.held_back()) if running else (),
    )


def nodes_of(store: Store, job: Job) -> frozenset[str]:
    """Return the nodes that hold the images of a job, or can fetch them: all, once they were pushed."""
    fingerprint = job.spec.dataset.fingerprint
    nodes = {holding.node for holding in store.workers.holdings(fingerprint=fingerprint)}
    if store.pushed.get(fingerprint) is not None:
        nodes |= {worker.node for worker in store.workers.roster()}
    return frozenset(nodes)
