"""What can keep a job from running or from its end, each kind of cause with its words and what to do."""

from dataclasses import dataclass
from enum import StrEnum

from ad_platform.records import Job
from ad_platform.states import FailureClass, Sequel


class Kind(StrEnum):
    """A kind of cause, for programs."""

    PAUSED = "paused"  # somebody has paused its queue
    NOT_BEFORE = "not-before"  # its time has not come
    NEEDS = "needs"  # a job it needs has not succeeded
    NO_WORKER = "no-worker"  # none is online
    NO_QUEUE = "no-queue"  # none serves its queue
    NO_DETECTOR = "no-detector"  # none has its detector
    TOO_NEW = "too-new"  # none understands it
    TOO_BIG = "too-big"  # it asks for more than any has
    NO_DATA = "no-data"  # none has its images
    OVER_QUOTA = "over-quota"  # it asks for more than its user's jobs may ever have
    QUOTA = "quota"  # its user's jobs have all that they may
    TAKEN = "taken"  # other people's processes hold the cards or the memory that it needs
    HELD_BACK = "held-back"  # free cards are kept for a bigger job that has waited long
    MAKING_ROOM = "making-room"  # a less urgent job was asked to give its slot back for it
    BUSY = "busy"  # every fitting slot runs another job
    BEHIND = "behind"  # other jobs go first
    BROKER = "broker"  # nobody can be woken
    READY = "ready"  # nothing keeps it: a worker takes it with its next look
    RUNNING = "running"
    CANCELLING = "cancelling"
    PRUNING = "pruning"
    GIVING_WAY = "giving-way"  # it runs, and makes room for a more urgent one
    LEAVING = "leaving"  # it runs, on a worker that gives it back
    TIMED = "timed"  # it runs, and has a limit of time
    SILENT = "silent"  # it runs, but is not heard of
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PRUNED = "pruned"  # it was a trial not worth finishing
    # Of a sweep alone:
    PARALLEL = "parallel"  # it has as many trials at a time as it may, and there is room for more
    STOPPED = "stopped"
    FINISHED = "finished"


# What somebody has to do something about; the rest passes by itself.
BLOCKING = frozenset(
    {
        Kind.PAUSED,
        Kind.NO_WORKER,
        Kind.NO_QUEUE,
        Kind.NO_DETECTOR,
        Kind.TOO_NEW,
        Kind.TOO_BIG,
        Kind.NO_DATA,
        Kind.OVER_QUOTA,
    }
)


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One reason why a job stands where it stands."""

    kind: Kind
    words: str
    advice: str = ""  # what to do about it
    jobs: tuple[str, ...] = ()  # the ids of the jobs that are the reason
    because: tuple["Cause", ...] = ()  # why it is so, where that is known

    def told(self, indent: str = "") -> list[str]:
        """Return it as lines, those of its own causes below it."""
        first = f"{indent}{self.words}" + (f"; {self.advice}" if self.advice else "")
        return [first, *(line for cause in self.because for line in cause.told(indent + "  "))]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """When a job will start and end, as far as past runs and the progress of others tell."""

    words: str
    starts_in: float | None = None  # seconds; None once it runs, or where nothing tells
    ends_in: float | None = None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A failed attempt, and what was made of it."""

    attempt: int
    failure: FailureClass
    error: str
    sequel: Sequel
    why: str


@dataclass(frozen=True, kw_only=True)
class Reasons:
    """Why a job stands where it stands."""

    job: Job
    causes: tuple[Cause, ...]
    past: tuple[str, ...] = ()  # what happened to it before
    failures: tuple[Failure, ...] = ()
    could_run: bool = False  # a free slot would get it with its next lease
    estimate: Forecast | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the whole explanation, one sentence a line."""
        told = [line for cause in self.causes for line in cause.told()]
        forecast = [self.estimate.words] if self.estimate else []
        return (*told, *self.past, *forecast)
