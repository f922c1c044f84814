"""What is needed: aliases, reports, jobs that go on and whatever else holds something, and what these need.

Pure: facts in, holds out. A job is held for more or less: its curve, its finished work, or everything.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from ad_platform.retention.facts import DAY, Facts, Rules
from ad_platform.specs import Json
from ad_platform.states import CollectedState, JobKind, JobState, StudyState
from ad_platform.store.retention_contract import JobFacts

BAD = (JobState.FAILED, JobState.CANCELLED)
RESTORED = 30 * DAY  # for which what somebody has restored stays
_OPEN = (StudyState.RUNNING, StudyState.PAUSED)


class Extent(IntEnum):
    """How much of a job is needed; more includes less."""

    CURVE = 1  # its metric segments: the curve of a retry begins there
    WORK = 2  # what it has made: model or results, curve, logs, rows of predictions
    ALL = 3  # its checkpoints too, and what an attempt is writing


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Why something is kept."""

    extent: Extent
    because: str  # a clause: "it is running"
    by: str | None = None  # the job that needs it; None for a root


@dataclass
class Reached:
    """All that is needed."""

    jobs: dict[str, Hold] = field(default_factory=dict)
    stages: dict[str, Hold] = field(default_factory=dict)  # by key
    listings: dict[str, Hold] = field(default_factory=dict)  # by fingerprint
    pictures: dict[str, Hold] = field(default_factory=dict)  # pushed sets, by fingerprint
    benchmarks: dict[str, Hold] = field(default_factory=dict)  # by the prefix of their tables
    places: dict[str, Hold] = field(default_factory=dict)  # restored ones that are no job's
    busy: Hold | None = None  # some job or sweep that goes on: it may need a stage nobody has recorded

    def extent(self, job_id: str) -> Extent | None:
        """Return how much of a job is needed."""
        hold = self.jobs.get(job_id)
        return None if hold is None else hold.extent

    def chain(self, hold: Hold) -> list[str]:
        """Return why something is kept, and why that is, down to a root."""
        words, seen = [hold.because], set[str]()
        while hold.by is not None and hold.by not in seen:
            seen.add(hold.by)
            hold = self.jobs[hold.by]
            words.append(hold.because)
        return words


def reach(facts: Facts, rules: Rules) -> Reached:
    """Return what is needed."""
    known = _Index(facts)
    reached, open_ = Reached(), deque[str]()

    def hold(job_id: str, found: Hold) -> None:
        if job_id in facts.jobs and found.extent > (reached.extent(job_id) or 0):
            reached.jobs[job_id] = found
            open_.append(job_id)

    for job_id, found in roots(facts, rules, known):
        hold(job_id, found)
    while open_:
        job_id = open_.popleft()
        for needed, found in _needs_of(facts.jobs[job_id], reached.jobs[job_id].extent, known):
            hold(needed, found)
    _hold_the_rest(facts, rules, reached)
    return reached


class _Index:
    """Jobs by what leads to them."""

    def __init__(self, facts: Facts) -> None:
        self.jobs = facts.jobs
        self.retries = retries_of(facts.jobs.values())
        self.evaluations: dict[str, list[str]] = defaultdict(list)  # that succeeded, by what they measured
        self.groups: dict[str, list[JobFacts]] = defaultdict(list)
        for job in facts.jobs.values():
            if job.kind is JobKind.EVALUATE and job.source and job.state is JobState.SUCCEEDED:
                self.evaluations[job.source].append(job.id)
            if job.group:
                self.groups[job.group].append(job)

    def newest(self, job_id: str) -> str:
        """Follow a job's retries to the last one."""
        while job_id in self.retries:
            job_id = self.retries[job_id]
        return job_id


def retries_of(jobs: Iterable[JobFacts]) -> dict[str, str]:
    """Return the one retry that a person has asked for of each job, by the job's id."""
    keyed = ((job.key or "", job.id) for job in jobs)
    return {key.removeprefix("retry:"): job_id for key, job_id in keyed if key.startswith("retry:")}


def roots(facts: Facts, rules: Rules, known: _Index) -> Iterator[tuple[str, Hold]]:
    """Yield what is needed for its own sake."""
    for job in facts.jobs.values():
        if found := _of_itself(job, facts, rules, known):
            yield job.id, found
    yield from _aliases(facts)
    yield from _sweeps(facts, known)
    yield from _benchmarks(facts, known)
    if rules.older_than is not None:
        yield from _newest(facts, rules)


def _of_itself(job: JobFacts, facts: Facts, rules: Rules, known: _Index) -> Hold | None:
    """Return why a job is kept by how it stands."""
    if not job.state.terminal:
        return Hold(extent=Extent.ALL, because=f"job {job.id} is {job.state}")
    mark = facts.marks.get(f"jobs/{job.id}")
    if mark is not None and mark.state is CollectedState.RESTORED and facts.now - mark.at < RESTORED:
        return Hold(extent=Extent.ALL, because=f"job {job.id} was restored by {mark.user}")
    if job.keep:
        return Hold(extent=Extent.ALL, because=f"job {job.id} has the tag 'keep'")
    age = facts.now - (job.finished_at or 0.0)
    if job.state in BAD and job.id not in known.retries and age < rules.resumable:
        return Hold(
            extent=Extent.ALL,
            because=f"job {job.id} {job.state} {_ago(age)} and may be retried from its checkpoints",
        )
    if rules.older_than is None:
        return Hold(extent=Extent.WORK, because=f"job {job.id} has ended, and without an age such work stays")
    if age < rules.older_than:
        return Hold(extent=Extent.WORK, because=f"job {job.id} ended {_ago(age)}")
    if job.id in facts.untold:
        return Hold(extent=Extent.WORK, because=f"MLflow has not been told everything of job {job.id}")
    return None


def _aliases(facts: Facts) -> Iterator[tuple[str, Hold]]:
    """Yield the model of every decision: a rollback can go back to any."""
    newest: set[tuple[str, str]] = set()
    for champion in facts.champions:
        name = (champion.model, champion.alias)
        how = "carried it once, and a rollback can go back to it" if name in newest else "carries it"
        newest.add(name)
        because = f"{champion.model}@{champion.alias}: revision {champion.revision} {how}"
        found = Hold(extent=Extent.WORK, because=because)
        yield champion.job_id, found
        for job_id in _mentioned(champion.evidence, facts):
            yield job_id, found


def _sweeps(facts: Facts, known: _Index) -> Iterator[tuple[str, Hold]]:
    for study in facts.studies:
        for job_id in _mentioned(study.summary.get("final"), facts):
            yield job_id, Hold(extent=Extent.WORK, because=f"sweep {study.name} shows it as what came of it")
        if study.state not in _OPEN:
            continue
        for job in known.groups.get(study.name, ()):
            extent = Extent.ALL if job.state in BAD else Extent.WORK
            yield job.id, Hold(extent=extent, because=f"sweep {study.name} is {study.state}")


def _benchmarks(facts: Facts, known: _Index) -> Iterator[tuple[str, Hold]]:
    for benchmark in facts.benchmarks:
        found = Hold(extent=Extent.WORK, because=f"benchmark {benchmark.name} shows it")
        for job in known.groups.get(benchmark.name, ()):
            yield job.id, found
        cells = benchmark.spec.get("cells")
        for job_id in _mentioned(cells, facts):
            yield job_id, found
            yield known.newest(job_id), found


def _newest(facts: Facts, rules: Rules) -> Iterator[tuple[str, Hold]]:
    """Yield the newest trainings of each detector and category; those that sweeps share do not count."""
    counted: dict[tuple[str, str], int] = defaultdict(int)
    for job in reversed(list(facts.jobs.values())):
        shared = job.key is not None and job.key.startswith("stage/")
        if job.kind is not JobKind.TRAIN or job.state is not JobState.SUCCEEDED or shared:
            continue
        counted[job.detector, job.data] += 1
        if counted[job.detector, job.data] <= rules.keep_last:
            which = "the newest" if rules.keep_last == 1 else f"one of the {rules.keep_last} newest"
            because = f"job {job.id} is {which} of {job.detector} on {job.data}"
            yield job.id, Hold(extent=Extent.WORK, because=because)


def _needs_of(job: JobFacts, extent: Extent, known: _Index) -> Iterator[tuple[str, Hold]]:
    """Yield the jobs that a job needs which is needed this much."""
    if job.retry_of is not None:
        yield job.retry_of, _lineage(job, extent)
    if extent < Extent.WORK:
        return
    for need in dict.fromkeys(filter(None, (job.source, *job.needs))):
        what = "scores its model" if need == job.source else "needs it"
        for each in dict.fromkeys((need, known.newest(need))):
            bad = each in known.jobs and known.jobs[each].state in BAD
            # A retry of this job would run what failed below it again.
            more = Extent.ALL if bad and extent is Extent.ALL else Extent.WORK
            yield each, Hold(extent=more, because=f"job {job.id} {what}", by=job.id)
    if job.kind is JobKind.TRAIN:
        for evaluation in known.evaluations.get(job.id, ()):
            yield (
                evaluation,
                Hold(extent=Extent.WORK, because=f"it measured the model of job {job.id}", by=job.id),
            )


def _lineage(job: JobFacts, extent: Extent) -> Hold:
    """Return what a retry needs of the job in whose place it runs."""
    if extent is Extent.ALL:
        return Hold(extent=extent, because=f"job {job.id} goes on from its checkpoints", by=job.id)
    if extent is Extent.WORK and job.kind is JobKind.PREDICT:
        return Hold(extent=extent, because=f"job {job.id} has some of its rows from it", by=job.id)
    return Hold(extent=Extent.CURVE, because=f"the curve of job {job.id} begins there", by=job.id)


def _hold_the_rest(facts: Facts, rules: Rules, reached: Reached) -> None:
    """Hold stages, listings, tables of benchmarks, and what was restored."""
    users: dict[tuple[str, str], Hold] = {}  # who may look for a stage, by detector and images
    for job_id, found in reached.jobs.items():
        job = facts.jobs[job_id]
        if found.extent is Extent.ALL:
            users.setdefault((job.detector, job.fingerprint), _passed_on(job, "may look for it"))
        if found.extent >= Extent.WORK:
            for key in job.stages:
                reached.stages.setdefault(key, _passed_on(job, "was fitted with it"))
            if job.kind is JobKind.PREDICT:
                reached.listings.setdefault(job.fingerprint, _passed_on(job, "scores its pictures"))
            # What a prediction has scored it never reads again.
            if job.kind is not JobKind.PREDICT or found.extent is Extent.ALL:
                reached.pictures.setdefault(job.fingerprint, _passed_on(job, "reads them, or has read them"))
    for study in facts.studies:
        if study.state in _OPEN:
            found = Hold(extent=Extent.WORK, because=f"sweep {study.name} is {study.state}")
            users.setdefault(_images_of(study.spec.get("job")), found)
            reached.pictures.setdefault(_images_of(study.spec.get("job"))[1], found)
    _hold_pushed(facts, rules, reached)
    reached.busy = next(iter(users.values()), None)
    for record in facts.stages:
        maker = facts.jobs.get(record.job_id)
        if maker is not None and (reached.extent(maker.id) or 0) >= Extent.WORK:
            reached.stages.setdefault(record.key, _passed_on(maker, "made it"))
        elif maker is not None and (user := users.get((record.detector, maker.fingerprint))):
            reached.stages.setdefault(record.key, user)
    _hold_tables(facts, reached)
    for place, mark in facts.marks.items():
        if mark.state is CollectedState.RESTORED and facts.now - mark.at < RESTORED:
            reached.places[place] = Hold(extent=Extent.ALL, because=f"{mark.user} restored it")


def _hold_pushed(facts: Facts, rules: Rules, reached: Reached) -> None:
    """Hold sets by their age: to push them was somebody's wish."""
    for note in facts.pushed:
        age, found = facts.now - note.at, None
        if note.dataset and rules.older_than is None:
            found = "it was pushed, and without an age what was pushed stays"
        elif age < (rules.older_than or 0.0 if note.dataset else rules.grace):
            found = f"it was pushed {_ago(age)}"
        if found:
            reached.pictures.setdefault(note.fingerprint, Hold(extent=Extent.ALL, because=found))


def _hold_tables(facts: Facts, reached: Reached) -> None:
    for benchmark in facts.benchmarks:
        bundle = benchmark.summary.get("bundle")
        prefix = bundle.get("prefix") if isinstance(bundle, dict) else None
        found = Hold(extent=Extent.WORK, because=f"benchmark {benchmark.name} shows it")
        if isinstance(prefix, str):
            reached.benchmarks[prefix] = found
        if benchmark.finished_at is None or prefix is None:
            reached.benchmarks[f"benchmarks/{benchmark.id}"] = found


def _passed_on(job: JobFacts, what: str) -> Hold:
    return Hold(extent=Extent.WORK, because=f"job {job.id} {what}", by=job.id)


def _images_of(spec: Json) -> tuple[str, str]:
    if not isinstance(spec, Mapping):
        return "", ""
    data = spec.get("dataset")
    return str(spec.get("detector")), str(data.get("fingerprint")) if isinstance(data, Mapping) else ""


def _mentioned(value: object, facts: Facts) -> Iterable[str]:
    """Yield the jobs whose ids stand anywhere in what was remembered."""
    if isinstance(value, str):
        if value in facts.jobs:
            yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _mentioned(each, facts)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _mentioned(each, facts)


def _ago(seconds: float) -> str:
    if seconds >= DAY:
        return f"{seconds / DAY:.0f}d ago"
    return f"{seconds / 3600:.0f}h ago" if seconds >= 3600 else f"{max(0.0, seconds) / 60:.0f}m ago"
