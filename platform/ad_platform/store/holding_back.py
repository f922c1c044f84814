"""How a worker leaves cards free for a job that asks for several: it would starve behind small ones."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Row, Select, delete, exists, select

from ad_platform.offers import placed
from ad_platform.records import Capabilities, HeldBack
from ad_platform.states import JobState
from ad_platform.store.database import Transaction
from ad_platform.store.lease_contract import HELD_BACK_AFTER
from ad_platform.store.room import candidate
from ad_platform.store.shares import held_back
from ad_platform.store.tables import is_state, jobs, wide, workers

SILENCE = 30.0  # seconds after which a worker that held cards back counts as gone

InLine = Callable[[Transaction, Capabilities], Select[Any]]


def keep(tx: Transaction, can: Capabilities, in_line: InLine) -> Row[Any] | None:
    """Return the job that this worker holds its free cards back for now, if there is one.

    Looked at anew with each lease, so that a job that has left the queue, or may not run here any more, keeps
    nobody. A worker on which nothing runs holds nothing back: either it can give the job its cards, or never.
    """
    if len(can.whole or can.cards) < 2 or not tx.first(select(jobs.c.id).where(wide).limit(1)):
        return None
    mine = delete(held_back).where(held_back.c.worker == can.worker)
    if not can.whole:
        tx.run(mine)
        return None
    job = candidate
    elsewhere = exists().where(
        held_back.c.job_id == job.c.id,
        held_back.c.worker != can.worker,
        workers.c.id == held_back.c.worker,
        workers.c.state == "online",
        workers.c.seen_at > tx.now - SILENCE,
    )
    old = (job.c.created_at < tx.now - HELD_BACK_AFTER).label("old")
    more = (job.c.gpus, job.c.memory_mb, job.c.cpu_only, old)
    first = tx.first(in_line(tx, can.idle).add_columns(*more).where(~elsewhere).limit(1))
    if first is None or first.gpus < 2 or not first.old or _fits_now(first, can):
        tx.run(mine)
        return None
    this = (jobs.c.id == first.job_id, is_state(JobState.QUEUED))
    if tx.first(select(jobs.c.id).where(*this).with_for_update(skip_locked=True)) is None:
        return None  # somebody is taking it, or holds cards back for it
    tx.run(delete(held_back).where(held_back.c.job_id == first.job_id, held_back.c.worker != can.worker))
    fresh = tx.insert(held_back).values(worker=can.worker, job_id=first.job_id, since=tx.now)
    kept = fresh.on_conflict_do_update(
        index_elements=["worker"],
        set_={"job_id": first.job_id, "since": tx.now},
        where=held_back.c.job_id != first.job_id,
    )
    tx.run(kept)
    return first


def now_held(tx: Transaction) -> list[HeldBack]:
    """Return which workers hold cards back for which queued jobs."""
    found = (
        select(held_back)
        .join(jobs, jobs.c.id == held_back.c.job_id)
        .where(is_state(JobState.QUEUED))
        .order_by(held_back.c.worker)
    )
    return [HeldBack(**row._mapping) for row in tx.rows(found)]


def _fits_now(job: Row[Any], can: Capabilities) -> bool:
    return placed(job.gpus, job.memory_mb, can.cards, cpu_only=job.cpu_only) is not None
