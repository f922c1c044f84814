"""What the store remembers, as frozen values; times are seconds since the epoch by the store's clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ad_platform.specs import JobSpec, Json
from ad_platform.states import (
    AttemptOutcome,
    Directive,
    FailureClass,
    JobKind,
    JobState,
    Sequel,
    StudyState,
    TrialOrigin,
    TrialState,
)

RESUMED_FROM = "resumed_from"  # the fact of an attempt that names the checkpoint it went on from
PASSED_OVER = "passed_over"  # the one that names the broken checkpoints it could not go on from


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an attempt has come."""

    step: int = 0
    of: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)  # the newest values
    message: str = ""  # what it is busy with, in a few words
    images: int = 0  # that the attempt has read or scored so far; 0 where nobody counts


@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work, as it stands."""

    id: str
    seq: int  # grows in the order of submission
    spec: JobSpec
    state: JobState
    user: str
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    key: str | None = None
    queue: str = "default"
    priority: int = 0
    gpus: int = 0
    memory_mb: int = 0  # of each card, or of the machine where it computes on none
    max_attempts: int = 3
    stall_after: float = 600.0
    timeout: float | None = None  # seconds that its attempts may run, all together
    batch_divisor: int = 1  # parts in which a batch is computed: 2 once memory did not suffice
    preemptible: bool = False  # it may be asked to make room for a job of higher priority
    preempted_for: str | None = None  # the job that it makes room for, while it runs
    cards: int = 0  # that its newest attempt was given
    memory_from: str = ""  # in words, where memory_mb comes from if nobody asked for it
    not_before: float = 0.0
    retry_of: str | None = None
    code: Mapping[str, str] = field(default_factory=dict)
    attempt: int = 0  # the newest attempt's number: the fencing token
    failures: int = 0  # attempts that count against max_attempts
    worker: str | None = None  # who holds or last held it
    lease_until: float | None = None
    cancel_requested: bool = False
    prune_requested: bool = False  # it is a trial not worth finishing
    progress: Progress = field(default_factory=Progress)
    failure: FailureClass | None = None
    error: str = ""  # one line: why it failed, or why it was given back
    result: Mapping[str, Json] = field(default_factory=dict)  # metrics and where the model lies
    needs: tuple[str, ...] = ()
    created_at: float = 0.0
    started_at: float | None = None  # of the first attempt
    finished_at: float | None = None

    @property
    def kind(self) -> JobKind:
        """Return what the job does."""
        return self.spec.kind

    @property
    def pruned(self) -> bool:
        """Whether it was ended because it was not worth finishing, and not by a person."""
        return self.state is JobState.CANCELLED and self.prune_requested and not self.cancel_requested

    @property
    def slots(self) -> int:
        """Return how many slots its newest attempt takes: one for each card, or one without a card."""
        return max(self.cards, 1)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One worker's try at a job."""

    job_id: str
    number: int
    worker: str
    outcome: AttemptOutcome
    started_at: float
    ended_at: float | None = None
    failure: FailureClass | None = None
    error: str = ""
    sequel: Sequel | None = None  # what was made of its failure
    facts: Mapping[str, Json] = field(default_factory=dict)  # host, device, threads, resumed step

    @property
    def resumed_from(self) -> str | None:
        """Return the checkpoint it went on from, None for one that began anew."""
        return str(self.facts[RESUMED_FROM]) if self.facts.get(RESUMED_FROM) else None

    @property
    def passed_over(self) -> tuple[str, ...]:
        """Return a line for each newer checkpoint that was broken: which, and what is wrong with it."""
        lines = self.facts.get(PASSED_OVER)
        return tuple(map(str, lines)) if isinstance(lines, list) else ()


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a job."""

    seq: int
    job_id: str
    attempt: int
    at: float
    kind: str  # submitted leased resumed given-back reaped succeeded failed cancelled ...
    data: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right of one attempt to write to its job."""

    job: Job
    attempt: int
    worker: str
    seconds: float
    time_left: float | None = None  # seconds that the attempt may run, by the job's timeout

    @property
    def job_id(self) -> str:
        """Return the id of the leased job."""
        return self.job.id


@dataclass(frozen=True)
class Room:
    """What a graphics card has for a job: its memory but for what other people's processes hold of it."""

    mb: int
    roomy: bool = True  # enough of it for a job that asks for no amount


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a worker can take on right now."""

    worker: str
    node: str  # the machine; data holdings are recorded per node
    kinds: frozenset[JobKind] = frozenset(JobKind)
    detectors: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset({"default"})
    cards: tuple[Room, ...] = ()  # that are free; none on a worker that has none at all
    whole: tuple[Room, ...] = ()  # all that it has, where some are taken
    memory_mb: int = 0  # of the machine, that are free
    left: frozenset[str] = frozenset()  # jobs that are left to newer workers

    @property
    def idle(self) -> "Capabilities":
        """Return what it could take on if nothing of its own ran."""
        return replace(self, cards=self.whole or self.cards, whole=())


@dataclass(frozen=True, kw_only=True)
class Occupancy:
    """What a worker runs, for whoever looks which of it could make room for a more urgent job.

    A slot without a card counts as a card with the machine's memory.
    """

    can: Capabilities
    free: tuple[Room, ...]  # one for each free slot
    held: Mapping[str, tuple[Room, ...]]  # by running job, one for each slot that it takes
    ending: frozenset[str] = frozenset()  # those that will have ended in a moment, by their own pace


@dataclass(frozen=True, kw_only=True)
class Preemption:
    """A running job that was asked to make room, and the one it is asked for."""

    victim: str
    by: str


@dataclass(frozen=True, kw_only=True)
class Quota:
    """How much one user's jobs may take at a time, all together; None is no limit."""

    user: str
    gpus: int | None = None
    jobs: int | None = None
    set_by: str = ""
    at: float = 0.0


@dataclass(frozen=True, kw_only=True)
class HeldBack:
    """Cards that a worker leaves free for one job until there are enough of them."""

    worker: str
    job_id: str
    since: float


@dataclass(frozen=True, kw_only=True)
class Peak:
    """The most memory that jobs of one sort took of a card."""

    peak_mb: int
    runs: int  # that it was learned from


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an attempt ended, in its own words."""

    outcome: AttemptOutcome  # SUCCEEDED, FAILED or CANCELLED
    failure: FailureClass | None = None
    error: str = ""
    result: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WorkerRecord:
    """A worker process as it last described itself."""

    id: str
    node: str
    pid: int
    slots: int
    state: str = "online"  # online, draining, gone
    queues: tuple[str, ...] = ("default",)
    detectors: tuple[str, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)  # devices, memory, versions
    started_at: float = 0.0
    seen_at: float = 0.0
    load: Mapping[str, Json] = field(default_factory=dict)  # what it had to give with its last beat
    busy: int = 0  # slots that its running jobs take


@dataclass(frozen=True, kw_only=True)
class Holding:
    """A dataset category that lies on a node, or a listing of pictures, which has no dataset."""

    node: str
    fingerprint: str
    dataset: str
    category: str
    path: str


@dataclass(frozen=True, kw_only=True)
class PushedData:
    """Pictures that lie whole in the storage, for any worker; those of a listing have no dataset."""

    fingerprint: str
    dataset: str
    category: str
    files: int
    size: int  # bytes
    user: str
    at: float = 0.0  # when they were pushed last, by the store's clock


@dataclass(frozen=True, kw_only=True)
class CheckpointRecord:
    """A committed checkpoint: complete in the storage and written by the holder of the lease."""

    job_id: str
    attempt: int
    step: int
    prefix: str  # its folder in the storage
    manifest_sha256: str
    size: int  # bytes
    created_at: float = 0.0


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """A content-addressed part of a fit that lies whole in the storage."""

    key: str
    detector: str
    stage: str
    job_id: str
    manifest_sha256: str
    size: int  # bytes
    created_at: float = 0.0


@dataclass(frozen=True, kw_only=True)
class OutboxEntry:
    """A ring that is owed to the workers."""

    seq: int
    job_id: str
    queue: str
    priority: int


@dataclass(frozen=True, kw_only=True)
class Champion:
    """One decision: which job's model carries an alias, why, and who said so."""

    model: str  # <detector>-<dataset>-<category>
    alias: str
    revision: int  # 1, 2, ... per model and alias; the highest is in force
    job_id: str
    user: str
    at: float = 0.0
    reason: str = ""
    evidence: Mapping[str, Json] = field(default_factory=dict)
    forced: bool = False
    published: str | None = None  # the MLflow model version, once the projection has caught up


@dataclass(frozen=True, kw_only=True)
class Shipment:
    """A job whose tracking is behind, claimed by one shipper for a while."""

    job: Job
    owner: str
    version: int  # what `done` must name: later changes make the job due again
    run_id: str | None
    shipped_step: int
    left_undone: bool  # an earlier claim was let go, or ran out, with nothing shipped


@dataclass(frozen=True, kw_only=True)
class Study:
    """A durable search over configs."""

    id: str
    name: str  # also the group of its jobs
    state: StudyState
    spec: Mapping[str, Json]  # sweeps.study_spec.StudySpec as JSON; never changes
    user: str = ""
    wanted: int = 0  # trials; a person may ask for more, or for no more
    parallel: int = 1  # trials at a time
    created_at: float = 0.0
    finished_at: float | None = None
    summary: Mapping[str, Json] = field(default_factory=dict)  # as it stood when it was last advanced
    version: int = 0  # grows with every change worth showing
    shipped_version: int = 0  # up to which the tracking server was told
    run_id: str | None = None  # of the tracking server


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One set of settings that a study tries; it has one job for each seed."""

    study_id: str
    number: int  # 0, 1, ... as Optuna counts them
    state: TrialState
    origin: TrialOrigin = TrialOrigin.ASKED
    params: Mapping[str, Json] = field(default_factory=dict)
    values: tuple[float, ...] | None = None  # one for each objective; of a pruned one what was last seen
    error: str = ""
    retry_of: int | None = None  # the failed trial in whose place this one stands
    again_at: float | None = None  # when somebody asked for this failed one to be run once more
    asked_at: float = 0.0
    ended_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Models beside each other on the same categories; what it consists of are ordinary jobs."""

    id: str
    name: str  # also the group of its jobs
    spec: Mapping[str, Json]  # benchmarks.benchmark_spec.BenchmarkSpec as JSON; never changes
    key: str | None = None  # the same key twice gives one benchmark
    user: str = ""
    created_at: float = 0.0
    finished_at: float | None = None  # when its results were put together; None while that is open
    summary: Mapping[str, Json] = field(default_factory=dict)  # tests between models, and where results lie
    version: int = 0  # grows with every change worth showing
    shipped_version: int = 0  # up to which the tracking server was told
    run_id: str | None = None  # of the tracking server


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """What the store answers to a renewal."""

    directive: Directive
    seconds: float  # how long the lease now lasts, from before the call
