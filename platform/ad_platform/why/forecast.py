"""When a job will start and end, as far as past runs and the progress of others tell."""

import heapq
from collections.abc import Sequence
from itertools import islice

from ad_platform.history import span
from ad_platform.looking import Looking
from ad_platform.queues import Standing
from ad_platform.records import Job
from ad_platform.why.causes import BLOCKING, Cause, Forecast
from ad_platform.why.queued import Queued
from ad_platform.why.remaining import Remaining
from ad_platform.why.situation import Situation

SAMPLED = 10  # jobs before it whose length is looked up; the others count as their mean


def of_queued(
    client: Looking, job: Job, found: Queued, situation: Situation, remaining: Remaining
) -> Forecast | None:
    """Forecast a queued job: nothing is said of when it starts while somebody must do something first."""
    if any(cause.kind in BLOCKING for cause in found.causes):
        return _started_by(job, None, remaining)
    start = _start(client, found, situation, remaining)
    if start is not None:
        start = max(start, job.not_before - situation.now)
    return _started_by(job, start, remaining)


def of_waiting(
    job: Job, causes: Sequence[Cause], needs: Sequence[Forecast | None], remaining: Remaining
) -> Forecast | None:
    """Forecast a job that starts when those it needs have ended."""
    ends = [need.ends_in if need else None for need in needs]
    known = [end for end in ends if end is not None]
    blocked = any(cause.kind in BLOCKING for cause in causes)
    start = max(known) if known and len(known) == len(ends) and not blocked else None
    return _started_by(job, start, remaining)


def of_running(job: Job, remaining: Remaining) -> Forecast | None:
    """Forecast the end of a running job."""
    left = remaining.left(job)
    if left is None:
        return None
    return Forecast(words=f"it should end in about {span(left)}", ends_in=left)


def _started_by(job: Job, start: float | None, remaining: Remaining) -> Forecast | None:
    usual = remaining.usual(job.spec)
    if start is None:
        if usual is None:
            return None
        return Forecast(words=f"once it runs it should take {usual.words}")
    when = "within seconds" if start < 5 else f"in about {span(start)}"
    if usual is None:
        words = f"it should start {when}; how long it takes is not known, nothing like it has run yet"
        return Forecast(words=words, starts_in=start)
    words = f"it should start {when} and then take {usual.words}"
    return Forecast(words=words, starts_in=start, ends_in=start + usual.seconds)


def _start(client: Looking, found: Queued, situation: Situation, remaining: Remaining) -> float | None:
    """Return in how many seconds a fitting slot is free for it, once those before it have been served."""
    slots = _slots(found, situation, remaining)
    lengths = _lengths(client, found.before, remaining)
    if not slots or lengths is None:
        return None
    heapq.heapify(slots)
    for length in lengths:
        heapq.heapreplace(slots, slots[0] + length)
    return slots[0]


def _slots(found: Queued, situation: Situation, remaining: Remaining) -> list[float]:
    """Return when each fitting slot will be free; of a job that may run forever nothing is expected."""
    slots: list[float] = []
    for worker in found.workers:
        held = [job for job in situation.running if job.worker == worker.id]
        lefts = [remaining.left(job) for job in held]
        slots += [left for left in lefts if left is not None]
        slots += [0.0] * (worker.slots - worker.busy)
    return slots


def _lengths(client: Looking, before: Sequence[Standing], remaining: Remaining) -> list[float] | None:
    """Return how long each job before it takes; None where that of one is not known."""
    known: list[float] = []
    for one in islice(before, SAMPLED):
        usual = remaining.usual(client.store.jobs.get(one.job_id).spec)
        if usual is None:
            return None
        known.append(usual.seconds)
    mean = sum(known) / len(known) if known else 0.0
    return known + [mean] * (len(before) - len(known))
