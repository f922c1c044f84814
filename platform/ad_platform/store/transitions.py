"""The one place where a job's state changes: allowed, fenced, with its event, its ring and its shipment."""

from collections.abc import Mapping

from sqlalchemy import delete, insert, select, update

from ad_platform.errors import IllegalTransition, LeaseLost
from ad_platform.records import Job, Lease
from ad_platform.specs import Json
from ad_platform.states import ALLOWED, JobState
from ad_platform.store.database import Transaction
from ad_platform.store.rows import job_of
from ad_platform.store.tables import events, is_state, jobs, outbox, shipments


def permit(job_id: str, old: JobState, new: JobState) -> None:
    """Raise IllegalTransition unless a job may go from one state to the other."""
    if new not in ALLOWED[old]:
        raise IllegalTransition(job_id, old, new)


def move(
    tx: Transaction,
    job: Job,
    new: JobState,
    event: str,
    data: Mapping[str, Json] | None = None,
    **values: object,
) -> None:
    """Change a job's state from what `job` says it is, with the event that tells why.

    Raises IllegalTransition, or LeaseLost when the job has moved on since it was read.
    """
    permit(job.id, job.state, new)
    here = (jobs.c.id == job.id, jobs.c.state == job.state, jobs.c.attempt == job.attempt)
    if new is not JobState.RUNNING:
        values |= {"lease_until": None, "preempted_for": None}
    if new.terminal:
        values["finished_at"] = tx.now
    if tx.run(update(jobs).where(*here).values(state=new, **values)).rowcount != 1:
        raise LeaseLost(job.id, job.attempt)
    tell(tx, job.id, job.attempt, event, {**(data or {}), "state": new.value})
    mark_due(tx, job.id)
    if new is JobState.QUEUED:
        owe_ring(tx, job)


def hold(tx: Transaction, lease: Lease) -> Job:
    """Return the job of a lease, locked; raise LeaseLost unless that attempt still holds it."""
    job = held(tx, lease)
    if job is None:
        raise LeaseLost(lease.job_id, lease.attempt)
    return job


def held(tx: Transaction, lease: Lease) -> Job | None:
    """Return the job of a lease, locked, if that attempt still holds it."""
    mine = (jobs.c.id == lease.job_id, jobs.c.attempt == lease.attempt, is_state(JobState.RUNNING))
    row = tx.first(select(jobs).where(*mine).with_for_update())
    return row and job_of(tx, row)


def tell(tx: Transaction, job_id: str, attempt: int, kind: str, data: Mapping[str, Json]) -> None:
    """Write an event; the job's row must be locked, so that its events are numbered in their order."""
    tx.run(insert(events).values(job_id=job_id, attempt=attempt, at=tx.now, kind=kind, data=dict(data)))


def mark_due(tx: Transaction, job_id: str) -> None:
    """Note that the tracking server has not been told everything about a job."""
    fresh = tx.insert(shipments).values(
        job_id=job_id, version=1, done_version=0, claimed_until=0.0, shipped_step=0
    )
    more = {"version": shipments.c.version + 1}
    tx.run(fresh.on_conflict_do_update(index_elements=["job_id"], set_=more))


def owe_ring(tx: Transaction, job: Job) -> None:
    """Owe the workers a ring for a job that was just queued.

    A row left from an earlier time in the queue is replaced, not kept: somebody may be about to forget it.
    """
    if job.attempt:  # a job that no attempt has had was not in the queue before
        tx.run(delete(outbox).where(outbox.c.job_id == job.id))
    tx.run(insert(outbox).values(job_id=job.id, queue=job.queue, priority=job.priority))
