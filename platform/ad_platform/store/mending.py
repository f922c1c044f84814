"""Puts right what is at odds in the store, looking again under a lock: to do it twice does no harm."""

from sqlalchemy import ColumnElement, delete, exists, func, literal_column, select, update

from ad_platform.records import Job
from ad_platform.states import AttemptOutcome, FailureClass, JobState
from ad_platform.store import endings
from ad_platform.store.database import Transaction
from ad_platform.store.rows import jobs_of, lock_job
from ad_platform.store.tables import (
    attempts,
    benchmarks,
    checkpoints,
    edges,
    is_state,
    jobs,
    stages,
    studies,
    workers,
)
from ad_platform.store.transitions import mark_due, move

RUNNING: ColumnElement[str] = literal_column("'running'")
LEFT_OPEN = "left open: the job went on without it"


def settle(tx: Transaction, job_id: str) -> Job:
    """Let a waiting job go on, or fail, as the end of its needs should have made it."""
    # Needs first, as whoever submits and whoever ends them does: they cannot end while we look.
    needed = select(edges.c.need_id).where(edges.c.job_id == job_id)
    shared = select(jobs).where(jobs.c.id.in_(needed)).order_by(jobs.c.id).with_for_update(read=True)
    needs = jobs_of(tx, tx.rows(shared))
    job = lock_job(tx, job_id)
    if job.state is not JobState.WAITING:
        return job
    bad = next((need for need in needs if need.state in (JobState.FAILED, JobState.CANCELLED)), None)
    if bad is not None:
        endings.fail(tx, job, FailureClass.NEEDS, f"needs job {bad.id}, which is {bad.state}")
    elif all(need.state is JobState.SUCCEEDED for need in needs):
        move(tx, job, JobState.QUEUED, "queued", {"because": needs[-1].id} if needs else {})
    return endings.current(tx, job)


def close_attempt(tx: Transaction, job_id: str, number: int) -> bool:
    """Record an attempt that does not hold its job as lost; its job is not touched."""
    lock_job(tx, job_id)
    holds = exists().where(jobs.c.id == job_id, jobs.c.attempt == number, is_state(JobState.RUNNING))
    closed = update(attempts).where(
        attempts.c.job_id == job_id, attempts.c.number == number, attempts.c.outcome == RUNNING, ~holds
    )
    values = {"outcome": AttemptOutcome.LOST, "failure": FailureClass.LOST, "error": LEFT_OPEN}
    if tx.run(closed.values(**values, ended_at=tx.now)).rowcount != 1:
        return False
    mark_due(tx, job_id)
    return True


def recount(tx: Transaction, job_id: str) -> bool:
    """Raise a job's attempt number to that of its newest attempt, unless it is running.

    The number is the fencing token: it may be raised by anybody, and must never fall.
    """
    job = lock_job(tx, job_id)
    newest = tx.run(select(func.max(attempts.c.number)).where(attempts.c.job_id == job_id)).scalar_one()
    if newest is None or newest <= job.attempt or job.state is JobState.RUNNING:
        return False
    tx.run(update(jobs).where(jobs.c.id == job_id).values(attempt=newest))
    mark_due(tx, job_id)
    return True


def retire(tx: Transaction, worker_id: str, seconds: float) -> bool:
    """Record a worker as gone if it was not seen for so long."""
    silent = (
        workers.c.id == worker_id,
        workers.c.state != "gone",
        workers.c.seen_at < tx.now - seconds,
    )
    return tx.run(update(workers).where(*silent).values(state="gone")).rowcount == 1


def tell_again(tx: Transaction, job_id: str) -> None:
    """Make a job due for tracking as if something of it had changed."""
    lock_job(tx, job_id)
    mark_due(tx, job_id)


def forget_checkpoint(tx: Transaction, job_id: str, prefix: str) -> bool:
    """Drop the record of a checkpoint that is not in the storage."""
    job = lock_job(tx, job_id)
    gone = delete(checkpoints).where(checkpoints.c.job_id == job_id, checkpoints.c.prefix == prefix)
    if job.state is JobState.RUNNING:
        # What the holder of the lease has written is its own business: it may have written it again.
        gone = gone.where(checkpoints.c.attempt < job.attempt)
    return tx.run(gone).rowcount == 1


def forget_stage(tx: Transaction, key: str, manifest_sha256: str) -> bool:
    """Drop the record of a stage that is not in the storage."""
    same = (stages.c.key == key, stages.c.manifest_sha256 == manifest_sha256)
    return tx.run(delete(stages).where(*same)).rowcount == 1


def let_go(tx: Transaction, row_id: str, owner: str) -> bool:
    """Release a claim that has run out, as its owner would have."""
    done = 0
    for table in (studies, benchmarks):
        ran_out = (table.c.id == row_id, table.c.owner == owner, table.c.owned_until <= tx.now)
        done += tx.run(update(table).where(*ran_out).values(owner=None, owned_until=0.0)).rowcount
    return done > 0
