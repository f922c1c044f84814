"""Rings owed to the workers: a hint, never the truth."""

from collections.abc import Sequence

from sqlalchemy import (
    Column,
    ColumnElement,
    Double,
    Select,
    Table,
    Text,
    delete,
    exists,
    func,
    select,
    update,
)

from ad_platform.failpoints import Commit
from ad_platform.records import OutboxEntry
from ad_platform.states import JobState
from ad_platform.store import contract
from ad_platform.store.database import Database, Transaction
from ad_platform.store.tables import is_paused, is_state, jobs, metadata, outbox

MOST = 500  # jobs that are rung for again in one go: many more wake-ups than a queue is given

turns = Table(
    "turns",
    metadata,
    Column("name", Text, primary_key=True),  # of a chore that one worker at a time does for all
    Column("owner", Text, nullable=False),
    Column("owned_until", Double, nullable=False),
)
_RINGS = "rings"


class SqlOutbox(contract.Outbox):
    """The outbox in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def owed(self, limit: int = 100) -> list[OutboxEntry]:
        """Return rings not yet made, for jobs that could be leased now for all that the queue knows."""
        if self._db.read(lambda tx: tx.first(select(outbox.c.seq).where(_stale()).limit(1))):
            self._db.write(lambda tx: tx.run(delete(outbox).where(_stale())))
        return self._db.read(lambda tx: _owed(tx, limit))

    def rung(self, seqs: Sequence[int]) -> None:
        """Forget rings that were made."""
        if seqs:
            self._db.write(lambda tx: _rung(tx, seqs), Commit.RUNG)

    def remind(self, silence: float) -> int:
        """Owe another ring for each eligible queued job that was last rung over `silence` seconds ago."""
        if not self._db.read(lambda tx: tx.first(unheard(tx, silence).limit(1))):
            return 0
        return self._db.write(lambda tx: _remind(tx, silence), Commit.REMIND)

    def turn(self, owner: str, seconds: float) -> bool:
        """Take the right to make the rings for all for a while; False if somebody else has it."""
        taken = select(turns.c.name).where(turns.c.name == _RINGS)
        # A look first: of many workers nearly all are told no, and a reader waits for nobody.
        if self._db.read(lambda tx: tx.first(taken.where(turns.c.owned_until > tx.now))):
            return False
        return self._db.write(lambda tx: _turn(tx, owner, seconds))


def _turn(tx: Transaction, owner: str, seconds: float) -> bool:
    rings = turns.c.name == _RINGS
    values = {"owner": owner, "owned_until": tx.now + seconds}
    if tx.first(select(turns.c.name).where(rings)) is None:
        fresh = tx.insert(turns).values(name=_RINGS, **values).on_conflict_do_nothing()
        return tx.first(fresh.returning(turns.c.name)) is not None
    # Whoever finds somebody else at it need not wait for the answer.
    free = select(turns.c.name).where(rings, turns.c.owned_until <= tx.now)
    if tx.first(free.with_for_update(skip_locked=True)) is None:
        return False
    tx.run(update(turns).where(rings).values(**values))
    return True


def _stale() -> ColumnElement[bool]:
    return ~exists().where(jobs.c.id == outbox.c.job_id, is_state(JobState.QUEUED))


def _owed(tx: Transaction, limit: int) -> list[OutboxEntry]:
    found = (
        select(outbox)
        .join(jobs, jobs.c.id == outbox.c.job_id)
        .where(is_state(JobState.QUEUED), jobs.c.not_before <= tx.now, ~is_paused())
        .order_by(outbox.c.priority.desc(), outbox.c.seq)
        .limit(limit)
    )
    return [OutboxEntry(**row._mapping) for row in tx.rows(found)]


def _rung(tx: Transaction, seqs: Sequence[int]) -> None:
    made = select(outbox.c.job_id).where(outbox.c.seq.in_(seqs))
    # Only what still waits needs the note, and nobody waits for it: whoever holds a job is about to run it.
    queued = (
        select(jobs.c.id)
        .where(jobs.c.id.in_(made), is_state(JobState.QUEUED))
        .order_by(jobs.c.seq)
        .with_for_update(key_share=True, skip_locked=True)
    )
    ids = [row.id for row in tx.rows(queued)]
    tx.run(update(jobs).where(jobs.c.id.in_(ids)).values(rung_at=tx.now))
    tx.run(delete(outbox).where(outbox.c.seq.in_(seqs)))


def unheard(tx: Transaction, silence: float) -> Select[tuple[str, str, int]]:
    """Return the query of the eligible queued jobs that were last rung over `silence` seconds ago."""
    return select(jobs.c.id, jobs.c.queue, jobs.c.priority).where(
        is_state(JobState.QUEUED),
        jobs.c.not_before <= tx.now,
        ~is_paused(),
        func.coalesce(jobs.c.rung_at, 0.0) < tx.now - silence,
        ~exists().where(outbox.c.job_id == jobs.c.id),
    )


def _remind(tx: Transaction, silence: float) -> int:
    names = ["job_id", "queue", "priority"]
    # The most urgent first, and no more than can be of use: the rest is found by the next reminder.
    some = unheard(tx, silence).order_by(jobs.c.priority.desc(), jobs.c.seq).limit(MOST)
    again = tx.insert(outbox).from_select(names, some).on_conflict_do_nothing()
    return len(tx.rows(again.returning(outbox.c.seq)))  # drivers do not count inserted rows alike
