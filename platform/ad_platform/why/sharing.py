"""What others have of what a queued job needs: quotas, cards that strangers hold, and room in the making."""

from collections.abc import Sequence

from ad_platform import offers
from ad_platform.records import Capabilities, Job, WorkerRecord
from ad_platform.why.causes import Cause, Kind
from ad_platform.why.situation import Situation
from ad_platform.why.telling import listed, work

ALLOWED = "see who may have how much: adctl quota list"


def never_allowed(job: Job, situation: Situation) -> list[Cause]:
    """Say that a job asks for more than its user may ever have, if it does."""
    quota = situation.quotas.get(job.user)
    words = ""
    if quota is not None and quota.jobs == 0:
        words = f"user {job.user} is allowed no job at all"
    elif quota is not None and quota.gpus is not None and job.gpus > quota.gpus:
        words = f"it asks for {job.gpus} GPUs, and user {job.user} is allowed {quota.gpus} at a time"
    return [Cause(kind=Kind.OVER_QUOTA, words=words, advice=ALLOWED)] if words else []


def used_up(job: Job, situation: Situation, can: Capabilities) -> Cause | None:
    """Say that a job's user has all that is allowed, as a worker with these cards would find."""
    quota = situation.quotas.get(job.user)
    if quota is None:
        return None
    mine = [other for other in situation.running if other.user == job.user]
    ids = tuple(other.id for other in mine)
    if quota.jobs is not None and len(mine) >= quota.jobs:
        words = f"user {job.user} runs {len(mine)} of {quota.jobs} allowed"
        return Cause(kind=Kind.QUOTA, words=f"{words}: {_named(mine)}", advice=ALLOWED, jobs=ids)
    cards, more = sum(other.cards for other in mine), max(job.gpus, 1)
    if can.cards and quota.gpus is not None and cards + more > quota.gpus:
        words = f"user {job.user} has {cards} of {quota.gpus} GPUs allowed, and it takes {more}"
        named = f": {_named(mine)}" if mine else ""
        return Cause(kind=Kind.QUOTA, words=f"{words}{named}", advice=ALLOWED, jobs=ids)
    return None


def kept_for(worker: WorkerRecord, situation: Situation) -> str | None:
    """Return the job that a worker holds its free cards back for, if there is one."""
    return next((one.job_id for one in situation.held_back if one.worker == worker.id), None)


def held_back(workers: Sequence[WorkerRecord], other: Job) -> Cause:
    """Say that free cards are kept for a bigger job."""
    names = listed([worker.id for worker in workers])
    words = (
        f"the free cards of worker {names} are held back for job {other.id} ({work(other)}), which asks for "
        f"{other.gpus} at once and has waited long"
    )
    return Cause(kind=Kind.HELD_BACK, words=words, jobs=(other.id,))


def taken(job: Job, workers: Sequence[WorkerRecord]) -> Cause | None:
    """Say which cards strangers hold, or how much memory is left, where that keeps a job from a free slot."""
    told: list[str] = []
    for worker in workers:
        can = offers.free(worker)
        if can is None:
            continue
        cards = [] if job.spec.cpu_only else offers.held_cards(worker)
        told += [f"{card.words} (worker {worker.id})" for card in cards]
        if not cards and (not can.cards or job.spec.cpu_only) and can.memory_mb < job.memory_mb:
            told.append(f"worker {worker.id} has {can.memory_mb} MB of memory free")
    if not told:
        return None
    asks = f"it asks for {job.memory_mb} MB" if job.memory_mb else "it takes a card that is mostly free"
    return Cause(
        kind=Kind.TAKEN,
        words=f"{asks}, and {'; '.join(told[:3])}",
        advice="it starts once they let go; what holds a card now: adctl worker list",
    )


def making_room(job: Job, situation: Situation) -> list[Cause]:
    """Say which running jobs were asked to make room for this one."""
    asked = [other for other in situation.running if other.preempted_for == job.id]
    return [
        Cause(
            kind=Kind.MAKING_ROOM,
            words=f"job {other.id} ({work(other)}) makes room for it on worker {other.worker}: its "
            f"priority is {other.priority}; it writes a checkpoint and goes on later",
            jobs=(other.id,),
        )
        for other in asked
    ]


def _named(jobs: Sequence[Job]) -> str:
    return listed([f"{job.id} ({work(job)})" for job in jobs])
