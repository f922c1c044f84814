"""How running jobs are asked to make room for more urgent ones: by their own worker, a few at a time."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, exists, select, update

from ad_platform import offers
from ad_platform.records import Capabilities, Occupancy, Preemption, Room
from ad_platform.states import JobState
from ad_platform.store.database import Transaction
from ad_platform.store.holding_back import SILENCE, InLine
from ad_platform.store.room import candidate
from ad_platform.store.tables import attempts, is_state, jobs
from ad_platform.store.transitions import mark_due, tell
from ad_platform.store.workers import roster

MOST = 20  # urgent jobs that are looked at in one go


def wanted(tx: Transaction, occupancy: Occupancy) -> bool:
    """Say whether there is anybody to ask, and anything more urgent: nearly always there is not."""
    least = min((row.priority for row in _held(tx, occupancy) if _willing(row, occupancy)), default=None)
    if least is None:
        return False
    urgent = select(jobs.c.id).where(
        is_state(JobState.QUEUED), jobs.c.queue.in_(sorted(occupancy.can.queues)), jobs.c.priority > least
    )
    return tx.first(urgent.limit(1)) is not None


def preempt(tx: Transaction, occupancy: Occupancy, in_line: InLine) -> list[Preemption]:
    """Ask preemptible running jobs of a worker to make room for more urgent ones, and return which."""
    held = _held(tx, occupancy)
    willing = [row for row in held if _willing(row, occupancy)]
    if not willing:
        return []
    scene = _Scene(tx, occupancy, held, willing, in_line)
    for job in scene.urgent():
        scene.serve(job)
    return scene.asked


class _Scene:
    """One look of one worker: what is free, what will be, and who could make room."""

    def __init__(
        self,
        tx: Transaction,
        occupancy: Occupancy,
        held: Sequence[Row[Any]],
        willing: Sequence[Row[Any]],
        in_line: InLine,
    ) -> None:
        self._tx, self._occupancy, self._in_line = tx, occupancy, in_line
        self._willing = list(willing)
        leaving = [
            row for row in held if row.cancel_requested or row.prune_requested or row.id in occupancy.ending
        ]
        # What is free before what will be: who can be given the former need not wait.
        self._rooms = [*occupancy.free, *(room for row in leaving for room in occupancy.held[row.id])]
        self._elsewhere: list[Capabilities] | None = None
        self.asked: list[Preemption] = []

    def urgent(self) -> Sequence[Row[Any]]:
        """Return the queued jobs, the first in the line first, that somebody here might make room for."""
        job, occupancy = candidate, self._occupancy
        least = min(row.priority for row in self._willing)
        # Whatever memory of the machine is taken now: victims give theirs back.
        whole = replace(occupancy.can.idle, memory_mb=offers.UNTOLD)
        more = (job.c.gpus, job.c.memory_mb, job.c.cpu_only)
        line = self._in_line(self._tx, whole).add_columns(*more)
        return self._tx.rows(line.where(job.c.priority > least).limit(MOST))

    def serve(self, job: Row[Any]) -> None:
        """Find room for one urgent job: what is free, what will be, or what others can give."""
        if (places := self._placed(job, self._rooms)) is not None:
            self._rooms = [room for place, room in enumerate(self._rooms) if place not in places]
            return
        if not self._locked(job) or self._served(job) or self._fits_elsewhere(job):
            return
        victims = self._victims(job)
        for victim in victims:
            self._ask(victim, job)
        if victims:
            self._willing = [row for row in self._willing if row not in victims]
            self._rooms = []  # spoken for, at least in part: what is left is given out by the next look

    def _placed(self, job: Row[Any], rooms: Sequence[Room]) -> list[int] | None:
        if job.cpu_only or not self._occupancy.can.idle.cards:
            fitting = [place for place, room in enumerate(rooms) if self._memory(room) >= job.memory_mb]
            return fitting[:1] or None
        return offers.placed(job.gpus, job.memory_mb, rooms)

    def _memory(self, room: Room) -> int:
        """Return the machine's memory that a job has in a slot."""
        return room.mb if not self._occupancy.can.idle.cards else self._occupancy.can.memory_mb

    def _locked(self, job: Row[Any]) -> bool:
        """Keep others from taking an urgent job, or from making room for it, until this look is over."""
        this = (jobs.c.id == job.job_id, is_state(JobState.QUEUED))
        return self._tx.first(select(jobs.c.id).where(*this).with_for_update(skip_locked=True)) is not None

    def _served(self, job: Row[Any]) -> bool:
        """Say whether somebody makes room for it already, here or on another worker."""
        marked = select(jobs.c.id).where(is_state(JobState.RUNNING), jobs.c.preempted_for == job.job_id)
        return self._tx.first(marked.limit(1)) is not None

    def _fits_elsewhere(self, job: Row[Any]) -> bool:
        """Say whether another worker that is online has a free slot for it."""
        if self._elsewhere is None:
            others = roster(self._tx, SILENCE)
            free = [
                offers.free(one)
                for one in others
                if one.state == "online" and one.id != self._occupancy.can.worker
            ]
            self._elsewhere = [one for one in free if one is not None]
        here = candidate.c.id == job.job_id
        return any(
            self._tx.first(self._in_line(self._tx, one).where(here).limit(1)) is not None
            for one in self._elsewhere
        )

    def _victims(self, job: Row[Any]) -> list[Row[Any]]:
        """Return who is to make room for it: as few as will do, the least urgent and the youngest first."""
        chosen: list[Row[Any]] = []
        for row in self._willing:
            if row.priority < job.priority and self._placed(job, self._with(chosen)) is None:
                chosen.append(row)
        if self._placed(job, self._with(chosen)) is None:
            return []
        for row in reversed(list(chosen)):  # the most urgent of them is spared first
            spared = [other for other in chosen if other is not row]
            if self._placed(job, self._with(spared)) is not None:
                chosen = spared
        return chosen

    def _with(self, victims: Sequence[Row[Any]]) -> list[Room]:
        return [*self._rooms, *(room for row in victims for room in self._occupancy.held[row.id])]

    def _ask(self, victim: Row[Any], job: Row[Any]) -> None:
        this = (jobs.c.id == victim.id, jobs.c.attempt == victim.attempt, is_state(JobState.RUNNING))
        done = self._tx.first(update(jobs).where(*this).values(preempted_for=job.job_id).returning(jobs.c.id))
        if done is None:
            return  # it has ended meanwhile: there is room
        tell(self._tx, victim.id, victim.attempt, "preempt-requested", {"by": job.job_id})
        mark_due(self._tx, victim.id)
        self.asked.append(Preemption(victim=victim.id, by=job.job_id))


def _held(tx: Transaction, occupancy: Occupancy) -> Sequence[Row[Any]]:
    """Return the running jobs of a worker, the least urgent and the youngest attempt first."""
    other = jobs.alias("other")
    goes_first = exists().where(other.c.id == jobs.c.preempted_for, is_state(JobState.QUEUED, other))
    names = ("id", "attempt", "priority", "preemptible", "cancel_requested", "prune_requested")
    begun = (
        select(attempts.c.started_at)
        .where(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.attempt)
        .scalar_subquery()
    )
    found = (
        select(*(jobs.c[name] for name in names), goes_first.label("marked"))
        .where(
            jobs.c.id.in_(sorted(occupancy.held)),
            jobs.c.worker == occupancy.can.worker,
            is_state(JobState.RUNNING),
        )
        .order_by(jobs.c.priority, begun.desc(), jobs.c.seq.desc())
    )
    return tx.rows(found)


def _willing(row: Row[Any], occupancy: Occupancy) -> bool:
    ends = row.cancel_requested or row.prune_requested or row.id in occupancy.ending
    return bool(row.preemptible) and not row.marked and not ends
