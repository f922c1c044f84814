"""What a job takes of a worker's cards and of its user's quota, as conditions of the lease."""

from sqlalchemy import ColumnElement, FromClause, and_, case, exists, func, literal, or_, select, true

from ad_platform.records import Capabilities
from ad_platform.states import JobState
from ad_platform.store.database import Transaction
from ad_platform.store.shares import quotas
from ad_platform.store.tables import is_state, jobs

# Made once: to name every column of a table anew would take longer than all else that a lease computes.
candidate = jobs.alias("job")


class QuotaFull(Exception):
    """A user's jobs take all that they may: somebody else's lease has come first."""

    def __init__(self, user: str) -> None:
        self.user = user
        super().__init__(user)


def wanted(job: FromClause) -> ColumnElement[int]:
    """Return how many cards a job is given by a worker that has some."""
    return case((job.c.gpus > 1, job.c.gpus), else_=1)


def given(can: Capabilities, job: FromClause) -> ColumnElement[int]:
    """Return how many cards a job is given by this worker."""
    return wanted(job) if can.cards else literal(0)


def fits(can: Capabilities, job: FromClause) -> ColumnElement[bool]:
    """Return the condition that a job fits into what is free."""
    if not can.cards:
        return and_(job.c.gpus == 0, job.c.memory_mb <= can.memory_mb)
    rooms = sorted((room.mb for room in can.cards), reverse=True)
    count, asked = wanted(job), job.c.memory_mb
    # The n-th of the cards with the most memory is the least of the n that a job can be given.
    least = rooms[0] if len(rooms) == 1 else case(*enumerated(count, rooms), else_=-1)
    roomy = sum(room.roomy for room in can.cards)
    return and_(
        count <= len(rooms),
        or_(
            and_(job.c.cpu_only, asked <= can.memory_mb),
            and_(~job.c.cpu_only, asked > 0, asked <= least),
            and_(~job.c.cpu_only, asked == 0, count <= roomy),
        ),
    )


def enumerated(count: ColumnElement[int], rooms: list[int]) -> list[tuple[ColumnElement[bool], int]]:
    """Return what belongs to each number of cards."""
    return [(count == number, room) for number, room in enumerate(rooms, 1)]


def limited(job: FromClause) -> ColumnElement[bool]:
    """Return the condition that the user of a job has a quota."""
    return exists().where(quotas.c.user == job.c.user)


def within_quota(can: Capabilities, job: FromClause, load: FromClause) -> ColumnElement[bool]:
    """Return the condition that a job's user may have one more job, and the cards it would be given."""
    over = func.coalesce(load.c.jobs, 0) >= quotas.c.jobs
    if can.cards:
        over = or_(over, func.coalesce(load.c.cards, 0) + wanted(job) > quotas.c.gpus)
    used_up = select(true()).select_from(quotas).where(quotas.c.user == job.c.user, over)
    return ~exists(used_up.correlate(job, load))


def check_quota(tx: Transaction, user: str) -> None:
    """Raise QuotaFull if a job that was just taken is one too many: several workers lease at once.

    The lock lets one after the other look, and each sees what the one before has taken.
    """
    quota = tx.first(select(quotas).where(quotas.c.user == user).with_for_update())
    if quota is None:
        return
    mine = (is_state(JobState.RUNNING), jobs.c.user == user)
    now = select(func.count().label("jobs"), func.coalesce(func.sum(jobs.c.cards), 0).label("cards"))
    has = tx.run(now.where(*mine)).one()
    if quota.jobs is not None and has.jobs > quota.jobs:
        raise QuotaFull(user)
    if quota.gpus is not None and has.cards > quota.gpus:
        raise QuotaFull(user)
