"""Compares jobs with their leases, attempts, rings and needs, and workers with who is alive."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import psutil

from ad_platform.audited import Held, Miscounted, Unheard
from ad_platform.doctor.findings import Finding, Level, Mending
from ad_platform.doctor.ground import Ground, unlooked
from ad_platform.errors import BrokerDown, Conflict
from ad_platform.states import JobState
from ad_platform.store.contract import Store

ABOUT = "jobs"
LATE = 1.0  # seconds after which a lease that ran out is told of
WAITED_FOR = 60.0  # seconds of a dead worker's lease that a mending waits for
UNHEARD = 60.0  # seconds of silence about a queued job that are odd, at the usual pace of ticks
GONE = 600.0  # seconds after which a worker elsewhere counts as gone


def jobs(ground: Ground) -> Iterator[Finding]:
    """Name jobs that look as if they ran, that nobody hears of, that wait for nothing, or are miscounted."""
    store = ground.store
    if store is None:
        return
    yield from _held(ground, store)
    yield from _unheard(ground, store)
    yield from _stuck(ground, store)
    yield from _circles(ground, store)
    yield from _attempts(ground, store)
    counts = store.jobs.count()
    for state in (JobState.WAITING, JobState.QUEUED):
        if counts[state] > ground.oldest:
            yield unlooked(
                ABOUT, f"all but the oldest {ground.oldest:,} of {counts[state]:,} {state} jobs (--deep)"
            )


def workers(ground: Ground) -> Iterator[Finding]:
    """Name workers that are recorded as present and are not."""
    store = ground.store
    if store is None:
        return
    brief = 3 * ground.settings.tick
    for one in store.audit.silent(brief):
        dead = one.node == ground.settings.node and not lives(one.pid)
        if not dead and one.seconds < GONE:
            continue
        why = f"its process {one.pid} is dead" if dead else f"was not seen for {_span(one.seconds)}"
        yield Finding(
            level=Level.WARNING,
            about="workers",
            kind="silent-worker",
            subject=one.id,
            words=f"{one.id} on {one.node} is recorded as present, and {why}",
            mending=Mending(
                words="records it as gone; if it comes back it registers again",
                do=partial(_retire, store, one.id, brief if dead else GONE),
            ),
        )


def lives(pid: int) -> bool:
    """Say whether a process of this machine runs; where nobody reaps, a dead one stays as a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # there, and somebody else's
        return True


def _held(ground: Ground, store: Store) -> Iterator[Finding]:
    told = 0
    for held in store.audit.held(10 * ground.most):
        trouble = _holder(held, ground.settings.node)
        if held.left < -LATE:
            kind, why = "expired-lease", f"its lease ran out {_span(-held.left)} ago"
        elif trouble:
            kind, why = "dead-holder", f"{trouble}; its lease ends in {_span(max(0.0, held.left))}"
        else:
            continue
        yield Finding(
            level=Level.WARNING,
            about=ABOUT,
            kind=kind,
            subject=held.job_id,
            words=f"job {held.job_id} is recorded as running on {held.worker}, and {why}",
            mending=_takes_back(ground, store, held),
            remedy="wait until its lease has run out",
        )
        told += 1
        if told >= ground.most:
            return


def _holder(held: Held, node: str) -> str:
    """Say what is wrong with whoever holds a job; empty where nothing is known to be."""
    if held.pid is None:
        return "the store knows no such worker"
    if held.node == node and not lives(held.pid):
        return f"its process {held.pid} is dead"
    return ""


def _takes_back(ground: Ground, store: Store, held: Held) -> Mending | None:
    if held.left > WAITED_FOR:
        return None
    words = "takes it back" if held.left < 0 else "takes it back once its lease has run out"
    return Mending(words=words, do=partial(_reap, ground, store, held))


def _reap(ground: Ground, store: Store, held: Held) -> str:
    # Its child may go on until its own deadline, so the lease is waited for and never cut short.
    if held.left > 0:
        ground.pause(held.left + 0.5)
    store.leases.reap()
    job = store.jobs.get(held.job_id)
    if job.state is JobState.RUNNING and job.attempt == held.attempt:
        raise Conflict("its lease was renewed meanwhile: somebody holds it")
    return f"was taken back and is {job.state} now"


def _unheard(ground: Ground, store: Store) -> Iterator[Finding]:
    silence = max(UNHEARD, 6 * ground.settings.tick)
    for one in store.audit.unheard(silence, ground.most):
        since = "has ever been" if one.rung_ago is None else f"was for {_span(one.rung_ago)}"
        yield Finding(
            level=Level.WARNING,
            about=ABOUT,
            kind="unheard-job",
            subject=one.job_id,
            words=f"job {one.job_id} is queued in {one.queue}, and no worker {since} woken for it",
            mending=Mending(words="wakes one", do=partial(_remind, ground, store, silence, one)),
        )


def _remind(ground: Ground, store: Store, silence: float, one: Unheard) -> str:
    from ad_platform.queue.celery import CeleryQueue
    from ad_platform.queue.relay import relay

    if not store.outbox.remind(silence):
        return "a ring is owed or made already"  # with those of others
    try:
        while relay(store.outbox, CeleryQueue(ground.settings.broker_url), limit=1000, full=100) == 1000:
            pass
    except BrokerDown:
        return f"a ring for queue {one.queue} is owed, and made once the broker answers"
    return f"a worker of queue {one.queue} was woken"


def _stuck(ground: Ground, store: Store) -> Iterator[Finding]:
    for one in store.audit.stuck(ground.most, ground.oldest):
        bad = one.becomes is JobState.FAILED
        why = f"job {one.need_id}, which it needs, ended badly" if bad else "all it needs has succeeded"
        yield Finding(
            level=Level.PROBLEM,
            about=ABOUT,
            kind="ended-needs",
            subject=one.job_id,
            words=f"job {one.job_id} waits, and {why}",
            mending=Mending(
                words="has it fail" if bad else "queues it", do=partial(_settle, store, one.job_id)
            ),
        )


def _settle(store: Store, job_id: str) -> str:
    return f"is {store.audit.settle(job_id).state} now"


def _circles(ground: Ground, store: Store) -> Iterator[Finding]:
    for circle in circles(store.audit.waits(ground.oldest))[: ground.most]:
        yield Finding(
            level=Level.PROBLEM,
            about=ABOUT,
            kind="needs-cycle",
            subject=min(circle),
            words=f"jobs {' -> '.join((*circle, circle[0]))} wait for each other for ever",
            remedy=f"adctl cancel {circle[0]}",
        )


def circles(needs: Iterable[tuple[str, str]]) -> list[Sequence[str]]:
    """Return the circles among jobs that need each other, given as (job, need); no job is in two of them."""
    wanted: dict[str, set[str]] = {}
    needed_by: dict[str, set[str]] = {}
    for job, need in needs:
        wanted.setdefault(job, set()).add(need)
        wanted.setdefault(need, set())
        needed_by.setdefault(need, set()).add(job)
    free = [job for job, its in wanted.items() if not its]
    while free:
        need = free.pop()
        for job in needed_by.get(need, ()):
            wanted[job].discard(need)
            if not wanted[job]:
                free.append(job)
    left = {job for job, its in wanted.items() if its}
    found: list[Sequence[str]] = []
    while left:
        path: list[str] = []
        places: dict[str, int] = {}
        at = min(left)
        while at in left and at not in places:
            places[at] = len(path)
            path.append(at)
            at = min(wanted[at] & left, default="")
        if at in places:
            found.append(tuple(path[places[at] :]))
        left -= set(path)
    return found


def _attempts(ground: Ground, store: Store) -> Iterator[Finding]:
    for one in store.audit.open_attempts(ground.most):
        words = f"attempt {one.number} of job {one.job_id} is recorded as running, and the job is {one.state}"
        yield Finding(
            level=Level.PROBLEM,
            about=ABOUT,
            kind="open-attempt",
            subject=f"{one.job_id}/{one.number}",
            words=words + (f" in attempt {one.current}" if one.state is JobState.RUNNING else ""),
            mending=Mending(words="records it as lost", do=partial(_close, store, one.job_id, one.number)),
        )
    for counted in store.audit.miscounted(ground.most, ground.oldest):
        yield _miscounted(store, counted)


def _close(store: Store, job_id: str, number: int) -> str:
    return "is recorded as lost" if store.audit.close_attempt(job_id, number) else "had ended meanwhile"


def _miscounted(store: Store, one: Miscounted) -> Finding:
    if one.newest > one.attempt:
        return Finding(
            level=Level.PROBLEM,
            about=ABOUT,
            kind="attempt-number",
            subject=one.job_id,
            words=f"job {one.job_id} counts {one.attempt} attempts, and there is one of number {one.newest}",
            mending=Mending(words="raises its number", do=partial(_recount, store, one.job_id)),
        )
    gap = f"{one.attempt} attempts and {one.failures} failures"
    there = f"{one.newest} and {one.failed}" if one.newest < one.attempt else f"{one.failed} failures"
    return Finding(
        level=Level.WARNING,
        about=ABOUT,
        kind="attempts-lost",
        subject=one.job_id,
        words=f"job {one.job_id} counts {gap}, and its records show {there}",
        remedy="nothing: its numbers stand, and it may have fewer tries than it should",
    )


def _recount(store: Store, job_id: str) -> str:
    if not store.audit.recount(job_id):
        raise Conflict("it runs, or was put right meanwhile: look again later")
    return "its number was raised"


def _retire(store: Store, worker_id: str, seconds: float) -> str:
    return "is recorded as gone" if store.audit.retire(worker_id, seconds) else "was seen meanwhile"


def _span(seconds: float) -> str:
    """Return a time in words of the right size."""
    for size, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
