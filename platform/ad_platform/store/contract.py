"""What the store promises, in prose: the abstract classes that `open_store` gives implementations of.

Rules that hold for every method:

* One method, one transaction, and none stays open while anything slow runs. A method either happens whole
  or not at all; when the database cannot be reached it raises StoreDown and nothing has happened, except
  that a connection lost during the commit itself leaves it unknown whether the call happened. Every method
  may therefore be called again with the same arguments: it then has no further effect. Three need a word:
  `submit` is only safe to repeat for submissions with a key; a `lease` whose answer was lost runs out by
  itself and is reaped; `finish` and `give_back` told again by an attempt that ended just so return the job
  as it stands now, and raise LeaseLost if it ended any other way.
* Time is the database's own clock, read inside the statement, never the caller's. Tests pass a literal.
* Every change of a job's state is checked against `ad_platform.states.ALLOWED`, writes an event in the same
  transaction, and makes the job due for tracking.
* Every write on behalf of an attempt carries (job, attempt) in its WHERE clause. If that attempt no longer
  holds the job the method raises LeaseLost and has changed nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Unpack

from ad_platform.queues import PausedQueue, QueueLoad, Standing
from ad_platform.records import (
    Attempt,
    Capabilities,
    Champion,
    CheckpointRecord,
    Event,
    HeldBack,
    Holding,
    Job,
    Lease,
    OutboxEntry,
    StageRecord,
    WorkerRecord,
)
from ad_platform.requests import JobFilter
from ad_platform.specs import Json, Submission
from ad_platform.states import JobState
from ad_platform.store.audit_contract import Audit
from ad_platform.store.benchmark_contract import Benchmarks
from ad_platform.store.lease_contract import Leases
from ad_platform.store.pushed_contract import Pushed
from ad_platform.store.quota_contract import Peaks, Quotas
from ad_platform.store.retention_contract import Retention
from ad_platform.store.shipment_contract import Shipments
from ad_platform.store.study_contract import Studies
from ad_platform.store.telemetry_contract import Telemetry


class Jobs(ABC):
    """What people ask for and see."""

    @abstractmethod
    def submit(self, submissions: Sequence[Submission]) -> list[Job]:
        """Remember jobs, all or none, and return them in order.

        A submission whose `key` is known already returns the job of that key, unchanged. A job whose `needs`
        are not all succeeded starts `waiting`; one that needs a failed or cancelled job is born `failed` with
        class `needs`; all others start `queued`, with an outbox row written in the same transaction. A need
        of the form "#0" means the first submission of the same call, "#1" the second, and so on; the same
        holds for the source of a spec. A need named twice counts once.
        Raises UnknownName for a need that does not exist, InvalidValue for what no worker could honour.
        """

    @abstractmethod
    def get(self, job_id: str) -> Job:
        """Return the job of this full id; raise UnknownName."""

    @abstractmethod
    def find(self, text: str) -> Job:
        """Return the one job whose id starts with `text`, or the newest for "@last".

        Raises UnknownName when none fits and AmbiguousId when several do.
        """

    @abstractmethod
    def search(self, **wanted: Unpack[JobFilter]) -> list[Job]:
        """Return the jobs that a filter keeps, newest first unless told otherwise; none reads all."""

    @abstractmethod
    def measures(self) -> list[str]:
        """Return the names of all that jobs have measured."""

    @abstractmethod
    def attempts(self, job_id: str) -> list[Attempt]:
        """Return the attempts of a job in order."""

    @abstractmethod
    def events(self, job_id: str, after_seq: int = 0) -> list[Event]:
        """Return the events of a job in order."""

    @abstractmethod
    def cancel(self, job_id: str) -> Job:
        """Ask for a job to end, and return it.

        A waiting or queued job is `cancelled` at once. A running one is marked: its next renewal answers
        CANCEL, and whatever then ends the attempt (finish, give-back, reap) ends the job `cancelled`, even a
        finish that reports success. The mark is never taken back. An ended job is returned as it is. Jobs
        that need a cancelled job become `failed` with class `needs`.
        """

    @abstractmethod
    def prune(self, job_id: str) -> Job:
        """Ask for a trial to end since it is not worth finishing, and return its job.

        A waiting or queued one is `cancelled` at once, with the error "pruned". A running one is marked: its
        next renewal answers PRUNE, and it ends `cancelled` unless it succeeds before it heard of that. An
        ended job is returned as it is. A cancel goes before a prune.
        """

    @abstractmethod
    def of_keys(self, keys: Sequence[str]) -> dict[str, Job]:
        """Return the jobs of these submit keys by key; keys that nobody used are left out."""

    @abstractmethod
    def retry(self, job_id: str) -> Job:
        """Run an ended job again as a new one that goes on from its checkpoints, and return the new job.

        Raises IllegalTransition unless the job failed or was cancelled. The new job's `retry_of` names the
        old one. Needs that failed or were cancelled are retried too, and so is every job that failed with
        class `needs` because of this one; their edges, and the sources of their specs, lead to the new jobs.
        A need retried before is stood for by its newest retry. Retrying a job twice returns the first
        retry (the submit key is "retry:<id>").
        """

    @abstractmethod
    def count(self) -> Mapping[JobState, int]:
        """Return how many jobs are in each state."""


class Outbox(ABC):
    """Rings owed to the workers: a hint, never the truth."""

    @abstractmethod
    def owed(self, limit: int = 100) -> list[OutboxEntry]:
        """Return rings not yet made, for queued jobs whose time has come and whose queue is not paused.

        Rows of jobs that no longer wait for a worker are deleted on the way.
        """

    @abstractmethod
    def rung(self, seqs: Sequence[int]) -> None:
        """Forget rings that were made."""

    @abstractmethod
    def remind(self, silence: float) -> int:
        """Owe another ring for each eligible queued job that was last rung over `silence` seconds ago.

        So a job whose message was lost (a flushed or killed broker) is heard of again: some hundreds at a
        time, the most urgent first. Returns how many.
        """

    @abstractmethod
    def turn(self, owner: str, seconds: float) -> bool:
        """Take the right to remind and to make the rings for all; False if somebody took it less long ago.

        Whoever makes them without it does no harm, but many who do so stand in each other's way.
        """


class Queues(ABC):
    """Which queues are paused, what lies in each, and who is next."""

    @abstractmethod
    def pause(self, name: str, user: str, reason: str = "") -> bool:
        """Let a queue give out no job until it is resumed; False if it was paused already.

        The first pause stands, with its user, time and reason. Jobs that run go on, and jobs may be
        submitted. Once this has returned, no lease that begins gives a job of the queue.
        """

    @abstractmethod
    def resume(self, name: str) -> bool:
        """Let a queue give out jobs again; False if it was not paused.

        Every job that is queued in it is owed a ring: what was rung meanwhile woke nobody.
        """

    @abstractmethod
    def paused(self) -> list[PausedQueue]:
        """Return the paused queues by name."""

    @abstractmethod
    def loads(self) -> list[QueueLoad]:
        """Return how many jobs wait, are queued and run, for each queue that has any, by name."""

    @abstractmethod
    def line(self, capabilities: Capabilities, limit: int = 1000) -> list[Standing]:
        """Return the jobs that a worker could be given now, in the order of a `lease` without a hint."""

    @abstractmethod
    def held_back(self) -> list[HeldBack]:
        """Return which workers leave cards free for which queued jobs, by worker."""


class Workers(ABC):
    """Who is there to work, and what data lies where."""

    @abstractmethod
    def register(self, worker: WorkerRecord) -> None:
        """Remember a worker that starts; the same id again replaces it."""

    @abstractmethod
    def beat(self, worker_id: str, load: Mapping[str, Json] | None = None) -> str:
        """Note that a worker lives, and what it has to give now if it says so.

        Returns its state, so that `draining` set from outside reaches it.
        """

    @abstractmethod
    def drain(self, worker_id: str) -> None:
        """Tell a worker to stop leasing and give back what it runs."""

    @abstractmethod
    def leave(self, worker_id: str) -> None:
        """Note that a worker ended in good order: state `gone`."""

    @abstractmethod
    def roster(self, silence: float = 30.0) -> list[WorkerRecord]:
        """Return the workers, newest first; one not seen for `silence` seconds has state `gone`."""

    @abstractmethod
    def hold(self, holdings: Sequence[Holding]) -> None:
        """Remember which categories lie on which node; the same (node, fingerprint) replaces the path."""

    @abstractmethod
    def release(self, node: str, fingerprint: str) -> None:
        """Forget a holding, since the folder is gone or has changed."""

    @abstractmethod
    def holdings(
        self,
        *,
        node: str | None = None,
        fingerprint: str | None = None,
        dataset: str | None = None,
        category: str | None = None,
    ) -> list[Holding]:
        """Return the known holdings that match."""

    @abstractmethod
    def publish(self, entries: Mapping[str, Json], worker_id: str) -> None:
        """Add detectors to the catalogue by name; the newest description of a name stands."""

    @abstractmethod
    def catalogue(self) -> dict[str, Json]:
        """Return the published descriptions by detector name."""


class Artifacts(ABC):
    """What lies whole in the storage."""

    @abstractmethod
    def record_checkpoint(self, lease: Lease, checkpoint: CheckpointRecord) -> None:
        """Commit a checkpoint whose manifest is in the storage, and make the job due for tracking.

        Raises LeaseLost, and InvalidValue for a checkpoint of another attempt.
        """

    @abstractmethod
    def checkpoints(self, job_id: str) -> list[CheckpointRecord]:
        """Return the committed checkpoints of a job, the highest step first, then the newest attempt."""

    @abstractmethod
    def forget_checkpoints(self, lease: Lease, prefixes: Sequence[str]) -> None:
        """Drop records of checkpoints about to be removed from the storage. Raises LeaseLost."""

    @abstractmethod
    def record_stage(self, lease: Lease, stage: StageRecord) -> None:
        """Remember a stage; the first record of a key stands. Raises LeaseLost."""

    @abstractmethod
    def stage(self, key: str) -> StageRecord | None:
        """Return the record of a stage, if there is one."""


class Champions(ABC):
    """Which model carries which alias."""

    @abstractmethod
    def promote(self, champion: Champion) -> Champion:
        """Make a decision the one in force, if `champion.revision` is one more than the newest.

        Linearizable: of several calls with one revision exactly one succeeds and the others raise
        ChampionChanged. The job must have succeeded (IllegalTransition otherwise).
        """

    @abstractmethod
    def current(self, model: str, alias: str) -> Champion | None:
        """Return the decision in force."""

    @abstractmethod
    def history(self, model: str | None = None) -> list[Champion]:
        """Return all decisions, newest first."""

    @abstractmethod
    def in_force(self) -> list[Champion]:
        """Return the newest decision of each model and alias, oldest first."""

    @abstractmethod
    def unpublished(self) -> list[Champion]:
        """Return the decisions in force that the tracking server has not been told of."""

    @abstractmethod
    def published(self, champion: Champion, version: str) -> None:
        """Note which registry version a decision became."""


class Store(ABC):
    """The store as a whole."""

    jobs: Jobs
    leases: Leases
    outbox: Outbox
    queues: Queues
    quotas: Quotas
    peaks: Peaks
    workers: Workers
    artifacts: Artifacts
    champions: Champions
    shipments: Shipments
    studies: Studies
    benchmarks: Benchmarks
    retention: Retention
    audit: Audit
    pushed: Pushed
    telemetry: Telemetry

    @abstractmethod
    def now(self) -> float:
        """Return the database's clock, seconds since the epoch."""

    @abstractmethod
    def require_schema(self) -> None:
        """Raise StoreMismatch once this program may not work with the store any more.

        A store can become newer while it is open. StoreMoved, once it went elsewhere.
        """

    @abstractmethod
    def close(self) -> None:
        """Close every connection."""
