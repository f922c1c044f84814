"""How much the jobs of one user may take at a time."""

from sqlalchemy import delete, select

from ad_platform.errors import InvalidValue
from ad_platform.records import Quota
from ad_platform.states import JobState
from ad_platform.store import quota_contract
from ad_platform.store.database import Database, Transaction
from ad_platform.store.rows import storable
from ad_platform.store.shares import quotas
from ad_platform.store.tables import is_state, jobs, outbox

MOST = 1_000_000


class SqlQuotas(quota_contract.Quotas):
    """Quotas in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def set(self, quota: Quota) -> Quota:
        """Let a user have no more than this from now on, in place of what was set before."""
        _check(quota)
        return self._db.write(lambda tx: _set(tx, quota))

    def clear(self, user: str) -> bool:
        """Lift a user's quota, and owe a ring for each of the user's queued jobs; False if there was none."""
        return self._db.write(lambda tx: _clear(tx, user))

    def all(self) -> list[Quota]:
        """Return the quotas by user."""
        found = select(quotas).order_by(quotas.c.user)
        return self._db.read(lambda tx: [Quota(**row._mapping) for row in tx.rows(found)])


def _check(quota: Quota) -> None:
    if not quota.user or quota.user != storable(quota.user):
        raise InvalidValue(f"a quota is of a user, whose name is plain text, not {quota.user!a}")
    if quota.gpus is None and quota.jobs is None:
        raise InvalidValue("a quota limits gpus, jobs or both; to lift one, clear it")
    for name, value in (("gpus", quota.gpus), ("jobs", quota.jobs)):
        if value is not None and not 0 <= value <= MOST:
            raise InvalidValue(f"a quota of {name} must lie in 0..{MOST}, not {value}")


def _set(tx: Transaction, quota: Quota) -> Quota:
    values = {
        "gpus": quota.gpus,
        "jobs": quota.jobs,
        "set_by": storable(quota.set_by),
        "at": tx.now,
    }
    fresh = tx.insert(quotas).values(user=quota.user, **values)
    tx.run(fresh.on_conflict_do_update(index_elements=["user"], set_=values))
    _ring(tx, quota.user)  # it may be more than before
    return Quota(**tx.run(select(quotas).where(quotas.c.user == quota.user)).one()._mapping)


def _clear(tx: Transaction, user: str) -> bool:
    gone = delete(quotas).where(quotas.c.user == user).returning(quotas.c.user)
    if tx.first(gone) is None:
        return False
    _ring(tx, user)
    return True


def _ring(tx: Transaction, user: str) -> None:
    """Owe a ring for each queued job of a user: what was rung before may have woken nobody."""
    queued = select(jobs.c.id, jobs.c.queue, jobs.c.priority).where(
        is_state(JobState.QUEUED), jobs.c.user == user
    )
    again = tx.insert(outbox).from_select(["job_id", "queue", "priority"], queued)
    tx.run(again.on_conflict_do_nothing())
