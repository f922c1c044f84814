"""How an ended job is run again as a new one, together with what it needs and what needs it."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select

from ad_platform.errors import IllegalTransition
from ad_platform.records import Job
from ad_platform.specs import Submission
from ad_platform.states import FailureClass, JobState
from ad_platform.store.collected import RESTORABLE, refuse
from ad_platform.store.database import Transaction
from ad_platform.store.rows import find_job, get_job, jobs_of, lock_job
from ad_platform.store.submissions import NewId, submit_one
from ad_platform.store.tables import edges, jobs
from ad_platform.store.transitions import mark_due, tell

_BAD = (JobState.FAILED, JobState.CANCELLED)


def retry_key(job_id: str) -> str:
    """Return the submit key of the one retry a job can have."""
    return f"retry:{job_id}"


def retry(tx: Transaction, job_id: str, new_id: NewId) -> Job:
    """Run an ended job again, with the jobs that fell with it; return the new job."""
    job = lock_job(tx, job_id)
    if done := _retry_of(tx, job_id):
        return done
    if job.state not in _BAD:
        raise IllegalTransition(job_id, job.state, "retried")
    refuse(tx, [job_id], RESTORABLE)  # it would go on from checkpoints that lie in the trash
    again = _Again(tx, new_id)
    for fallen in again.everything_with(job):
        again.submit(fallen)
    return get_job(tx, again.submit(job))


class _Again:
    """One call of retry: which jobs are made anew, and which new job stands for which old one."""

    def __init__(self, tx: Transaction, new_id: NewId) -> None:
        self._tx, self._new_id = tx, new_id
        self._new: dict[str, str] = {}

    def everything_with(self, job: Job) -> list[Job]:
        """Return a job, the ended needs it falls with, and all that fell with any of these."""
        chosen, open_ = {job.id: job}, [job]
        while open_:
            now = open_.pop()
            for other in [*self._ended_needs(now), *self._fallen_with(now)]:
                if other.id not in chosen:
                    chosen[other.id] = other
                    open_.append(other)
        return sorted(chosen.values(), key=lambda one: one.seq)

    def submit(self, old: Job) -> str:
        """Submit the retry of one job, after those of its needs; return the new id."""
        if old.id in self._new:
            return self._new[old.id]
        leads_to = {need: self._stand_in(need) for need in old.needs}
        source = old.spec.source
        new = submit_one(
            self._tx,
            replace(
                submission_of(old),
                # An evaluation scores the model of the new training, not of the one that failed.
                spec=replace(old.spec, source=leads_to.get(source, source) if source else None),
                needs=tuple(dict.fromkeys(leads_to.values())),
            ),
            self._new_id,
        )
        self._new[old.id] = new.id
        tell(self._tx, old.id, old.attempt, "retried", {"job": new.id})
        mark_due(self._tx, old.id)
        return new.id

    def _stand_in(self, job_id: str) -> str:
        newest = _newest(self._tx, get_job(self._tx, job_id))
        return self.submit(newest) if newest.state in _BAD else newest.id

    def _ended_needs(self, job: Job) -> list[Job]:
        needs = [_newest(self._tx, get_job(self._tx, need)) for need in job.needs]
        return [need for need in needs if need.state in _BAD]

    def _fallen_with(self, job: Job) -> Sequence[Job]:
        fallen = select(jobs).where(
            jobs.c.id.in_(select(edges.c.job_id).where(edges.c.need_id == job.id)),
            jobs.c.state == JobState.FAILED,
            jobs.c.failure == FailureClass.NEEDS,
        )
        dependents = jobs_of(self._tx, self._tx.rows(fallen.with_for_update()))
        return [dependent for dependent in dependents if _retry_of(self._tx, dependent.id) is None]


def _retry_of(tx: Transaction, job_id: str) -> Job | None:
    row = tx.first(select(jobs.c.id).where(jobs.c.key == retry_key(job_id)))
    return find_job(tx, row.id) if row else None


def _newest(tx: Transaction, job: Job) -> Job:
    """Follow a job's retries to the last one."""
    while following := _retry_of(tx, job.id):
        job = following
    return job


def submission_of(job: Job) -> Submission:
    """Return what would submit an ended job again, going on from its checkpoints."""
    return Submission(
        spec=job.spec,
        user=job.user,
        key=retry_key(job.id),
        name=job.name,
        tags=job.tags,
        group=job.group,
        queue=job.queue,
        priority=job.priority,
        gpus=job.gpus,
        memory_mb=job.memory_mb,
        memory_from=job.memory_from,
        preemptible=job.preemptible,
        needs=job.needs,
        max_attempts=job.max_attempts,
        stall_after=job.stall_after,
        timeout=job.timeout,
        batch_divisor=job.batch_divisor,  # what did not fit whole does not fit now
        retry_of=job.id,
        code=job.code,
    )
