"""The states of a job, how it may move between them, and why an attempt ended."""

from enum import StrEnum


class JobKind(StrEnum):
    """What a job does."""

    TRAIN = "train"
    EVALUATE = "evaluate"
    TRIAL = "trial"  # of a study: fits what is missing and measures only what the study compares
    PREDICT = "predict"  # scores any pictures with the model of a train job


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
    TIMEOUT = "timeout"  # its attempts ran longer than the job may
    NAN = "nan"  # the numbers left the reals
    DATA = "data"  # images missing, broken or changed
    CONFIG = "config"  # a setting that cannot work
    CODE = "code"  # an exception nobody expected
    DISK = "disk"  # no room for a checkpoint or result
    NEEDS = "needs"  # a job it needs did not succeed


class Sequel(StrEnum):
    """What was made of a failed attempt; `policies` says which class of failure calls for which."""

    RETRY = "retry"  # another attempt, as it was
    HALVE = "halve"  # another attempt, which computes its batches in halves
    STOP = "stop"  # none: it would fail the same way again
    EXHAUSTED = "exhausted"  # none: max_attempts have failed


class Directive(StrEnum):
    """What a running attempt is told to do next."""

    CONTINUE = "continue"
    CANCEL = "cancel"  # stop, the job ends cancelled
    PREEMPT = "preempt"  # checkpoint, give the job back: a more urgent one goes first
    DRAIN = "drain"  # the same since its worker leaves
    PRUNE = "prune"  # stop, the trial is not worth finishing
    LOST = "lost"  # the lease is gone: stop without writing anything


class CollectedState(StrEnum):
    """What a collection has done to the files of something."""

    CONDEMNED = "condemned"  # about to be moved to the trash
    TRASHED = "trashed"  # in the trash, to be restored until it expires
    PURGED = "purged"  # removed for good
    RESTORED = "restored"  # back where it was, by somebody's wish


class StudyState(StrEnum):
    """Where a study stands."""

    RUNNING = "running"
    PAUSED = "paused"  # asks for no more; what runs goes on
    STOPPED = "stopped"  # ended by a person, with nothing made of it
    FINISHED = "finished"  # all trials have ended, and the best one was trained and evaluated


# A finished or stopped study goes on when it is extended or resumed.
STUDY_ALLOWED: dict[StudyState, frozenset[StudyState]] = {
    StudyState.RUNNING: frozenset({StudyState.PAUSED, StudyState.STOPPED, StudyState.FINISHED}),
    StudyState.PAUSED: frozenset({StudyState.RUNNING, StudyState.STOPPED}),
    StudyState.STOPPED: frozenset({StudyState.RUNNING}),
    StudyState.FINISHED: frozenset({StudyState.RUNNING}),
}


class TrialState(StrEnum):
    """How a trial of a study stands or ended; an ended one never changes again."""

    RUNNING = "running"  # asked for; its jobs may still be waiting
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


class TrialOrigin(StrEnum):
    """Where the settings of a trial come from, which decides what it counts for."""

    ASKED = "asked"  # of the sampler
    RETRY = "retry"  # those of a failed trial once more, in whose place it stands
    WARM = "warm"  # with its values, from another study: nothing was computed
    RULED_OUT = "ruled-out"  # of the sampler, but settings that do not go together: nothing was computed
