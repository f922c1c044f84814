"""What people ask for and see."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from sqlalchemy import Row, func, select, update

from ad_platform.errors import AmbiguousId, UnknownName
from ad_platform.failpoints import Commit
from ad_platform.records import Attempt, Event, Job
from ad_platform.requests import JobFilter
from ad_platform.specs import Submission
from ad_platform.states import JobState
from ad_platform.store import contract, endings, searching
from ad_platform.store.database import Database, Transaction
from ad_platform.store.retries import retry
from ad_platform.store.rows import attempt_of, get_job, job_of, jobs_of, lock_job, newest_ids
from ad_platform.store.submissions import NewId, submit_all
from ad_platform.store.tables import attempts, events, is_state, jobs
from ad_platform.store.transitions import mark_due, tell

_NAMED_WHEN_AMBIGUOUS = 10


class SqlJobs(contract.Jobs):
    """Jobs in a SQL database."""

    def __init__(self, database: Database, new_id: NewId) -> None:
        self._db, self._new_id = database, new_id

    def submit(self, submissions: Sequence[Submission]) -> list[Job]:
        """Remember jobs, all or none, and return them in order."""
        if not submissions:
            return []
        return self._db.write(lambda tx: submit_all(tx, submissions, self._new_id), Commit.SUBMIT)

    def get(self, job_id: str) -> Job:
        """Return the job of this full id."""
        return self._db.read(lambda tx: get_job(tx, job_id))

    def find(self, text: str) -> Job:
        """Return the one job whose id starts with `text`, or the newest for "@last"."""
        return self._db.read(lambda tx: _find(tx, text))

    def search(self, **wanted: Unpack[JobFilter]) -> list[Job]:
        """Return jobs, newest first."""
        return self._db.read(lambda tx: _search(tx, wanted))

    def measures(self) -> list[str]:
        """Return the names of all that jobs have measured."""
        return self._db.read(lambda tx: [row.name for row in tx.rows(searching.names_of_measures())])

    def attempts(self, job_id: str) -> list[Attempt]:
        """Return the attempts of a job in order."""
        found = select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.number)
        return self._db.read(lambda tx: [attempt_of(row) for row in tx.rows(found)])

    def events(self, job_id: str, after_seq: int = 0) -> list[Event]:
        """Return the events of a job in order."""
        found = select(events).where(events.c.job_id == job_id, events.c.seq > after_seq)
        ordered = found.order_by(events.c.seq)
        return self._db.read(lambda tx: [Event(**row._mapping) for row in tx.rows(ordered)])

    def cancel(self, job_id: str) -> Job:
        """Ask for a job to end, and return it."""
        return self._db.write(lambda tx: _cancel(tx, job_id), Commit.CANCEL)

    def prune(self, job_id: str) -> Job:
        """Ask for a trial to end since it is not worth finishing, and return its job."""
        return self._db.write(lambda tx: _prune(tx, job_id), Commit.PRUNE)

    def of_keys(self, keys: Sequence[str]) -> dict[str, Job]:
        """Return the jobs of these submit keys by key."""
        found = select(jobs).where(jobs.c.key.in_(list(keys)))
        listed = self._db.read(lambda tx: jobs_of(tx, tx.rows(found))) if keys else []
        return {job.key: job for job in listed if job.key is not None}

    def retry(self, job_id: str) -> Job:
        """Run an ended job again as a new one that goes on from its checkpoints, and return the new job."""
        return self._db.write(lambda tx: retry(tx, job_id, self._new_id), Commit.RETRY)

    def count(self) -> Mapping[JobState, int]:
        """Return how many jobs are in each state."""
        counted = select(jobs.c.state, func.count().label("number")).group_by(jobs.c.state)
        found = {row.state: row.number for row in self._db.read(lambda tx: tx.rows(counted))}
        return {state: found.get(state, 0) for state in JobState}


def _search(tx: Transaction, wanted: JobFilter) -> list[Job]:
    """Run the queries of a search, one after the other until there are enough jobs."""
    left, found = wanted.get("limit", searching.LIMIT), list[Row[Any]]()
    parts = searching.statements(wanted)
    part = next(parts, None)
    while part is not None and left > 0:
        rows = tx.rows(part(left))
        found += rows
        left -= len(rows)
        try:
            part = parts.send(len(rows))
        except StopIteration:
            break
    return jobs_of(tx, found)


def _find(tx: Transaction, text: str) -> Job:
    if text.lower() == "@last":
        newest = tx.first(select(jobs).order_by(jobs.c.seq.desc()).limit(1))
        if newest is None:
            raise UnknownName("job", text, [])
        return job_of(tx, newest)
    start = text.lower()
    if not re.fullmatch("[0-9a-f]{1,16}", start):
        raise UnknownName("job", text, newest_ids(tx))
    # A range and not LIKE, which could not use the index; g follows the last hexadecimal digit.
    fitting = select(jobs).where(jobs.c.id >= start, jobs.c.id < start + "g").order_by(jobs.c.id)
    found = tx.rows(fitting.limit(_NAMED_WHEN_AMBIGUOUS))
    if not found:
        raise UnknownName("job", text, newest_ids(tx))
    if len(found) > 1:
        raise AmbiguousId(text, [row.id for row in found])
    return job_of(tx, found[0])


def _cancel(tx: Transaction, job_id: str) -> Job:
    job = lock_job(tx, job_id)
    if job.state.terminal or job.cancel_requested:
        return job
    if job.state is not JobState.RUNNING:
        endings.cancel(tx, job)
    else:
        asked = update(jobs).where(jobs.c.id == job_id, is_state(JobState.RUNNING))
        tx.run(asked.values(cancel_requested=True))
        tell(tx, job_id, job.attempt, "cancel-requested", {})
        mark_due(tx, job_id)
    return endings.current(tx, job)


def _prune(tx: Transaction, job_id: str) -> Job:
    job = lock_job(tx, job_id)
    if job.state.terminal or job.prune_requested or job.cancel_requested:
        return job
    if job.state is not JobState.RUNNING:
        endings.prune(tx, job)
    else:
        asked = update(jobs).where(jobs.c.id == job_id, is_state(JobState.RUNNING))
        tx.run(asked.values(prune_requested=True))
        tell(tx, job_id, job.attempt, "prune-requested", {})
        mark_due(tx, job_id)
    return endings.current(tx, job)
