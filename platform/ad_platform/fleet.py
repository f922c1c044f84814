"""How the fleet stands, in numbers: what a monitoring system asks for again and again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ad_platform.queues import QueueLoad
from ad_platform.records import WorkerRecord
from ad_platform.states import AttemptOutcome, FailureClass, JobState


@dataclass(frozen=True, kw_only=True)
class AttemptCount:
    """How many attempts stand or ended one way."""

    outcome: AttemptOutcome
    failure: FailureClass | None
    number: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One look at the store; times are in seconds by its clock."""

    now: float
    jobs: Mapping[JobState, int] = field(default_factory=dict)
    queues: Sequence[QueueLoad] = ()
    paused: frozenset[str] = frozenset()
    waiting_since: Mapping[str, float] = field(default_factory=dict)  # queue -> oldest submit still queued
    lease_until: float | None = None  # of the running job whose lease ends first
    overdue: int = 0  # running jobs whose lease has ended
    attempts: Sequence[AttemptCount] = ()
    untold: int = 0  # jobs of which the tracking server has not been told everything
    untold_since: float | None = None  # the earliest end among those that have ended
    roster: Sequence[WorkerRecord] = ()
