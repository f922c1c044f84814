"""How rows become records, and text becomes fit to be stored."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Row, Select, select

from ad_platform.errors import UnknownName
from ad_platform.records import Attempt, Job, Progress
from ad_platform.specs import JobSpec, Json
from ad_platform.states import JobKind
from ad_platform.store.database import Transaction
from ad_platform.store.tables import edges, jobs

_PLAIN = [
    field.name for field in fields(Job) if field.name in jobs.c and field.name not in ("spec", "progress")
]
_PROGRESS = {field.name for field in fields(Progress)}  # a newer worker may tell more
_IN_ONE_QUERY = 1000  # ids; SQLite takes some 32,000 parameters


def jobs_of(tx: Transaction, rows: Sequence[Row[Any]]) -> list[Job]:
    """Build jobs from whole rows of the jobs table, with their needs."""
    needs = needs_of(tx, [row.id for row in rows])
    return [job_with(row, needs.get(row.id, ())) for row in rows]


def job_of(tx: Transaction, row: Row[Any]) -> Job:
    """Build one job from its whole row."""
    return jobs_of(tx, [row])[0]


def find_job(tx: Transaction, job_id: str) -> Job | None:
    """Return the job of a full id, if there is one."""
    row = tx.first(select(jobs).where(jobs.c.id == job_id))
    return row and job_of(tx, row)


def get_job(tx: Transaction, job_id: str) -> Job:
    """Return the job of a full id; raise UnknownName."""
    return _known(tx, select(jobs).where(jobs.c.id == job_id), job_id)


def lock_job(tx: Transaction, job_id: str) -> Job:
    """Return the job of a full id, kept from changing until the transaction ends; raise UnknownName."""
    return _known(tx, select(jobs).where(jobs.c.id == job_id).with_for_update(), job_id)


def needs_of(tx: Transaction, job_ids: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Return the ids that each job needs, in the order they were given."""
    found: dict[str, list[str]] = defaultdict(list)
    for start in range(0, len(job_ids), _IN_ONE_QUERY):
        chosen = edges.c.job_id.in_(job_ids[start : start + _IN_ONE_QUERY])
        for edge in tx.rows(select(edges).where(chosen).order_by(edges.c.job_id, edges.c.position)):
            found[edge.job_id].append(edge.need_id)
    return {job_id: tuple(needs) for job_id, needs in found.items()}


def attempt_of(row: Row[Any]) -> Attempt:
    """Build an attempt from its row."""
    return Attempt(**row._mapping)


def newest_ids(tx: Transaction, count: int = 20) -> list[str]:
    """Return the ids of the newest jobs, to be named where one was mistyped."""
    return [row.id for row in tx.rows(select(jobs.c.id).order_by(jobs.c.seq.desc()).limit(count))]


def progress_json(progress: Progress) -> dict[str, Json]:
    """Return a progress as JSON values."""
    return {
        "step": progress.step,
        "of": progress.of,
        "metrics": dict(progress.metrics),
        "message": progress.message,
        "images": progress.images,
    }


def storable(text: str) -> str:
    """Return free text without what a database refuses: NUL and broken Unicode."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _known(tx: Transaction, statement: Select[Any], job_id: str) -> Job:
    row = tx.first(statement)
    if row is None:
        raise UnknownName("job", job_id, newest_ids(tx))
    return job_of(tx, row)


def job_with(row: Row[Any], needs: tuple[str, ...]) -> Job:
    """Build one job from its whole row where its needs are known: they never change."""
    values = row._mapping
    return Job(
        spec=_spec(row),
        progress=_progress(values["progress"]),
        needs=needs,
        **{name: values[name] for name in _PLAIN},
    )


def _spec(row: Row[Any]) -> JobSpec:
    """Return a job's spec; one that is none must stop neither a search nor the leases of all other jobs."""
    try:
        return JobSpec.from_json(row.spec)
    except (ValueError, TypeError, KeyError, AttributeError):
        return JobSpec.unreadable(JobKind(row.kind), row.detector, row.fingerprint)


def _progress(value: Any) -> Progress:
    try:
        return Progress(**{name: each for name, each in value.items() if name in _PROGRESS})
    except (TypeError, AttributeError):
        return Progress()
