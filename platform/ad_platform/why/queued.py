"""Why a queued job is not running."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ad_platform import offers
from ad_platform.errors import BrokerDown
from ad_platform.history import span
from ad_platform.looking import Looking
from ad_platform.queues import Standing
from ad_platform.records import Job, WorkerRecord
from ad_platform.why.causes import Cause, Kind
from ad_platform.why.fitting import fitting, missing
from ad_platform.why.remaining import Remaining
from ad_platform.why.sharing import held_back, kept_for, making_room, never_allowed, taken, used_up
from ad_platform.why.situation import Situation
from ad_platform.why.telling import ago, because, listed, moment, work

TIMED = 20  # running jobs whose end is looked for


@dataclass(frozen=True, kw_only=True)
class Queued:
    """What keeps a queued job, and what is known about when that ends."""

    causes: tuple[Cause, ...]
    could_run: bool = False
    workers: tuple[WorkerRecord, ...] = ()  # that could do it
    before: tuple[Standing, ...] = ()  # the jobs that go first


def keeping(
    client: Looking, job: Job, situation: Situation, nodes: Collection[str], remaining: Remaining
) -> Queued:
    """Say what keeps a queued job from running."""
    blocked = [
        *of_queue(job, situation),
        *never_allowed(job, situation),
        *_of_time(client, job, situation),
    ]
    lack = missing(job, situation, nodes)
    if lack is not None:
        return Queued(causes=(*blocked, lack))
    workers = fitting(job, situation, nodes)
    able = [worker for worker in workers if (can := offers.free(worker)) and offers.has_room(job, can)]
    allowed = [worker for worker in able if used_up(job, situation, offers.ever(worker)) is None]
    free = [worker for worker in allowed if _given(client, job, worker, situation)]
    before = _before(client, job, free, workers)
    if not free and not any(cause.kind is Kind.OVER_QUOTA for cause in blocked):
        blocked += _occupied(client, job, workers, able, allowed, situation, remaining)
    if blocked:
        return Queued(causes=tuple(blocked), workers=tuple(workers), before=before)
    if before:
        return Queued(causes=(_behind(job, before, situation),), workers=tuple(workers), before=before)
    return Queued(causes=(_next(client, job, free),), could_run=True, workers=tuple(workers))


def _given(client: Looking, job: Job, worker: WorkerRecord, situation: Situation) -> bool:
    """Say whether a worker gives its free slots to a job, not holding them back for another."""
    other = kept_for(worker, situation)
    return other in (None, job.id) or client.store.jobs.get(str(other)).priority < job.priority


def _occupied(
    client: Looking,
    job: Job,
    workers: Sequence[WorkerRecord],
    able: Sequence[WorkerRecord],
    allowed: Sequence[WorkerRecord],
    situation: Situation,
    remaining: Remaining,
) -> list[Cause]:
    """Say who has what a job needs: its user's other jobs, a bigger job to come, strangers, or other jobs."""
    if allowed:
        other = client.store.jobs.get(str(kept_for(allowed[0], situation)))
        return [held_back(allowed, other)]
    if able:
        cause = used_up(job, situation, offers.ever(able[0]))
        assert cause is not None
        return [cause]
    found = [*making_room(job, situation)]
    # What its user may have is worth a word though there is no room either.
    spent = [used_up(job, situation, offers.ever(worker)) for worker in workers]
    if all(spent):
        found += [cause for cause in spent[:1] if cause]
    if (strangers := taken(job, workers)) is not None:
        found.append(strangers)
    if any(worker.busy for worker in workers):
        found.append(_busy(job, workers, situation, remaining))
    return found or [_between()]


def _between() -> Cause:
    words = "nothing that is known of the workers keeps it: what they have told last may have changed"
    return Cause(kind=Kind.BUSY, words=words, advice="look again in a few seconds")


def of_queue(job: Job, situation: Situation) -> list[Cause]:
    """Say that a job's queue is paused, if it is."""
    paused = situation.paused.get(job.queue)
    if paused is None:
        return []
    since = f"{moment(paused.at, situation.now)} ({ago(paused.at, situation.now)})"
    words = f"the queue '{job.queue}' is paused, by {paused.user} since {since}{because(paused.reason)}"
    return [Cause(kind=Kind.PAUSED, words=words, advice=f"let it go on with: adctl queue resume {job.queue}")]


def _of_time(client: Looking, job: Job, situation: Situation) -> list[Cause]:
    left = job.not_before - situation.now
    if left <= 0:
        return []
    advice = ""
    words = f"it is not to start before {moment(job.not_before, situation.now)}, in {span(left)}"
    last = next((event for event in reversed(client.events(job)) if event.kind != "retried"), None)
    if last is not None and last.kind == "attempt-failed":
        halved = " with its batches computed in halves" if job.batch_divisor > 1 else ""
        words += (
            f": attempt {last.attempt} failed ({job.failure}), and the next one{halved} waits a while; "
            f"that was failure {job.failures}, and {job.max_attempts} end the job"
        )
        advice = f"if it is not worth another one: adctl cancel {job.id}"
    return [Cause(kind=Kind.NOT_BEFORE, words=words, advice=advice)]


def _busy(job: Job, workers: Sequence[WorkerRecord], situation: Situation, remaining: Remaining) -> Cause:
    names = {worker.id for worker in workers}
    held = [job for job in situation.running if job.worker in names]
    lefts = {job.id: remaining.left(job) for job in held[:TIMED]}
    held.sort(key=lambda job: (left := lefts.get(job.id)) is None or left)  # soon to end first
    told = []
    for other in held:
        left = lefts.get(other.id)
        told.append(f"{other.id} ({work(other)}{f', about {span(left)} left' if left is not None else ''})")
    slots, taken_up = (sum(getattr(worker, name) for worker in workers) for name in ("slots", "busy"))
    all_of = "the only slot" if slots == 1 else f"all {slots} slots"
    if taken_up < slots:
        all_of = f"{taken_up} of {slots} slots"
    whose = f"{'worker' if len(workers) == 1 else 'the fitting workers'} {listed(sorted(names))}"
    at_once = f", and it asks for {job.gpus} at once" if job.gpus > 1 else ""
    return Cause(
        kind=Kind.BUSY,
        words=f"{all_of} of {whose} {'is' if slots == 1 else 'are'} busy with {listed(told)}{at_once}",
        jobs=tuple(other.id for other in held),
    )


def _before(
    client: Looking, job: Job, free: Sequence[WorkerRecord], workers: Sequence[WorkerRecord]
) -> tuple[Standing, ...]:
    """Return those that go first where the fewest do."""
    shortest: list[Standing] | None = None
    for worker in free or workers:
        can = offers.free(worker) if free else None
        line = client.store.queues.line(can or offers.idle(worker))
        places = [place for place, one in enumerate(line) if one.job_id == job.id]
        # Not in it, though it could be done: it is paused or too early, or more go first than are looked at.
        before = line[: places[0]] if places else line
        shortest = before if shortest is None or len(before) < len(shortest) else shortest
    return tuple(shortest or ())


def _behind(job: Job, before: Sequence[Standing], situation: Situation) -> Cause:
    running = sum(other.slots for other in situation.running if other.user == job.user)
    higher = [one for one in before if one.priority > job.priority]
    share = [one for one in before if one.priority == job.priority and one.running < running]
    parts = []
    if higher:
        parts.append(f"{len(higher)} of higher priority than its {job.priority}")
    if share:
        users = sorted({one.user for one in share})
        have = "has" if len(users) == 1 else "have"
        parts.append(f"{len(share)} of {listed(users)}, who {have} fewer slots than {job.user} ({running})")
    if earlier := len(before) - len(higher) - len(share):
        parts.append(f"{earlier} submitted earlier")
    count = "1 job goes" if len(before) == 1 else f"{len(before)} jobs go"
    return Cause(
        kind=Kind.BEHIND,
        words=f"{count} first: {', '.join(parts)}; the next is {before[0].job_id}",
        jobs=tuple(one.job_id for one in before),
    )


def _next(client: Looking, job: Job, free: Sequence[WorkerRecord]) -> Cause:
    """Say that nothing keeps a job but perhaps that nobody can be woken for it."""
    try:
        client.queue.depths([job.queue])
    except BrokerDown as error:
        return Cause(
            kind=Kind.BROKER,
            words=f"no worker can be woken for it: {error}",
            advice="it is safe in the store and starts once the broker answers: adctl status, adctl up",
        )
    names = listed([worker.id for worker in free])
    words = f"nothing keeps it: worker {names} has a free slot and takes it next"
    return Cause(kind=Kind.READY, words=words, advice="look again in a few seconds")
