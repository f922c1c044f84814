"""Gathers what a page about a job is drawn from: out of the store, and out of what lies in the storage."""

import tempfile
from dataclasses import replace
from pathlib import Path

from ad_platform.curves import committed
from ad_platform.errors import Conflict, CorruptBundle, InvalidRequest, UnknownName
from ad_platform.job_report import results
from ad_platform.job_report.subject import Subject
from ad_platform.records import Champion, Job
from ad_platform.results import result_of
from ad_platform.states import JobKind, JobState
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Store


def subject_of(store: Store, storage: Storage, job: Job, folder: Path | None = None) -> Subject:
    """Return everything about a job that a page shows; `folder` holds its bundle, if it was fetched before.

    Of a train job the page is about its newest evaluation too, one on its own images before any other. Raises
    InvalidRequest for a trial, whose page is that of its sweep, and Conflict for a job that has not begun.
    """
    if job.kind is JobKind.TRIAL:
        raise InvalidRequest(_trial(job))
    if job.state in (JobState.QUEUED, JobState.WAITING) and not job.attempt:
        raise Conflict(
            f"job {job.id} is {job.state} and has done nothing that a page could show; see why with: "
            f"adctl why {job.id}"
        )
    train = job if job.kind is JobKind.TRAIN else _source(store, job)
    evaluation, missed = _evaluations(store, job, train)
    problems: list[str] = []
    points = committed(store, storage, train.id) if train is not None else None
    problems += points.problems if points is not None else ()
    found = None
    if evaluation is not None:
        here = folder if evaluation.id == job.id else None
        found = _results(storage, evaluation, here, problems)
    subject = Subject(
        job=job,
        train=train,
        evaluation=evaluation,
        missed=missed,
        points=points.points if points is not None else (),
        champions=_champions(store, train) if train is not None else (),
        results=found,
        problems=problems,
        now=store.now(),
    )
    attempts = {each.id: store.jobs.attempts(each.id) for each in subject.jobs}
    return replace(subject, attempts=attempts)


def _source(store: Store, evaluation: Job) -> Job | None:
    try:
        return store.jobs.get(evaluation.spec.source or "")
    except UnknownName:
        return None


def _evaluations(store: Store, job: Job, train: Job | None) -> tuple[Job | None, Job | None]:
    """Return the evaluation that speaks for a fit; where there is none, the newest that has not succeeded."""
    if job.kind is JobKind.EVALUATE:
        return (job, None) if job.state is JobState.SUCCEEDED else (None, job)
    assert train is not None
    found = [each for each in store.jobs.search(needs=train.id) if each.kind is JobKind.EVALUATE]
    own = [each for each in found if each.spec.dataset.fingerprint == train.spec.dataset.fingerprint]
    ended = [each for each in [*own, *found] if each.state is JobState.SUCCEEDED]
    return (ended[0], None) if ended else (None, next(iter([*own, *found]), None))


def _results(
    storage: Storage, evaluation: Job, folder: Path | None, problems: list[str]
) -> results.Results | None:
    """Read the bundle of an evaluation, from a folder or from the storage."""
    bundle = result_of(evaluation).bundle
    if bundle is None:
        problems.append(f"job {evaluation.id} names no files of results")
        return None
    with tempfile.TemporaryDirectory(prefix="adctl-report-") as scratch:
        place = folder if folder is not None else Path(scratch) / "results"
        try:
            if folder is None:
                storage.fetch(bundle, place)
        except CorruptBundle as error:
            problems.append(str(error))
            return None
        found = results.read(place)
    problems += found.problems
    return found


def _champions(store: Store, train: Job) -> list[Champion]:
    """Return the decisions in force that gave this fit an alias."""
    newest: dict[tuple[str, str], Champion] = {}
    for each in sorted(store.champions.history(), key=lambda each: each.revision):
        newest[each.model, each.alias] = each
    return [newest[key] for key in sorted(newest) if newest[key].job_id == train.id]


def _trial(job: Job) -> str:
    if job.group:
        return (
            f"job {job.id} is a trial of the sweep {job.group} and left no model; its measures stand on the "
            f"page of the sweep: adctl report {job.group}"
        )
    return f"job {job.id} is a trial and left no model; see its measures with: adctl show {job.id}"
