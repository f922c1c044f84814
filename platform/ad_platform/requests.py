"""What a person asks the client for, and what the client answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypedDict

from ad_platform.queues import QueueState
from ad_platform.records import Champion, Job, WorkerRecord
from ad_platform.specs import DatasetRef, Json
from ad_platform.states import JobKind, JobState


@dataclass(frozen=True, kw_only=True)
class Scheduling:
    """How a job is to be run, whatever it computes."""

    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None  # what holds jobs together
    queue: str = "default"
    priority: int = 0
    max_attempts: int = 3
    timeout: float | None = None  # seconds that the attempts of each job may run, all together
    gpus: int | None = None  # cards for each job, all at once; None is what the device comes to
    memory_mb: int | None = None  # of each card; None is what jobs like it took, 0 asks for no amount
    preemptible: bool = False  # its jobs may be asked to make room for those of higher priority
    key: str | None = None  # the same key twice gives one job


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """A detector to fit on a category."""

    detector: str
    dataset: DatasetRef
    preset: str | None = None
    base: Mapping[str, Json] = field(default_factory=dict)  # over the preset's, as another job has them
    settings: Sequence[str] | Mapping[str, Json] = ()  # over those: "name=value", or values by name
    image_size: int | None = None  # short for the setting of that name
    seed: int = 0
    device: str = "auto"
    checkpoint_every: int | None = None
    threads: int | None = None  # of the CPU; None lets the worker decide
    holdout: str | None = None  # as "10/10"; None is the default, or "none" for a published preset
    evaluate: bool = True  # also submit the evaluation of what will be fitted
    scheduling: Scheduling = field(default_factory=Scheduling)


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """What became of a submit: the jobs, whether their workers were woken, and what may be in the way."""

    jobs: tuple[Job, ...]
    rung: bool
    warnings: tuple[str, ...] = ()


class JobOrder(StrEnum):
    """What jobs can be sorted by, beside their age and what they have measured."""

    STATE = "state"  # as a job goes through them
    KIND = "kind"
    DETECTOR = "detector"
    DATA = "data"  # dataset, then category
    NAME = "name"  # those without one come last
    USER = "user"


class JobFilter(TypedDict, total=False):
    """What the jobs of a search have in common; what is None or empty excludes nothing.

    Names of detectors, datasets, categories and jobs are compared in any case. A `name` may hold "*" for
    anything; of a longer name only the first 200 characters are looked at then.
    A tag's value of None asks for the tag alone, whatever its value.
    """

    states: Sequence[JobState]
    kind: JobKind | None
    user: str | None
    group: str | None
    name: str | None
    detector: str | None
    dataset: str | None
    category: str | None
    queue: str | None
    worker: str | None  # who holds it or held it last
    tags: Mapping[str, str | None]
    needs: str | None  # those that depend on the job of this id
    without_sweeps: bool  # none that a sweep or benchmark has submitted
    since: float | None  # submitted since then, in seconds since the epoch by the store's clock
    before_seq: int | None
    limit: int  # 100 unless given
    oldest_first: bool
    sort: JobOrder | None  # instead of by age; of equal ones the newest first
    measure: str | None  # by what was measured under this full name, the highest first; others come last
    reverse: bool  # the other way round; those without the measure come last all the same


class GroupFilter(TypedDict, total=False):
    """What the sweeps or benchmarks of a search have in common; what is None excludes nothing.

    All of a detector, dataset and category are kept, in any case, and some others may be.
    """

    user: str | None
    detector: str | None
    dataset: str | None
    category: str | None
    since: float | None  # submitted since then, in seconds since the epoch by the store's clock
    beyond: tuple[float, str] | None  # those after the one of this time and name
    oldest_first: bool
    limit: int  # 100 unless given


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Jobs as they stood at one look; `trouble` says why this look shows the last known state."""

    jobs: tuple[Job, ...]
    trouble: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing can change any more."""
        return all(job.state.terminal for job in self.jobs)


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """A decision, and the registry version it became if the registry has been told in time."""

    champion: Champion

    @property
    def published(self) -> bool:
        """Whether the registry shows the decision."""
        return self.champion.published is not None


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The platform at a glance."""

    jobs: Mapping[JobState, int]
    workers: tuple[WorkerRecord, ...]
    depths: Mapping[str, int] | None  # wake-ups in each queue; None when the broker does not answer
    queues: tuple[QueueState, ...] = ()
    trouble: str = ""
