"""How a running job stands: where it runs, whether it is heard of, what it was told."""

from ad_platform.durations import exact
from ad_platform.history import span
from ad_platform.looking import Looking
from ad_platform.records import Job
from ad_platform.states import JobState
from ad_platform.why.causes import Cause, Kind
from ad_platform.why.situation import Situation
from ad_platform.why.telling import ago, moment, work

LATE = 2 / 3  # of a lease without a renewal: it is renewed at a third of its length


def runs(client: Looking, job: Job, situation: Situation) -> tuple[Cause, ...]:
    """Say that a job runs, and what may end it early."""
    found = [Cause(kind=Kind.RUNNING, words=_where(client, job, situation))]
    if job.cancel_requested or job.prune_requested:
        found.append(_ending(client, job, situation))
    if job.preempted_for is not None:
        found += _giving_way(client, job.preempted_for)
    worker = situation.worker(job.worker)
    if worker is not None and worker.state == "draining":
        words = (
            f"worker {worker.id} is told to leave: the job checkpoints, is queued again and keeps what it has"
        )
        found.append(Cause(kind=Kind.LEAVING, words=words))
    if job.timeout is not None:
        found.append(_time_left(client, job, job.timeout, situation.now))
    silence = _silence(client, job, situation)
    return (*found, silence) if silence else tuple(found)


def _giving_way(client: Looking, urgent: str) -> list[Cause]:
    """Say for whom a job makes room, unless that one has been served meanwhile."""
    other = client.store.jobs.get(urgent)
    if other.state is not JobState.QUEUED:
        return []
    words = (
        f"it makes room for job {other.id} ({work(other)}) of priority {other.priority}: it checkpoints, is "
        "queued again and keeps what it has"
    )
    return [Cause(kind=Kind.GIVING_WAY, words=words, jobs=(other.id,))]


def _ending(client: Looking, job: Job, situation: Situation) -> Cause:
    order, kind, why = "cancel-requested", Kind.CANCELLING, ""
    if not job.cancel_requested:
        order, kind, why = "prune-requested", Kind.PRUNING, " since it is not worth finishing"
    asked = next((event.at for event in client.events(job) if event.kind == order), situation.now)
    words = f"it was told to end {ago(asked, situation.now)}{why}, which it does at its next safe point"
    return Cause(kind=kind, words=words)


def _where(client: Looking, job: Job, situation: Situation) -> str:
    now, worker = situation.now, situation.worker(job.worker)
    attempts = client.attempts(job)
    began = attempts[-1].started_at if attempts else job.started_at or now
    words = f"it runs: attempt {job.attempt} on worker {job.worker}"
    if worker is not None and worker.node != worker.id:
        words += f" (node {worker.node})"
    words += f", begun {ago(began, now)}"
    if job.progress.of:
        words += f", step {job.progress.step} of {job.progress.of}"
    if job.progress.message:
        words += f", {job.progress.message}"
    if job.batch_divisor > 1:
        words += ", told to compute its batches in halves"
    kept = client.store.artifacts.checkpoints(job.id)
    if kept:
        words += f"; its last checkpoint is of step {kept[0].step}, {ago(kept[0].created_at, now)}"
    renewed = _renewed(client, job)
    return f"{words}; last heard of {ago(renewed, now)}" if renewed else words


def _time_left(client: Looking, job: Job, timeout: float, now: float) -> Cause:
    """Say when the time is used up that all attempts of a job have together."""
    spent = sum((one.ended_at or now) - one.started_at for one in client.attempts(job))
    left = timeout - spent
    when = f"in {span(left)}" if left > 0 else "now"
    return Cause(
        kind=Kind.TIMED, words=f"its time limit of {exact(timeout)} is used up {when}, which ends it"
    )


def _silence(client: Looking, job: Job, situation: Situation) -> Cause | None:
    """Say that a lease is not renewed, and what will come of it."""
    now = situation.now
    if job.lease_until is None:
        return None
    if job.lease_until < now:
        gone = f"worker {job.worker} has died, hangs or is cut off"
        words = f"its lease ran out {ago(job.lease_until, now)}: {gone}"
        return Cause(kind=Kind.SILENT, words=words, advice="the next look of any worker queues the job again")
    renewed = _renewed(client, job)
    if renewed is None or now - renewed < LATE * (job.lease_until - renewed):
        return None
    words = (
        f"its lease was not renewed for {span(now - renewed)}: the job hangs, or worker {job.worker} is dead "
        f"or cut off; unless it comes back, the job is queued again at {moment(job.lease_until, now)}"
    )
    return Cause(kind=Kind.SILENT, words=words, advice=f"see what it wrote: adctl logs {job.id}")


def _renewed(client: Looking, job: Job) -> float | None:
    """Return when the lease was last renewed; leases from before their length was told do not say."""
    leased = next((event for event in reversed(client.events(job)) if event.kind == "leased"), None)
    seconds = leased.data.get("seconds") if leased is not None else None
    if job.lease_until is None or not isinstance(seconds, int | float):
        return None
    return job.lease_until - seconds
