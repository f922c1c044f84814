"""What a look over the whole store finds: records of jobs, attempts and workers that may be at odds."""

from dataclasses import dataclass

from ad_platform.states import JobState


@dataclass(frozen=True, kw_only=True)
class Held:
    """A running job, and what is known of whoever holds it."""

    job_id: str
    attempt: int
    worker: str | None
    left: float  # seconds of its lease; below 0 since when it has run out
    node: str | None = None  # of the worker; None where the store knows no such worker
    pid: int | None = None
    silent: float | None = None  # seconds since the worker was seen


@dataclass(frozen=True, kw_only=True)
class Unheard:
    """A queued job that could be leased and that no worker is about to hear of."""

    job_id: str
    queue: str
    rung_ago: float | None  # seconds since a worker was woken for it; None if never


@dataclass(frozen=True, kw_only=True)
class Stuck:
    """A waiting job whose needs say that it should not wait any more."""

    job_id: str
    need_id: str  # the one that ended badly, or the last of those that succeeded
    becomes: JobState  # queued or failed


@dataclass(frozen=True, kw_only=True)
class OpenAttempt:
    """An attempt that is recorded as running though its job is not held by it."""

    job_id: str
    number: int
    worker: str
    state: JobState  # of the job
    current: int  # the number of the job's newest attempt


@dataclass(frozen=True, kw_only=True)
class Miscounted:
    """A job that has not ended whose counters and attempts disagree."""

    job_id: str
    attempt: int  # as the job says
    newest: int  # as its attempts say
    failures: int
    failed: int  # attempts that failed or were lost


@dataclass(frozen=True, kw_only=True)
class Silent:
    """A worker that is recorded as present and has not been seen for a while."""

    id: str
    node: str
    pid: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A study or benchmark that somebody has the right to take further, or had until lately."""

    id: str
    name: str
    owner: str
    left: float  # seconds; below 0 since when the right has run out


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A job in few words, and how far the tracking server was told of it."""

    job_id: str
    seq: int
    state: JobState
    attempt: int
    started: bool
    run_id: str | None
    behind: bool  # something of it has not been shipped
    ended_ago: float | None  # seconds; None while it has not ended

    @property
    def shown(self) -> bool:
        """Whether the tracking server should have a run of it that says how it stands."""
        return not self.behind and (self.started or self.state.terminal)
