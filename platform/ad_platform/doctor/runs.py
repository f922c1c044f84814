"""Compares MLflow's runs with the jobs that they show; what differs is shipped again, never deleted."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ad_platform.audited import Standing
from ad_platform.doctor.findings import Finding, Level, Mending
from ad_platform.doctor.ground import Ground, unlooked
from ad_platform.doctor.web import greet
from ad_platform.errors import Conflict, TrackingDown
from ad_platform.states import JobState
from ad_platform.store.contract import Store
from ad_platform.tracking.facts import RUN_STATES
from ad_platform.tracking.protocol import RunState

if TYPE_CHECKING:
    from ad_platform.tracking.audit import RunAudit, RunSeen

ABOUT = "runs"
LATE = 120.0  # seconds after a job's end in which shippers may still be at it
CHECKED = 50  # jobs that no run was seen of, and that are asked about one by one


def runs(ground: Ground) -> Iterator[Finding]:
    """Name runs that say something else than their job, that are of none, or are missing."""
    store = ground.store
    if store is None:
        return
    there = reachable(ground)
    for one in store.audit.late(LATE, ground.most):
        yield _late(ground, one, mendable=there)
    if not trackable(ground):
        return
    from ad_platform.tracking.audit import open_audit

    try:
        yield from _compared(ground, store, open_audit(ground.settings.tracking_uri))
    except TrackingDown:  # another look says so
        return


def reachable(ground: Ground) -> bool:
    """Say whether MLflow can be told something from here: to load it for nobody takes seconds."""
    uri = ground.settings.tracking_uri
    if find_spec("mlflow") is None:
        return False
    return not uri.startswith(("http://", "https://")) or greet(uri, os.environ) is not None


def trackable(ground: Ground) -> bool:
    """Say whether MLflow can be asked from here without making anything."""
    from ad_platform.tracking.mlflow import sqlite_path

    file = sqlite_path(ground.settings.tracking_uri)
    return reachable(ground) and (file is None or file.exists())


def _compared(ground: Ground, store: Store, audit: "RunAudit") -> Iterator[Finding]:
    most = 3 * ground.newest
    seen = {run.id: run for run in (*audit.newest(most), *audit.running(most))}
    of_job: dict[str, list[RunSeen]] = defaultdict(list)
    for run in seen.values():
        of_job[run.job_id].append(run)
    known = store.audit.standings(sorted(of_job))
    told = 0
    for job_id, found in of_job.items():
        for finding in _of_job(ground, job_id, found, known.get(job_id)):
            told += 1
            if told <= ground.most:
                yield finding
    newest = (one for page in ground.newest_jobs() for one in page)
    missing = [one for one in newest if one.shown and one.job_id not in of_job]
    for one in missing[:CHECKED]:
        if not audit.of_job(one.job_id):
            yield _missing(ground, one)
    if len(missing) > CHECKED:
        yield unlooked(ABOUT, f"whether {len(missing) - CHECKED} more jobs have a run: call it again")
    if not ground.deep and sum(store.jobs.count().values()) > ground.newest:
        yield unlooked(ABOUT, f"runs of all but the {ground.newest} newest jobs (--deep)")


def _of_job(
    ground: Ground, job_id: str, found: "Sequence[RunSeen]", job: Standing | None
) -> Iterator[Finding]:
    ids = sorted(run.id for run in found)
    if job is None:
        yield Finding(
            level=Level.WARNING,
            about=ABOUT,
            kind="run-of-no-job",
            subject=ids[0],
            words=f"MLflow has run {ids[0]} of job {job_id}, which the store does not know",
            remedy="look whether another store uses this MLflow, else delete the run there",
        )
        return
    if len(found) > 1:
        yield Finding(
            level=Level.WARNING,
            about=ABOUT,
            kind="doubled-run",
            subject=job_id,
            words=f"job {job_id} has {len(found)} runs in MLflow: {', '.join(ids)}",
            remedy=f"{job.run_id or ids[0]} is the one that is kept up to date: delete the others there",
        )
        return
    if job.behind:  # it is shipped soon, or is told of as late
        return
    ended = job.state.terminal
    if _says_wrongly(found[0].status, job.state):
        yield Finding(
            level=Level.WARNING,
            about=ABOUT,
            kind="run-without-end" if ended else "run-ended-early",
            subject=job_id,
            words=f"the run of job {job_id} is {found[0].status} in MLflow, and the job is {job.state}",
            mending=Mending(words="ships it again", do=partial(ship_again, ground, job_id))
            if ended
            else Mending(words="opens it again", do=partial(_reopen, ground, job_id, found[0].id)),
        )


def _says_wrongly(status: str, state: JobState) -> bool:
    """Say whether a run's status is not that of its job, which stays RUNNING between two attempts."""
    return status != (RUN_STATES[state] if state.terminal else RunState.RUNNING)


def _missing(ground: Ground, one: Standing) -> Finding:
    return Finding(
        level=Level.WARNING,
        about=ABOUT,
        kind="job-without-run",
        subject=one.job_id,
        words=f"job {one.job_id} is {one.state} and has no run in MLflow",
        mending=Mending(words="ships it again", do=partial(ship_again, ground, one.job_id)),
    )


def _late(ground: Ground, one: Standing, *, mendable: bool) -> Finding:
    return Finding(
        level=Level.WARNING,
        about=ABOUT,
        kind="late-shipment",
        subject=one.job_id,
        words=f"job {one.job_id} ended {(one.ended_ago or 0) / 60:.0f} min ago, and MLflow was not told all",
        remedy="a worker tells it once MLflow can be reached",
        mending=Mending(words="ships it", do=partial(_ship, ground, one.job_id)) if mendable else None,
    )


def ship_again(ground: Ground, job_id: str) -> str:
    """Tell MLflow of a job anew."""
    assert ground.store is not None
    ground.store.audit.tell_again(job_id)
    return _ship(ground, job_id)


def _ship(ground: Ground, job_id: str) -> str:
    if ground.shipper.one(job_id):
        return "was shipped"
    assert ground.store is not None
    if not ground.store.audit.standings([job_id])[job_id].behind:
        return "was shipped by a worker"
    raise Conflict("another shipper has claimed it: look again in a minute")


def _reopen(ground: Ground, job_id: str, run_id: str) -> str:
    from ad_platform.tracking.mlflow import open_tracker

    open_tracker(ground.settings).open_run(run_id)
    assert ground.store is not None
    if ground.store.audit.standings([job_id])[job_id].state.terminal:  # it ended meanwhile
        return ship_again(ground, job_id)
    return "is shown as running again"
