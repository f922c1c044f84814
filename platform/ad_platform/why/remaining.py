"""How long jobs still take, by their own pace or by what jobs like them took."""

from ad_platform.history import Estimate, estimate
from ad_platform.looking import Looking
from ad_platform.records import Attempt, Job
from ad_platform.specs import JobSpec

EARLY = 0.2  # of the steps, until which past runs tell more than the pace


class Remaining:
    """Tells how long jobs take, asking the store once for each."""

    def __init__(self, client: Looking, now: float) -> None:
        self._client, self._now = client, now
        self._usual: dict[str, Estimate | None] = {}
        self._left: dict[str, float | None] = {}

    def usual(self, spec: JobSpec) -> Estimate | None:
        """Return what jobs like one took; None where none has succeeded."""
        if spec.key not in self._usual:
            self._usual[spec.key] = estimate(self._client.store, spec)
        return self._usual[spec.key]

    def left(self, job: Job) -> float | None:
        """Return the seconds a running job has left; None where nothing tells."""
        if job.id not in self._left:
            attempts = self._client.attempts(job)
            attempt = attempts[-1] if attempts else None
            pace = by_progress(job, attempt, self._now)
            # The first steps come after everything that is done once, so their pace says little.
            early = pace is None or job.progress.step < EARLY * job.progress.of
            past = self._by_history(job, attempt) if early else None
            self._left[job.id] = pace if past is None else past
        return self._left[job.id]

    def _by_history(self, job: Job, attempt: Attempt | None) -> float | None:
        usual = self.usual(job.spec)
        if usual is None:
            return None
        left = usual.seconds - (self._now - attempt.started_at if attempt else 0.0)
        return left if left > 0 else None  # it takes longer than any before it: nobody knows how long


def by_progress(job: Job, attempt: Attempt | None, now: float) -> float | None:
    """Return the seconds left at the pace of an attempt; None before its first step."""
    if attempt is None:
        return None
    resumed = attempt.facts.get("resumed_step")
    done = job.progress.step - (resumed if isinstance(resumed, int) else 0)
    left = job.progress.of - job.progress.step
    elapsed = now - attempt.started_at
    return elapsed * left / done if done > 0 and left >= 0 and elapsed > 0 else None
