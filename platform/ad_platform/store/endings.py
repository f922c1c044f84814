"""How an attempt ends, what that makes of its job, and of the jobs that need it."""

from collections import deque

from sqlalchemy import exists, select, update

from ad_platform.policies import HALVES, pause_after, sequel_of
from ad_platform.records import Job, Outcome
from ad_platform.specs import Json
from ad_platform.states import AttemptOutcome, FailureClass, JobState, Sequel
from ad_platform.store.database import Transaction
from ad_platform.store.facets import remember_measures
from ad_platform.store.rows import job_with, jobs_of, storable
from ad_platform.store.tables import attempts, edges, is_state, jobs
from ad_platform.store.transitions import move

PRUNED = "pruned: not worth finishing by what was seen of it"


def end_attempt(tx: Transaction, job: Job, outcome: AttemptOutcome, ended: Outcome) -> None:
    """Close the record of the newest attempt of a locked, running job."""
    tx.run(
        update(attempts)
        .where(attempts.c.job_id == job.id, attempts.c.number == job.attempt)
        .values(
            outcome=outcome,
            ended_at=tx.now,
            failure=ended.failure,
            error=storable(ended.error),
        )
    )


def succeed(tx: Transaction, job: Job, outcome: Outcome) -> None:
    """End a job `succeeded` and queue the jobs that waited for it alone."""
    move(
        tx,
        job,
        JobState.SUCCEEDED,
        "succeeded",
        result=dict(outcome.result),
        failure=None,
        error="",
    )
    remember_measures(tx, job, outcome.result)
    for dependent in _waiting_for(tx, job.id):
        if not _unmet(tx, dependent.id):
            move(tx, dependent, JobState.QUEUED, "queued", {"because": job.id})


def fail_attempt(tx: Transaction, job: Job, failure: FailureClass, error: str, *, pause: bool) -> None:
    """Count a failure, then do what the policy of its class says: queue the job again, or end it `failed`."""
    error = storable(error)
    failures = job.failures + 1
    sequel = sequel_of(
        failure,
        failures=failures,
        max_attempts=job.max_attempts,
        divisible=job.batch_divisor < HALVES and _divisible(tx, job),
    )
    _record(tx, job, sequel)
    if sequel in (Sequel.STOP, Sequel.EXHAUSTED):
        fail(tx, job, failure, error, sequel, failures=failures)
        return
    told: dict[str, Json] = {"failure": failure.value, "error": error, "failures": failures}
    told["sequel"] = sequel.value
    values: dict[str, object] = {"failure": failure, "error": error, "failures": failures}
    if sequel is Sequel.HALVE:
        told["batch_divisor"] = values["batch_divisor"] = HALVES
    if pause:
        told["wait"] = wait = pause_after(failures)
        values["not_before"] = tx.now + wait
    move(tx, job, JobState.QUEUED, "attempt-failed" if pause else "reaped", told, **values)


def _divisible(tx: Transaction, job: Job) -> bool:
    """Say whether nothing is known that keeps a job's batches from being computed in parts."""
    here = (attempts.c.job_id == job.id, attempts.c.number == job.attempt)
    return tx.run(select(attempts.c.facts).where(*here)).scalar_one().get("divisible") is not False


def _record(tx: Transaction, job: Job, sequel: Sequel) -> None:
    """Keep with the newest attempt what was made of its failure."""
    here = (attempts.c.job_id == job.id, attempts.c.number == job.attempt)
    tx.run(update(attempts).where(*here).values(sequel=sequel))


def fail(
    tx: Transaction,
    job: Job,
    failure: FailureClass,
    error: str,
    sequel: Sequel = Sequel.STOP,
    **values: object,
) -> None:
    """End a job `failed`, and with it every job that needs it."""
    error = storable(error)
    data: dict[str, Json] = {"failure": failure.value, "error": error, "sequel": sequel.value}
    move(tx, job, JobState.FAILED, "failed", data, failure=failure, error=error, **values)
    fail_dependents(tx, job.id, JobState.FAILED)


def cancel(tx: Transaction, job: Job, error: str = "") -> None:
    """End a job `cancelled`, and fail every job that needs it."""
    move(tx, job, JobState.CANCELLED, "cancelled", failure=None, error=storable(error), cancel_requested=True)
    fail_dependents(tx, job.id, JobState.CANCELLED)


def prune(tx: Transaction, job: Job) -> None:
    """End a trial's job `cancelled` since it is not worth finishing, and fail every job that needs it."""
    move(tx, job, JobState.CANCELLED, "pruned", failure=None, error=PRUNED, prune_requested=True)
    fail_dependents(tx, job.id, JobState.CANCELLED)


def give_up(tx: Transaction, job: Job, error: str = "") -> bool:
    """End a job that somebody asked to end, whatever became of its attempt; say whether it was one."""
    if job.cancel_requested:
        cancel(tx, job, error)
    elif job.prune_requested:
        prune(tx, job)
    return job.cancel_requested or job.prune_requested


def fail_dependents(tx: Transaction, job_id: str, state: JobState) -> None:
    """Fail the jobs that wait for one that ended badly, those that wait for them, and so on."""
    ended = deque([(job_id, state)])
    while ended:
        need, how = ended.popleft()
        for dependent in _waiting_for(tx, need):
            error = f"needs job {need}, which is {how}"
            data = {"failure": FailureClass.NEEDS.value, "error": error}
            values = {"failure": FailureClass.NEEDS, "error": error}
            move(tx, dependent, JobState.FAILED, "failed", data, **values)
            ended.append((dependent.id, JobState.FAILED))


def current(tx: Transaction, job: Job) -> Job:
    """Return a job as it stands after what this transaction did to it."""
    row = tx.first(select(jobs).where(jobs.c.id == job.id))
    assert row is not None  # it is locked, and nobody deletes jobs
    return job_with(row, job.needs)


def _waiting_for(tx: Transaction, need_id: str) -> list[Job]:
    """Return the waiting jobs that need one, locked.

    So of two needs that end at once, the second sees that the first has ended.
    """
    waiting = (
        select(jobs)
        .where(jobs.c.id.in_(select(edges.c.job_id).where(edges.c.need_id == need_id)))
        .where(is_state(JobState.WAITING))
        .order_by(jobs.c.seq)
        .with_for_update()
    )
    return jobs_of(tx, tx.rows(waiting))


def _unmet(tx: Transaction, job_id: str) -> bool:
    need = jobs.alias("need")
    unmet = exists().where(
        edges.c.job_id == job_id,
        need.c.id == edges.c.need_id,
        need.c.state != JobState.SUCCEEDED,
    )
    return bool(tx.run(select(unmet)).scalar_one())
