"""Who is next: the line of the queued jobs that a worker could be given, and its head without the rest.

The order is urgency, then how little the job's user has running, then the hint, then age. A user's queued
jobs of one queue and priority are a group. The head is found from the groups, of which there are as many as
people and priorities make, not as many as jobs: an index leads from one to the next, and to its first job.
"""

from collections.abc import Collection
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Integer,
    Row,
    ScalarSelect,
    Select,
    String,
    Subquery,
    bindparam,
    case,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    union_all,
)

from ad_platform.records import Capabilities
from ad_platform.states import JobState
from ad_platform.store import room
from ad_platform.store.database import Transaction
from ad_platform.store.pushed import is_pushed
from ad_platform.store.tables import SEQ, holdings, is_paused, is_state, jobs, workers

_job = room.candidate
_slots = case((jobs.c.cards > 1, jobs.c.cards), else_=1)
_load = (
    select(
        jobs.c.user,
        func.count().label("jobs"),
        func.sum(jobs.c.cards).label("cards"),
        func.sum(_slots).label("slots"),
    )
    .where(is_state(JobState.RUNNING))
    .group_by(jobs.c.user)
    .cte("load")
    # Counted once: PostgreSQL, where it thinks that hardly anything is queued, counts for each queued job.
    .prefix_with("MATERIALIZED", dialect="postgresql")
)
_LAST = literal_column(str(2**62), SEQ)  # a seq beyond every job's
# An offset of nothing: the order of what is within is kept, and read lazily.
_WHOLE = literal_column("0", Integer)


HINT = bindparam("hint", type_=String)  # the id of the job that a message told of, or ""


def in_line(tx: Transaction, can: Capabilities) -> Select[Any]:
    """Return the query of all jobs that could go to a worker now, the one that should go first."""
    job, running = _job, func.coalesce(_load.c.slots, 0)
    return (
        select(job.c.id.label("job_id"), job.c.user, job.c.priority, running.label("running"))
        .select_from(job.outerjoin(_load, _load.c.user == job.c.user))
        .where(*_eligible(tx, can, _load), job.c.queue.in_(sorted(can.queues)), ~is_paused(job))
        .order_by(job.c.priority.desc(), running, job.c.seq)
    )


def head(
    tx: Transaction,
    can: Capabilities,
    kept: Row[Any] | None,
    full: Collection[str],
) -> ScalarSelect[Any]:
    """Return the id of the job that is first in line, locked, skipping those that another one is taking.

    The statement that it becomes part of wants the parameter HINT. `kept` is the job that the worker holds
    cards back for, `full` are users whose quota was found used up.
    """
    more = [or_(_job.c.id == kept.job_id, _job.c.priority > kept.priority)] if kept is not None else []
    line = _heads(tx, can, more, full)
    place = (line.c.priority.desc(), line.c.running, line.c.rank, line.c.first)
    # Only what is looked at is locked, and the next group is looked at only where this one has nothing left.
    taken = (
        select(_job.c.id)
        .where(*_of(line), _job.c.seq.between(line.c.first, line.c.last), *_eligible(tx, can, line), *more)
        .order_by(_job.c.seq)
        .limit(1)
        .with_for_update(skip_locked=True, key_share=True, of=_job)
        .scalar_subquery()
    )
    picks = select(*line.c, taken.label("id")).order_by(*place).offset(_WHOLE).subquery("picks")
    place = (picks.c.priority.desc(), picks.c.running, picks.c.rank, picks.c.first)
    return select(picks.c.id).where(picks.c.id.is_not(None)).order_by(*place).limit(1).scalar_subquery()


def _heads(
    tx: Transaction,
    can: Capabilities,
    more: list[ColumnElement[bool]],
    full: Collection[str],
) -> Subquery:
    """Return the groups with the first job of each that could be given, in line; the hinted is its own."""
    groups, running = _groups(can.queues), func.coalesce(_load.c.slots, 0).label("running")
    known = (_load.c.jobs, _load.c.cards, running)
    ranked = (
        select(groups.c.queue, groups.c.priority, groups.c.user, *known)
        .select_from(groups.outerjoin(_load, _load.c.user == groups.c.user))
        .where(groups.c.user.is_not(None), ~is_paused(groups), groups.c.user.not_in(sorted(full)))
        .subquery("ranked")
    )
    first = (
        select(_job.c.seq)
        .where(*_of(ranked), *_eligible(tx, can, ranked), *more)
        .order_by(_job.c.seq)
        .limit(1)
        .scalar_subquery()
    )
    hinted = (
        select(_job.c.queue, _job.c.priority, _job.c.user, *known)
        .add_columns(literal_column("0").label("rank"), _job.c.seq.label("first"), _job.c.seq.label("last"))
        .select_from(_job.outerjoin(_load, _load.c.user == _job.c.user))
        .where(_job.c.id == HINT, *_eligible(tx, can, _load), *more)
        .where(_job.c.queue.in_(sorted(can.queues)), ~is_paused(_job), _job.c.user.not_in(sorted(full)))
    )
    others = select(*ranked.c, literal_column("1"), first.label("first"), _LAST.label("last"))
    found = union_all(hinted, others).subquery("found")
    place = (found.c.priority.desc(), found.c.running, found.c.rank, found.c.first)
    return select(found).where(found.c.first.is_not(None)).order_by(*place).offset(_WHOLE).subquery("line")


@lru_cache(maxsize=64)
def _groups(served: frozenset[str]) -> CTE:
    """Return queue, priority and user of all queued jobs, each once; a last row of each queue has no user."""
    names = sorted(served) or [""]  # a queue has a name, so nothing lies there
    queues = union_all(*(select(literal(name).label("queue")) for name in names)).cte("queues")
    step = jobs.alias("step")
    queued = select(step.c.priority).where(is_state(JobState.QUEUED, step)).order_by(step.c.priority.desc())
    highest = queued.where(step.c.queue == queues.c.queue).limit(1)
    steps = select(queues.c.queue, highest.scalar_subquery().label("priority")).cte("steps", recursive=True)
    lower = queued.where(step.c.queue == steps.c.queue, step.c.priority < steps.c.priority).limit(1)
    steps = steps.union_all(
        select(steps.c.queue, lower.scalar_subquery()).where(steps.c.priority.is_not(None))
    )
    one = jobs.alias("one")
    named = select(one.c.user).where(is_state(JobState.QUEUED, one)).order_by(one.c.user)
    foremost = named.where(one.c.queue == steps.c.queue, one.c.priority == steps.c.priority).limit(1)
    groups = (
        select(steps.c.queue, steps.c.priority, foremost.scalar_subquery().label("user"))
        .where(steps.c.priority.is_not(None))
        .cte("groups", recursive=True)
    )
    following = named.where(
        one.c.queue == groups.c.queue, one.c.priority == groups.c.priority, one.c.user > groups.c.user
    ).limit(1)
    return groups.union_all(
        select(groups.c.queue, groups.c.priority, following.scalar_subquery()).where(
            groups.c.user.is_not(None)
        )
    )


def _of(group: FromClause) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that a job belongs to a group."""
    return tuple(_job.c[name] == group.c[name] for name in ("queue", "priority", "user"))


def _eligible(tx: Transaction, can: Capabilities, load: FromClause) -> list[ColumnElement[bool]]:
    """Return the conditions that a job of an open queue of the worker's could be given to it."""
    job = _job
    lies_here = exists().where(holdings.c.node == can.node, holdings.c.fingerprint == job.c.fingerprint)
    draining = exists().where(workers.c.id == can.worker, workers.c.state == "draining")
    return [
        is_state(JobState.QUEUED, job),
        job.c.not_before <= tx.now,
        job.c.kind.in_(sorted(can.kinds)),
        job.c.detector.in_(sorted(can.detectors)),
        room.fits(can, job),
        room.within_quota(can, job, load),
        or_(lies_here, is_pushed(job)),
        ~draining,
        *([job.c.id.not_in(sorted(can.left))] if can.left else []),
    ]
