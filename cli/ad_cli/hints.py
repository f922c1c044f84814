"""Says why a watched job does not run yet, asking the store now and then only."""

from collections.abc import Callable

from ad_platform.client import Client
from ad_platform.errors import Unavailable
from ad_platform.records import Job
from ad_platform.states import JobState
from ad_platform.why import warnings

EVERY = 5.0  # seconds an answer is good for
PATIENCE = 2.0  # seconds a queued job is given to be taken before anybody asks why it was not


class Hints:
    """Remembers what keeps each job from running; `clock` gives seconds that only grow."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        self._client, self._clock = client, clock
        self._known: dict[str, tuple[float, str]] = {}

    def of(self, job: Job) -> str:
        """Return what keeps a queued job from running, "" if nothing does or nobody can tell now."""
        if job.state is not JobState.QUEUED:
            self._known.pop(job.id, None)
            return ""
        now = self._clock()
        due, words = self._known.setdefault(job.id, (now + PATIENCE, ""))
        if now >= due:
            words = self._ask(job)
            self._known[job.id] = (now + EVERY, words)
        return words

    def _ask(self, job: Job) -> str:
        try:
            return next(iter(warnings(self._client, [job])), "")
        except Unavailable:
            return ""
