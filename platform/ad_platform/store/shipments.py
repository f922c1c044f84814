"""What the tracking server has not been told yet."""

from typing import Any

from sqlalchemy import ColumnElement, Row, select, update

from ad_platform.errors import InvalidValue
from ad_platform.failpoints import Commit
from ad_platform.records import Job, Shipment
from ad_platform.store import shipment_contract
from ad_platform.store.database import Database, Transaction
from ad_platform.store.rows import jobs_of
from ad_platform.store.tables import due, jobs, shipments


class SqlShipments(shipment_contract.Shipments):
    """Shipments in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def claim(self, owner: str, seconds: float, limit: int = 20, job_id: str | None = None) -> list[Shipment]:
        """Give jobs whose tracking is behind to one shipper for `seconds`."""
        if not seconds > 0:
            raise InvalidValue(f"a claim must last more than 0 seconds, not {seconds}")
        waiting = select(shipments.c.job_id).where(*_wanted(job_id)).limit(1)
        if not self._db.read(lambda tx: tx.first(waiting.where(shipments.c.claimed_until <= tx.now))):
            return []
        return self._db.write(lambda tx: _claim(tx, owner, seconds, limit, job_id))

    def done(self, shipment: Shipment, run_id: str, shipped_step: int, again_in: float | None = None) -> None:
        """Note what was shipped and let the claim go, or that another shipper has taken it over."""

        def work(tx: Transaction) -> None:
            version = shipment.version if again_in is None else shipment.version - 1
            told = {
                "done_version": version,
                "run_id": run_id,
                "shipped_step": shipped_step,
                "owner": None,
                "claimed_until": 0.0 if again_in is None else tx.now + again_in,
            }
            shipped = update(shipments).where(*_mine(shipment), shipments.c.done_version <= version)
            if not tx.run(shipped.values(told)).rowcount:
                one = update(shipments).where(shipments.c.job_id == shipment.job.id)
                tx.run(one.values(version=shipments.c.version + 1))

        self._db.write(work, Commit.SHIPPED)

    def release(self, shipment: Shipment) -> None:
        """Let a claim go with nothing shipped; its owner stays as the trace of it."""
        free = update(shipments).where(*_mine(shipment)).values(claimed_until=0.0)
        self._db.write(lambda tx: tx.run(free))

    def run_of(self, job_id: str) -> str | None:
        """Return the id of the run a job was shipped to, if it ever was."""
        shipped = select(shipments.c.run_id).where(shipments.c.job_id == job_id)
        row = self._db.read(lambda tx: tx.first(shipped))
        return row.run_id if row is not None else None


def _mine(shipment: Shipment) -> tuple[ColumnElement[bool], ...]:
    return (shipments.c.job_id == shipment.job.id, shipments.c.owner == shipment.owner)


def _wanted(job_id: str | None) -> tuple[ColumnElement[bool], ...]:
    return (due,) if job_id is None else (due, shipments.c.job_id == job_id)


def _claim(tx: Transaction, owner: str, seconds: float, limit: int, job_id: str | None) -> list[Shipment]:
    free = (
        select(shipments.c.job_id, shipments.c.owner)
        .where(*_wanted(job_id), shipments.c.claimed_until <= tx.now)
        .order_by(shipments.c.claimed_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    before = {row.job_id: row.owner for row in tx.rows(free)}
    if not before:
        return []
    ids = list(before)
    taken = update(shipments).where(shipments.c.job_id.in_(ids))
    owned = taken.values(owner=owner, claimed_until=tx.now + seconds).returning(*shipments.c)
    rows = {row.job_id: row for row in tx.rows(owned)}
    found = tx.rows(select(jobs).where(jobs.c.id.in_(ids)).order_by(jobs.c.seq))
    return [_shipment(job, rows[job.id], before[job.id] is not None) for job in jobs_of(tx, found)]


def _shipment(job: Job, row: Row[Any], left_undone: bool) -> Shipment:
    return Shipment(
        job=job,
        owner=row.owner,
        version=row.version,
        run_id=row.run_id,
        shipped_step=row.shipped_step,
        left_undone=left_undone,
    )
