"""How what a person asks for becomes a job."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import insert, select

from ad_platform.errors import InvalidRequest, InvalidValue, UnknownName
from ad_platform.records import Job, Progress
from ad_platform.specs import Submission
from ad_platform.states import FailureClass, JobState
from ad_platform.store import endings
from ad_platform.store.collected import refuse
from ad_platform.store.database import Transaction
from ad_platform.store.facets import remember
from ad_platform.store.rows import job_of, jobs_of, newest_ids, progress_json, storable
from ad_platform.store.tables import edges, jobs
from ad_platform.store.transitions import mark_due, owe_ring, tell

NewId = Callable[[], str]

_EARLIER = re.compile(r"#(\d+)")


def submit_all(tx: Transaction, submissions: Sequence[Submission], new_id: NewId) -> list[Job]:
    """Remember jobs in order; "#n" among needs and as a source means the n-th of the same call."""
    made: list[Job] = []
    for submission in submissions:
        made.append(submit_one(tx, _resolved(submission, [job.id for job in made]), new_id))
    # Read again: the same key twice in one call is one job, and it is the later state that counts.
    ids = {job.id for job in made}
    now = {job.id: job for job in jobs_of(tx, tx.rows(select(jobs).where(jobs.c.id.in_(ids))))}
    return [now[job.id] for job in made]


def submit_one(tx: Transaction, submission: Submission, new_id: NewId) -> Job:
    """Remember one job, or return the job that has its key already."""
    if submission.key is not None and (known := _of_key(tx, submission.key)):
        return known
    check(submission)
    if submission.spec.beyond:
        raise InvalidRequest(
            f"a newer adctl has asked for this ({', '.join(submission.spec.beyond)} means nothing here): "
            "upgrade adctl, then try again"
        )
    if submission.spec.source is not None:
        refuse(tx, [submission.spec.source])
    needs = _lock_needs(tx, submission.needs)
    state = JobState.QUEUED
    if any(need.state is not JobState.SUCCEEDED for need in needs):
        state = JobState.WAITING
    job = _insert(tx, submission, new_id(), state)
    if job is None:  # the same key was committed by somebody else in between
        assert submission.key is not None
        known = _of_key(tx, submission.key)
        assert known is not None
        return known
    if needs:
        tx.run(
            insert(edges),
            [{"job_id": job.id, "need_id": need.id, "position": n} for n, need in enumerate(needs)],
        )
    remember(tx, job)
    tell(tx, job.id, 0, "submitted", {"user": job.user, "state": state.value})
    mark_due(tx, job.id)
    if state is JobState.QUEUED:
        owe_ring(tx, job)
    for need in needs:
        if need.state in (JobState.FAILED, JobState.CANCELLED):
            endings.fail(tx, job, FailureClass.NEEDS, f"needs job {need.id}, which is {need.state}")
            break
    return job


def check(submission: Submission) -> None:
    """Raise InvalidValue for a submission that no worker could ever honour."""
    words = (submission.user, submission.name, submission.key or "", submission.group or "", submission.queue)
    for condition, complaint in (
        (-100 <= submission.priority <= 100, f"priority must lie in -100..100, not {submission.priority}"),
        (0 <= submission.gpus <= 1024, f"gpus must lie in 0..1024, not {submission.gpus}"),
        (
            submission.gpus == 0 or not submission.spec.cpu_only,
            f"{submission.gpus} gpus are asked for with device cpu; leave one of them out",
        ),
        (0 <= submission.memory_mb < 2**31, f"memory must be 0 MB or more, not {submission.memory_mb}"),
        (
            1 <= submission.max_attempts <= 1000,
            f"max attempts must lie in 1..1000, not {submission.max_attempts}",
        ),
        (
            0 < submission.stall_after < math.inf,
            f"stall_after must be more than 0 seconds, not {submission.stall_after}",
        ),
        (
            submission.timeout is None or 0 < submission.timeout < math.inf,
            f"timeout must be more than 0 seconds, not {submission.timeout}",
        ),
        (
            1 <= submission.batch_divisor <= 1024,
            f"batch_divisor must lie in 1..1024, not {submission.batch_divisor}",
        ),
        (math.isfinite(submission.not_before), f"not_before must be a time, not {submission.not_before}"),
        (bool(submission.queue), "the queue needs a name"),
        (bool(submission.user), "a submission needs a user; set ADCTL_USER"),
        (
            not any("\0" in word or not _encodes(word) for word in words),
            "user, name, key, group and queue must be plain text",
        ),
    ):
        if not condition:
            raise InvalidValue(complaint)


def _encodes(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _resolved(submission: Submission, made: Sequence[str]) -> Submission:
    def real(name: str) -> str:
        match = _EARLIER.fullmatch(name)
        if match is None:
            return name
        if int(match[1]) >= len(made):
            raise UnknownName("earlier submission of this call", name, [f"#{n}" for n in range(len(made))])
        return made[int(match[1])]

    spec = submission.spec
    if spec.source is not None:
        spec = replace(spec, source=real(spec.source))
    # A need named twice is one edge.
    return replace(submission, spec=spec, needs=tuple(dict.fromkeys(map(real, submission.needs))))


def _of_key(tx: Transaction, key: str) -> Job | None:
    row = tx.first(select(jobs).where(jobs.c.key == key))
    return row and job_of(tx, row)


def _lock_needs(tx: Transaction, needs: Sequence[str]) -> list[Job]:
    """Return the needed jobs, kept from ending until we are written: they look for us when they end."""
    if not needs:
        return []
    share = select(jobs).where(jobs.c.id.in_(needs)).order_by(jobs.c.id).with_for_update(read=True)
    found = {row.id: job_of(tx, row) for row in tx.rows(share)}
    for need in needs:
        if need not in found:
            raise UnknownName("job", need, newest_ids(tx))
    return [found[need] for need in needs]


def _insert(tx: Transaction, submission: Submission, job_id: str, state: JobState) -> Job | None:
    spec = submission.spec
    row = tx.first(
        tx.insert(jobs)
        .values(
            id=job_id,
            key=submission.key,
            kind=spec.kind,
            detector=spec.detector,
            fingerprint=spec.dataset.fingerprint,
            spec=spec.to_json(),
            state=state,
            user=submission.user,
            name=submission.name,
            tags=dict(submission.tags),
            group=submission.group,
            queue=submission.queue,
            priority=submission.priority,
            gpus=submission.gpus,
            memory_mb=submission.memory_mb,
            max_attempts=submission.max_attempts,
            stall_after=submission.stall_after,
            timeout=submission.timeout,
            batch_divisor=submission.batch_divisor,
            cpu_only=spec.cpu_only,
            cards=0,
            preemptible=submission.preemptible,
            memory_from=storable(submission.memory_from),
            not_before=submission.not_before,
            retry_of=submission.retry_of,
            code=dict(submission.code),
            attempt=0,
            failures=0,
            cancel_requested=False,
            prune_requested=False,
            progress=progress_json(Progress()),
            error="",
            result={},
            created_at=tx.now,
        )
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(*jobs.c)
    )
    return row and job_of(tx, row)
