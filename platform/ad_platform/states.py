"""The states of a job, how it may move between them, and why an attempt ended."""

from enum import StrEnum


class JobKind(StrEnum):
    """What a job does."""

    TRAIN = "train"
    EVALUATE = "evaluate"


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"  # for jobs it needs
    QUEUED = "queued"  # for a worker
    RUNNING = "running"  # leased by one attempt
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether the job can never change again."""
        return not ALLOWED[self]


# A terminal state has no way out: retrying an ended job makes a new job that goes on from its checkpoint.
ALLOWED: dict[JobState, frozenset[JobState]] = {
    JobState.WAITING: frozenset({JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset(
        {JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED},
    ),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


class AttemptOutcome(StrEnum):
    """How one attempt stands or ended."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    GIVEN_BACK = "given_back"  # drained or preempted: no failure, not counted
    LOST = "lost"  # its lease ran out: counted as a failure


class FailureClass(StrEnum):
    """Why an attempt failed; decides whether another one is worth making."""

    OOM = "oom"  # memory of the host or the GPU
    CRASH = "crash"  # killed by a signal, or left without a word
    INFRA = "infra"  # the platform's own machinery: storage away, zygote dead
    LOST = "lost"  # its lease ran out
    STALLED = "stalled"  # no report within stall_after
    NAN = "nan"  # the numbers left the reals
    DATA = "data"  # images missing, broken or changed
    CONFIG = "config"  # a setting that cannot work
    CODE = "code"  # an exception nobody expected
    DISK = "disk"  # no room for a checkpoint or result
    NEEDS = "needs"  # a job it needs did not succeed


# Repeating these may help; the others would fail the same way again, so they stop at once.
RETRYABLE = frozenset(
    {FailureClass.OOM, FailureClass.CRASH, FailureClass.INFRA, FailureClass.LOST, FailureClass.STALLED},
)


class Directive(StrEnum):
    """What a running attempt is told to do next."""

    CONTINUE = "continue"
    CANCEL = "cancel"  # stop, the job ends cancelled
    DRAIN = "drain"  # checkpoint, give the job back
    PRUNE = "prune"  # stop, the trial is not worth finishing
    LOST = "lost"  # the lease is gone: stop without writing anything
