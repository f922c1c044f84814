"""Who may write to a job, and until when."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from ad_platform.errors import InvalidValue, LeaseLost
from ad_platform.failpoints import Commit
from ad_platform.records import Capabilities, Job, Lease, Occupancy, Outcome, Preemption, Progress, Renewal
from ad_platform.specs import Json
from ad_platform.states import AttemptOutcome, Directive, FailureClass, JobState
from ad_platform.store import endings, holding_back, lease_contract, peaks, preemption, room
from ad_platform.store.database import Database, Transaction
from ad_platform.store.lease_contract import Refuses
from ad_platform.store.line import HINT, head, in_line
from ad_platform.store.rows import find_job, job_of, jobs_of, progress_json, storable
from ad_platform.store.tables import attempts, is_state, jobs, workers
from ad_platform.store.transitions import held, hold, mark_due, move, permit, tell

_ENDS = (AttemptOutcome.SUCCEEDED, AttemptOutcome.FAILED, AttemptOutcome.CANCELLED)


class SqlLeases(lease_contract.Leases):
    """Leases in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def lease(
        self,
        capabilities: Capabilities,
        seconds: float,
        hint: str | None = None,
        refuses: Refuses = lambda job: "",
    ) -> Lease | None:
        """Give the best eligible job to a worker, or None."""
        if not seconds > 0:
            raise InvalidValue(f"a lease must last more than 0 seconds, not {seconds}")
        full: set[str] = set()
        can = capabilities
        while True:
            try:
                return self._db.write(
                    partial(_lease, can=can, seconds=seconds, hint=hint, full=full, refuses=refuses),
                    Commit.LEASE,
                    lambda taken: taken is not None,
                )
            except room.QuotaFull as error:
                full.add(error.user)
            except _NotUnderstood as error:
                can = replace(can, left=can.left | {error.job_id})

    def renew(self, lease: Lease, progress: Progress | None = None) -> Renewal:
        """Lengthen the lease, keep the progress, and say what to do next."""
        return self._db.write(lambda tx: _renew(tx, lease, progress), Commit.RENEW)

    def look(self, lease: Lease) -> Renewal:
        """Answer as `renew` does without changing anything."""
        return self._db.read(lambda tx: _look(tx, lease))

    def note(self, lease: Lease, facts: Mapping[str, Json]) -> None:
        """Add facts to the attempt."""
        self._db.write(lambda tx: _note(tx, lease, facts), Commit.NOTE)

    def finish(self, lease: Lease, outcome: Outcome) -> Job:
        """End the attempt and, unless it is worth another, the job."""
        if outcome.outcome not in _ENDS:
            raise InvalidValue(
                f"an attempt cannot finish {outcome.outcome}; give it back or let it be reaped"
            )
        if outcome.outcome is AttemptOutcome.FAILED and outcome.failure is None:
            raise InvalidValue("an attempt that failed must name a failure class")
        return self._db.write(lambda tx: _finish(tx, lease, outcome), Commit.FINISH)

    def give_back(self, lease: Lease, reason: str, *, preempted: bool = False) -> Job:
        """Queue the job again, keeping its checkpoints and counting no failure."""
        return self._db.write(lambda tx: _give_back(tx, lease, reason, preempted), Commit.GIVE_BACK)

    def preempt(self, occupancy: Occupancy) -> list[Preemption]:
        """Ask preemptible running jobs of a worker to make room for more urgent ones, and return which."""
        # A look first: a reader waits for nobody.
        if not self._db.read(lambda tx: preemption.wanted(tx, occupancy)):
            return []
        return self._db.write(
            lambda tx: preemption.preempt(tx, occupancy, in_line), Commit.PREEMPT, lambda asked: bool(asked)
        )

    def reap(self) -> list[Job]:
        """Take back every running job whose lease ran out."""
        # A look first: nearly always there is nothing, and a reader waits for nobody.
        if not self._db.read(lambda tx: tx.first(select(jobs.c.id).where(*_ran_out(tx)).limit(1))):
            return []
        return self._db.write(_reap, Commit.REAP, lambda lost: bool(lost))


class _NotUnderstood(Exception):
    """The job that was about to be leased is none for this worker: nothing of it is kept."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(job_id)


def _lease(
    tx: Transaction,
    can: Capabilities,
    seconds: float,
    hint: str | None,
    full: Collection[str],
    refuses: Refuses,
) -> Lease | None:
    permit("", JobState.QUEUED, JobState.RUNNING)
    kept = holding_back.keep(tx, can, in_line)
    # To build it takes longer than to run it, and a worker asks for much the same again and again.
    key = ("take", can, seconds, None if kept is None else (kept.job_id, kept.priority), frozenset(full))
    statement = tx.built(key, lambda: _take(tx, can, seconds, kept, full))
    taken = tx.first(statement, {HINT.key: hint or ""})
    if taken is None:
        return None
    if taken.limited:
        room.check_quota(tx, taken.user)
    job = job_of(tx, taken)
    if refuses(job):
        raise _NotUnderstood(job.id)
    tx.run(
        insert(attempts).values(
            job_id=job.id,
            number=job.attempt,
            worker=can.worker,
            outcome=AttemptOutcome.RUNNING,
            started_at=tx.now,
            error="",
            facts={},
        )
    )
    told: dict[str, Json] = {"worker": can.worker, "seconds": seconds, "state": job.state.value}
    tell(tx, job.id, job.attempt, "leased", told)
    mark_due(tx, job.id)
    left = None if job.timeout is None else job.timeout - _spent(tx, job)
    return Lease(job=job, attempt=job.attempt, worker=can.worker, seconds=seconds, time_left=left)


def _take(
    tx: Transaction, can: Capabilities, seconds: float, kept: Row[Any] | None, full: Collection[str]
) -> ReturningUpdate[Any]:
    """Return the statement that gives the first job in line to a worker."""
    return (
        update(jobs)
        .where(jobs.c.id == head(tx, can, kept, full), is_state(JobState.QUEUED))
        .values(
            state=JobState.RUNNING,
            # The number is the fencing token: it must grow even when a lease merely ran out.
            attempt=jobs.c.attempt + 1,
            worker=can.worker,
            lease_until=tx.now + seconds,
            started_at=func.coalesce(jobs.c.started_at, tx.now),
            cards=room.given(can, jobs),
        )
        .returning(*jobs.c, room.limited(jobs).label("limited"))
    )


def _spent(tx: Transaction, job: Job) -> float:
    """Return the seconds that the attempts of a job have run so far."""
    ran = func.coalesce(attempts.c.ended_at, tx.now) - attempts.c.started_at
    spent = tx.run(select(func.sum(ran)).where(attempts.c.job_id == job.id)).scalar_one()
    return float(spent or 0.0)


def _renew(tx: Transaction, lease: Lease, progress: Progress | None) -> Renewal:
    values: dict[str, object] = {"lease_until": tx.now + lease.seconds}
    if progress is not None:
        values["progress"] = progress_json(progress)
    row = tx.first(update(jobs).where(*_mine(lease)).values(**values).returning(*_orders()))
    return Renewal(directive=_directive(tx, lease, row), seconds=lease.seconds)


def _look(tx: Transaction, lease: Lease) -> Renewal:
    left = (jobs.c.lease_until - tx.now).label("left")
    row = tx.first(select(*_orders(), left).where(*_mine(lease)))
    directive = _directive(tx, lease, row)
    return Renewal(directive=directive, seconds=max(0.0, row.left if row else 0.0))


def _mine(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (jobs.c.id == lease.job_id, jobs.c.attempt == lease.attempt, is_state(JobState.RUNNING))


def _orders() -> tuple[ColumnElement[Any], ...]:
    state = select(workers.c.state).where(workers.c.id == jobs.c.worker).scalar_subquery()
    marks = (jobs.c.cancel_requested, jobs.c.prune_requested, jobs.c.preempted_for)
    return (*marks, state.label("worker_state"))


def _directive(tx: Transaction, lease: Lease, row: Row[Any] | None) -> Directive:
    if row is None:
        raise LeaseLost(lease.job_id, lease.attempt)
    if row.cancel_requested:
        return Directive.CANCEL
    if row.prune_requested:
        return Directive.PRUNE
    if row.worker_state == "draining":
        return Directive.DRAIN
    if row.preempted_for is None:
        return Directive.CONTINUE
    # Who was to go first may run elsewhere by now, or be cancelled: then nobody need make room.
    waits = select(jobs.c.id).where(jobs.c.id == row.preempted_for, is_state(JobState.QUEUED))
    return Directive.CONTINUE if tx.first(waits) is None else Directive.PREEMPT


def _note(tx: Transaction, lease: Lease, facts: Mapping[str, Json]) -> None:
    job = hold(tx, lease)
    here = (attempts.c.job_id == lease.job_id, attempts.c.number == lease.attempt)
    known = tx.run(select(attempts.c.facts).where(*here)).scalar_one()
    tx.run(update(attempts).where(*here).values(facts={**known, **facts}))
    mark_due(tx, lease.job_id)
    if peaks.FACT in facts:
        peaks.learn(tx, job, facts[peaks.FACT])


def _finish(tx: Transaction, lease: Lease, outcome: Outcome) -> Job:
    job = held(tx, lease)
    if job is None:
        return _said_before(tx, lease, outcome.outcome, outcome.failure)
    failed = outcome.outcome is AttemptOutcome.FAILED
    # What was to be pruned and has succeeded all the same is worth more complete.
    unwanted = job.cancel_requested or (job.prune_requested and failed)
    if unwanted or outcome.outcome is AttemptOutcome.CANCELLED:
        endings.end_attempt(tx, job, AttemptOutcome.CANCELLED, replace(outcome, failure=None))
        if not endings.give_up(tx, job, outcome.error):
            endings.cancel(tx, job, outcome.error)
    elif outcome.outcome is AttemptOutcome.SUCCEEDED:
        endings.end_attempt(tx, job, AttemptOutcome.SUCCEEDED, replace(outcome, failure=None))
        endings.succeed(tx, job, outcome)
    else:
        assert outcome.failure is not None
        endings.end_attempt(tx, job, AttemptOutcome.FAILED, outcome)
        endings.fail_attempt(tx, job, outcome.failure, outcome.error, pause=True)
    return endings.current(tx, job)


def _give_back(tx: Transaction, lease: Lease, reason: str, preempted: bool) -> Job:
    job = held(tx, lease)
    if job is None:
        return _said_before(tx, lease, AttemptOutcome.GIVEN_BACK, None)
    event, data = "given-back", dict[str, Json]()
    if preempted and job.preempted_for is not None:
        event, data = "preempted", {"by": job.preempted_for}
        reason = f"{reason} for job {job.preempted_for}"
    endings.end_attempt(
        tx, job, AttemptOutcome.GIVEN_BACK, Outcome(outcome=AttemptOutcome.GIVEN_BACK, error=reason)
    )
    if not endings.give_up(tx, job, reason):
        reason = storable(reason)
        move(tx, job, JobState.QUEUED, event, {"reason": reason, **data}, error=reason, failure=None)
    return endings.current(tx, job)


def _said_before(tx: Transaction, lease: Lease, outcome: AttemptOutcome, failure: FailureClass | None) -> Job:
    """Return the job if this attempt ended just so already, since the first answer may have been lost.

    Raises LeaseLost if it ended any other way.
    """
    here = (attempts.c.job_id == lease.job_id, attempts.c.number == lease.attempt)
    ended = tx.first(select(attempts).where(*here))
    same = ended is not None and ended.outcome is outcome and ended.failure == failure
    # After a cancel, whatever was reported ended the attempt `cancelled`.
    cancelled = ended is not None and ended.outcome is AttemptOutcome.CANCELLED and outcome in _ENDS
    job = find_job(tx, lease.job_id) if same or cancelled else None
    if job is None:
        raise LeaseLost(lease.job_id, lease.attempt)
    return job


def _ran_out(tx: Transaction) -> tuple[ColumnElement[bool], ...]:
    return (is_state(JobState.RUNNING), jobs.c.lease_until < tx.now)


def _reap(tx: Transaction) -> list[Job]:
    expired = select(jobs).where(*_ran_out(tx)).order_by(jobs.c.seq).with_for_update(skip_locked=True)
    lost = jobs_of(tx, tx.rows(expired))
    for job in lost:
        error = f"the lease of attempt {job.attempt} on worker {job.worker} ran out"
        ended = Outcome(outcome=AttemptOutcome.LOST, failure=FailureClass.LOST, error=error)
        endings.end_attempt(tx, job, AttemptOutcome.LOST, ended)
        if not endings.give_up(tx, job, error):
            endings.fail_attempt(tx, job, FailureClass.LOST, error, pause=False)
    return [endings.current(tx, job) for job in lost]
