"""Which queues are paused, what lies in each, and who is next."""

from sqlalchemy import delete, func, select

from ad_platform.errors import InvalidValue
from ad_platform.queues import PausedQueue, QueueLoad, Standing
from ad_platform.records import Capabilities, HeldBack
from ad_platform.states import JobState
from ad_platform.store import contract, holding_back
from ad_platform.store.database import Database, Transaction
from ad_platform.store.line import in_line
from ad_platform.store.rows import storable
from ad_platform.store.tables import is_state, jobs, outbox, paused_queues

_LIVE = (JobState.WAITING, JobState.QUEUED, JobState.RUNNING)


class SqlQueues(contract.Queues):
    """Queues in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def pause(self, name: str, user: str, reason: str = "") -> bool:
        """Let a queue give out no job until it is resumed; False if it was paused already."""
        if not name or name != storable(name):
            raise InvalidValue(f"a queue's name must be plain text, not {name!a}")
        return self._db.write(lambda tx: _pause(tx, name, user, reason))

    def resume(self, name: str) -> bool:
        """Let a queue give out jobs again; False if it was not paused."""
        return self._db.write(lambda tx: _resume(tx, name))

    def paused(self) -> list[PausedQueue]:
        """Return the paused queues by name."""
        found = select(paused_queues).order_by(paused_queues.c.name)
        return self._db.read(lambda tx: [PausedQueue(**row._mapping) for row in tx.rows(found)])

    def loads(self) -> list[QueueLoad]:
        """Return how many jobs wait, are queued and run, for each queue that has any, by name."""
        return self._db.read(loads)

    def line(self, capabilities: Capabilities, limit: int = 1000) -> list[Standing]:
        """Return the jobs that a worker could be given now, in the order of a `lease` without a hint."""
        return self._db.read(lambda tx: _line(tx, capabilities, limit))

    def held_back(self) -> list[HeldBack]:
        """Return which workers leave cards free for which queued jobs, by worker."""
        return self._db.read(holding_back.now_held)


def _pause(tx: Transaction, name: str, user: str, reason: str) -> bool:
    fresh = tx.insert(paused_queues).values(
        name=name, user=storable(user), at=tx.now, reason=storable(reason)
    )
    made = fresh.on_conflict_do_nothing(index_elements=["name"]).returning(paused_queues.c.name)
    return tx.first(made) is not None


def _resume(tx: Transaction, name: str) -> bool:
    gone = delete(paused_queues).where(paused_queues.c.name == name).returning(paused_queues.c.name)
    if tx.first(gone) is None:
        return False
    queued = select(jobs.c.id, jobs.c.queue, jobs.c.priority).where(
        is_state(JobState.QUEUED), jobs.c.queue == name
    )
    again = tx.insert(outbox).from_select(["job_id", "queue", "priority"], queued)
    tx.run(again.on_conflict_do_nothing())
    return True


def loads(tx: Transaction) -> list[QueueLoad]:
    """Return how many jobs of each queue are in each state that can still change."""
    counted = (
        select(jobs.c.queue, jobs.c.state, func.count().label("number"))
        .where(jobs.c.state.in_(_LIVE))
        .group_by(jobs.c.queue, jobs.c.state)
    )
    found: dict[str, dict[str, int]] = {}
    for row in tx.rows(counted):
        found.setdefault(row.queue, {})[row.state.value] = row.number
    return [QueueLoad(name=name, **counts) for name, counts in sorted(found.items())]


def _line(tx: Transaction, can: Capabilities, limit: int) -> list[Standing]:
    return [Standing(**row._mapping) for row in tx.rows(in_line(tx, can).limit(limit))]
