"""Numbers of the whole fleet out of a SQL database, each by an index that holds nothing else."""

from sqlalchemy import func, select

from ad_platform.fleet import AttemptCount, Figures
from ad_platform.states import JobState
from ad_platform.store.database import Database, Transaction
from ad_platform.store.queues import loads
from ad_platform.store.tables import attempts, due, is_state, jobs, paused_queues, shipments
from ad_platform.store.telemetry_contract import Telemetry
from ad_platform.store.workers import roster

SILENCE = 30.0  # seconds after which a worker counts as gone


class SqlTelemetry(Telemetry):
    """Numbers of a SQL database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def figures(self) -> Figures:
        """Return how the fleet stands."""
        return self._db.read(_figures)


def _figures(tx: Transaction) -> Figures:
    counted = select(jobs.c.state, func.count().label("number")).group_by(jobs.c.state)
    oldest = (
        select(jobs.c.queue, func.min(jobs.c.created_at).label("since"))
        .where(is_state(JobState.QUEUED))
        .group_by(jobs.c.queue)
    )
    leases = select(func.min(jobs.c.lease_until).label("first")).where(is_state(JobState.RUNNING))
    overdue = select(func.count()).where(is_state(JobState.RUNNING), jobs.c.lease_until < tx.now)
    tried = select(attempts.c.outcome, attempts.c.failure, func.count().label("number")).group_by(
        attempts.c.outcome, attempts.c.failure
    )
    untold = select(func.count()).select_from(shipments).where(due)
    # From the few that are due to their jobs: the other way round every ended job would be read.
    behind = select(shipments.c.job_id).where(due)
    since = select(func.min(jobs.c.finished_at).label("since")).where(jobs.c.id.in_(behind))
    return Figures(
        now=float(tx.run(select(tx.now)).scalar_one()),
        jobs={row.state: row.number for row in tx.rows(counted)},
        queues=loads(tx),
        paused=frozenset(row.name for row in tx.rows(select(paused_queues.c.name))),
        waiting_since={row.queue: row.since for row in tx.rows(oldest)},
        lease_until=tx.run(leases).scalar_one(),
        overdue=int(tx.run(overdue).scalar_one()),
        attempts=[
            AttemptCount(outcome=row.outcome, failure=row.failure, number=row.number)
            for row in tx.rows(tried)
        ],
        untold=int(tx.run(untold).scalar_one()),
        untold_since=tx.run(since).scalar_one(),
        roster=roster(tx, SILENCE),
    )
