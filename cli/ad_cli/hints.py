"""Says why a watched job does not run yet, asking the store now and then only."""

from collections.abc import Callable
from dataclasses import dataclass

from ad_cli import shapes
from ad_platform.client import Client
from ad_platform.errors import Unavailable
from ad_platform.records import Job
from ad_platform.states import JobState
from ad_platform.why import Kind, Reasons, explain

EVERY = 5.0  # seconds an answer is good for
PATIENCE = 2.0  # seconds a queued job is given to be taken before anybody asks why it was not
APART = 0.4  # seconds between two questions, however many jobs are queued


@dataclass(frozen=True, kw_only=True)
class Hint:
    """Why a job does not run: what kind of reason, which changes seldom, and its words of now."""

    kind: str = ""
    words: str = ""


NONE = Hint()


class Hints:
    """Remembers what keeps each job from running; `clock` gives seconds that only grow."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        self._client, self._clock = client, clock
        self._known: dict[str, tuple[float, Hint]] = {}
        self._next = float("-inf")

    def of(self, job: Job) -> Hint:
        """Return what keeps a queued job from running; NONE if nothing does or nobody can tell now."""
        if job.state is not JobState.QUEUED:
            self._known.pop(job.id, None)
            return NONE
        now = self._clock()
        due, hint = self._known.setdefault(job.id, (now + PATIENCE, NONE))
        if now >= due and now >= self._next:
            self._next = now + APART
            hint = self._ask(job)
            self._known[job.id] = (now + EVERY, hint)
        return hint

    def _ask(self, job: Job) -> Hint:
        try:
            return _first(explain(self._client, job))
        except Unavailable:
            return NONE


def _first(reasons: Reasons) -> Hint:
    """Return the reason that matters most, after when the job will start if that is known."""
    cause = next(iter(reasons.causes), None)
    if cause is None or cause.kind is Kind.READY:
        return NONE
    estimate = reasons.estimate
    when = ""
    if estimate is not None and estimate.starts_in is not None:
        when = f"starts in about {shapes.coarse(estimate.starts_in)}: "
    return Hint(kind=cause.kind.value, words=when + cause.told()[0])
