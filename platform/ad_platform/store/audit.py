"""Looks over the store as a whole; every search is bounded, or reads an index of the few it is about."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, exists, func, or_, select

from ad_platform.audited import Claimed, Held, Miscounted, OpenAttempt, Silent, Standing, Stuck, Unheard
from ad_platform.records import CheckpointRecord, Job, StageRecord
from ad_platform.states import AttemptOutcome, JobState
from ad_platform.store import audit_contract, mending
from ad_platform.store.database import Database, Transaction
from ad_platform.store.outbox import unheard
from ad_platform.store.tables import (
    attempts,
    benchmarks,
    checkpoints,
    due,
    edges,
    is_state,
    jobs,
    shipments,
    stages,
    studies,
    workers,
)

_IN_ONE_QUERY = 1000  # ids
_BAD = (JobState.FAILED, JobState.CANCELLED)
_COUNTED = (AttemptOutcome.FAILED, AttemptOutcome.LOST)
# Spelt out so that the partial index of the few open attempts serves it.
_OPEN = attempts.c.outcome == mending.RUNNING


class SqlAudit(audit_contract.Audit):
    """Looks over a SQL database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def held(self, limit: int) -> list[Held]:
        """Return the running jobs, those whose lease ends first at the head."""
        return self._db.read(lambda tx: [Held(**row._mapping) for row in tx.rows(_held(tx).limit(limit))])

    def unheard(self, silence: float, limit: int) -> list[Unheard]:
        """Return the jobs that `Outbox.remind` would owe a ring, oldest first."""

        def work(tx: Transaction) -> list[Unheard]:
            ago = (tx.now - jobs.c.rung_at).label("rung_ago")
            found = unheard(tx, silence).with_only_columns(jobs.c.id.label("job_id"), jobs.c.queue, ago)
            return [Unheard(**row._mapping) for row in tx.rows(found.order_by(jobs.c.seq).limit(limit))]

        return self._db.read(work)

    def stuck(self, limit: int, window: int) -> list[Stuck]:
        """Return waiting jobs, of the oldest, whose needs have ended."""
        return self._db.read(lambda tx: _stuck(tx, limit, window))

    def waits(self, window: int) -> list[tuple[str, str]]:
        """Return (job, need) for the oldest waiting jobs that need jobs which wait too."""
        oldest, need = _oldest(JobState.WAITING, window), jobs.alias("need")
        found = (
            select(edges.c.job_id, edges.c.need_id)
            .join(oldest, oldest.c.id == edges.c.job_id)
            .join(need, need.c.id == edges.c.need_id)
            .where(is_state(JobState.WAITING, need))
        )
        return self._db.read(lambda tx: [(row.job_id, row.need_id) for row in tx.rows(found)])

    def open_attempts(self, limit: int) -> list[OpenAttempt]:
        """Return attempts recorded as running whose job they do not hold."""
        holds = and_(is_state(JobState.RUNNING), jobs.c.attempt == attempts.c.number)
        found = (
            select(
                attempts.c.job_id,
                attempts.c.number,
                attempts.c.worker,
                jobs.c.state,
                jobs.c.attempt.label("current"),
            )
            .join(jobs, jobs.c.id == attempts.c.job_id)
            .where(_OPEN, ~holds)
            .limit(limit)
        )
        return self._db.read(lambda tx: [OpenAttempt(**row._mapping) for row in tx.rows(found)])

    def miscounted(self, limit: int, window: int) -> list[Miscounted]:
        """Return queued and running jobs, of the oldest, whose counters and attempts disagree."""

        def work(tx: Transaction) -> list[Miscounted]:
            return [
                Miscounted(**row._mapping)
                for state in (JobState.RUNNING, JobState.QUEUED)
                for row in tx.rows(_miscounted(state, window).limit(limit))
            ][:limit]

        return self._db.read(work)

    def silent(self, seconds: float) -> list[Silent]:
        """Return workers that are not recorded as gone and were not seen for so long."""

        def work(tx: Transaction) -> list[Silent]:
            ago = (tx.now - workers.c.seen_at).label("seconds")
            found = select(workers.c.id, workers.c.node, workers.c.pid, ago)
            kept = found.where(workers.c.state != "gone", workers.c.seen_at < tx.now - seconds)
            return [Silent(**row._mapping) for row in tx.rows(kept.order_by(workers.c.id))]

        return self._db.read(work)

    def claimed_studies(self) -> list[Claimed]:
        """Return the studies that somebody claimed and did not release."""
        return self._db.read(lambda tx: _claimed(tx, studies))

    def claimed_benchmarks(self) -> list[Claimed]:
        """Return the benchmarks that somebody claimed and did not release."""
        return self._db.read(lambda tx: _claimed(tx, benchmarks))

    def let_go(self, row_id: str, owner: str) -> bool:
        """Release a claim, on a study or a benchmark, that has run out."""
        return self._db.write(lambda tx: mending.let_go(tx, row_id, owner))

    def standings(self, job_ids: Sequence[str]) -> Mapping[str, Standing]:
        """Return how jobs stand, by id."""

        def work(tx: Transaction) -> list[Standing]:
            found: list[Standing] = []
            for start in range(0, len(job_ids), _IN_ONE_QUERY):
                chosen = jobs.c.id.in_(job_ids[start : start + _IN_ONE_QUERY])
                found += _standings(tx, _standing(tx).where(chosen))
            return found

        return {one.job_id: one for one in self._db.read(work)}

    def newest(self, limit: int, before_seq: int | None = None) -> list[Standing]:
        """Return how the newest jobs stand, newest first."""

        def work(tx: Transaction) -> list[Standing]:
            found = _standing(tx).order_by(jobs.c.seq.desc()).limit(limit)
            return _standings(tx, found if before_seq is None else found.where(jobs.c.seq < before_seq))

        return self._db.read(work)

    def late(self, seconds: float, limit: int) -> list[Standing]:
        """Return jobs that ended over `seconds` ago, whose tracking is behind and which nobody ships."""

        def work(tx: Transaction) -> list[Standing]:
            free = shipments.c.claimed_until <= tx.now
            old = jobs.c.finished_at < tx.now - seconds
            return _standings(tx, _standing(tx).where(due, free, old).limit(limit))

        return self._db.read(work)

    def checkpoints(self, job_ids: Sequence[str]) -> list[CheckpointRecord]:
        """Return the committed checkpoints of these jobs."""

        def work(tx: Transaction) -> list[CheckpointRecord]:
            return [
                CheckpointRecord(**row._mapping)
                for start in range(0, len(job_ids), _IN_ONE_QUERY)
                for row in tx.rows(
                    select(checkpoints).where(
                        checkpoints.c.job_id.in_(job_ids[start : start + _IN_ONE_QUERY])
                    )
                )
            ]

        return self._db.read(work)

    def stages(self, limit: int) -> list[StageRecord]:
        """Return the newest records of stages."""
        found = select(stages).order_by(stages.c.created_at.desc()).limit(limit)
        return self._db.read(lambda tx: [StageRecord(**row._mapping) for row in tx.rows(found)])

    def settle(self, job_id: str) -> Job:
        """Let a waiting job go on, or fail, as the end of its needs should have made it."""
        return self._db.write(lambda tx: mending.settle(tx, job_id))

    def close_attempt(self, job_id: str, number: int) -> bool:
        """Record an attempt that does not hold its job as lost."""
        return self._db.write(lambda tx: mending.close_attempt(tx, job_id, number))

    def recount(self, job_id: str) -> bool:
        """Raise a job's attempt number to that of its newest attempt, unless it is running."""
        return self._db.write(lambda tx: mending.recount(tx, job_id))

    def retire(self, worker_id: str, seconds: float) -> bool:
        """Record a worker as gone if it was not seen for so long."""
        return self._db.write(lambda tx: mending.retire(tx, worker_id, seconds))

    def tell_again(self, job_id: str) -> None:
        """Make a job due for tracking as if something of it had changed."""
        self._db.write(lambda tx: mending.tell_again(tx, job_id))

    def forget_checkpoint(self, job_id: str, prefix: str) -> bool:
        """Drop the record of a checkpoint that is not in the storage."""
        return self._db.write(lambda tx: mending.forget_checkpoint(tx, job_id, prefix))

    def forget_stage(self, key: str, manifest_sha256: str) -> bool:
        """Drop the record of a stage that is not in the storage."""
        return self._db.write(lambda tx: mending.forget_stage(tx, key, manifest_sha256))


def _held(tx: Transaction) -> Select[Any]:
    left = (jobs.c.lease_until - tx.now).label("left")
    return (
        select(
            jobs.c.id.label("job_id"),
            jobs.c.attempt,
            jobs.c.worker,
            left,
            workers.c.node,
            workers.c.pid,
            (tx.now - workers.c.seen_at).label("silent"),
        )
        .select_from(jobs.outerjoin(workers, workers.c.id == jobs.c.worker))
        .where(is_state(JobState.RUNNING))
        .order_by(jobs.c.lease_until)
    )


def _oldest(state: JobState, window: int) -> Any:
    """Return the oldest jobs of a state as a table of their ids."""
    return (
        select(jobs.c.id).where(jobs.c.state == state).order_by(jobs.c.seq).limit(window).subquery("oldest")
    )


def _stuck(tx: Transaction, limit: int, window: int) -> list[Stuck]:
    oldest, need = _oldest(JobState.WAITING, window), jobs.alias("need")

    def needed(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        return exists().where(edges.c.job_id == oldest.c.id, need.c.id == edges.c.need_id, *conditions)

    kinds = (
        (JobState.FAILED, need.c.state.in_(_BAD), needed(need.c.state.in_(_BAD))),
        (JobState.QUEUED, need.c.seq > 0, ~needed(need.c.state != JobState.SUCCEEDED)),
    )
    found: list[Stuck] = []
    for becomes, telling, stuck in kinds:
        of_job = (edges.c.job_id == oldest.c.id, need.c.id == edges.c.need_id, telling)
        last = select(func.max(need.c.id)).where(*of_job).scalar_subquery()
        rows = select(oldest.c.id.label("job_id"), last.label("need_id")).where(stuck).limit(limit)
        found += [
            Stuck(job_id=row.job_id, need_id=row.need_id or "", becomes=becomes) for row in tx.rows(rows)
        ]
    return found[:limit]


def _miscounted(state: JobState, window: int) -> Select[Any]:
    oldest = _oldest(state, window)
    of_job = attempts.c.job_id == jobs.c.id
    newest = func.coalesce(select(func.max(attempts.c.number)).where(of_job).scalar_subquery(), 0)
    failed = (
        select(func.count())
        .select_from(attempts)
        .where(of_job, attempts.c.outcome.in_(_COUNTED))
        .scalar_subquery()
    )
    counted = (
        select(
            jobs.c.id.label("job_id"),
            jobs.c.attempt,
            newest.label("newest"),
            jobs.c.failures,
            failed.label("failed"),
        )
        .join(oldest, oldest.c.id == jobs.c.id)
        .subquery("counted")
    )
    wrong = or_(counted.c.attempt != counted.c.newest, counted.c.failures > counted.c.failed)
    return select(counted).where(wrong)


def _claimed(tx: Transaction, table: Table) -> list[Claimed]:
    left = (table.c.owned_until - tx.now).label("left")
    found = select(table.c.id, table.c.name, table.c.owner, left).where(table.c.owner.is_not(None))
    return [Claimed(**row._mapping) for row in tx.rows(found.order_by(table.c.created_at))]


def _standing(tx: Transaction) -> Select[Any]:
    return select(
        jobs.c.id.label("job_id"),
        jobs.c.seq,
        jobs.c.state,
        jobs.c.attempt,
        jobs.c.started_at.is_not(None).label("started"),
        shipments.c.run_id,
        func.coalesce(shipments.c.version > shipments.c.done_version, False).label("behind"),
        (tx.now - jobs.c.finished_at).label("ended_ago"),
    ).select_from(jobs.outerjoin(shipments, shipments.c.job_id == jobs.c.id))


def _standings(tx: Transaction, found: Select[Any]) -> list[Standing]:
    return [
        Standing(**{**row._mapping, "started": bool(row.started), "behind": bool(row.behind)})
        for row in tx.rows(found)
    ]
